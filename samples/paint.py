"""What the source faces do not show, painted: hair, neck, clothes.

Everything is a function of head coordinates `(..., 2)`: (0, 0) between the eyes, x to the right, y down, 1 = the
distance of the eyes. So a portrait can be painted at any size, turned and shifted.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from warp import Floats

Colour = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Hair:
    """How somebody wears their hair.

    Attributes:
        colour: RGB, 0 to 1.
        length: how far down it reaches, in head coordinates; negative: above the ears.
        volume: thickness around the head, in eye distances.
        hairline: height of the forehead above the eyes.
        curl: 0 (straight) to 1 (tight curls).
        parting: where the strands part; negative: to the viewer's left.
    """

    colour: Colour
    length: float = -0.3
    volume: float = 0.12
    hairline: float = 0.88
    curl: float = 0.0
    parting: float = 0.3


def noise(places: Floats, cells: tuple[float, float], rng: np.random.Generator) -> Floats:
    """Smooth random values, about -1 to 1, with `cells` bumps per unit along x and y."""
    lattice = rng.uniform(-1, 1, (64, 64)).astype(np.float32)
    at = places * np.array(cells, np.float32) + 1000
    low = np.floor(at).astype(np.intp)
    part = (at - low).astype(np.float32)
    part = part * part * (3 - 2 * part)
    x, y = low[..., 0] % 64, low[..., 1] % 64
    right, under = (x + 1) % 64, (y + 1) % 64
    upper = lattice[y, x] * (1 - part[..., 0]) + lattice[y, right] * part[..., 0]
    lower = lattice[under, x] * (1 - part[..., 0]) + lattice[under, right] * part[..., 0]
    value: Floats = upper * (1 - part[..., 1]) + lower * part[..., 1]
    return value


def ramp(value: Floats, low: float, high: float) -> Floats:
    """0 below `low`, 1 above `high`, smooth in between (turned round where `low` is above `high`)."""
    part = np.clip((value - low) / (high - low), 0, 1)
    smooth: Floats = (part * part * (3 - 2 * part)).astype(np.float32)
    return smooth


def over(below: Floats, colour: Floats, cover: Floats) -> Floats:
    """`colour` laid over `below` where `cover` (0 to 1) says so."""
    laid: Floats = below + (colour - below) * cover[..., None]
    return laid


def strands(head: Floats, hair: Hair, rng: np.random.Generator) -> Floats:
    """Hair: colour with strands that run from the parting round the head, and a soft shine."""
    u, v = head[..., 0], head[..., 1]
    across = u - hair.parting * ramp(v, 0.2, -1.4)
    # Over the crown the strands fan out, beside the face they hang.
    angle = np.arctan2(across, v + 2.6) * 3.2
    wave = 0.12 * noise(head, (1.2, 2.5), rng) + hair.curl * 0.25 * noise(head, (4, 4), rng)
    flow = np.stack([angle + wave, v], axis=-1)
    fine = 0.5 * noise(flow, (14, 0.8), rng) + 0.35 * noise(flow, (32, 1.2), rng) + 0.25 * noise(flow, (5, 0.6), rng)
    curls = 0.6 * noise(head, (9, 9), rng) + 0.5 * noise(head, (19, 19), rng)
    texture = fine * (1 - hair.curl) + curls * hair.curl
    shine = np.exp(-(((v + 1.35 + 0.25 * across**2) / 0.3) ** 2)) * (1 - 0.7 * hair.curl)
    shade = 0.9 + 0.3 * texture - 0.22 * ramp(np.abs(u), 0.7, 1.4) + 0.3 * shine * (0.6 + texture)
    colour: Floats = np.array(hair.colour, np.float32) * shade[..., None] + 0.035 * shine[..., None]
    return colour


def hair_cover(head: Floats, hair: Hair, half_width: float, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """Where hair hides what lies behind the head, and where it hides the head itself."""
    u, v = head[..., 0], head[..., 1]
    ragged = 0.02 * noise(head, (7, 3), rng) + (0.012 + 0.04 * hair.curl) * noise(head, (18, 12), rng)
    wisps = noise(np.stack([np.arctan2(u, v + 2.6) * 3.2, v], axis=-1), (30, 1.0), rng)
    thick = hair.volume
    top = 1.70 + thick
    dome = ((np.abs(u) / (half_width + thick)) ** 2.2 + (np.abs(np.minimum(v + 0.15, 0)) / (top - 0.15)) ** 2.2) - 1
    outside = ramp(dome + 1.4 * ragged + 0.04 * wisps, 0.12, -0.14)
    if hair.length < 0.6:
        back = outside * ramp(v + ragged, hair.length + 0.35, hair.length - 0.25)
    else:
        # Long hair widens a little on its way down and ends unevenly.
        width = half_width + thick + 0.10 * ramp(v, -0.2, 1.6) + 0.03 * np.sin(3 * v)
        fall = ramp(np.abs(u) + ragged - width, 0.06, -0.08) * ramp(v, -0.4, -0.1)
        ends = ramp(v + 3 * ragged + 0.1 * wisps, hair.length + 0.25, hair.length - 0.3)
        back = np.maximum(outside * ramp(v, 0.0, -0.15), fall) * ends
    side = half_width - 0.06 if hair.length < 0.6 else half_width - 0.15
    # The hairline is higher over the parting.
    line = hair.hairline + 0.10 * np.exp(-(((u - hair.parting) / 0.35) ** 2)) + 0.25
    opening = (np.abs(u) / side) ** 2.8 + (np.abs(np.minimum(v - 0.25, 0)) / line) ** 2.8
    # Short hair thins out in front of the ears.
    temples = 1.0 if hair.length >= 0.6 else ramp(v, hair.length + 0.3, hair.length - 0.4)
    front = temples * back * ramp(opening - 1 + 1.5 * ragged + 0.05 * wisps, -0.20, 0.55)
    return back.astype(np.float32), front.astype(np.float32)


def neck_cover(head: Floats, half_width: float) -> Floats:
    """Where the neck is, widening into the shoulders."""
    u, v = head[..., 0], head[..., 1]
    width = 2 * half_width - 1.42 + 0.9 * np.maximum(v - 1.8, 0) ** 1.5
    return ramp(np.abs(u) - np.minimum(width, 0.95), 0.04, -0.04) * ramp(v, 0.6, 0.9)


def paint_ears(head: Floats, half_width: float) -> tuple[Floats, Floats]:
    """Brightness of the ears against the skin, and where they are."""
    u, v = np.abs(head[..., 0]), head[..., 1]
    lean = u - 0.06 * (0.7 - v)
    shape = ((lean - half_width + 0.04) / 0.16) ** 2 + ((v - 0.30) / 0.42) ** 2
    inner = ((lean - half_width - 0.01) / 0.07) ** 2 + ((v - 0.25) / 0.24) ** 2
    shade = 0.9 - 0.2 * ramp(inner, 1.2, 0.3)
    return shade.astype(np.float32), ramp(shape, 1.1, 0.8)


def clothes(head: Floats, colour: Colour, neckline: str, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """A top in one colour with folds, its shoulders and its neckline (`round`, `v`, `collar`): colour and cover."""
    u, v = head[..., 0], head[..., 1]
    wide = np.abs(u)
    shoulder = 1.98 + 0.16 * np.maximum(wide - 0.6, 0) + 0.5 * np.maximum(wide - 1.7, 0) ** 2
    cover = ramp(v - shoulder, -0.04, 0.04)
    depth = {"round": 2.46 - 0.85 * (wide / 0.85) ** 2, "v": 2.9 - 1.25 * wide, "collar": 2.6 - 1.05 * wide}[neckline]
    cover = cover * np.maximum(ramp(v - depth, -0.03, 0.03), ramp(wide, 0.98, 1.02))
    folds = 0.5 * noise(head + 0.3 * head[..., ::-1], (1.6, 0.7), rng) + 0.2 * noise(head, (5, 2), rng)
    weave = 0.03 * noise(head, (40, 40), rng)
    rim = 0.12 * ramp(np.abs(v - depth - 0.07), 0.07, 0.03) * ramp(wide, 1.0, 0.9)
    flap = ramp(v - depth, 0.42, 0.36) * ramp(wide, 0.95, 0.85) if neckline == "collar" else np.zeros_like(u)
    shade = 0.86 + 0.2 * folds + weave - rim + 0.16 * flap - 0.16 * ramp(wide, 1.2, 2.8)
    colour_map: Floats = np.array(colour, np.float32) * shade[..., None]
    return colour_map, cover.astype(np.float32)
