"""Suppression and boxes against naive loops; what every detector that comes along does with photos; the cascade."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from likeness.bundle import PACKAGED, Bundle
from likeness.vision.decode import decode_photo
from likeness.vision.detect import Detections, Detector, squared, suppress
from likeness.vision.mtcnn import MtcnnDetector, Picture, pyramid


@pytest.fixture(scope="module", params=["mtcnn", "likeness-detector"])
def detector(request: pytest.FixtureRequest) -> Detector:
    detector: Detector = Bundle.read(PACKAGED / request.param).load(threads=1)
    return detector


@pytest.fixture(scope="module")
def cascade() -> MtcnnDetector:
    detector: MtcnnDetector = Bundle.read(PACKAGED / "mtcnn").load(threads=1)
    return detector


def naive_suppress(boxes: np.ndarray, scores: np.ndarray, threshold: float, by_smaller: bool) -> list[int]:
    kept: list[int] = []
    for index in sorted(range(len(boxes)), key=lambda place: -scores[place]):
        for other in kept:
            a, b = boxes[index].astype(float), boxes[other].astype(float)
            width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
            shared = max(width, 0) * max(height, 0)
            areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (a, b)]
            if shared / (min(areas) if by_smaller else sum(areas) - shared) > threshold:
                break
        else:
            kept.append(index)
    return kept


@given(st.integers(0, 10_000), st.booleans())
def test_suppression_agrees_with_a_naive_loop(seed: int, by_smaller: bool) -> None:
    rng = np.random.default_rng(seed)
    corner = rng.integers(0, 50, (25, 2))
    boxes = np.concatenate([corner, corner + rng.integers(5, 30, (25, 2))], axis=1).astype(np.float32)
    scores = rng.permutation(25).astype(np.float32)
    assert suppress(boxes, scores, 0.4, by_smaller=by_smaller).tolist() == naive_suppress(
        boxes, scores, 0.4, by_smaller
    )


def test_squared_boxes_keep_their_centre_and_longer_side() -> None:
    boxes = squared(np.array([[10, 20, 30, 80]], np.float32))
    assert boxes.tolist() == [[-10, 20, 50, 80]]


def test_a_pyramid_goes_from_the_smallest_face_to_the_whole_picture() -> None:
    levels = pyramid(Image.new("RGB", (400, 300)), 24, 0.709)
    assert levels[0][0].size == (200, 150)
    assert min(levels[-1][0].size) >= 12
    assert min(levels[-1][0].size) * 0.709 < 13


def test_a_cut_out_past_the_edge_is_black_there_and_in_place_elsewhere() -> None:
    pixels = np.zeros((40, 40, 3), np.uint8)
    pixels[:, :20] = 200
    crop = Picture(Image.fromarray(pixels)).cut_out(np.array([[-20, 0, 20, 40]], np.float32), 24)[0]
    assert crop[:, :12].max() == 0
    assert crop[:, 12:22].min() == 200


def test_cut_outs_of_large_boxes_come_from_a_shrunk_picture_and_look_the_same() -> None:
    y, x = np.mgrid[:900, :800]
    pixels = np.stack([x / 4, y / 4, (x + y) / 8], axis=-1).astype(np.uint8)
    box = np.array([[96, 104, 696, 704]], np.float32)
    crop = Picture(Image.fromarray(pixels)).cut_out(box, 24)[0]
    plain = Image.fromarray(pixels).resize((24, 24), Image.Resampling.BILINEAR, box=(96, 104, 696, 704))
    assert np.abs(crop.astype(int) - np.asarray(plain)).max() <= 3


def test_a_face_has_its_landmarks_where_a_face_has_them(detector: Detector, sample_photo: str) -> None:
    found = detector.detect(decode_photo(sample_photo).pixels)
    assert len(found) == 1
    left_eye, right_eye, nose, mouth_left, mouth_right = found.landmarks_px[0]
    assert left_eye[0] < nose[0] < right_eye[0]
    assert mouth_left[0] < mouth_right[0]
    assert max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1])
    x1, y1, x2, y2 = found.boxes_xyxy_px[0]
    assert x1 < left_eye[0] < right_eye[0] < x2
    assert y1 < left_eye[1] < mouth_left[1] < y2


@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_a_resized_photo_gives_the_same_face_in_its_own_pixels(
    detector: Detector, sample_photo: str, factor: float
) -> None:
    pixels = decode_photo(sample_photo).pixels
    height, width = pixels.shape[:2]
    size = (round(width * factor), round(height * factor))
    scaled = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.LANCZOS))
    plain, other = detector.detect(pixels), detector.detect(scaled)
    eyes = np.linalg.norm(plain.landmarks_px[0][1] - plain.landmarks_px[0][0])
    error = np.abs(other.landmarks_px[0] / factor - plain.landmarks_px[0]).max()
    assert error < 0.12 * eyes


def test_several_faces_are_found_at_once(detector: Detector, group_photo: str) -> None:
    assert len(detector.detect(decode_photo(group_photo).pixels)) == 5


@pytest.mark.parametrize(
    ("pixels", "reason"),
    [
        (np.zeros((8, 8, 3), np.uint8), "smaller than any face"),
        (np.zeros((1, 500, 3), np.uint8), "a line of pixels"),
        (np.zeros((300, 300, 3), np.uint8), "black"),
        (np.full((300, 300, 3), 255, np.uint8), "white"),
    ],
)
def test_a_picture_without_faces_gives_none(detector: Detector, pixels: np.ndarray, reason: str) -> None:
    assert len(detector.detect(pixels)) == 0


def test_noise_is_searched_within_bounds_and_gives_few_faces(detector: Detector) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    assert len(detector.detect(noise)) <= 3


def test_a_picture_is_never_enlarged_however_small_the_faces_asked_for(
    cascade: MtcnnDetector, monkeypatch: pytest.MonkeyPatch
) -> None:
    scales = []

    def watched(*given: Any) -> list[tuple[Image.Image, float]]:
        levels = pyramid(*given)
        scales.extend(scale for _, scale in levels)
        return levels

    monkeypatch.setattr("likeness.vision.mtcnn.pyramid", watched)
    cascade.detect(np.zeros((60, 80, 3), np.uint8), min_face_px=0.01)
    assert max(scales) == 1.0


def test_every_sample_of_one_person_shows_that_face(detector: Detector, samples: Path) -> None:
    photos = sorted((samples / "people").glob("*/*.jpg"))
    assert len(photos) >= 30
    counts = [len(detector.detect(decode_photo(photo).pixels)) for photo in photos]
    assert counts == [1] * len(photos)


def test_answers_are_in_the_shapes_and_order_that_are_promised(detector: Detector, group_photo: str) -> None:
    found = detector.detect(decode_photo(group_photo).pixels)
    assert found.boxes_xyxy_px.shape == (len(found), 4)
    assert found.landmarks_px.shape == (len(found), 5, 2)
    assert {array.dtype for array in (found.boxes_xyxy_px, found.landmarks_px, found.scores)} == {np.dtype(np.float32)}
    assert (np.diff(found.scores) <= 0).all()
    assert ((found.scores >= 0) & (found.scores <= 1)).all()


def test_the_smallest_face_looked_for_grows_with_the_picture(detector: Detector) -> None:
    small, large = (detector.smallest_face_px(np.zeros((side, 2 * side, 3), np.uint8)) for side in (200, 4000))
    assert small == 32
    assert large == 120


def test_faces_smaller_than_asked_for_are_not_looked_for(detector: Detector, sample_photo: str) -> None:
    pixels = decode_photo(sample_photo).pixels
    assert len(detector.detect(pixels, min_face_px=float(max(pixels.shape) * 2))) == 0


@pytest.mark.parametrize("least", [20.0, 50.0])
def test_faces_of_the_size_asked_for_are_found_and_none_below_half_of_it(
    detector: Detector, sample_photo: str, group_photo: str, least: float
) -> None:
    pixels = decode_photo(sample_photo).pixels
    face = longer_sides(detector.detect(pixels))[0]
    image = Image.fromarray(pixels)
    for share in (0.3, 0.45, 0.7, 0.9, 1.5, 3.0):
        scale = share * least / face
        size = (round(image.width * scale), round(image.height * scale))
        found = detector.detect(np.asarray(image.resize(size, Image.Resampling.LANCZOS)), min_face_px=least)
        assert (longer_sides(found) >= 0.5 * least).all()
        if share >= 1.5:
            assert len(found) == 1
        if share < 0.4:
            assert len(found) == 0
    many = detector.detect(decode_photo(group_photo).pixels, min_face_px=least)
    assert (longer_sides(many) >= 0.5 * least).all()


def test_asking_for_faces_below_the_networks_window_finds_no_more(detector: Detector, sample_photo: str) -> None:
    image = Image.fromarray(decode_photo(sample_photo).pixels)
    image.thumbnail((120, 120))
    pixels = np.asarray(image)
    tiny, window = (detector.detect(pixels, min_face_px=least) for least in (0.5, 12.0))
    assert np.array_equal(tiny.boxes_xyxy_px, window.boxes_xyxy_px)


def longer_sides(found: Detections) -> np.ndarray:
    sides: np.ndarray = (found.boxes_xyxy_px[:, 2:] - found.boxes_xyxy_px[:, :2]).max(axis=1)
    return sides
