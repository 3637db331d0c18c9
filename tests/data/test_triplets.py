"""Triplets: what they promise, their files, and how much they cover."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from crop_folders import named
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.data.coverage import cover
from likeness.data.manifest import Row
from likeness.data.triplets import (
    Triplet,
    check_triplets,
    list_triplets,
    make_triplets,
    read_triplets,
    triplets_path,
    write_triplets,
)
from likeness.errors import DatasetError, InputError, PhotoMissing

PEOPLE = st.dictionaries(st.sampled_from("ABCDEFGH"), st.integers(1, 4), min_size=2).filter(
    lambda people: max(people.values()) > 1
)


def all_triplets(rows: list[Row]) -> set[Triplet]:
    """Every triplet there is, by three loops."""
    return {
        Triplet(a.path, p.path, n.path)
        for a in rows
        for p in rows
        for n in rows
        if a.identity == p.identity != n.identity and a.path != p.path
    }


@given(people=PEOPLE, count=st.integers(1, 120), seed=st.integers(0, 3))
@settings(max_examples=80, deadline=None)
def test_triplets_are_of_two_people_and_none_repeats_while_there_are_others(people, count, seed):
    rows = named(*people.items())
    made = make_triplets(rows, count, seed)
    possible = all_triplets(rows)
    assert len(made) == count
    assert set(made) <= possible
    assert len(set(made[: len(possible)])) == min(count, len(possible))
    check_triplets(made, rows, where="made")


@given(people=PEOPLE, seed=st.integers(0, 3), shuffle=st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_the_order_of_the_rows_changes_nothing(people, seed, shuffle):
    rows = named(*people.items())
    first = make_triplets(rows, 30, seed)
    shuffle.shuffle(rows)
    assert make_triplets(rows, 30, seed) == first


def test_another_seed_gives_other_triplets():
    rows = named(("A", 5), ("B", 5), ("C", 5))
    assert make_triplets(rows, 20, 0) != make_triplets(rows, 20, 1)


def test_people_are_drawn_evenly_whatever_the_number_of_their_photos():
    rows = named(("Many", 300), *((f"p{at}", 3) for at in range(9)), ("Single", 1))
    found = cover(make_triplets(rows, 100), rows)
    assert set(found.per_anchor.values()) == {10}
    assert max(found.per_negative.values()) - min(found.per_negative.values()) <= 3
    assert found.per_negative["single"] > 0
    assert "single" not in found.per_anchor


def test_a_persons_photos_take_turns():
    rows = named(("A", 6), ("B", 2))
    uses = Counter(triplet.anchor for triplet in make_triplets(rows, 12) if "/A/" in triplet.anchor)
    assert set(uses.values()) == {1}


def test_a_negative_is_nobody_whose_name_is_only_written_differently():
    rows = named(("Ann_Lee", 2), ("ann lee", 2), ("Bob", 1))
    assert {triplet.negative for triplet in make_triplets(rows, 12)} == {"crops/Bob/0.jpg"}


@pytest.mark.parametrize(
    ("people", "why"),
    [([], "nobody"), ([("A", 9)], "one person"), ([("A", 1), ("B", 1)], "no second photo"), ([("", 9)], "no names")],
)
def test_where_there_can_be_no_triplet_that_is_said(people, why):
    with pytest.raises(InputError, match="two people"):
        make_triplets(named(*people), 5)


def test_a_file_holds_the_triplets(tmp_path: Path):
    made = make_triplets(named(('Odd, "name"', 3), ("B", 3)), 20, 7)
    path = triplets_path(tmp_path, "test", 20, 7)
    write_triplets(path, made)
    assert read_triplets(path) == made
    write_triplets(triplets_path(tmp_path, "all", 20, -1), made)
    (tmp_path / "triplets" / "notes.csv").write_text("mine")
    assert [(file.name, file.split, file.count, file.seed) for file in list_triplets(tmp_path)] == [
        ("all-20--1", "all", 20, -1),
        ("test-20-7", "test", 20, 7),
    ]


@pytest.mark.parametrize(
    ("text", "why"),
    [("", "empty"), ("a,b,c\n", "no heading"), ("anchor,positive,negative\nx,y\n", "two paths")],
)
def test_a_malformed_file_is_refused(text, why, tmp_path):
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(DatasetError):
        read_triplets(tmp_path / "t.csv")


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(PhotoMissing, match="no triplets"):
        read_triplets(tmp_path / "t.csv")


@pytest.mark.parametrize(
    ("triplet", "reason"),
    [
        (("A/0", "A/1", "gone"), "no row"),
        (("A/0", "A/0", "B/0"), "one photo"),
        (("A/0", "B/0", "B/0"), "two people"),
        (("A/0", "A/1", "A/1"), "the negative shows"),
    ],
)
def test_triplets_that_do_not_fit_the_rows_are_refused(triplet, reason):
    rows = [Row(path=f"{name}/{at}", identity=name) for name in "AB" for at in range(2)]
    with pytest.raises(DatasetError, match=reason):
        check_triplets([Triplet(*triplet)], rows, where="t.csv")


def test_coverage_counts_as_a_loop_does():
    rows = named(("A", 4), ("B", 2), ("C", 1), ("D", 1))
    made = make_triplets(rows, 9)
    found = cover(made, rows)
    for row in rows:
        uses = sum(row.path in (each.anchor, each.positive, each.negative) for each in made)
        assert found.per_photo[row.path] == uses
    assert sum(found.per_anchor.values()) == sum(found.per_negative.values()) == 9
    used = {path for each in made for path in (each.anchor, each.positive, each.negative)}
    assert found.photos_used == len(used)
    assert found.people_used == len({path.split("/")[1] for path in used})
