"""How well people are told apart, against loops over all pairs and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from likeness.train.validation import separation


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(1, 5), min_size=2, max_size=8).filter(lambda counts: max(counts) > 1), st.integers(0, 999))
def test_the_figures_equal_a_loop_over_all_pairs(counts, seed):
    random = np.random.default_rng(seed)
    people = random.permutation(np.repeat(np.arange(len(counts)), counts)).astype(np.intp)
    # Few different values, so that there are ties.
    raw = random.integers(-1, 2, (len(people), 3)) + 0.5
    unit = (raw / np.linalg.norm(raw, axis=1, keepdims=True)).astype(np.float32)
    scores, same = [], []
    table = unit @ unit.T
    for a in range(len(people)):
        for b in range(a + 1, len(people)):
            scores.append(float(table[a, b]))
            same.append(bool(people[a] == people[b]))
    found = separation(unit, people)
    assert found["match_accuracy"] == pytest.approx(roc_auc_score(same, scores))
    wins = [
        (g > i) + 0.5 * (g == i)
        for g, is_g in zip(scores, same, strict=True)
        if is_g
        for i, is_g2 in zip(scores, same, strict=True)
        if not is_g2
    ]
    assert found["match_accuracy"] == pytest.approx(np.mean(wins))


def test_people_in_corners_of_their_own_are_told_apart_without_error():
    people = np.repeat(np.arange(4), 3).astype(np.intp)
    found = separation(np.eye(4, dtype=np.float32)[people], people)
    assert found == {"equal_error_rate": 0.0, "match_accuracy": 1.0}


def test_people_that_all_look_the_same_are_told_apart_by_chance():
    people = np.repeat(np.arange(4), 3).astype(np.intp)
    found = separation(np.tile(np.eye(4, dtype=np.float32)[0], (12, 1)), people)
    assert found["match_accuracy"] == 0.5
