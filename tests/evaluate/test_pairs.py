"""Which photos are compared: all pairs of a sample, or those of a file."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.data.manifest import Row
from likeness.errors import DatasetError
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.pairs import all_pairs, fold_people, read_pairs
from likeness.evaluate.sample import Sample

ROWS = [
    Row(path=f"crops/{name}_{number:04d}.jpg", identity=name, photo=f"{name}/{name}_{number:04d}.jpg")
    for name, count in (("Ada", 3), ("Alan", 2), ("Grace", 2), ("Kurt", 1))
    for number in range(1, count + 1)
]


def sample_of_rows(rows: list[Row]) -> Sample:
    people = np.array([row.identity for row in rows])
    return Sample(people, Embedded(np.eye(len(rows), dtype=np.float32), np.ones(len(rows), np.intp)))


@settings(max_examples=30, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=8))
def test_all_pairs_are_those_of_two_loops(photos: list[int]) -> None:
    people = np.repeat([f"p{at}" for at in range(len(photos))], photos)
    sample = Sample(people, Embedded(np.zeros((len(people), 2), np.float32), np.ones(len(people), np.intp)))
    pairs = all_pairs(sample)
    found = {(min(a, b), max(a, b)): same for a, b, same in zip(pairs.first, pairs.second, pairs.genuine, strict=True)}
    assert found == {(a, b): people[a] == people[b] for a, b in combinations(range(len(people)), 2)}
    several = sum(count > 1 for count in photos)
    assert pairs.weight[pairs.genuine].sum() == pytest.approx(several)


def test_no_person_is_in_two_folds_and_each_fold_has_both_kinds_of_pairs(sample_of) -> None:
    sample = sample_of([3] * 25 + [1] * 17)
    pairs = all_pairs(sample)
    inside = pairs.fold >= 0
    home: dict[int, set[int]] = {}
    for a, b, fold in zip(sample.codes[pairs.first], sample.codes[pairs.second], pairs.fold, strict=True):
        if fold >= 0:
            home.setdefault(a, set()).add(fold)
            home.setdefault(b, set()).add(fold)
    assert all(len(folds) == 1 for folds in home.values())
    for fold in range(10):
        kinds = set(pairs.genuine[inside & (pairs.fold == fold)].tolist())
        assert kinds == {True, False}


def test_too_few_people_make_no_folds() -> None:
    assert (fold_people(np.array([0, 0, 1, 1, 2]), 0) == -1).all()


def test_impostor_pairs_beyond_the_limit_are_drawn_by_the_seed(sample_of) -> None:
    sample = sample_of([2] * 40)
    one, two, other = (all_pairs(sample, seed=seed, most_impostors=500) for seed in (0, 0, 1))
    assert (~one.genuine).sum() == 500
    codes = one.first[~one.genuine] * 1000 + one.second[~one.genuine]
    assert len(np.unique(codes)) == 500
    assert (sample.people[one.first[~one.genuine]] != sample.people[one.second[~one.genuine]]).all()
    np.testing.assert_array_equal(one.first, two.first)
    assert (one.first != other.first).any()
    assert "500 of 3,120" in one.protocol


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (
            "path1,path2,same\ncrops/Ada_0001.jpg,crops/Ada_0002.jpg,1\ncrops/Ada_0001.jpg,crops/Alan_0001.jpg,0\n",
            "paths",
        ),
        ("path1,path2,same\nAda/Ada_0001.jpg,Ada/Ada_0002.jpg,yes\nAda/Ada_0001.jpg,Alan/Alan_0001.jpg,no\n", "photos"),
        ("1 1\nAda 1 2\nAda 1 Alan 1\n", "LFW's names"),
        ("1\nAda 1 2\nAda 1 Alan 1\n", "LFW's names without folds"),
    ],
)
def test_pairs_are_found_by(tmp_path: Path, text: str, named: str) -> None:
    file = tmp_path / "pairs"
    file.write_text(text)
    pairs = read_pairs(file, ROWS, sample_of_rows(ROWS), [])
    assert (pairs.first.tolist(), pairs.second.tolist(), pairs.genuine.tolist()) == ([0, 0], [1, 3], [True, False])


def test_pairs_of_other_splits_are_left_out_and_lost_photos_stay_as_errors(tmp_path: Path) -> None:
    here, outside = ROWS[:5], ROWS[5:]
    file = tmp_path / "pairs.txt"
    file.write_text("2 1\nAda 1 2\nAda 1 Alan 1\nGrace 1 2\nAda 1 Unknown 7\n")
    sample = sample_of_rows(here)
    pairs = read_pairs(file, here, sample, outside)
    assert pairs.left_out == 1
    assert pairs.second.tolist() == [1, 3, -1]
    assert pairs.fold.tolist() == [0, 0, 1]
    assert sample.similarities(pairs.first, pairs.second)[2] == -np.inf


def test_folds_of_a_csv_keep_people_apart_where_the_pairs_allow(tmp_path: Path) -> None:
    rows = [Row(path=f"{person}/{photo}", identity=f"{person:02d}") for person in range(40) for photo in range(2)]
    lines = ["path1,path2,same"]
    for person in range(0, 40, 2):
        lines += [f"{person}/0,{person}/1,1", f"{person}/0,{person + 1}/0,0"]
    file = tmp_path / "pairs.csv"
    file.write_text("\n".join(lines))
    sample = sample_of_rows(rows)
    pairs = read_pairs(file, rows, sample, [])
    assert "10 folds by person" in pairs.protocol
    folds_of = {}
    for place, fold in zip(pairs.first, pairs.fold, strict=True):
        folds_of.setdefault(sample.people[place], set()).add(int(fold))
    assert all(len(folds) == 1 for folds in folds_of.values())
    file.write_text("\n".join([*lines, *(f"{person}/0,{(person + 2) % 40}/0,0" for person in range(0, 40, 2))]))
    assert "by pair" in read_pairs(file, rows, sample, []).protocol


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("path1,path2\na,b\n", "no column same"),
        ("path1,path2,same\ncrops/Ada_0001.jpg,crops/Ada_0002.jpg,perhaps\n", "line 2"),
        ("path1,path2,same\n,crops/Ada_0002.jpg,1\n", "two paths"),
        ("path1,path2,same\nx,y,1\n", "none of the 1 pairs"),
        ("2 1\nAda 1 2\n", "states 4 pairs and lists 1"),
        ("what is this\n", "neither"),
        ("", "neither"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused(tmp_path: Path, text: str, reason: str) -> None:
    file = tmp_path / "pairs"
    file.write_text(text)
    with pytest.raises(DatasetError, match=reason):
        read_pairs(file, ROWS, sample_of_rows(ROWS), [])


def test_a_csv_of_a_spreadsheet_is_read(tmp_path: Path) -> None:
    rows = [Row(path=f"{name}/{number}.jpg", identity=name) for name in ("Ada", "Alan") for number in (1, 2)]
    text = "path1,path2,same\nAda/1.jpg,Ada/2.jpg,1\nAda/1.jpg,Alan/1.jpg,0\n"
    (tmp_path / "pairs.csv").write_text(text, "utf-8-sig")
    assert len(read_pairs(tmp_path / "pairs.csv", rows, sample_of_rows(rows), ()).first) == 2
