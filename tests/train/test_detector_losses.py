"""The detector's losses against naive loops, which places answer for which faces, and the two ways of decoding."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from likeness.train.detector_losses import box_overlaps, decode_maps, finder_loss, quality_focal_loss
from likeness.train.detector_network import FaceFinder, Maps
from likeness.train.detector_targets import FACE, IGNORED, NOTHING, assign
from likeness.train.refiner_crops import TEMPLATE, cut
from likeness.train.refiner_training import refiner_loss
from likeness.train.scenes import Scene
from likeness.vision.single_shot import decode, places, turned_back, upright

MARKS = np.array([[0.3, 0.35], [0.7, 0.35], [0.5, 0.55], [0.35, 0.75], [0.65, 0.75]], np.float32)


def scene_of(*boxes: tuple[float, float, float, float], wanted: bool = True, side: int = 160) -> Scene:
    array = np.array(boxes, np.float32).reshape(-1, 4)
    marks = array[:, None, :2] + MARKS * (array[:, 2:] - array[:, :2])[:, None]
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return Scene(pixels, array, marks, np.full(len(array), wanted))


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_the_quality_focal_loss_agrees_with_a_naive_loop() -> None:
    logits, quality = torch.tensor([-3.0, -0.5, 0.0, 1.0, 4.0]), torch.tensor([0.0, 0.7, 0.2, 1.0, 0.0])
    naive = []
    for x, q in zip(logits.tolist(), quality.tolist(), strict=True):
        p = sigmoid(x)
        naive.append((q - p) ** 2 * -(q * math.log(p) + (1 - q) * math.log(1 - p)))
    assert quality_focal_loss(logits, quality).tolist() == pytest.approx(naive, rel=1e-4)


def naive_general_overlap(a: list[float], b: list[float]) -> tuple[float, float]:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    union = (a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared
    hull = (max(a[2], b[2]) - min(a[0], b[0])) * (max(a[3], b[3]) - min(a[1], b[1]))
    return shared / union, shared / union - (hull - union) / hull


def test_overlaps_of_boxes_agree_with_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 30, (20, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(2, 30, (20, 2))], axis=1).astype(np.float32)
    plain, general = box_overlaps(torch.from_numpy(boxes[:10]), torch.from_numpy(boxes[10:]))
    naive = [naive_general_overlap(a, b) for a, b in zip(boxes[:10].tolist(), boxes[10:].tolist(), strict=True)]
    assert plain.tolist() == pytest.approx([each[0] for each in naive], abs=1e-5)
    assert general.tolist() == pytest.approx([each[1] for each in naive], abs=1e-5)


def test_the_landmarks_loss_counts_in_faces_sizes_and_only_where_a_face_is() -> None:
    centres, strides = (torch.tensor(array) for array in places(32, 32))
    count = len(centres)
    boxes = torch.zeros(1, count, 4)
    boxes[0, 5] = torch.tensor([10.0, 10.0, 30.0, 30.0])
    true = torch.zeros(1, count, 5, 2)
    true[0, 5] = torch.arange(10.0).view(5, 2)
    kinds = torch.zeros(1, count, dtype=torch.int8)
    kinds[0, 5] = FACE
    maps = Maps(torch.zeros(1, count), torch.zeros(1, count, 4), torch.randn(1, count, 5, 2))
    marks = decode_maps(maps, centres, strides)[1]
    naive = 0.0
    for found, wanted in zip(marks[0, 5].flatten().tolist(), true[0, 5].flatten().tolist(), strict=True):
        off = abs(found - wanted) / 20
        naive += 0.5 * off**2 / 0.04 if off < 0.04 else off - 0.02
    assert float(finder_loss(maps, centres, strides, kinds, boxes, true).landmark) == pytest.approx(
        naive / 10, rel=1e-4
    )


def test_ignored_places_cost_nothing_whatever_they_say() -> None:
    centres, strides = (torch.tensor(array) for array in places(32, 32))
    count = len(centres)
    kinds = torch.zeros(1, count, dtype=torch.int8)
    kinds[0, 3] = IGNORED
    empty, marks = torch.zeros(1, count, 4), torch.zeros(1, count, 5, 2)
    quiet, loud = torch.full((1, count), -5.0), torch.full((1, count), -5.0)
    loud[0, 3] = 9.0
    losses = [
        finder_loss(Maps(scores, empty, marks), centres, strides, kinds, empty, marks) for scores in (quiet, loud)
    ]
    assert float(losses[0].total) == pytest.approx(float(losses[1].total))
    kinds[0, 3] = NOTHING
    assert float(finder_loss(Maps(loud, empty, marks), centres, strides, kinds, empty, marks).total) > 1


def test_the_refiners_loss_asks_for_landmarks_of_faces_only() -> None:
    answers, offsets = torch.zeros(2, 11), torch.zeros(2, 10)
    answers[1, 1:] = 7.0
    score, landmark = refiner_loss(answers, torch.tensor([1.0, 0.0]), offsets)
    assert float(score) == pytest.approx(math.log(2))
    assert float(landmark) == 0.0
    assert float(refiner_loss(answers, torch.tensor([1.0, 1.0]), offsets)[1]) > 1


@pytest.mark.parametrize(
    ("size", "strides"),
    [(14, {8}), (30, {8}), (40, {8, 16}), (60, {16}), (80, {16, 32}), (140, {32})],
)
def test_a_face_is_answered_for_at_the_strides_that_suit_its_size(size: int, strides: set[int]) -> None:
    low = 80 - size / 2
    targets = assign(scene_of((low, low, low + size, low + size)))
    centres, steps = places(160, 160)
    chosen = targets.kinds == FACE
    assert set(steps[chosen, 0].astype(int).tolist()) == strides
    assert (np.abs(centres[chosen] - 80).max(axis=1) <= np.maximum(0.18 * size, 0.6 * steps[chosen, 0])).all()


@pytest.mark.parametrize("shift", [0.0, 1.7, 3.9, 4.0, 6.2])
def test_every_face_has_a_place_wherever_it_lies(shift: float) -> None:
    for size in (12, 33, 50, 70, 100):
        low = 20 + shift
        assert (assign(scene_of((low, low, low + size, low + size))).kinds == FACE).any()


def test_the_smaller_of_two_faces_has_the_place_where_they_meet() -> None:
    targets = assign(scene_of((20, 20, 100, 100), (50, 50, 70, 70)))
    small = targets.boxes_xyxy_px[targets.kinds == FACE]
    assert (small == (50, 50, 70, 70)).all(axis=1).any()


def test_faces_that_are_not_wanted_are_ignored_and_never_asked_for() -> None:
    targets = assign(scene_of((40, 40, 100, 100), wanted=False))
    centres, _ = places(160, 160)
    inside = ((centres > 40) & (centres < 100)).all(axis=1)
    assert (targets.kinds[inside] == IGNORED).all()
    assert (targets.kinds[~inside] == NOTHING).all()


def test_training_and_running_decode_alike() -> None:
    torch.manual_seed(0)
    with torch.inference_mode():
        maps = FaceFinder().eval()(torch.rand(1, 3, 64, 96) * 255)
        boxes, marks = decode_maps(maps, *(torch.tensor(array) for array in places(64, 96)))
    geometry = torch.cat([maps.boxes, maps.landmarks.flatten(2)], 2)[0].numpy()
    chosen = np.arange(0, len(geometry), 3)
    ours, points = decode(geometry[chosen], chosen, 64, 96)
    assert ours == pytest.approx(boxes[0, chosen].numpy(), abs=1e-3)
    assert points == pytest.approx(marks[0, chosen].numpy(), abs=1e-3)


def test_a_crops_offsets_lead_back_to_the_faces_landmarks() -> None:
    scene = scene_of((40, 40, 100, 110))
    rough = scene.landmarks_px[0] + np.random.default_rng(0).normal(0, 4, (5, 2)).astype(np.float32)
    crop = cut(scene, rough, 0)
    back = turned_back((TEMPLATE + crop.offsets.reshape(1, 5, 2) * 48), *upright(rough[None], TEMPLATE))
    assert back[0] == pytest.approx(scene.landmarks_px[0], abs=1e-2)
