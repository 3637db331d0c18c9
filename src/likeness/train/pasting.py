"""A face's surroundings cut out of a photo, turned, scaled and pasted into a scene, its labels with it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.types import Pixels, Vector
from likeness.vision.detect import MIRRORED

_NO_BOXES = np.empty((0, 4), np.float32)


@dataclass(slots=True)
class Patch:
    """A part of a photo, and where its face is in it; `main` says whether there is one.

    Attributes:
        box: `(4,)`; of the whole patch where it shows no face. landmarks: `(5, 2)`. others: boxes of further faces.
    """

    image: Image.Image
    box: Vector
    landmarks: Vector
    others: Vector = field(default_factory=lambda: _NO_BOXES)
    main: bool = True

    @classmethod
    def cut(cls, rng: np.random.Generator, pixels: Pixels, box: Vector, landmarks: Vector, others: Vector) -> Patch:
        """A face with more or less of what is around it in the photo."""
        height, width = pixels.shape[:2]
        reach = float((box[2:] - box[:2]).max()) * rng.uniform(0.15, 1.2, 4)
        low = np.floor(np.maximum(box[:2] - reach[:2], 0)).astype(int)
        high = np.ceil(np.minimum(box[2:] + reach[2:], (width, height))).astype(int)
        low, high = np.minimum(low, (width - 1, height - 1)), np.maximum(high, low + 1)
        image = Image.fromarray(np.ascontiguousarray(pixels[low[1] : high[1], low[0] : high[0]]))
        at = low.astype(np.float32)
        near = others[(np.minimum(others[:, 2:], high) > np.maximum(others[:, :2], low)).all(axis=1)]
        return cls(image, box - np.tile(at, 2), landmarks - at, near - np.tile(at, 2))

    @classmethod
    def plain(cls, image: Image.Image) -> Patch:
        """A picture without a face."""
        return cls(image, np.array([0, 0, *image.size], np.float32), np.zeros((5, 2), np.float32), main=False)

    def without_face(self, rng: np.random.Generator) -> Patch:
        """A part of the patch that nobody calls a face: a cheek, an eye, hair, a neck; or all of it, in disorder."""
        width, height = self.image.size
        if rng.random() < 0.25:
            return Patch.plain(_shuffled(rng, self.image))
        side = max(4.0, float((self.box[2:] - self.box[:2]).mean()) * rng.uniform(0.2, 0.42))
        left, top = rng.random(2) * np.maximum(np.array([width, height]) - side, 0)
        part = self.image.crop((int(left), int(top), min(width, int(left + side)), min(height, int(top + side))))
        return Patch.plain(part)


def _shuffled(rng: np.random.Generator, image: Image.Image) -> Image.Image:
    """A picture cut into nine or sixteen and put together in another order."""
    count = int(rng.integers(3, 5))
    width, height = max(1, image.width // count), max(1, image.height // count)
    places = [(column * width, row * height) for row in range(count) for column in range(count)]
    mixed, order = image.copy(), rng.permutation(len(places))
    for index, other in zip(order, np.roll(order, 1), strict=True):
        place, (left, top) = places[index], places[other]
        mixed.paste(image.crop((left, top, left + width, top + height)), place)
    return mixed


@dataclass(frozen=True, slots=True, eq=False)
class Placement:
    """A map of patch to scene `(2, 3)`, made of a mirror image or not, a scale, a turn and a shift."""

    matrix: NDArray[np.float64]
    mirrored: bool
    turn: float
    scale: float

    @classmethod
    def make(cls, centre: NDArray[Any], target: NDArray[Any], scale: float, turn: float, mirrored: bool) -> Placement:
        """Bring a point of the patch to a point of the scene, scaled, turned by radians, and mirrored before."""
        cosine, sine = scale * np.cos(turn), scale * np.sin(turn)
        linear = np.array([[cosine, -sine], [sine, cosine]])
        if mirrored:
            linear = linear @ np.array([[-1.0, 0.0], [0.0, 1.0]])
        return cls(np.column_stack([linear, target - linear @ centre]), mirrored, turn, scale)

    @classmethod
    def choose(cls, rng: np.random.Generator, patch: Patch, face_px: float, side_px: int) -> Placement:
        """A face of this size somewhere in a scene; most of it inside."""
        size = float((patch.box[2:] - patch.box[:2]).mean())
        centre = (patch.box[:2] + patch.box[2:]) / 2
        margin = min(0.5 * side_px, face_px * rng.uniform(0.25, 0.75))
        target = margin + rng.random(2) * (side_px - 2 * margin)
        return cls.make(centre, target, face_px / size, _turn(rng), bool(rng.random() < 0.5))

    def points(self, points: NDArray[Any]) -> Vector:
        """Points `(n, 2)` of the patch in the scene."""
        moved: Vector = (points @ self.matrix[:, :2].T + self.matrix[:, 2]).astype(np.float32)
        return moved

    def box(self, box: Vector) -> Vector:
        """A face's box in the scene: around the ellipse that filled it, turned."""
        centre = self.points(((box[:2] + box[2:]) / 2)[None])[0]
        half = (box[2:] - box[:2]) / 2 * self.scale
        cosine, sine = np.cos(self.turn), np.sin(self.turn)
        reach = np.hypot(half * cosine, half[::-1] * sine)
        return np.concatenate([centre - reach, centre + reach]).astype(np.float32)

    def labels(self, patch: Patch) -> tuple[Vector, Vector]:
        """Box and landmarks of a patch's face in the scene."""
        marks = self.points(patch.landmarks)
        return self.box(patch.box), marks[list(MIRRORED)] if self.mirrored else marks


def _turn(rng: np.random.Generator) -> float:
    """Most faces are near upright, some lie on their side."""
    kind = rng.random()
    if kind < 0.6:
        return float(np.deg2rad(rng.normal(0, 10)))
    return float(np.deg2rad(rng.uniform(-45, 45) if kind < 0.92 else rng.uniform(-90, 90)))


def paste(rng: np.random.Generator, scene: Image.Image, patch: Patch, placement: Placement) -> Pixels:
    """Paste a patch, its edge hard or soft, round or square; how much of each of the scene's pixels it hides, 0 to 255.

    Shapes: the answer is `(h, w)`.
    """
    hides = np.zeros((scene.height, scene.width), np.uint8)
    corners = np.array([[0, 0], [patch.image.width, 0], [0, patch.image.height], list(patch.image.size)], np.float32)
    reached = placement.points(corners)
    low = np.clip(np.floor(reached.min(axis=0)), 0, scene.size).astype(int)
    high = np.clip(np.ceil(reached.max(axis=0)), 0, scene.size).astype(int)
    size = (int(high[0] - low[0]), int(high[1] - low[1]))
    if min(size) < 1:
        return hides
    linear = np.linalg.inv(placement.matrix[:, :2])
    back = np.column_stack([linear, linear @ (low - placement.matrix[:, 2])])
    image, shrunk = patch.image, 1
    # Sampling looks at four pixels: what is pasted small is averaged down first, as cameras do.
    if placement.scale < 0.6 and rng.random() < 0.85:
        shrunk = max(1, round(1 / placement.scale))
        image = image.reduce(shrunk)
    moved = image.transform(size, Image.Transform.AFFINE, tuple((back / shrunk).ravel()), Image.Resampling.BILINEAR)
    mask = _mask(rng, patch, placement.scale, back, size)
    scene.paste(moved, (int(low[0]), int(low[1])), Image.fromarray(mask))
    hides[low[1] : high[1], low[0] : high[0]] = mask
    return hides


def _mask(
    rng: np.random.Generator, patch: Patch, scale: float, back: NDArray[np.float64], size: tuple[int, int]
) -> Pixels:
    """How much of the patch shows in each of `size` pixels."""
    y, x = np.mgrid[: size[1], : size[0]].astype(np.float32) + np.float32(0.5)
    u = (back[0, 0] * x + back[0, 1] * y + back[0, 2]).astype(np.float32)
    v = (back[1, 0] * x + back[1, 1] * y + back[1, 2]).astype(np.float32)
    width, height = patch.image.size
    soft = np.float32(scale if rng.random() < 0.4 else scale / rng.uniform(1, 0.12 * min(width, height) * scale + 2))
    inside = np.minimum(np.minimum(u, width - u), np.minimum(v, height - v)) * soft
    if rng.random() < 0.6:
        inside = np.minimum(inside, _round_edge(rng, patch.box, u, v) * soft)
    shown: Pixels = (np.clip(inside + np.float32(0.5 if soft >= scale else 0.0), 0, 1) * 255).astype(np.uint8)
    return shown


def _round_edge(rng: np.random.Generator, box: Vector, u: Vector, v: Vector) -> Vector:
    """Distance in patch pixels to a rounded outline around the face, positive inside."""
    half = (box[2:] - box[:2]) / 2 * rng.uniform(1.0, 1.5)
    middle = (box[:2] + box[2:]) / 2
    power = rng.choice([2.0, 2.0, 3.0, 6.0])
    across, down = np.abs(u - middle[0]) / half[0], np.abs(v - middle[1]) / half[1]
    edge: Vector = ((1 - (across**power + down**power) ** (1 / power)) * half.min()).astype(np.float32)
    return edge
