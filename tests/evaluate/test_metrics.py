"""Every metric against a naive loop or scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sklearn.metrics import roc_curve

from likeness.evaluate import metrics

SCORES = arrays.arrays(np.float64, st.integers(2, 40), elements=st.integers(-9, 9).map(lambda n: n / 10))


@given(SCORES, st.data())
def test_the_best_threshold_has_as_many_right_answers_as_any(scores: np.ndarray, data: st.DataObject) -> None:
    genuine = data.draw(arrays.arrays(bool, len(scores)))
    threshold = metrics.best_threshold(scores, genuine)
    best = max(
        sum((score >= cut) == same for score, same in zip(scores, genuine, strict=True))
        for cut in [-2.0, 2.0, *scores, *(scores + 0.01)]
    )
    assert ((scores >= threshold) == genuine).sum() == best


def test_fold_accuracy_chooses_each_threshold_on_the_other_folds() -> None:
    similarity = np.array([0.9, 0.1, 0.9, 0.1, 0.5, 0.45])
    genuine = np.array([True, False, True, False, True, False])
    fold = np.array([0, 0, 1, 1, 2, 2])
    folds = metrics.fold_accuracy(similarity, genuine, fold, np.ones(6, bool))
    # The third fold is judged at the middle of 0.1 and 0.9, which the other two folds give.
    assert folds.thresholds[2] == pytest.approx(0.5)
    assert folds.each == (1.0, 1.0, 1.0)


def test_a_pair_without_a_face_is_an_error_whichever_kind_it_is() -> None:
    similarity = np.array([0.9, 0.1, -np.inf, -np.inf])
    genuine = np.array([True, False, True, False])
    fold = np.array([0, 1, 0, 1])
    folds = metrics.fold_accuracy(similarity, genuine, fold, np.isfinite(similarity))
    assert folds.mean <= 0.5


@given(SCORES, SCORES, st.sampled_from([0.5, 0.25, 0.1]))
def test_tar_at_fmr_is_the_best_that_a_loop_over_thresholds_finds(
    genuine: np.ndarray, impostor: np.ndarray, fmr: float
) -> None:
    if int(fmr * len(impostor) + 1e-9) < 1:
        with pytest.raises(ValueError, match="impostor pairs"):
            metrics.tar_at_fmr(genuine, impostor, fmr)
        return
    tar, threshold = metrics.tar_at_fmr(genuine, impostor, fmr)
    allowed = [cut for cut in np.arange(-1.05, 1.1, 0.05) if (impostor >= cut).mean() <= fmr + 1e-12]
    assert tar == pytest.approx(max((genuine >= cut).mean() for cut in allowed))
    assert (impostor >= threshold).mean() <= fmr + 1e-12


@settings(max_examples=50)
@given(st.integers(0, 1000))
def test_the_equal_error_rate_agrees_with_scikit_learns_curve(seed: int) -> None:
    rng = np.random.default_rng(seed)
    genuine, impostor = rng.normal(1, 1, 300), rng.normal(-1, 1, 400)
    # With every point kept: by default scikit-learn drops those on straight stretches, the crossing among them.
    labels, scores = np.repeat([1, 0], [300, 400]), np.concatenate([genuine, impostor])
    wrong, right, _ = roc_curve(labels, scores, drop_intermediate=False)
    crossing = wrong[np.argmin(np.abs((1 - right) - wrong))]
    assert metrics.equal_error_rate(genuine, impostor) == pytest.approx(crossing, abs=0.002)


def test_perfect_probabilities_have_no_calibration_error() -> None:
    probability = np.repeat([0.0, 1.0], 500)
    assert metrics.reliability(probability, probability == 1).error == pytest.approx(0)


def test_the_calibration_error_is_how_far_stated_and_observed_lie_apart() -> None:
    probability = np.full(1000, 0.9)
    outcome = np.arange(1000) < 700
    found = metrics.reliability(probability, outcome)
    assert found.error == pytest.approx(0.2)
    assert found.brier == pytest.approx(0.7 * 0.01 + 0.3 * 0.81)
    assert found.stated == pytest.approx((0.9,))


@given(st.integers(0, 500))
def test_reliability_bins_agree_with_a_loop_over_groups(seed: int) -> None:
    rng = np.random.default_rng(seed)
    probability = rng.integers(0, 5, 200) / 4
    outcome = rng.random(200) < probability
    found = metrics.reliability(probability, outcome, bins=200)
    groups = [
        (value, outcome[probability == value].mean(), (probability == value).mean()) for value in np.unique(probability)
    ]
    assert found.error == pytest.approx(sum(share * abs(value - seen) for value, seen, share in groups))


def test_weights_let_a_rare_kind_count_as_much_as_a_common_one() -> None:
    probability = np.full(110, 0.5)
    outcome = np.arange(110) < 10
    weights = np.where(outcome, 0.5 / 10, 0.5 / 100)
    assert metrics.reliability(probability, outcome, weights=weights).error == pytest.approx(0)


@pytest.mark.parametrize(("hits", "total"), [(0, 10), (10, 10), (5, 10), (1, 1000)])
def test_a_wilson_interval_holds_its_proportion(hits: int, total: int) -> None:
    low, high = metrics.wilson(hits, total)
    assert low >= -1e-12
    assert low - 1e-12 <= hits / total <= high + 1e-12
    assert high <= 1 + 1e-12
