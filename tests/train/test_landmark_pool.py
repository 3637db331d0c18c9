"""The pool of faces: shaken crops have their landmarks where the dots are."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from likeness.train import landmark_pool
from likeness.train.detector_network import TEMPLATE_PX
from likeness.train.landmark_pool import FacePool
from likeness.train.teacher_faces import TeacherFaces
from likeness.vision.detect import MIRRORED

DOTS = np.array([(255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255)], np.float32)
MARKS = np.array([[62, 70], [103, 76], [80, 95], [64, 117], [96, 120]], np.float32)


@pytest.fixture(scope="module")
def pool(tmp_path_factory: pytest.TempPathFactory) -> FacePool:
    """One face: a grey photo with a dot of its own colour at each landmark."""
    folder = tmp_path_factory.mktemp("dotted")
    y, x = np.mgrid[:160, :160] + 0.5
    pixels = np.full((160, 160, 3), 90, np.uint8)
    for (left, top), colour in zip(MARKS, DOTS, strict=True):
        pixels[np.hypot(x - left, y - top) < 6] = colour
    Image.fromarray(pixels).save(folder / "a.png")
    box = np.array([[50, 50, 115, 130]], np.float32)
    faces = TeacherFaces(
        folder, ("a.png",), np.zeros(1, np.int64), box, MARKS[None], np.ones(1, np.float32), np.zeros(1, np.float32)
    )
    return FacePool.gather(faces, np.array([0]), 10)


def centre_of(pixels: np.ndarray, colour: np.ndarray) -> np.ndarray:
    weight = np.maximum(0, 200 - np.abs(pixels - colour[:, None, None]).sum(axis=0))
    y, x = np.mgrid[: pixels.shape[1], : pixels.shape[2]] + 0.5
    return np.array([(x * weight).sum(), (y * weight).sum()]) / max(weight.sum(), 1e-9)


def test_faces_lie_in_the_pool_as_the_template_does(pool: FacePool) -> None:
    assert pool.landmarks[0] == pytest.approx(np.array(TEMPLATE_PX), abs=4)
    whole = pool.pixels[0].transpose(2, 0, 1).astype(np.float32)
    for mark, colour in zip(pool.landmarks[0], DOTS, strict=True):
        assert centre_of(whole, colour) == pytest.approx(mark * 1.5 + 12, abs=1)


@pytest.mark.parametrize("seed", range(4))
def test_shaken_crops_have_their_landmarks_where_the_dots_are(
    pool: FacePool, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(landmark_pool, "_weathered", lambda rng, crops: crops)
    crops, offsets = pool.batch(np.random.default_rng(seed), 12)
    places = offsets.numpy().reshape(-1, 5, 2) * 48 + np.array(TEMPLATE_PX)
    first = centre_of(crops[0].numpy(), DOTS[0])
    order = range(5) if np.abs(first - places[0, 0]).max() < 2 else MIRRORED
    seen = 0
    for crop, marks in zip(crops.numpy(), places, strict=True):
        for mark, source in zip(marks, order, strict=True):
            if (mark > 4).all() and (mark < 44).all():
                assert np.abs(centre_of(crop, DOTS[source]) - mark).max() < 1
                seen += 1
    assert seen > 30


def test_weathered_crops_stay_pixels_and_differ_from_one_another(pool: FacePool) -> None:
    crops, offsets = pool.batch(np.random.default_rng(0), 20)
    assert crops.shape == (20, 3, 48, 48)
    assert offsets.shape == (20, 10)
    assert float(crops.min()) >= 0
    assert float(crops.max()) <= 255
    assert float(crops.std(0).mean()) > 5
