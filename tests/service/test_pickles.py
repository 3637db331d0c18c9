"""Pickles of plain data are read, whatever wrote them; of all others nothing is run."""

from __future__ import annotations

import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.errors import ImportRefused, PickleRefused
from likeness.service.encodings import read_encodings
from likeness.service.pickles import parse_pickle, read_pickle

NAMES = ["Ada", "Bo", "Çelik"]
VECTORS = [1.5 * row / np.linalg.norm(row) for row in np.random.default_rng(0).normal(size=(3, 128))]

FORMS = {
    "a dict of two lists": {"encodings": VECTORS, "names": NAMES},
    "a dict of an array and an array of names": {"encodings": np.array(VECTORS), "names": np.array(NAMES)},
    "an array in Fortran's order": {"encodings": np.asfortranarray(VECTORS), "names": NAMES},
    "rows of one array": {"known_face_encodings": list(np.array(VECTORS)), "known_face_names": NAMES},
    "single precision, big-endian": {"encodings": [row.astype(">f4") for row in VECTORS], "names": NAMES},
    "lists of numbers": {"encodings": [row.tolist() for row in VECTORS], "names": tuple(NAMES)},
    "names as numpy writes them": {"encodings": VECTORS, "names": list(np.array(NAMES))},
    "pairs": list(zip(NAMES, VECTORS, strict=True)),
    "pairs the other way round": [[row, name] for name, row in zip(NAMES, VECTORS, strict=True)],
    "a dict of encodings": dict(zip(NAMES, VECTORS, strict=True)),
    "a dict of lists of encodings": {name: [row] for name, row in zip(NAMES, VECTORS, strict=True)},
    "two lists": (VECTORS, NAMES),
    "two lists the other way round": [NAMES, np.array(VECTORS)],
    "two pairs": list(zip(NAMES[:2], VECTORS[:2], strict=True)),
    "two pairs in columns": (VECTORS[:2], NAMES[:2]),
}


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("form", FORMS)
def test_each_common_form_is_read_from_each_protocol(form: str, protocol: int, tmp_path: Path) -> None:
    path = tmp_path / "encodings.pickle"
    path.write_bytes(pickle.dumps(FORMS[form], protocol=protocol))
    found = read_encodings(path)
    assert [one.name for one in found] == NAMES[: len(found)]
    assert len(found) == (2 if "two pairs" in form else 3)
    for one, row in zip(found, VECTORS, strict=False):
        values = one.values if isinstance(one.values, list) else one.values.values
        np.testing.assert_allclose(values, row, atol=1e-6)


def test_a_short_pickle_that_makes_endless_texts_is_refused_at_once() -> None:
    nested: list[Any] = []
    for _ in range(60):  # as text it would have 2**60 parts
        nested = [nested, nested]
    lists = pickle.dumps(nested, protocol=2)[:-1]
    for ending in (b"U\x01a\x93.", b"cnumpy\ndtype\n" + lists[2:] + b"\x85R."):
        with pytest.raises(PickleRefused):
            parse_pickle(lists + ending)


class Evil:
    """Would make a file when it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


def _frame(body: bytes) -> bytes:
    return b"\x80\x04" + body + b"."


@pytest.mark.parametrize(
    ("data", "words"),
    [
        pytest.param(pickle.dumps({1, 2}), "plain data does not need", id="a set"),
        pytest.param(pickle.dumps(Path("x")), "pathlib", id="an object"),
        pytest.param(pickle.dumps(np.array([None, 1])), "array of 'O8'", id="an array of objects"),
        pytest.param(pickle.dumps(np.zeros((1, 2, 3))), "shape", id="an array of three dimensions"),
        pytest.param(pickle.dumps(np.array(["2020-01-01"], "M8[D]")), "array of 'M8'", id="an array of dates"),
        pytest.param(pickle.dumps({(1, 2): 3}), "keys are no texts", id="keys that are tuples"),
        pytest.param(pickle.dumps(eval), "builtins.eval", id="a function"),
        pytest.param(_frame(b"cnumpy.f2py\nrun_main\n"), "numpy.f2py.run_main", id="another name of numpy"),
        pytest.param(_frame(b"cnumpy\nndarray\n)R"), "no array needs", id="a call of what is no function here"),
        pytest.param(_frame(b"c_codecs\nencode\n(\x8c\x01a\x8c\x06rot_13tR"), "no array needs", id="another codec"),
        pytest.param(_frame(b"cnumpy\ndtype\n}\x8c\x09__class__K\x01sb"), "belongs", id="attributes of a name"),
        pytest.param(b"", "whole", id="no bytes"),
        pytest.param(b"PK\x03\x04", "whole", id="another kind of file"),
        pytest.param(pickle.dumps(FORMS["pairs"])[:-40], "whole", id="cut short"),
        pytest.param(_frame(b"0"), "plain data does not need", id="nothing on the stack"),
        pytest.param(_frame(b"e"), "whole", id="no mark"),
        pytest.param(_frame(b"\x8e" + struct.pack("<Q", 1 << 60)), "whole", id="more bytes than there are"),
        pytest.param(_frame(b"\x96" + struct.pack("<Q", 1 << 60)), "whole", id="a buffer larger than memory"),
        pytest.param(_frame(b"I" + b"9" * 100_000 + b"\n"), "whole", id="a number without end"),
    ],
)  # fmt: skip
def test_what_is_no_plain_data_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(PickleRefused, match=words):
        parse_pickle(data)


def test_putting_aside_at_a_place_far_away_takes_no_memory() -> None:
    assert parse_pickle(_frame(b"]r\xff\xff\xff\x7f")) == []


def test_nothing_in_a_hostile_pickle_is_run(tmp_path: Path) -> None:
    place = tmp_path / "made by the pickle"
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        data = pickle.dumps({"encodings": VECTORS, "names": [Evil(place)]}, protocol=protocol)
        with pytest.raises(PickleRefused, match=r"posix|nt|os"):
            parse_pickle(data)
    assert not place.exists()
    pickle.loads(data)
    assert place.exists()  # the unpickler of the standard library does run it


def test_an_array_that_claims_more_than_its_bytes_is_refused() -> None:
    whole = pickle.dumps(np.zeros(4), protocol=2)
    position = next(at for code, argument, at in pickletools.genops(whole) if code.name == "BININT1" and argument == 4)
    with pytest.raises(PickleRefused, match="another size"):
        parse_pickle(whole[: position + 1] + b"\xff" + whole[position + 2 :])


def test_lists_that_hold_themselves_or_each_other_many_times_do_not_last(tmp_path: Path) -> None:
    inner: list[Any] = []
    inner.append(inner)
    many: list[Any] = ["x"]
    for _ in range(60):
        many = [many, many]
    for held in (inner, many, {"encodings": inner, "names": inner}):
        path = tmp_path / "x.pickle"
        path.write_bytes(pickle.dumps(held))
        try:
            found = read_encodings(path)
        except ImportRefused:
            continue
        assert len(found) <= 2


@pytest.mark.parametrize(
    ("held", "words"),
    [
        pytest.param(["Ada", "Bo"], "holds no names with encodings", id="names alone"),
        pytest.param(np.zeros((2, 128)), "holds no names with encodings", id="encodings alone"),
        pytest.param({"encodings": VECTORS, "names": NAMES[:2]}, "2 names for 3 encodings", id="too few names"),
        pytest.param({}, "holds no names with encodings", id="nothing"),
        pytest.param(7, "holds no names with encodings", id="a number"),
    ],
)
def test_plain_data_of_another_form_is_refused_with_what_it_is(held: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / "x.pickle"
    path.write_bytes(pickle.dumps(held))
    with pytest.raises(ImportRefused, match=words):
        read_encodings(path)


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(PickleRefused, match="cannot be read"):
        read_pickle(tmp_path / "none.pickle")
