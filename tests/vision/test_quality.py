"""The gate: each thing wrong with a face is named, and a good face passes."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageFilter

from likeness.recognizer import Recognizer
from likeness.types import Face


def changed(path: str, change: Callable[[Image.Image], Image.Image]) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(change(image.convert("RGB")))


def one_face(recognizer: Recognizer, pixels: np.ndarray) -> Face:
    (face,) = recognizer.faces(pixels, embed=False)
    return face


def test_a_good_photo_passes_with_a_high_score(recognizer: Recognizer, sample_photo: str) -> None:
    face = one_face(recognizer, changed(sample_photo, lambda image: image))
    assert face.quality.passes
    assert face.quality.score > 0.7


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda image: image.filter(ImageFilter.GaussianBlur(max(image.size) / 60)), "blurred"),
        (lambda image: ImageEnhance.Brightness(image).enhance(0.12), "dark"),
        (lambda image: image.resize((image.width * 22 // 100, image.height * 22 // 100)), "small"),
    ],
)
def test_what_is_wrong_with_a_face_is_named(
    recognizer: Recognizer, sample_photo: str, change: Callable[[Image.Image], Image.Image], reason: str
) -> None:
    face = one_face(recognizer, changed(sample_photo, change))
    assert reason in face.quality.reasons, face.quality


def test_a_face_whose_lower_third_is_outside_the_photo_is_cut_off(recognizer: Recognizer, sample_photo: str) -> None:
    whole = one_face(recognizer, changed(sample_photo, lambda image: image))
    _, y1, _, y2 = whole.box_xyxy_px
    edge = round(y1 + (y2 - y1) * 0.65)
    face = one_face(recognizer, changed(sample_photo, lambda image: image.crop((0, 0, image.width, edge))))
    assert "cut_off" in face.quality.reasons, face.quality


def test_a_face_turned_away_is_named_so() -> None:
    from likeness.vision.quality import turn

    frontal = np.array([[40, 50], [80, 50], [60, 70], [45, 90], [75, 90]], np.float32)
    aside = frontal.copy()
    aside[2, 0] = 85
    assert turn(frontal) == pytest.approx(0)
    assert turn(aside) > 0.55
