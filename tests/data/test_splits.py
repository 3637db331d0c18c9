"""Splits by person, and what a leak is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from crop_folders import named
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.data.coherence import Alike
from likeness.data.duplicates import Duplicate
from likeness.data.leaks import find_leaks, loose_key, name_variants
from likeness.data.manifest import Row
from likeness.data.splits import parse_shares, person_key, split_by_person
from likeness.errors import InputError

NAMES = st.text(st.sampled_from("abcdeéß_ -.ABC1李"), max_size=5)
PEOPLE = st.dictionaries(NAMES, st.integers(1, 5), max_size=40)


def splits_of(rows):
    found: dict[str, set[str]] = {}
    for row in rows:
        found.setdefault(person_key(row.identity), set()).add(row.split)
    return found


@given(people=PEOPLE, seed=st.integers(-5, 5), shares=st.tuples(*[st.integers(0, 9)] * 3).filter(any))
@settings(max_examples=150, deadline=None)
def test_nobody_is_in_two_splits_whatever_the_people_seed_and_shares(people, seed, shares):
    rows = split_by_person(named(*people.items()), shares=shares, seed=seed)
    assert all(len(splits) == 1 for splits in splits_of(rows).values())


@given(people=PEOPLE, seed=st.integers(-5, 5), shuffle=st.randoms(use_true_random=False))
@settings(max_examples=100, deadline=None)
def test_the_order_of_the_rows_changes_nothing(people, seed, shuffle):
    rows = named(*people.items())
    mixed = rows.copy()
    shuffle.shuffle(mixed)
    first = {row.path: row.split for row in split_by_person(rows, seed=seed)}
    assert {row.path: row.split for row in split_by_person(mixed, seed=seed)} == first


@given(count=st.integers(0, 300), shares=st.tuples(*[st.integers(1, 20)] * 3))
@settings(max_examples=100, deadline=None)
def test_shares_are_as_near_as_whole_people_allow(count, shares):
    rows = split_by_person(named(*((f"p{at}", 2) for at in range(count))), shares=shares)
    for share, split in zip(shares, ("train", "validation", "test"), strict=True):
        people = len({row.identity for row in rows if row.split == split})
        assert abs(people - count * share / sum(shares)) < 1


@given(people=PEOPLE, least=st.integers(1, 5))
@settings(max_examples=100, deadline=None)
def test_people_with_too_few_photos_and_nobody_are_in_no_split(people, least):
    rows = split_by_person(named(*people.items()), min_photos=least)
    photos: dict[str, int] = {}
    for row in rows:
        photos[person_key(row.identity)] = photos.get(person_key(row.identity), 0) + 1
    for row in rows:
        assert bool(row.split) == (row.identity != "" and photos[person_key(row.identity)] >= least)


def test_a_seed_gives_the_same_split_for_ever_and_another_seed_another():
    rows = named(*((f"p{at}", 2) for at in range(10)))
    split = {row.identity: row.split for row in split_by_person(rows, seed=0)}
    assert [name for name, where in split.items() if where == "test"] == ["p4", "p6"]
    assert {row.identity: row.split for row in split_by_person(rows, seed=1)} != split


def test_a_new_person_moves_few_others():
    rows = named(*((f"p{at}", 2) for at in range(200)))
    before = {row.path: row.split for row in split_by_person(rows)}
    after = {row.path: row.split for row in split_by_person([*rows, *named(("new", 2))])}
    moved = {path for path, split in before.items() if after[path] != split}
    assert len(moved) <= 2 * 2  # the two people at the edges, two photos each


def test_people_who_are_fixed_stay_and_the_shares_hold_of_all():
    rows = named(*((f"p{at}", 2) for at in range(20)))
    fixed = {"P3": "test", "p7": "test", "p9": "train"}
    split = {row.identity: row.split for row in split_by_person(rows, fixed=fixed)}
    assert (split["p3"], split["p7"], split["p9"]) == ("test", "test", "train")
    assert sorted(split.values()).count("test") == 4
    assert sorted(split.values()).count("train") == 12


def test_more_fixed_people_than_the_share_leave_the_rest_to_the_others():
    rows = named(*((f"p{at}", 2) for at in range(10)))
    split = {row.identity: row.split for row in split_by_person(rows, fixed={f"p{at}": "test" for at in range(8)})}
    assert sorted(split.values()) == ["test"] * 8 + ["train"] * 2


def test_one_person_cannot_be_fixed_to_two_splits():
    with pytest.raises(InputError, match="to be in"):
        split_by_person([], fixed={"Ann Lee": "test", "ann_lee": "train"})


def test_photos_without_identity_can_be_placed_by_themselves():
    rows = [Row(path=f"{at}.jpg") for at in range(10)]
    assert {row.split for row in split_by_person(rows)} == {""}
    placed = [row.split for row in split_by_person(rows, nameless=True)]
    assert (placed.count("train"), placed.count("validation"), placed.count("test")) == (6, 2, 2)


def test_other_fields_of_the_rows_stay():
    rows = [Row(path="a", identity="Ann", labels={"age_years": 3.0}, split="test", photo="b", sha256="00")] * 2
    assert [replace(row, split="test") for row in split_by_person(rows)] == rows


@pytest.mark.parametrize(
    ("first", "second"), [("Anna_Smith", "anna smith"), ("Anna-Smith ", "Anna.Smith"), ("Zoë", "ZOË"), ("ｂob", "Bob")]
)
def test_names_written_differently_are_one_person(first, second):
    assert person_key(first) == person_key(second)
    rows = split_by_person(named((first, 1), (second, 1)))
    assert len({row.split for row in rows} - {""}) == 1


@pytest.mark.parametrize(("text", "shares"), [("60/20/20", (0.6, 0.2, 0.2)), ("1,1,2", (0.25, 0.25, 0.5))])
def test_shares_are_read_as_parts_of_one(text, shares):
    assert parse_shares(text) == pytest.approx(shares)


@pytest.mark.parametrize("text", ["60/40", "a/b/c", "0/0/0", "-1/1/1", "nan/1/1", "", "60/20/20/0"])
def test_shares_that_are_none_are_refused(text):
    with pytest.raises(InputError):
        parse_shares(text)


def test_a_person_in_two_splits_is_a_leak_under_any_writing():
    rows = [
        Row(path="1", identity="Ann_Lee", split="train"),
        Row(path="2", identity="ann lee", split="test"),
        Row(path="3", identity="Bob", split="train"),
        Row(path="4", identity="Bob", split="train"),
        Row(path="5", identity="Wang_Nan", split="train"),
        Row(path="6", identity="Nán Wang", split="validation"),
        Row(path="7", identity="", split="train"),
        Row(path="8", identity="", split="test"),
    ]
    leaks = find_leaks(rows, [])
    assert leaks.people == (("Ann_Lee", "ann lee"),)
    assert leaks.variants == (("Nán Wang", "Wang_Nan"),)
    assert leaks.certain


def test_photos_and_lookalikes_in_two_splits_are_leaks():
    one, two = Row(path="1", identity="A", split="train"), Row(path="2", identity="B", split="test")
    across = Duplicate(one, two, 0.99, False)
    within = Duplicate(one, replace(two, split="train"), 0.99, False)
    near = Alike("A", "B", 0.98, ("train", "test"))
    leaks = find_leaks([one, two], [across, within], [near, replace(near, splits=("test", "test"))])
    assert (leaks.photos, leaks.alike, leaks.people) == ((across,), (near,), ())
    assert not find_leaks([one, two], [within]).certain


def test_variants_of_names_are_grouped_and_others_not():
    assert name_variants(["Nan_Wang", "Wang Nan", "Wang_Na", "", "n000001", "n000010"]) == [("Nan_Wang", "Wang Nan")]
    assert loose_key("...") == loose_key("...")


def nameless(*paths: str) -> tuple[Row, ...]:
    return tuple(Row(path=path) for path in paths)


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=30), seed=st.integers(0, 9))
@settings(max_examples=100, deadline=None)
def test_nameless_photos_of_one_group_are_in_one_split(sizes, seed):
    groups = [nameless(*(f"{at}-{number}.jpg" for number in range(size))) for at, size in enumerate(sizes)]
    rows = [row for group in groups for row in group]
    placed = {row.path: row.split for row in split_by_person(rows, seed=seed, nameless=True, together=groups)}
    assert all(len({placed[row.path] for row in group}) == 1 for group in groups)
    assert all(placed.values())


def test_a_nameless_copy_goes_where_the_person_goes_and_groups_do_nothing_to_the_others():
    people = named(("anna", 3), ("ben", 3), ("carl", 3), ("dora", 3), ("eve", 3))
    alone = nameless(*(f"x{number}.jpg" for number in range(40)))
    group = [people[0], alone[0]], [alone[1], alone[2]]
    for seed in range(6):
        with_groups = split_by_person((*people, *alone), seed=seed, nameless=True, together=group)
        placed = {row.path: row.split for row in with_groups}
        assert placed["x0.jpg"] == placed[people[0].path]
        assert placed["x1.jpg"] == placed["x2.jpg"]
        without = split_by_person(people, seed=seed)
        assert [row.split for row in with_groups[: len(people)]] == [row.split for row in without]
        shares = [sum(row.split == name for row in with_groups[len(people) :]) for name in ("train", "validation")]
        assert shares == pytest.approx([24, 8], abs=2)


def test_a_copy_of_a_person_who_has_no_split_is_placed_by_itself():
    people = named(("anna", 1), ("ben", 3), ("carl", 3), ("dora", 3))
    (copy,) = nameless("copy.jpg")
    placed = {
        row.path: row.split
        for row in split_by_person((*people, copy), nameless=True, together=[[people[0], copy]], seed=1)
    }
    assert placed[people[0].path] == ""
    assert placed["copy.jpg"] != ""
