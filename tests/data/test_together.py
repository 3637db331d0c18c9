"""Nameless photos that a split must not part."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from crop_folders import named

from likeness.data.dataset import Dataset
from likeness.data.duplicates import Duplicate, in_rows, joined
from likeness.data.together import mutual_neighbours, rows_together


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("nearest", [1, 2, 3])
def test_mutual_neighbours_are_those_of_a_loop_over_all_pairs(nearest):
    random = np.random.default_rng(nearest)
    vectors = unit(random.normal(size=(60, 4)))
    similar = vectors @ vectors.T
    np.fill_diagonal(similar, -np.inf)
    near = [set(np.argsort(-row)[:nearest].tolist()) for row in similar]
    expected = [
        (one, two)
        for one in range(60)
        for two in range(one + 1, 60)
        if two in near[one] and one in near[two] and similar[one, two] >= 0.8
    ]
    assert sorted(mutual_neighbours(vectors, 0.8, nearest)) == expected
    assert expected


def test_faces_that_are_all_alike_do_not_become_one_group():
    """A threshold alone would chain them: two hundred babies who are all as similar as two photos of one person."""
    random = np.random.default_rng(0)
    vectors = unit(np.array([3.0] + [0.0] * 31) + random.normal(scale=0.05, size=(200, 32)))
    assert (vectors @ vectors.T).min() > 0.95
    rows = named(*[(f"p{at:03d}", 1) for at in range(200)])
    groups = joined((rows[one], rows[two]) for one, two in mutual_neighbours(vectors, 0.95))
    assert max(map(len, groups)) < 20


@pytest.mark.parametrize("count", [0, 1])
def test_too_few_faces_have_no_neighbours(count):
    assert mutual_neighbours(unit(np.ones((count, 4))), 0.5) == []


def test_nameless_photos_of_one_person_are_kept_together_by_the_model(cropped: Dataset, recognizer):
    """The samples' people, their names taken away: what belongs together is found again, nothing else."""
    bundle = recognizer.settings.library().find(recognizer.settings.embedder)
    whose = {row.path: row.identity for row in cropped.rows}
    rows = tuple(replace(row, identity="") for row in cropped.rows)
    groups = rows_together(Dataset(cropped.folder, cropped.facts, rows), (), bundle)
    assert all(len({whose[row.path] for row in group}) == 1 for group in groups)
    assert sum(map(len, groups)) >= len(rows) / 2
    assert rows_together(cropped, (), bundle) == []  # with their names on, names decide


def test_duplicates_are_shown_as_the_rows_now_are():
    one, two = named(("anna", 2))
    (found,) = in_rows([Duplicate(one, two, 1.0, True)], [replace(one, split="train"), replace(two, split="test")])
    assert found.leak
