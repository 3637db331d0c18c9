"""The values that travel are checked at birth and say nothing by rounding that they do not know."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.types import Age, Answer, Face, Match, Photo, Quality, check_unit_vectors


def a_face(**changes: object) -> Face:
    values = {
        "box_xyxy_px": (0.0, 0.0, 10.0, 10.0),
        "landmarks_px": np.zeros((5, 2), np.float32),
        "score": 0.9,
        "quality": Quality(1.0),
    }
    return Face(**(values | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"box_xyxy_px": (5.0, 0.0, 5.0, 9.0)}, "x1 < x2"),
        ({"landmarks_px": np.zeros((5, 3), np.float32)}, r"shape \(5, 2\)"),
        ({"landmarks_px": np.zeros((5, 2))}, "float32"),
        ({"score": 1.5}, r"face score in \[0, 1\]"),
        ({"embedding": np.ones(4, np.float32)}, "unit length"),
        ({"crop": np.zeros((4, 4), np.uint8)}, "crop"),
    ],
)
def test_a_malformed_face_is_refused_with_what_was_expected(changes: dict[str, object], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        a_face(**changes)


@given(st.floats(0, 1, exclude_min=True, exclude_max=True))
def test_no_probability_is_rounded_to_a_certainty(probability: float) -> None:
    said = Match("p_1", "Ada", 1, 0.99, probability, 1e-6, 1e-4).as_dict()["probability"]
    assert 0 < said < 1
    assert said == pytest.approx(probability, rel=1e-5, abs=1.1e-6)


def test_an_answer_is_plain_json() -> None:
    match = Match("p_1", "Ada", 1, 0.97, 0.999986, 2.5e-6, 1e-4)
    said = json.loads(json.dumps(Answer(a_face(), "match", "because", match).as_dict()))
    assert said["person"] == {"id": "p_1", "name": "Ada"}
    assert said["probability"] == 0.999986


def test_a_match_needs_somebody() -> None:
    with pytest.raises(ValueError, match="expected a match"):
        Answer(a_face(), "match", "because")


def test_an_interval_of_ages_holds_the_age() -> None:
    with pytest.raises(ValueError, match="low <= years <= high"):
        Age(30, 31, 40)


def test_a_photo_knows_how_far_it_was_shrunk() -> None:
    assert Photo(np.zeros((50, 100, 3), np.uint8), (400, 200), "0" * 64, "jpeg").scale == 4.0


def test_no_vectors_are_fine_and_long_ones_are_not() -> None:
    check_unit_vectors(np.empty((0, 8), np.float32))
    with pytest.raises(ValueError, match="length 2"):
        check_unit_vectors(np.array([[2.0, 0.0]], np.float32))
