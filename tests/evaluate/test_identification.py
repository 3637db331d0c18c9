"""Identification among known people and with strangers, and triplets, against naive loops."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from likeness.data.manifest import Row
from likeness.data.triplets import make_triplets
from likeness.errors import DatasetError
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.identification import (
    NOWHERE,
    Nearest,
    _detected,
    halve,
    identify_closed,
    identify_open,
    nearest_of,
)
from likeness.evaluate.sample import Sample
from likeness.evaluate.triplets import match_accuracy, match_triplets, places_of
from likeness.settings import Settings


def naive_ranks(sample: Sample, probes: np.ndarray, enrolled: np.ndarray) -> list[int]:
    ranks = []
    for probe in probes:
        scored = [(float(sample.embedded.vectors[probe] @ sample.embedded.vectors[face]), face) for face in enrolled]
        own = [score for score, face in scored if sample.people[face] == sample.people[probe]]
        ranks.append(sum(score >= own[0] for score, _ in scored) if own else NOWHERE)
    return ranks


@pytest.mark.parametrize("seed", range(4))
def test_ranks_are_those_of_a_loop(sample_of, seed: int) -> None:
    sample = sample_of([3] * 12 + [1] * 4, spread=1.5, seed=seed)
    split = halve(sample, [seed])
    for probes in (split.probes, split.strangers):
        found = nearest_of(sample, probes, split.gallery)
        assert found.rank.tolist() == naive_ranks(sample, probes, split.gallery)
        best = (sample.embedded.vectors[probes] @ sample.embedded.vectors[split.gallery].T).max(axis=1)
        np.testing.assert_allclose(found.similarity, best, atol=1e-6)


def test_the_match_characteristic_starts_at_rank_1_and_ends_at_all(sample_of) -> None:
    sample = sample_of([4] * 15, spread=1.5)
    report = identify_closed(sample, rounds=40)
    assert report is not None
    assert report["cmc"][0] == report["rank_1"] < report["cmc"][-1] == 1
    assert report["cmc"][4] == report["rank_5"]
    assert report["cmc"] == sorted(report["cmc"])
    low, high = report["rank_1_interval"]
    assert low < report["rank_1"] < high


def test_people_of_one_photo_each_cannot_be_identified(sample_of) -> None:
    assert identify_closed(sample_of([1] * 9)) is None
    assert identify_open(sample_of([1] * 9), None, Settings()) is None


def test_a_probe_without_a_face_is_found_at_no_rank(sample_of) -> None:
    sample = sample_of([2, 2, 2], spread=0.01)
    blind = Sample(sample.people, Embedded(sample.embedded.vectors, np.zeros(6, np.intp)))
    report = identify_closed(blind, rounds=20)
    assert report is not None
    assert report["rank_5"] == 0


def test_half_of_the_people_are_strangers_and_nobody_is_both(sample_of) -> None:
    sample = sample_of([3] * 10 + [1] * 5)
    split = halve(sample, [0])
    known, strange = set(sample.people[split.gallery]), set(sample.people[split.strangers])
    assert len(known) == 5
    assert len(strange) == 10
    assert not known & strange
    assert set(sample.people[split.probes]) == known
    assert not set(split.gallery) & set(split.probes)


@pytest.mark.parametrize("rate", [0.0, 0.1, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(5))
def test_the_detection_rate_is_the_best_of_a_loop_over_thresholds(seed: int, rate: float) -> None:
    rng = np.random.default_rng(seed)
    similarity, rank = rng.integers(0, 12, 40) / 10, rng.integers(1, 3, 40)
    strange = rng.integers(0, 10, 30) / 10
    found = _detected(Nearest(similarity, rank), strange, np.ones(70), rate)
    cuts = [-1.0, 2.0, *(similarity + 1e-6), *(strange + 1e-6), *(similarity - 1e-6)]
    allowed = [cut for cut in cuts if (strange >= cut).mean() <= rate]
    assert found == pytest.approx(max(((rank == 1) & (similarity >= cut)).mean() for cut in allowed))


def test_easy_people_are_found_and_strangers_are_not_named(sample_of) -> None:
    report = identify_open(sample_of([4] * 20, spread=0.05), None, Settings(), rounds=40)
    assert report is not None
    assert report["dir_at_fpir"] == {"0.01": 1.0, "0.1": 1.0}
    assert report["fnir_at_fpir"]["0.01"] == 0
    assert report["rough_rates"] == ["0.01", "0.1"]


def rows_of(sample: Sample) -> list[Row]:
    return [Row(path=path, identity=str(person)) for path, person in zip(sample.paths, sample.people, strict=True)]


def test_match_accuracy_is_the_share_of_a_loop(sample_of) -> None:
    sample = sample_of([3] * 10, spread=2.0)
    triplets = make_triplets(rows_of(sample), 300, 7)
    vectors = dict(zip(sample.paths, sample.embedded.vectors, strict=True))
    right = [
        float(vectors[t.anchor] @ vectors[t.positive]) > float(vectors[t.anchor] @ vectors[t.negative])
        for t in triplets
    ]
    found = match_accuracy(sample, places_of(triplets, rows_of(sample)), rounds=40)
    assert found["match_accuracy"] == pytest.approx(np.mean(right), abs=1e-3)
    assert found["match_accuracy_interval"][0] < found["match_accuracy"] < found["match_accuracy_interval"][1]


def test_vectors_that_are_all_alike_match_nothing(sample_of) -> None:
    sample = sample_of([2] * 5)
    alike = Sample(sample.people, Embedded(np.ones((10, 4), np.float32) / 2, np.ones(10, np.intp)), sample.paths)
    assert match_triplets(alike, rows_of(alike), count=50, rounds=20)["match_accuracy"] == 0


def test_the_same_seed_makes_the_same_triplets(sample_of) -> None:
    sample = sample_of([3] * 8, spread=2.0)
    one, two = (match_triplets(sample, rows_of(sample), count=100, rounds=20, seed=3) for _ in range(2))
    assert one == two


def test_triplets_of_photos_that_are_not_evaluated_are_refused(sample_of) -> None:
    sample = sample_of([2] * 4)
    rows = rows_of(sample)
    triplets = make_triplets(rows, 5, 0)
    with pytest.raises(DatasetError, match="not evaluated"):
        places_of(triplets, [replace(row, path=f"other/{row.path}") for row in rows])


@pytest.mark.parametrize("role", range(3))
def test_a_triplet_with_a_photo_without_a_face_is_wrong(sample_of, role: int) -> None:
    sample = sample_of([2, 2], spread=0.01)
    triplet = places_of(make_triplets(rows_of(sample), 1, 0), rows_of(sample))
    faces = np.ones(4, np.intp)
    faces[triplet[0, role]] = 0
    blind = Sample(sample.people, Embedded(sample.embedded.vectors, faces))
    assert match_accuracy(sample, triplet, rounds=20)["match_accuracy"] == 1
    assert match_accuracy(blind, triplet, rounds=20)["match_accuracy"] == 0
