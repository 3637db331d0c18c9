"""Whose photos are learnt, held back and validated on."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.data.dataset import CropFacts, Dataset, Facts
from likeness.data.manifest import Row, Split
from likeness.errors import DatasetError
from likeness.train.material import LEFT_TO_LEARN, choose_material
from likeness.train.recipe import Recipe, check_recipe

CROPS = CropFacts(side_px=80, template_px=((1, 1), (2, 1), (1.5, 2), (1, 3), (2, 3)), detector="test")


def recipe(*, seed: int = 0, **data: object) -> Recipe:
    parts = {"network": {"backbone": "test_resnet"}, "task": {"kind": "softmax"}, "data": data, "loop": {"seed": seed}}
    return check_recipe({"name": "test"} | parts, where="the test")


def rows(split: Split, *counts: int, prefix: str = "") -> list[Row]:
    """People with so many photos each; there are no files."""
    return [
        Row(path=f"crops/{prefix or split}{person}/{at}.jpg", identity=f"{prefix or split}{person}", split=split)
        for person, count in enumerate(counts)
        for at in range(count)
    ]


def dataset(*parts: list[Row]) -> Dataset:
    facts = Facts(name="test", source="test", crops=CROPS)
    return Dataset(Path("nowhere"), facts, tuple(row for part in parts for row in part))


OTHERS = rows("validation", 3, 3)
counts = st.lists(st.integers(1, 9), min_size=2, max_size=8)


@settings(max_examples=100, deadline=None)
@given(counts, counts, st.integers(0, 6), st.integers(0, 99))
def test_held_photos_and_validation_people_are_never_learnt(learnt, others, hold, seed):
    if max(others) < 2:
        others[0] = 2
    whole = dataset(rows("train", *learnt), rows("validation", *others), rows("test", 4, 4))
    chosen = choose_material(whole, recipe(seed=seed, hold_photos=hold))
    taken = {row.path for row in chosen.learnt.rows}
    held = {row.path for row in chosen.held.rows}
    assert not taken & held
    assert taken | held == {row.path for row in whole.rows if row.split == "train"}
    assert {row.split for row in chosen.validation.rows} == {"validation"}
    assert not set(chosen.validation.people) & set(chosen.learnt.people)
    for person, count in enumerate(learnt):
        mine = sum(row.identity == f"train{person}" for row in chosen.held.rows)
        assert mine == min(hold, max(0, count - LEFT_TO_LEARN))


def test_labels_number_the_people_by_name_in_all_parts():
    chosen = choose_material(dataset(rows("train", 5, 6, 7), OTHERS), recipe(hold_photos=2))
    assert chosen.learnt.people == chosen.held.people == ("train0", "train1", "train2")
    for part in (chosen.learnt, chosen.held, chosen.validation):
        assert [part.people[label] for label in part.labels] == [row.identity for row in part.rows]


def test_the_order_of_the_manifest_changes_nothing():
    all_rows = rows("train", 5, 6, 7) + rows("validation", 4, 4, 4)
    first = choose_material(dataset(all_rows), recipe(hold_photos=2, validation_photos=20, max_people=2))
    second = choose_material(dataset(all_rows[::-1]), recipe(hold_photos=2, validation_photos=20, max_people=2))
    for one, other in ((first.learnt, second.learnt), (first.held, second.held), (first.validation, second.validation)):
        assert one.rows == other.rows
        assert np.array_equal(one.labels, other.labels)


def test_most_people_are_drawn_by_seed():
    whole = dataset(rows("train", *[4] * 30), OTHERS)
    chosen = [choose_material(whole, recipe(seed=seed, max_people=10)) for seed in (0, 0, 1)]
    assert [len(material.learnt.people) for material in chosen] == [10, 10, 10]
    assert chosen[0].learnt.people == chosen[1].learnt.people != chosen[2].learnt.people


def test_validation_takes_whole_people_but_twenty_photos_of_one_at_most():
    whole = dataset(rows("train", 4, 4), rows("validation", 50, 50, *[5] * 40))
    chosen = choose_material(whole, recipe(validation_photos=60)).validation
    of_each = np.bincount(chosen.labels)
    assert 60 <= len(chosen.rows) < 80
    assert of_each.max() <= 20
    assert set(of_each) <= {5, 20}


def test_photos_that_name_nobody_are_left_out():
    unnamed = [Row(path="crops/x.jpg", split="train"), Row(path="crops/y.jpg", split="validation")]
    chosen = choose_material(dataset(rows("train", 4, 4), OTHERS, unnamed), recipe())
    assert "" not in (*chosen.learnt.people, *chosen.validation.people)
    assert len(chosen.learnt.rows) == 8


@pytest.mark.parametrize(
    ("parts", "data", "words"),
    [
        pytest.param([rows("train", 9), OTHERS], {}, "names 1 people", id="one person to learn"),
        pytest.param([OTHERS], {}, "no rows in the split 'train'", id="nobody to learn"),
        pytest.param([rows("train", 4, 4)], {}, "no rows in the split 'validation'", id="nobody to validate on"),
        pytest.param([rows("train", 4, 4), rows("validation", 9)], {}, "two people", id="one person to validate on"),
        pytest.param([rows("train", 4, 4), rows("validation", 1, 1)], {}, "two photos", id="a photo of each"),
        pytest.param(
            [rows("train", 4, 4, 4), OTHERS],
            {"batch_size": 32, "per_person": 4},
            "names 3 people; a batch holds 8",
            id="too few people for a batch",
        ),
    ],
)
def test_too_few_people_or_photos_are_said_before_the_work(parts, data, words):
    with pytest.raises(DatasetError, match=words) as caught:
        choose_material(dataset(*parts), recipe(**data))
    assert caught.value.hint or "2 are needed" in caught.value.message
