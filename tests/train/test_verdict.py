"""The verdict on old and new: figures as in loops, and a word only where the photos carry it."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.train.verdict import Views, compare


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def people_around(centres: np.ndarray, each: int, noise: float, seed: int) -> tuple[np.ndarray, list[str]]:
    """Embeddings scattered around each person's centre."""
    random = np.random.default_rng(seed)
    rows = np.repeat(centres, each, axis=0)
    names = [f"person {number}" for number in range(len(centres)) for _ in range(each)]
    return unit(rows + random.normal(size=rows.shape) * noise), names


CENTRES = unit(np.random.default_rng(7).normal(size=(25, 16)))


def by_loop(probes, people, gallery, others, *, alone):
    """Mean rank-1 and match accuracy of the probes that have both kinds of photos."""
    right, match = [], []
    for at, probe in enumerate(probes):
        scores = [
            (float(np.float32(probe @ its)), others[number] == people[at])
            for number, its in enumerate(gallery)
            if not (alone and number == at)
        ]
        genuine = [score for score, same in scores if same]
        impostor = [score for score, same in scores if not same]
        if not genuine or not impostor:
            continue
        right.append(max(genuine) > max(impostor))
        match.append(np.mean([(g > i) + 0.5 * (g == i) for g in genuine for i in impostor]))
    return np.mean(right), np.mean(match), len(right)


@pytest.mark.parametrize("noise", [0.2, 0.6])
def test_figures_against_a_gallery_equal_a_loop(noise):
    old_probes, names = people_around(CENTRES, 3, noise, 1)
    new_probes, _ = people_around(CENTRES, 3, noise, 2)
    old_gallery, others = people_around(CENTRES[:20], 4, noise, 3)
    new_gallery, _ = people_around(CENTRES[:20], 4, noise, 4)
    found = compare("probes", Views(old_probes, new_probes), names, Views(old_gallery, new_gallery), others)
    for standing, probes, gallery in (
        (found.old, old_probes, old_gallery),
        (found.new, new_probes, new_gallery),
    ):
        rank_1, match, count = by_loop(probes, names, gallery, others, alone=False)
        assert standing.rank_1 == pytest.approx(rank_1)
        assert standing.match_accuracy == pytest.approx(match, abs=1e-4)
        assert count == found.probes
    assert found.people == 20, "people without a photo in the gallery are left out"


def test_figures_among_each_other_equal_a_loop_and_nobody_is_compared_with_themselves():
    old, names = people_around(CENTRES, 2, 0.5, 1)
    new, _ = people_around(CENTRES, 2, 0.4, 2)
    names[-1] = "alone"
    found = compare("others", Views(old, new), names, None)
    for standing, rows in ((found.old, old), (found.new, new)):
        rank_1, match, count = by_loop(rows, names, rows, names, alone=True)
        assert standing.rank_1 == pytest.approx(rank_1)
        assert standing.match_accuracy == pytest.approx(match, abs=1e-4)
        assert count == found.probes == len(names) - 2


def test_the_same_network_twice_gains_exactly_nothing():
    probes, names = people_around(CENTRES, 3, 0.5, 1)
    gallery, others = people_around(CENTRES, 3, 0.5, 2)
    found = compare("probes", Views(probes, probes), names, Views(gallery, gallery), others)
    assert found.rank_1_gain == (0.0, 0.0)
    assert found.match_accuracy_gain == (0.0, 0.0)
    assert found.word == "no clear difference"


def test_a_network_that_sees_through_the_noise_is_better_and_the_other_way_round_worse():
    noisy, names = people_around(CENTRES, 3, 0.9, 1)
    clear, _ = people_around(CENTRES, 3, 0.1, 2)
    gallery_noisy, others = people_around(CENTRES, 3, 0.9, 3)
    gallery_clear, _ = people_around(CENTRES, 3, 0.1, 4)
    better = compare("probes", Views(noisy, clear), names, Views(gallery_noisy, gallery_clear), others)
    worse = compare("probes", Views(clear, noisy), names, Views(gallery_clear, gallery_noisy), others)
    assert better.word == "better"
    assert worse.word == "worse"
    assert better.rank_1_gain[0] > 0
    assert better.as_dict()["verdict"] == "better"
    assert worse.match_accuracy_gain[1] < 0


def test_chance_alone_is_seldom_called_a_difference():
    words = []
    for seed in range(20):
        old, names = people_around(CENTRES, 3, 0.6, 100 + seed)
        new, _ = people_around(CENTRES, 3, 0.6, 200 + seed)
        words.append(compare("others", Views(old, new), names, None).word)
    # Two intervals of 95%, which both leave out zero by chance in one of twenty cases.
    assert words.count("no clear difference") >= 16


def test_a_single_person_who_gained_much_does_not_decide():
    probes, names = people_around(CENTRES, 4, 0.3, 1)
    old = probes.copy()
    old[:4] = unit(np.random.default_rng(0).normal(size=(4, 16)))
    gallery, others = people_around(CENTRES, 3, 0.3, 2)
    found = compare("probes", Views(old, probes), names, Views(gallery, gallery), others)
    assert found.new.match_accuracy > found.old.match_accuracy
    assert found.word == "no clear difference", "photos of one person are not drawn apart"


def test_probes_that_nobody_can_be_compared_with_are_refused():
    probes, names = people_around(CENTRES[:1], 3, 0.3, 1)
    with pytest.raises(ValueError, match="impostor"):
        compare("probes", Views(probes, probes), names, None)
