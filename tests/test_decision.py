"""From similarities to answers: each decision with its reason."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.calibration import Calibration, fit
from likeness.decision import decide_pair, decide_search
from likeness.gallery.base import Hit
from likeness.settings import Settings
from likeness.types import Face, Quality


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    rng = np.random.default_rng(0)
    return fit("space", rng.normal(0.7, 0.08, 2000), rng.normal(0.2, 0.1, 300_000), people=100, data="made up")


def face(similarity: float = 1.0) -> Face:
    vector = np.array([similarity, np.sqrt(1 - similarity**2)], np.float32)
    return Face((0, 0, 9, 9), np.zeros((5, 2), np.float32), 1.0, Quality(1.0), embedding=vector)


def hits(*similarities: float) -> list[Hit]:
    names = ("Ada", "Alan", "Grace")
    return [Hit(f"p_{place}", names[place], place, value) for place, value in enumerate(similarities)]


SETTINGS = Settings.load({}, {})


@pytest.mark.parametrize(
    ("similarities", "decision", "reason"),
    [
        ((0.85, 0.2), "match", "strangers reach it among 20 faces"),
        ((0.25, 0.2), "unknown", "nobody is near enough"),
        ((0.85, 0.85), "unsure", "both Ada and Alan fit"),
        ((0.515, 0.2), "unsure", "probably Ada, but similarity 0.515 is below"),
        ((), "unknown", "the gallery is empty"),
    ],
)
def test_each_decision_says_why(
    similarities: tuple[float, ...], decision: str, reason: str, calibration: Calibration
) -> None:
    answer = decide_search(face(), hits(*similarities), 10, 20, calibration, SETTINGS)
    assert answer.decision == decision, answer.reason
    assert reason in answer.reason


def test_the_best_match_leads_and_the_others_follow(calibration: Calibration) -> None:
    answer = decide_search(face(), hits(0.85, 0.3, 0.2), 10, 20, calibration, SETTINGS)
    assert answer.match is not None
    assert answer.match.name == "Ada"
    assert [match.name for match in answer.runners_up] == ["Alan", "Grace"]
    assert answer.as_dict()["person"] == {"id": "p_0", "name": "Ada"}


def test_an_unknown_face_has_no_person_but_a_nearest_one(calibration: Calibration) -> None:
    said = decide_search(face(), hits(0.25), 10, 20, calibration, SETTINGS).as_dict()
    assert said["person"] is None
    assert said["candidates"][0]["name"] == "Ada"


def test_a_larger_gallery_needs_more_similarity(calibration: Calibration) -> None:
    few = decide_search(face(), hits(0.6, 0.2), 2, 2, calibration, SETTINGS)
    many = decide_search(face(), hits(0.6, 0.5), 5000, 5000, calibration, SETTINGS)
    assert few.decision == "match"
    assert many.decision != "match"


def test_a_rate_that_is_set_fixes_the_threshold_whatever_the_gallery(calibration: Calibration) -> None:
    settings = Settings.load({"fmr": 0.01}, {})
    few, many = (decide_search(face(), hits(0.6), size, size, calibration, settings).reason for size in (2, 2000))
    assert f"{calibration.threshold(0.01):.3f}" in few
    assert f"{calibration.threshold(0.01):.3f}" in many


@pytest.mark.parametrize("others", [(), (0.0,)], ids=["one person enrolled", "nobody else is near"])
def test_a_rare_similarity_that_is_not_likely_is_unsure_and_its_reason_is_true(
    others: tuple[float, ...], calibration: Calibration
) -> None:
    settings = Settings.load({"fmr": 0.3}, {})
    answer = decide_search(face(), hits(0.4, *others), 2, 2, calibration, settings)
    assert answer.match is not None
    assert answer.match.similarity > calibration.threshold(0.3)
    assert answer.match.probability < 0.5
    assert answer.decision == "unsure"
    assert "above the threshold" in answer.reason
    assert "both" not in answer.reason


@pytest.mark.parametrize(("similarity", "decision"), [(0.8, "match"), (0.47, "unsure"), (0.2, "unknown")])
def test_two_faces_are_one_person_two_or_perhaps(similarity: float, decision: str, calibration: Calibration) -> None:
    found = decide_pair(face(), face(similarity), calibration, SETTINGS)
    assert found.decision == decision, found
    assert found.similarity == pytest.approx(similarity, abs=1e-6)
    assert "false-match rate of 0.1%" in found.reason


def test_faces_without_embeddings_cannot_be_compared(calibration: Calibration) -> None:
    bare = Face((0, 0, 9, 9), np.zeros((5, 2), np.float32), 1.0, Quality(1.0))
    with pytest.raises(ValueError, match="embeddings"):
        decide_pair(bare, face(), calibration, SETTINGS)
