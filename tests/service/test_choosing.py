from __future__ import annotations

import numpy as np
import pytest

from likeness.errors import FaceRejected, SeveralFaces
from likeness.service.choosing import choose, expect_quality, explain
from likeness.types import Face, Quality

SIZE = (400, 400)
MAIN, BESIDE, SMALL = (120, 120, 280, 280), (0, 0, 110, 110), (10, 10, 60, 60)
LARGE_ASIDE, SMALL_MIDDLE = (0, 0, 160, 160), (190, 190, 230, 230)


def face(box):
    landmarks = np.zeros((5, 2), np.float32)
    return Face(tuple(float(value) for value in box), landmarks, 0.99, Quality(1.0))


@pytest.mark.parametrize(
    ("boxes", "pick", "index"),
    [
        pytest.param([SMALL], "only", 0, id="a single face, wherever it is"),
        pytest.param([MAIN, SMALL], "only", 0, id="one in the middle, ten times as large"),
        pytest.param([SMALL, MAIN], "only", 1, id="the same in another order"),
        pytest.param([LARGE_ASIDE, SMALL_MIDDLE], "largest", 0, id="the largest"),
        pytest.param([LARGE_ASIDE, SMALL_MIDDLE], "central", 1, id="the most central"),
    ],
)
def test_the_face_meant_is_chosen(boxes, pick, index):
    assert choose([face(box) for box in boxes], pick, SIZE)[0] == index


@pytest.mark.parametrize(
    "boxes",
    [
        pytest.param([MAIN, BESIDE], id="the next one is not small enough"),
        pytest.param([LARGE_ASIDE, SMALL_MIDDLE], id="the large one is not in the middle"),
    ],
)
def test_several_faces_are_refused_where_it_is_not_clear_who_is_meant(boxes):
    with pytest.raises(SeveralFaces, match="2 faces") as caught:
        choose([face(box) for box in boxes], "only", SIZE)
    assert "--pick largest" in str(caught.value)


def test_a_choice_is_said():
    assert "10 times as large" in choose([face(MAIN), face(SMALL)], "only", SIZE)[1]


def test_a_refusal_names_reasons_with_their_measures():
    quality = Quality(0.1, ("small", "dark"), {"eye_distance_px": 9.0, "brightness": 20.0})
    assert explain(quality) == "too small (eyes 9 pixels apart), too dark (brightness 20 of 255)"
    with pytest.raises(FaceRejected, match="too dark"):
        expect_quality(quality)


def test_every_reason_of_the_gate_has_words():
    from likeness.service.choosing import _WORDS
    from likeness.vision.quality import QualityGate

    crop = np.zeros((64, 64, 3), np.uint8)
    landmarks = np.array([[0, 0], [1, 0], [9, 0], [0, 2], [1, 2]], np.float32)
    dark = QualityGate().judge(crop, landmarks, (-50, -50, 10, 10), 0.1, (100, 100))
    bright = QualityGate().judge(crop + 255, landmarks, (-50, -50, 10, 10), 0.1, (100, 100))
    assert {*dark.reasons, *bright.reasons} == set(_WORDS)
    assert explain(dark)
