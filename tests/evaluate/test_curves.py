"""Curves and the figures read off them, against scikit-learn and naive loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score, roc_curve

from likeness.evaluate import curves, metrics
from likeness.evaluate.pairs import PairSet, all_pairs
from likeness.evaluate.verification import fold_accuracy, verify_pairs


def scores(seed: int, *, ties: bool = False, weighted: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    genuine = np.repeat([True, False], [150, 400])
    similarity = np.clip(rng.normal(np.where(genuine, 0.5, 0.1), 0.2), -1, 1)
    weight = rng.uniform(0.1, 3, len(genuine)) if weighted else np.ones(len(genuine))
    return np.round(similarity, 1) if ties else similarity, genuine, weight


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 500), st.booleans(), st.booleans())
def test_the_curve_is_scikit_learns(seed: int, ties: bool, weighted: bool) -> None:
    similarity, genuine, weight = scores(seed, ties=ties, weighted=weighted)
    curve = curves.roc(similarity, genuine, weight)
    fmr, tar, thresholds = roc_curve(genuine, similarity, sample_weight=weight, drop_intermediate=False)
    np.testing.assert_allclose(curve.fmr, fmr, atol=1e-12)
    np.testing.assert_allclose(curve.tar, tar, atol=1e-12)
    np.testing.assert_allclose(curve.thresholds, thresholds)
    assert curves.area(curve) == pytest.approx(roc_auc_score(genuine, similarity, sample_weight=weight))


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 500), st.booleans(), st.sampled_from([0.3, 0.1, 0.01]))
def test_rates_read_off_the_curve_are_those_of_the_metrics(seed: int, ties: bool, rate: float) -> None:
    similarity, genuine, weight = scores(seed, ties=ties)
    curve = curves.roc(similarity, genuine, weight)
    same, other = similarity[genuine], similarity[~genuine]
    assert curves.tar_at(curve, rate)[0] == pytest.approx(metrics.tar_at_fmr(same, other, rate)[0])
    # Where two thresholds are as near to the crossing, either may be taken: half a pair of each kind apart.
    assert curves.equal_error(curve) == pytest.approx(metrics.equal_error_rate(same, other), abs=0.005)


def test_a_pair_without_a_face_is_matched_at_no_threshold() -> None:
    similarity = np.array([0.9, -np.inf, 0.1, -np.inf])
    genuine = np.array([True, True, False, False])
    curve = curves.roc(similarity, genuine, np.ones(4))
    assert curve.tar[np.isfinite(curve.thresholds)].max() == 0.5
    assert (curve.fmr[-1], curve.tar[-1]) == (1, 1)


def test_rates_with_fewer_than_thirty_false_matches_behind_them_are_refused() -> None:
    supported, refused = curves.supported_rates(3000)
    assert supported == [1e-2]
    assert refused["1e-03"] == "needs 30,000 impostor pairs, there are 3,000"
    assert set(refused) == {"1e-03", "1e-04", "1e-05"}


def test_weights_of_one_leave_the_accuracy_of_folds_as_it_was() -> None:
    similarity, genuine, weight = scores(3)
    fold = np.arange(len(genuine)) % 10
    found = np.ones(len(genuine), bool)
    plain = metrics.fold_accuracy(similarity, genuine, fold, found)
    assert metrics.fold_accuracy(similarity, genuine, fold, found, weights=weight) == plain


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 300))
def test_the_best_threshold_with_weights_is_the_best_of_a_loop(seed: int) -> None:
    similarity, genuine, weight = (part[::10] for part in scores(seed, ties=True, weighted=True))
    threshold = metrics.best_threshold(similarity, genuine, weight)
    best = max(weight[(similarity >= cut) == genuine].sum() for cut in [-2.0, 2.0, *(similarity + 0.01), *similarity])
    assert weight[(similarity >= threshold) == genuine].sum() == pytest.approx(best)


def test_bins_give_the_exact_figures_to_the_width_of_a_bin(sample_of) -> None:
    sample = sample_of([4] * 30, spread=0.8)
    pairs = all_pairs(sample)
    similarity = sample.similarities(pairs.first, pairs.second)
    binned = curves.Binned(pairs, similarity, sample.codes)
    exact, rough = curves.roc(similarity, pairs.genuine, pairs.weight), binned.curve(binned.weights(None))
    assert rough is not None
    assert curves.area(rough) == pytest.approx(curves.area(exact), abs=1e-4)
    assert curves.equal_error(rough) == pytest.approx(curves.equal_error(exact), abs=2e-3)
    folds, held = fold_accuracy(pairs, similarity), binned.accuracy(binned.weights(None))
    assert folds is not None
    assert held is not None
    np.testing.assert_allclose(held, folds.each, atol=0.02)
    assert np.mean(held) == pytest.approx(folds.mean, abs=5e-3)


def test_a_person_drawn_twice_counts_as_two_people_with_the_same_photos(sample_of) -> None:
    sample = sample_of([3, 3, 2, 2], spread=1.2, seed=4)
    pairs = all_pairs(sample)
    similarity = sample.similarities(pairs.first, pairs.second)
    counts = np.array([2.0, 0.0, 1.0, 1.0])
    binned = curves.Binned(pairs, similarity, sample.codes)
    weights = binned.weights(counts)
    one, two = sample.codes[pairs.first], sample.codes[pairs.second]
    expected = [
        weight * counts[a] if same else weight * counts[a] * counts[b]
        for weight, a, b, same in zip(pairs.weight, one, two, pairs.genuine, strict=True)
    ]
    np.testing.assert_allclose(weights, expected)


def test_an_interval_holds_its_figure_and_narrows_with_more_people(sample_of) -> None:
    width = []
    for people in (20, 160):
        sample = sample_of([3] * people, spread=1.3, seed=1)
        pairs = all_pairs(sample)
        similarity = sample.similarities(pairs.first, pairs.second)
        report = verify_pairs(sample, pairs, similarity, rounds=60)
        low, high = report["equal_error_rate_interval"]
        assert low <= report["equal_error_rate"] <= high
        width.append(high - low)
    assert width[1] < width[0] / 1.5


def test_random_vectors_are_told_apart_no_better_than_by_chance() -> None:
    rng = np.random.default_rng(0)
    genuine = np.arange(2000) % 2 == 0
    pairs = PairSet(
        np.zeros(2000, np.intp),
        np.ones(2000, np.intp),
        genuine,
        np.arange(2000) // 2 % 10,
        np.ones(2000),
        False,
        "chance",
    )
    folds = fold_accuracy(pairs, rng.normal(0, 0.1, 2000))
    assert folds is not None
    assert folds.mean == pytest.approx(0.5, abs=0.04)


def test_deviates_turn_a_normal_distribution_into_a_straight_line() -> None:
    np.testing.assert_allclose(curves.deviate([0.5, 0.8413447, 0.1586553]), [0, 1, -1], atol=1e-5)
