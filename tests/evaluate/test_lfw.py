"""LFW's folders and pairs, on a small copy of their layout made here."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.errors import DatasetError
from likeness.evaluate.lfw import Lfw
from likeness.evaluate.protocols import open_set_split


@pytest.fixture
def tiny(tmp_path: Path) -> Path:
    for person, count in (("Ada_Lovelace", 3), ("Alan_Turing", 2), ("Grace_Hopper", 1), ("Kurt_Goedel", 1)):
        (tmp_path / "lfw" / person).mkdir(parents=True)
        for number in range(1, count + 1):
            (tmp_path / "lfw" / person / f"{person}_{number:04d}.jpg").write_bytes(b"")
    (tmp_path / "lfw_pairs.txt").write_text(
        "2\t1\nAda_Lovelace\t1\t3\nAda_Lovelace\t2\tAlan_Turing\t1\n"
        "Alan_Turing\t1\t2\nAlan_Turing\t2\tGrace_Hopper\t1\n"
    )
    return tmp_path


def test_pairs_are_read_as_places_of_photos(tiny: Path) -> None:
    lfw = Lfw.find(tiny)
    names = [path.name for path in lfw.photos]
    assert names[lfw.pairs.first[0]] == "Ada_Lovelace_0001.jpg"
    assert names[lfw.pairs.second[0]] == "Ada_Lovelace_0003.jpg"
    assert lfw.pairs.genuine.tolist() == [True, False, True, False]
    assert lfw.pairs.fold.tolist() == [0, 0, 1, 1]


def test_people_in_no_pair_are_the_ones_that_calibrate(tiny: Path) -> None:
    lfw = Lfw.find(tiny)
    assert set(lfw.people[lfw.outside_pairs]) == {"Kurt_Goedel"}


def test_an_open_set_search_enrols_one_photo_of_each_person_with_several(tiny: Path) -> None:
    lfw = Lfw.find(tiny)
    search = open_set_split(lfw.people, np.ones(len(lfw.photos), bool))
    assert lfw.people[search.gallery].tolist() == ["Ada_Lovelace", "Alan_Turing"]
    assert lfw.people[search.probes].tolist() == ["Ada_Lovelace", "Ada_Lovelace", "Alan_Turing"]
    assert lfw.people[search.strangers].tolist() == ["Grace_Hopper", "Kurt_Goedel"]


def test_a_folder_without_lfw_is_said_to_be_so(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no LFW under"):
        Lfw.find(tmp_path)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("2\t1\nAda_Lovelace\t1\t9\n", "a photo that is not there"),
        ("2\t1\nAda_Lovelace\t1\t3\n", "fewer pairs than stated"),
        ("1\t1\nAda_Lovelace\tone\ttwo\nAda_Lovelace\t1\t2\n", "words for numbers"),
    ],
)
def test_a_malformed_pairs_file_is_refused(tiny: Path, text: str, reason: str) -> None:
    (tiny / "lfw_pairs.txt").write_text(text)
    with pytest.raises(DatasetError):
        _ = Lfw.find(tiny).pairs
