"""How true probabilities are, whom a calibration knows, and gaps between groups."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import brier_score_loss

from likeness.evaluate.calibrate import calibrate
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.groups import group_gaps, ratios
from likeness.evaluate.pairs import all_pairs
from likeness.evaluate.probabilities import (
    digest_people,
    hash_people,
    judge_probabilities,
    people_of_calibration,
    stated_rates,
)
from likeness.evaluate.sample import Sample, decade_of


@pytest.fixture
def sample(sample_of) -> Sample:
    return sample_of([4] * 40, spread=0.9, seed=5)


def judge(sample: Sample, calibration):
    pairs = all_pairs(sample)
    similarity = sample.similarities(pairs.first, pairs.second)
    return (
        pairs,
        similarity,
        judge_probabilities(calibration, similarity, pairs.genuine, pairs.weight, sample.names.tolist()),
    )


def test_the_brier_score_is_scikit_learns(sample: Sample) -> None:
    calibration = calibrate("space", sample.embedded.vectors, sample.people, "itself")
    pairs, similarity, found = judge(sample, calibration)
    halves = pairs.weight / np.where(
        pairs.genuine, pairs.weight[pairs.genuine].sum(), pairs.weight[~pairs.genuine].sum()
    )
    expected = brier_score_loss(pairs.genuine, calibration.probability(similarity), sample_weight=halves)
    assert found["brier"] == pytest.approx(expected)
    assert found["expected_calibration_error"] < 0.03


def test_a_calibration_that_says_whom_it_knows_is_caught_with_them(sample: Sample) -> None:
    calibration = calibrate("space", sample.embedded.vectors, sample.people, "itself")
    assert judge(sample, calibration)[2]["honest"] is None
    for people, honest, shared in ((sample.names.tolist(), False, 40), (["Somebody Else"], True, 0)):
        known = replace(calibration, people=len(people), notes={"people_hashes": hash_people(people)})
        found = judge(sample, known)[2]
        assert (found["honest"], found["people_shared"]) == (honest, shared)


def test_digests_of_people_show_no_name_and_know_each_writing_of_it() -> None:
    one, two = hash_people(["Ada Lovelace", "Alan Turing"]), hash_people(["Ada Lovelace", "Alan Turing"])
    assert one["digests"] != two["digests"]
    assert "Ada" not in str(one)
    assert hash_people(["ada_lovelace"], salt="x") == hash_people(["Ada Lovelace"], salt="x")
    assert digest_people(["b", "a", "a"]) == digest_people(["a", "b"])


@pytest.mark.parametrize("notes", [{}, {"people_hashes": 3}, {"people_hashes": {"salt": 1, "digests": []}}])
def test_notes_of_another_form_say_nothing_of_people(sample: Sample, notes: dict) -> None:
    calibration = calibrate("space", sample.embedded.vectors, sample.people, "itself")
    assert people_of_calibration(replace(calibration, notes=notes), ["a"]) is None


def test_stated_false_match_rates_are_compared_with_those_seen(sample: Sample) -> None:
    calibration = calibrate("space", sample.embedded.vectors, sample.people, "itself")
    pairs = all_pairs(sample)
    impostor = sample.similarities(pairs.first, pairs.second)[~pairs.genuine]
    rows = stated_rates(calibration, impostor)
    assert [row["stated"] for row in rows] == [1e-2]  # 12,480 pairs support no finer one
    assert rows[0]["observed"] == pytest.approx((impostor >= calibration.threshold(1e-2)).mean())
    assert rows[0]["observed"] == pytest.approx(1e-2, rel=0.1)


def labelled(sample: Sample, values: list[str]) -> Sample:
    kinds = np.array([values[code % len(values)] for code in sample.codes])
    return Sample(sample.people, sample.embedded, sample.paths, {"group": kinds})


def test_rates_of_groups_are_those_of_a_loop_over_pairs(sample: Sample) -> None:
    grouped = labelled(sample, ["one", "two"])
    pairs = all_pairs(grouped)
    similarity = grouped.similarities(pairs.first, pairs.second)
    found = group_gaps(grouped, pairs, similarity, 0.5, "1e-02", rounds=40)
    kinds = grouped.labels["group"]
    for name in ("one", "two"):
        matches, trials, accepted = 0, 0, {}
        for a, b, same, score in zip(pairs.first, pairs.second, pairs.genuine, similarity, strict=True):
            if kinds[a] == kinds[b] == name:
                if same:
                    accepted.setdefault(grouped.people[a], []).append(score >= 0.5)
                else:
                    matches, trials = matches + (score >= 0.5), trials + 1
        group = found["labels"]["group"]["groups"][name]
        assert group["fmr"] == pytest.approx(matches / trials)
        assert group["tar"] == pytest.approx(np.mean([np.mean(hits) for hits in accepted.values()]))
        assert group["fmr_interval"][0] <= group["fmr"] <= group["fmr_interval"][1]
        assert (group["people"], group["impostor_pairs"]) == (20, trials)


def test_a_group_whose_people_look_alike_shows_as_a_gap(sample: Sample) -> None:
    grouped = labelled(sample, ["one", "two"])
    vectors = sample.embedded.vectors.copy()
    alike = grouped.labels["group"] == "two"
    vectors[alike] += 0.8 * np.eye(1, vectors.shape[1])[0].astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    grouped = Sample(grouped.people, Embedded(vectors, sample.embedded.faces), (), grouped.labels)
    pairs = all_pairs(grouped)
    found = group_gaps(grouped, pairs, grouped.similarities(pairs.first, pairs.second), 0.5, "1e-02", rounds=40)
    assert found["labels"]["group"]["ratios"]["fmr_largest_over_smallest"] > 2


def test_a_group_of_few_people_gets_no_rate(sample_of) -> None:
    sample = sample_of([3] * 4)
    grouped = labelled(sample, ["one"])
    pairs = all_pairs(grouped)
    found = group_gaps(grouped, pairs, grouped.similarities(pairs.first, pairs.second), 0.5, "1e-02", rounds=20)
    assert found["labels"]["group"]["groups"]["one"]["fmr"] is None
    assert group_gaps(sample, pairs, np.zeros(len(pairs.first)), 0.5, "1e-02") is None


def test_a_ratio_over_nothing_is_none() -> None:
    assert ratios({"a": {"fmr": 0.0, "tar": 1.0}, "b": {"fmr": 0.1, "tar": 0.9}}) == {
        "fmr_largest_over_smallest": None,
        "miss_rate_largest_over_smallest": None,
    }


@pytest.mark.parametrize(("age", "decade"), [(0, "0–9"), (19.9, "10–19"), (20, "20–29"), (89, "80–89"), (101, "90+")])
def test_ages_fall_into_decades(age: float, decade: str) -> None:
    assert decade_of(age) == decade
