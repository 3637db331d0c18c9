"""Similarity to probability and rate: against naive loops, scikit-learn, and simulated galleries."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.isotonic import IsotonicRegression

from likeness.calibration import Calibration, fit, isotonic
from likeness.errors import CalibrationError, RateUnsupported


@pytest.fixture(scope="module")
def scores() -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.normal(0.6, 0.1, 4000).clip(-1, 1), rng.normal(0.1, 0.12, 200_000).clip(-1, 1)


@pytest.fixture(scope="module")
def calibration(scores: tuple[np.ndarray, np.ndarray]) -> Calibration:
    return fit("test-space", *scores, people=500, data="made up")


@given(st.lists(st.tuples(st.floats(-5, 5), st.floats(0.1, 4)), min_size=1, max_size=60))
def test_pooling_adjacent_violators_agrees_with_scikit_learn(rows: list[tuple[float, float]]) -> None:
    values, weights = np.array(rows).T
    heights, starts = isotonic(values, weights)
    ours = np.repeat(heights, np.diff(np.append(starts, len(values))))
    theirs = IsotonicRegression().fit_transform(np.arange(len(values)), values, sample_weight=weights)
    np.testing.assert_allclose(ours, theirs, atol=1e-6)


def test_the_false_match_rate_is_the_share_of_impostors_at_or_above(
    calibration: Calibration, scores: tuple[np.ndarray, np.ndarray]
) -> None:
    impostor = scores[1]
    for similarity in (0.2, 0.35, 0.45, 0.5):
        counted = sum(value >= similarity for value in impostor) / len(impostor)
        assert float(calibration.fmr(similarity)) == pytest.approx(counted, rel=0.1)


def test_the_threshold_at_a_rate_lets_that_share_of_impostors_through(
    calibration: Calibration, scores: tuple[np.ndarray, np.ndarray]
) -> None:
    for rate in (0.1, 1e-2, 1e-3):
        assert (scores[1] >= calibration.threshold(rate)).mean() == pytest.approx(rate, rel=0.1)


def test_a_rate_finer_than_the_data_supports_is_refused(calibration: Calibration) -> None:
    with pytest.raises(RateUnsupported, match="needs 3,000,000 impostor pairs"):
        calibration.threshold(1e-5)


def test_no_similarity_is_said_to_be_beyond_all_doubt(calibration: Calibration) -> None:
    assert float(calibration.fmr(1.0)) == pytest.approx(3 / 200_000)
    assert float(calibration.probability(1.0)) < 1.0
    assert float(calibration.probability(-1.0)) > 0.0


def test_probabilities_come_true_on_new_pairs(calibration: Calibration) -> None:
    rng = np.random.default_rng(1)
    same = rng.random(40_000) < 0.5
    similarity = np.where(same, rng.normal(0.6, 0.1, 40_000), rng.normal(0.1, 0.12, 40_000)).clip(-1, 1)
    probability = calibration.probability(similarity)
    for low in np.arange(0, 1, 0.2):
        chosen = (probability >= low) & (probability < low + 0.2)
        if chosen.sum() > 300:
            assert probability[chosen].mean() == pytest.approx(same[chosen].mean(), abs=0.05)


def test_a_smaller_prior_gives_a_smaller_probability(calibration: Calibration) -> None:
    assert calibration.probability(0.4, prior=0.01) < calibration.probability(0.4, prior=0.5)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_more_similar_is_never_less_probable_and_never_commoner_among_strangers(one: float, two: float) -> None:
    calibration = _small()
    low, high = min(one, two), max(one, two)
    assert calibration.probability(low) <= calibration.probability(high)
    assert calibration.fmr(low) >= calibration.fmr(high)
    assert calibration.fnmr(low) <= calibration.fnmr(high)


def test_in_a_search_the_same_similarity_proves_less_the_more_people_there_are(calibration: Calibration) -> None:
    few = calibration.search_probabilities([0.45, 0.1], 2)[0]
    many = calibration.search_probabilities([0.45, 0.4, 0.39, 0.38], 5000)[0]
    assert many < few
    assert calibration.fpir(0.45, 5000) > calibration.fpir(0.45, 2)


def test_search_probabilities_come_true_in_simulated_galleries(calibration: Calibration) -> None:
    rng = np.random.default_rng(2)
    people, said, right = 50, [], []
    for _ in range(4000):
        scores = rng.normal(0.1, 0.12, people)
        known = rng.random() < 0.5
        if known:
            scores[0] = rng.normal(0.6, 0.1)
        order = np.argsort(-scores)[:10]
        said.append(calibration.search_probabilities(scores[order].tolist(), people)[0])
        right.append(known and order[0] == 0)
    said_array, right_array = np.array(said), np.array(right)
    for low in (0.0, 0.5, 0.9):
        chosen = (said_array >= low) & (said_array < low + 0.4)
        assert said_array[chosen].mean() == pytest.approx(right_array[chosen].mean(), abs=0.06)


def test_two_people_who_fit_alike_share_the_probability(calibration: Calibration) -> None:
    one, two, _ = calibration.search_probabilities([0.7, 0.7, 0.1], 3)
    assert one == two
    assert one < 0.5


def test_a_search_threshold_keeps_its_promise_in_simulated_galleries(calibration: Calibration) -> None:
    rng = np.random.default_rng(3)
    threshold, promise = calibration.search_threshold(0.05, 100)
    alarms = np.mean([rng.normal(0.1, 0.12, 100).max() >= threshold for _ in range(4000)])
    assert promise == pytest.approx(0.05, rel=0.01)
    assert alarms == pytest.approx(promise, abs=0.012)


def test_a_search_threshold_says_the_rate_it_reaches_where_it_cannot_reach_the_one_asked_for(
    calibration: Calibration,
) -> None:
    _, promise = calibration.search_threshold(0.01, 1_000_000)
    assert promise > 0.5


def test_a_calibration_survives_its_file(calibration: Calibration, tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(calibration.as_dict()))
    again = Calibration.read(path)
    grid = np.linspace(-1, 1, 101)
    np.testing.assert_allclose(again.probability(grid), calibration.probability(grid), atol=1e-3)
    np.testing.assert_allclose(again.fmr(grid), calibration.fmr(grid), rtol=0.02)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "a format of the future"),
        ({"log_odds": [3.0, 1.0]}, "probability that falls"),
        ({"tail_rates": [float("nan"), 1.0]}, "a rate that is no number"),
        ({"tail_similarities": [0.1, 0.9], "tail_rates": [1.0, 0.0]}, "a rate of none, whose logarithm is no number"),
        ({"missed_similarities": [0.1, 0.9], "missed_rates": [0.0, 1.5]}, "a share of more than all"),
        ({"impostor_pairs": 0}, "no pairs behind its rates"),
        ({"space": None, "surprise": 1}, "an unknown field"),
    ],
)
def test_a_malformed_calibration_is_refused(
    change: dict[str, object], reason: str, calibration: Calibration, tmp_path: Path
) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps(calibration.as_dict() | change))
    with pytest.raises(CalibrationError):
        Calibration.read(path)


def test_too_few_pairs_are_refused() -> None:
    with pytest.raises(CalibrationError, match="at least 30"):
        fit("space", [0.9] * 5, [0.1] * 1000, people=5, data="made up")


def test_each_person_counts_alike_where_weights_say_so() -> None:
    genuine = np.concatenate([np.linspace(0.85, 0.95, 900), np.linspace(0.45, 0.55, 100)])
    impostor = np.linspace(0, 0.8, 1000)
    plain = fit("space", genuine, impostor, people=2, data="made up")
    fair = fit(
        "space",
        genuine,
        impostor,
        genuine_weights=np.array([1 / 900] * 900 + [1 / 100] * 100),
        people=2,
        data="made up",
    )
    assert float(plain.fnmr(0.7)) == pytest.approx(0.1, abs=0.02)
    assert float(fair.fnmr(0.7)) == pytest.approx(0.5, abs=0.02)


def _small() -> Calibration:
    rng = np.random.default_rng(4)
    return fit("space", rng.normal(0.6, 0.1, 200), rng.normal(0.1, 0.1, 2000), people=10, data="made up")
