"""Manifests that come back as they were written, and hand-written ones that must not be believed."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.data.dataset import MANIFEST, Dataset, Facts
from likeness.data.manifest import Row, read_rows, write_rows
from likeness.errors import DatasetError

FACTS = Facts(name="mine", source="folder")
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
PATHS = TEXTS.map(lambda text: f"a{text.replace(chr(0), '')}.jpg").filter(lambda path: ".." not in path.split("/"))


@given(PATHS, TEXTS, st.floats(allow_nan=False, allow_infinity=False), st.integers(0, 150))
def test_a_row_comes_back_as_it_was_written(path: str, identity: str, number: float, age_years: int) -> None:
    row = Row(path=path, identity=identity, labels={"number": number, "age_years": float(age_years)})
    assert read_rows(write_rows([row]), where="a test") == (row,)


@pytest.mark.parametrize("text", ["007", "20170116174525125", "nan", "1_000", "+5", "Ada", "25 years", "1e999"])
def test_a_label_that_only_looks_like_a_number_stays_a_text(text: str) -> None:
    row = Row(path="a.jpg", labels={"plate": text})
    assert read_rows(write_rows([row]), where="a test") == (row,)


def test_a_data_set_keeps_every_end_of_line_of_a_name(tmp_path: Path) -> None:
    rows = tuple(Row(path=f"a{end}b.jpg", identity=f"Ada{end}L") for end in ("\r", "\n", "\r\n", "\u2028"))
    written = Dataset(tmp_path, FACTS, rows)
    written.write()
    assert Dataset.read(tmp_path).rows == rows
    assert Dataset.read(tmp_path).digest == written.digest


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("path\n/etc/passwd\n", "leaves the folder"),
        ("path\na/../../b.jpg\n", "leaves the folder"),
        ("path\na\0b.jpg\n", "leaves the folder"),
        ("path,x1\na.jpg,1\n", "without the column 'y1'"),
        ("path,x1,y1,x2,y2\na.jpg,1,1,inf,3\n", "no finite number"),
        ("path\n" + "a" * 200_000 + "\n", "field limit"),
        ("a" * 200_000 + "\n", "no CSV"),
    ],
)
def test_a_manifest_that_must_not_be_believed_is_refused(text: str, said: str) -> None:
    with pytest.raises(DatasetError, match=said):
        read_rows(text, where="a test")


def test_a_name_that_is_no_text_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="no UTF-8"):
        Dataset(tmp_path, FACTS, (Row(path="a\udce9.jpg"),)).write()
    assert not (tmp_path / MANIFEST).exists()
