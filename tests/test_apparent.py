"""Age and gender logits to what is told of them."""

from __future__ import annotations

import json

import numpy as np
import pytest

from likeness.apparent import (
    AttributeCalibration,
    band_edges,
    conformal_margin,
    distribution,
    fit_attributes,
    fit_logistic,
    fit_temperature,
    percentiles,
)
from likeness.errors import CalibrationError

YEARS = np.arange(101.0)


def faces(count: int, seed: int, *, sharpness: float = 1.0):
    """Faces whose logits are a Gaussian about a guess that errs more with age, and a gender logit; what is known."""
    random = np.random.default_rng(seed)
    age = random.integers(1, 90, count).astype(float)
    spread = 1 + age / 8
    guess = np.clip(age + random.normal(0, spread), 0, 100)
    logits = -((YEARS[None] - guess[:, None]) ** 2) / (2 * spread[:, None] ** 2) * sharpness
    female = random.random(count) < 0.5
    logit = random.normal(np.where(female, 2.0, -2.0), 2.0)
    return logits, logit, age, female.astype(float)


def fitted(seed: int = 0, **options: float):
    logits, logit, age, female = faces(3000, seed, **options)
    return fit_attributes(logits, logit, YEARS, age, female, data="made faces")


@pytest.mark.parametrize("sharpness", [0.2, 1.0, 6.0], ids=["too modest", "right", "too sure"])
def test_the_interval_holds_eight_of_ten_new_faces_however_sure_the_network_is_of_itself(sharpness):
    calibration = fitted(sharpness=sharpness)
    logits, _, age, _ = faces(6000, 1, sharpness=sharpness)
    told, low, high = calibration.intervals(logits, YEARS).T
    inside = (low <= age) & (age <= high)
    assert inside.mean() == pytest.approx(0.8, abs=0.025)
    for decade in range(1, 8):  # of the age told, which is what is known of a new face
        chosen = (told >= 10 * decade) & (told < 10 * decade + 10)
        assert inside[chosen].mean() == pytest.approx(0.8, abs=0.08)


def test_without_the_calibration_a_network_too_sure_of_itself_holds_far_fewer():
    logits, _, age, _ = faces(6000, 1, sharpness=6.0)
    _, low, high = AttributeCalibration.unfitted().intervals(logits, YEARS).T
    assert ((low <= age) & (age <= high)).mean() < 0.5


def test_the_temperature_undoes_how_much_too_sharp_the_distributions_are():
    logits, _, age, _ = faces(4000, 2, sharpness=4.0)
    assert fit_temperature(logits, YEARS, age) == pytest.approx(4.0, rel=0.12)


def test_the_genders_probability_is_as_often_right_as_it_says():
    calibration = fitted()
    _, logit, _, female = faces(20_000, 3)
    stated = calibration.female_probability(logit)
    for low in np.arange(0.05, 0.95, 0.1):
        chosen = (stated >= low) & (stated < low + 0.1)
        assert female[chosen].mean() == pytest.approx(stated[chosen].mean(), abs=0.07)
    # Of two normal distributions the true line is known: scale 2·2/2² = 1, no shift.
    assert calibration.gender_scale == pytest.approx(1.0, abs=0.1)
    assert calibration.gender_shift == pytest.approx(0.0, abs=0.15)


def test_logits_that_part_the_genders_without_an_error_claim_no_certainty():
    scale, shift = fit_logistic(np.array([-3.0, -2.0, 2.0, 3.0] * 20), np.array([False, False, True, True] * 20))
    assert 0.9 < 1 / (1 + np.exp(-(scale * 2 + shift))) < 0.99


def test_an_upside_down_gender_logit_is_refused():
    logit = np.random.default_rng(0).normal(size=200)
    with pytest.raises(CalibrationError, match="tells nothing"):
        fit_logistic(logit, logit < 0)


@pytest.mark.parametrize(
    ("aged", "sexed", "words"), [(49, 60, "known ages, got 49"), (60, 49, "known genders, got 49")]
)
def test_too_few_faces_calibrate_nothing(aged, sexed, words):
    logits, logit, age, female = faces(60, 0)
    age[aged:], female[sexed:] = np.nan, np.nan
    with pytest.raises(CalibrationError, match=words):
        fit_attributes(logits, logit, YEARS, age, female, data="")


def test_percentiles_are_those_of_shares_spread_evenly_over_each_bin():
    shares = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.2, 0.3, 0.5]])
    ages = np.array([10.0, 12.0, 14.0])
    found = percentiles(shares, ages, (0.1, 0.5, 0.9))
    assert found == pytest.approx(np.array([[9.4, 11.0, 12.6], [11.2, 12.0, 12.8], [10.0, 13.0, 14.6]]))


def test_a_margin_is_the_conformal_rank_of_the_scores():
    scores = np.random.default_rng(0).permutation(np.arange(1.0, 100.0))
    assert conformal_margin(scores) == 90  # ⌈100 · 0.9⌉
    assert conformal_margin(scores[:5]) == scores[:5].max()


def test_bands_are_decades_of_at_least_a_hundred_faces():
    told = np.concatenate([np.full(150, 5.0), np.full(50, 15.0), np.full(60, 25.0), np.full(200, 35.0)])
    assert band_edges(told).tolist() == [10.0, 30.0]
    assert band_edges(np.full(99, 5.0)).tolist() == []


def test_a_distribution_sums_to_one_and_huge_logits_do_not_overflow():
    shares = distribution([[1e4, 0.0, -1e4], [0.0, 0.0, 0.0]])
    assert shares.sum(axis=1) == pytest.approx([1, 1])
    assert shares[1] == pytest.approx([1 / 3] * 3)


def test_told_ages_lie_in_their_interval_and_never_below_nought():
    calibration = fitted()
    for age in calibration.ages(faces(500, 5)[0], YEARS):
        assert 0 <= age.low <= age.years <= age.high
    gender = calibration.genders([3.0, -3.0])
    assert [each.label for each in gender] == ["female", "male"]
    assert all(each.probability > 0.5 for each in gender)


def test_a_calibration_survives_its_file(tmp_path):
    calibration = fitted()
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps(calibration.as_dict()))
    logits, logit, _, _ = faces(50, 4)
    again = AttributeCalibration.read(path)
    assert again.intervals(logits, YEARS) == pytest.approx(calibration.intervals(logits, YEARS), abs=1e-3)
    assert again.female_probability(logit) == pytest.approx(calibration.female_probability(logit), abs=1e-5)
    assert again.data == "made faces"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 2}, "a format of the future"),
        ({"age_temperature": 0}, "no temperature"),
        ({"gender_scale": -1}, "a gender upside down"),
        ({"low_margins_years": [1.0]}, "margins that do not fit the bands"),
        ({"band_edges_years": [20.0, 10.0]}, "bands out of order"),
        ({"point": "mode"}, "an unknown point"),
        ({"surprise": 1}, "an unknown field"),
        ({"high_margins_years": [float("nan")] * 9}, "numbers that are none"),
    ],
)
def test_a_malformed_calibration_is_refused(tmp_path, change, reason):
    path = tmp_path / "attributes.json"
    path.write_text(json.dumps(fitted().as_dict() | change))
    with pytest.raises(CalibrationError):
        AttributeCalibration.read(path)
