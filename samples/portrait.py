"""One photo: a composite face with its hair, neck and clothes before a background, seen through a camera."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
from PIL import Image

from backgrounds import paint_background
from blend import EYES_APART, EYES_X, EYES_Y
from likeness.types import Pixels
from paint import Colour, Hair, clothes, hair_cover, neck_cover, noise, over, paint_ears, ramp, strands
from warp import Floats, blur, pixel_grid, sample


@dataclass(frozen=True, slots=True)
class Pose:
    """Where a head is in the photo and how it is turned.

    Attributes:
        eyes_xy: the point between the eyes, as shares of width and height.
        eyes_apart: distance of the eyes as a share of the photo's shorter side.
        roll: tilt, in radians.
        yaw: turn to the side, in radians.
    """

    eyes_xy: tuple[float, float]
    eyes_apart: float
    roll: float = 0.0
    yaw: float = 0.0


@dataclass(frozen=True, slots=True)
class Light:
    """Light on a head: `direction` (-1 left, 1 right) and its `strength`, `gamma`, and `warmth` (red against blue)."""

    direction: float = 0.0
    strength: float = 0.0
    gamma: float = 1.0
    warmth: float = 0.0


@dataclass(frozen=True, slots=True, eq=False)
class Sitter:
    """A head ready to be painted: its composite face, where that is known, its hair and what is worn today."""

    face: Floats
    known: Floats
    hair: Hair
    top: Colour
    neckline: str
    half_width: float


def head_places(size: tuple[int, int], pose: Pose) -> Floats:
    """Head coordinates of every pixel of a photo of `size` (width, height)."""
    width, height = size
    offset = pixel_grid(height, width) - [pose.eyes_xy[0] * width, pose.eyes_xy[1] * height]
    turn = np.array([[np.cos(pose.roll), -np.sin(pose.roll)], [np.sin(pose.roll), np.cos(pose.roll)]])
    places: Floats = (offset @ turn / (pose.eyes_apart * min(size))).astype(np.float32)
    return places


def turned(head: Floats, yaw: float) -> Floats:
    """Head coordinates of what is seen there once the head, a cylinder, has turned by `yaw`."""
    radius = 1.5
    share = np.clip(head[..., 0] / radius, -0.95, 0.95)
    u = radius * (np.sin(np.arcsin(share) + yaw) - np.sin(yaw))
    # Past the cylinder's front the outline stays as it was.
    near = ramp(np.abs(head[..., 0]), 1.3, 0.6)
    return np.stack([head[..., 0] + (u - head[..., 0]) * near, head[..., 1]], axis=-1).astype(np.float32)


def paint_sitter(below: Floats, head: Floats, sitter: Sitter, pose: Pose, light: Light, seed: int) -> Floats:
    """A sitter painted over the picture `below`."""
    rng = np.random.default_rng(seed)
    canvas = turned(head, pose.yaw) * EYES_APART + [EYES_X, EYES_Y]
    # An average is softer than any face: give back some of the fine contrast.
    crisp = np.clip(sitter.face + 0.6 * (sitter.face - blur(sitter.face, 1.8)), 0, 1)
    face, known = sample(crisp, canvas), sample(sitter.known, canvas)
    u, v = head[..., 0], head[..., 1]
    forehead, cheek = skin_colours(sitter)
    skin = forehead + (cheek - forehead) * ramp(v, -0.3, 0.4)[..., None]
    wide = sitter.half_width
    back, front = hair_cover(head, sitter.hair, wide, rng)
    strand = strands(head, sitter.hair, rng)
    picture = over(below, strand * 0.7, back)
    neck = neck_cover(head, wide)
    chin = 0.96 - 0.36 * ramp(v, 2.05, 1.3) - 0.14 * ramp(np.abs(u), 0.2, 0.75)
    picture = over(picture, skin * (chin + 0.03 * noise(head, (3, 3), rng))[..., None], neck)
    cloth, worn = clothes(head, sitter.top, sitter.neckline, rng)
    picture = over(picture, cloth, worn)
    if sitter.hair.length > 1.9:
        # Long hair falls before the shoulders, beside the neck.
        picture = over(picture, strand * 0.9, back * ramp(np.abs(u), 0.66 * wide, 0.9 * wide) * ramp(v, 1.2, 1.8))
    ear, ear_cover = paint_ears(head, wide)
    picture = over(picture, skin * ear[..., None], ear_cover)
    oval = (np.abs(u) / (wide - 0.2 * ramp(v, 0.5, 1.6))) ** 2.5 + np.abs(
        (v - 0.2) / np.where(v < 0.2, 1.85, 1.47)
    ) ** 2.5
    shape = ramp(oval - 1, 0.06, -0.08)
    picture = over(picture, skin * (1.0 - 0.3 * ramp(oval, 0.5, 1.1))[..., None], shape)
    picture = over(picture, face, known * ramp(oval - 1, 0.06, -0.22))
    picture = over(picture, strand, front)
    lit = shine_on(picture, head, light)
    cover = np.maximum.reduce([back, shape, worn, neck, ear_cover])
    return over(below, lit, ramp(cover, 0.0, 0.6))


def skin_colours(sitter: Sitter) -> tuple[Floats, Floats]:
    """Median colours of the forehead and of the cheeks."""
    forehead = _patch(sitter.face, (-0.4, 0.4), (-0.62, -0.42))
    cheeks = np.concatenate([_patch(sitter.face, side, (0.3, 0.75)) for side in ((-0.65, -0.35), (0.35, 0.65))])
    return np.median(forehead, axis=0).astype(np.float32), np.median(cheeks, axis=0).astype(np.float32)


def _patch(face: Floats, across: tuple[float, float], down: tuple[float, float]) -> Floats:
    rows = slice(*(int(EYES_Y + edge * EYES_APART) for edge in down))
    columns = slice(*(int(EYES_X + edge * EYES_APART) for edge in across))
    return face[rows, columns].reshape(-1, 3)


def shine_on(picture: Floats, head: Floats, light: Light) -> Floats:
    """A picture under a light."""
    side = np.tanh(head[..., 0] * 0.9) * light.direction
    lit = np.clip(picture, 0, 1) ** light.gamma * (1 + light.strength * side)[..., None]
    warm = np.array([1 + light.warmth, 1.0, 1 - light.warmth], np.float32)
    warmed: Floats = lit * warm
    return np.clip(warmed, 0, 1)


def take_photo(
    size: tuple[int, int], scene: str, sitters: list[tuple[Sitter, Pose, Light]], seed: int, *, softness: float = 0.3
) -> Floats:
    """A photo of `sitters`, back to front, before a background of the kind `scene`, with a camera's blur and grain."""
    rng = np.random.default_rng(seed)
    picture = paint_background(size, scene, rng)
    for number, (sitter, pose, light) in enumerate(sitters):
        picture = paint_sitter(picture, head_places(size, pose), sitter, pose, light, seed + number)
    picture = blur(picture, softness)
    places = pixel_grid(size[1], size[0]) / min(size)
    grain = 0.009 * rng.normal(size=picture.shape[:2]) + 0.008 * noise(places, (150, 150), rng)
    return np.clip(picture + grain[..., None], 0, 1).astype(np.float32)


def as_jpeg(picture: Floats, quality: int) -> bytes:
    """A picture, 0 to 1, as the bytes of a JPEG."""
    buffer = io.BytesIO()
    Image.fromarray(as_pixels(picture)).save(buffer, "JPEG", quality=quality, optimize=True)
    return buffer.getvalue()


def as_pixels(picture: Floats) -> Pixels:
    """A picture, 0 to 1, as 8-bit pixels."""
    return np.rint(np.clip(picture, 0, 1) * 255).astype(np.uint8)
