"""Similarity transforms and aligned crops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from likeness.vision.align import align, similarity_transform

TEMPLATE = np.array([[47, 46], [102, 46], [74, 78], [51, 101], [98, 101]], np.float32)


@given(
    angle=st.floats(-3.1, 3.1),
    scale=st.floats(0.1, 10),
    shift=st.tuples(st.floats(-500, 500), st.floats(-500, 500)),
)
def test_a_similarity_transform_is_found_again_from_its_points(
    angle: float, scale: float, shift: tuple[float, float]
) -> None:
    linear = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    moved = TEMPLATE @ linear.T + np.array(shift)
    found = similarity_transform(TEMPLATE, moved)
    np.testing.assert_allclose(found, np.column_stack([linear, shift]), atol=1e-3 * max(scale, 1))


def test_the_transform_is_the_best_among_small_changes_of_it() -> None:
    rng = np.random.default_rng(0)
    target = TEMPLATE + rng.normal(0, 5, TEMPLATE.shape)
    found = similarity_transform(TEMPLATE, target)

    def error(a: float, b: float, x: float, y: float) -> float:
        matrix = np.array([[a, -b, x], [b, a, y]])
        return float(((np.column_stack([TEMPLATE, np.ones(5)]) @ matrix.T - target) ** 2).sum())

    best = np.array([found[0, 0], found[1, 0], found[0, 2], found[1, 2]])
    for step in rng.normal(0, 1e-2, (200, 4)):
        assert error(*best) <= error(*(best + step)) + 1e-6


def test_points_that_coincide_move_without_turning_or_scaling() -> None:
    found = similarity_transform(np.ones((5, 2), np.float32), TEMPLATE)
    np.testing.assert_allclose(found[:, :2], np.eye(2))


@pytest.mark.parametrize("scale", [0.4, 1.0, 1.7, 3.3, 8.0])
def test_a_pattern_lands_on_the_template_at_every_scale(scale: float) -> None:
    side = int(150 * scale) + 40
    y, x = np.mgrid[:side, :side]
    landmarks = TEMPLATE * scale + 20
    pixels = np.full((side, side, 3), 40, np.uint8)
    for place in landmarks:
        pixels[(x + 0.5 - place[0]) ** 2 + (y + 0.5 - place[1]) ** 2 < (4 * scale) ** 2] = 220
    crop = align(pixels, landmarks.astype(np.float32), TEMPLATE, 150)
    weight = np.clip(crop[..., 0].astype(float) - 40, 0, None)
    rows, columns = np.mgrid[:150, :150] + 0.5
    centre = np.array([(columns * weight).sum(), (rows * weight).sum()]) / weight.sum()
    np.testing.assert_allclose(centre, TEMPLATE.mean(axis=0), atol=max(0.6, 0.4 / scale))


def test_what_lies_past_the_photo_is_black() -> None:
    pixels = np.full((60, 60, 3), 255, np.uint8)
    crop = align(pixels, TEMPLATE - 40, TEMPLATE, 150)
    assert crop[0, 0].tolist() == [0, 0, 0]
    assert crop[60, 60].tolist() == [255, 255, 255]


def test_large_faces_are_averaged_down_and_do_not_alias() -> None:
    x = np.mgrid[:1500, :1500][1]
    stripes = (((x // 3) % 2) * 255).astype(np.uint8)
    crop = align(np.stack([stripes] * 3, axis=-1), TEMPLATE * 10, TEMPLATE, 150)
    assert crop.std() < 60
