"""The single-shot detector: how it looks at pictures of any size, and how its numbers become boxes and landmarks."""

from __future__ import annotations

import json
import shutil
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from likeness.bundle import PACKAGED, Bundle
from likeness.errors import BundleCorrupt
from likeness.vision.align import similarity_transform
from likeness.vision.decode import decode_photo
from likeness.vision.single_shot import (
    SingleShotDetector,
    decode,
    padded,
    places,
    tiles,
    turned_back,
    upright,
    ways_back,
)

TEMPLATE = np.array([[16, 19], [32, 19], [24, 27], [18, 35], [30, 35]], np.float32)


@pytest.fixture(scope="module")
def detector() -> SingleShotDetector:
    detector: SingleShotDetector = Bundle.read(PACKAGED / "likeness-detector").load(threads=1)
    return detector


@given(st.integers(1, 5000), st.integers(1, 3000), st.integers(8, 200))
def test_tiles_cover_a_picture_and_cut_nothing_as_large_as_their_overlap(width: int, height: int, overlap: int) -> None:
    boxes = list(tiles(width, height, overlap))
    for axis, length in ((0, width), (1, height)):
        spans = sorted({(box[axis], box[axis + 2]) for box in boxes})
        assert spans[0][0] == 0
        assert spans[-1][1] == length
        assert all(0 < high - low <= 1024 for low, high in spans)
        for (_, before), (after, _) in pairwise(spans):
            assert before - after >= overlap
    assert len(boxes) == len({box[0] for box in boxes}) * len({box[1] for box in boxes})


def test_a_padded_picture_is_itself_in_its_corner_and_black_elsewhere() -> None:
    pixels = np.full((33, 70, 3), 200, np.uint8)
    whole = padded(pixels, 32)
    assert whole.shape == (64, 96, 3)
    assert (whole[:33, :70] == 200).all()
    assert not whole[33:].any()
    assert not whole[:, 70:].any()
    assert padded(whole, 32) is whole


def test_places_and_decoding_agree_with_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    count = sum((64 // stride) * (96 // stride) for stride in (8, 16, 32))
    geometry = rng.normal(0, 1, (count, 14)).astype(np.float32)
    boxes, landmarks = decode(geometry, np.arange(count), 64, 96)
    number = 0
    for stride in (8, 16, 32):
        for row in range(64 // stride):
            for column in range(96 // stride):
                x, y = (column + 0.5) * stride, (row + 0.5) * stride
                dx, dy, width, height = geometry[number, :4]
                middle = (x + dx * stride, y + dy * stride)
                half = (np.exp(width) * stride / 2, np.exp(height) * stride / 2)
                naive = [middle[0] - half[0], middle[1] - half[1], middle[0] + half[0], middle[1] + half[1]]
                assert boxes[number] == pytest.approx(naive, rel=1e-4, abs=1e-3)
                third = [x + geometry[number, 8] * stride, y + geometry[number, 9] * stride]
                assert landmarks[number, 2] == pytest.approx(third, rel=1e-4, abs=1e-3)
                number += 1
    assert number == len(places(64, 96)[0])


@given(st.floats(-3, 3), st.floats(0.2, 9), st.floats(-200, 200), st.integers(0, 99))
def test_faces_are_brought_upright_and_back_as_one_by_one(turn: float, scale: float, shift: float, seed: int) -> None:
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    noise = np.random.default_rng(seed).normal(0, 1.5, (3, 5, 2))
    rough = ((TEMPLATE + noise) @ linear.T + shift).astype(np.float32)
    forth, moved = upright(rough, TEMPLATE)
    for back, face in zip(ways_back(forth, moved), rough, strict=True):
        one = similarity_transform(face, TEMPLATE)
        again = np.linalg.inv(np.vstack([one, [0, 0, 1]]))[:2]
        assert back == pytest.approx(again, abs=1e-3 * scale + 1e-3)
    inside = np.stack([TEMPLATE + 1.5] * 3)
    there = turned_back(inside, forth, moved)
    ones = [similarity_transform(face, TEMPLATE) for face in rough]
    for found, one in zip(there, ones, strict=True):
        assert found @ one[:, :2].T + one[:, 2] == pytest.approx(TEMPLATE + 1.5, abs=0.02)


def test_landmarks_that_coincide_are_moved_and_give_no_error() -> None:
    forth, moved = upright(np.full((1, 5, 2), 7, np.float32), TEMPLATE)
    assert np.isfinite(turned_back(TEMPLATE[None], forth, moved)).all()


@pytest.mark.parametrize(
    "size", [(1, 1), (1, 900), (900, 1), (7, 5), (31, 33), (40, 3000), (3000, 40), (257, 129), (1500, 2100)]
)
@pytest.mark.parametrize("least", [None, 16.0])
def test_pictures_of_any_size_are_searched(detector: SingleShotDetector, size: tuple[int, int], least: float) -> None:
    pixels = np.full((*size, 3), 90, np.uint8)
    assert len(detector.detect(pixels, min_face_px=least)) == 0


def test_a_huge_picture_is_searched_in_parts_and_its_faces_found_across_their_edges(
    detector: SingleShotDetector, sample_photo: str
) -> None:
    face = Image.fromarray(decode_photo(sample_photo).pixels)
    face.thumbnail((260, 260))
    picture = Image.new("RGB", (4000, 2600), (70, 90, 60))
    spots = [(20, 30), (950, 900), (1030, 1880), (3700, 2300), (2020, 980)]
    for spot in spots:
        picture.paste(face, spot)
    found = detector.detect(np.asarray(picture), min_face_px=20)
    middles = (found.boxes_xyxy_px[:, :2] + found.boxes_xyxy_px[:, 2:]) / 2
    for left, top in spots:
        inside = (middles > (left, top)).all(axis=1) & (middles < (left + face.width, top + face.height)).all(axis=1)
        assert inside.sum() == 1


def test_a_face_is_found_whether_it_is_small_in_the_picture_or_fills_it(
    detector: SingleShotDetector, sample_photo: str
) -> None:
    pixels = decode_photo(sample_photo).pixels
    plain = detector.detect(pixels)
    x1, y1, x2, y2 = plain.boxes_xyxy_px[0].astype(int)
    close = pixels[max(0, y1 - 5) : y2 + 5, max(0, x1 - 5) : x2 + 5]
    for width in (60, 200, 900):
        scaled = np.asarray(Image.fromarray(close).resize((width, round(width * close.shape[0] / close.shape[1]))))
        assert len(detector.detect(scaled)) == 1


@pytest.mark.parametrize("degrees", [-40, -20, 20, 40])
def test_a_turned_face_is_found_with_its_landmarks_turned(
    detector: SingleShotDetector, sample_photo: str, degrees: int
) -> None:
    image = Image.fromarray(decode_photo(sample_photo).pixels)
    upright = detector.detect(np.asarray(image)).landmarks_px[0]
    turned = detector.detect(np.asarray(image.rotate(degrees, Image.Resampling.BILINEAR)))
    assert len(turned) >= 1
    centre, angle = np.array(image.size) / 2, np.deg2rad(-degrees)
    linear = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    expected = (upright - centre) @ linear.T + centre
    eyes = np.linalg.norm(upright[1] - upright[0])
    assert np.linalg.norm(turned.landmarks_px[0] - expected, axis=1).mean() < 0.1 * eyes


def test_several_threads_get_the_same_answers_as_one(detector: SingleShotDetector, group_photo: str) -> None:
    pixels = decode_photo(group_photo).pixels
    alone = detector.detect(pixels)
    with ThreadPoolExecutor(4) as pool:
        for found in pool.map(detector.detect, [pixels] * 8):
            assert np.array_equal(found.landmarks_px, alone.landmarks_px)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"template_px": [[1, 2], [3, 4]]}, "five landmarks"),
        ({"side_px": None, "sides_px": 48}, "do not fit"),
    ],
)
def test_a_bundle_whose_parameters_do_not_fit_is_refused(tmp_path: Path, change: dict, reason: str) -> None:
    folder = tmp_path / "changed"
    shutil.copytree(PACKAGED / "likeness-detector", folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["parameters"] |= change
    (folder / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleCorrupt, match=reason):
        Bundle.read(folder).load()


def test_the_bundle_is_small_and_says_that_its_data_is_not_for_trade() -> None:
    bundle = Bundle.read(PACKAGED / "likeness-detector")
    bundle.verify()
    assert sum(file.bytes for file in bundle.manifest.files.values()) <= 2_000_000
    assert bundle.manifest.licence.commercial is False
    assert "UTKFace" in json.dumps(bundle.manifest.model_dump(mode="json"))
