"""How each photo is staged: weights, pose, light, clothes, background and size, by chance within bounds."""

from __future__ import annotations

import numpy as np

from backgrounds import SCENES
from blend import Ingredients, vary_weights
from casting import LARGEST_WEIGHT
from paint import Colour
from people import Sketch
from portrait import Light, Pose, Sitter

SIZES = ((384, 480), (400, 400), (600, 450), (360, 450), (480, 400))
"""Widths and heights of photos."""

_TOPS: tuple[Colour, ...] = (
    (0.62, 0.20, 0.24),
    (0.84, 0.84, 0.86),
    (0.20, 0.34, 0.50),
    (0.17, 0.19, 0.24),
    (0.80, 0.62, 0.26),
    (0.28, 0.44, 0.36),
    (0.46, 0.34, 0.50),
    (0.55, 0.60, 0.64),
)
_HALF_WIDTH = {"man": 1.06, "woman": 1.0}
"""Of a head, in eye distances."""
_NECKLINES = ("round", "v", "collar")


def stage(
    mixed: Ingredients, sketch: Sketch, size: tuple[int, int], person: int, number: int, rng: np.random.Generator
) -> tuple[str, Sitter, Pose, Light, float]:
    """Scene, sitter, pose, light and softness of a person's photo with this number; the first one is the calmest."""
    calm = 0.5 if number == 0 else 1.0
    face, known = mixed.mix(vary_weights(mixed.weights, rng, 0.35 * calm, LARGEST_WEIGHT))
    sitter = Sitter(face, known, sketch.hair, *_dress(person, number), _HALF_WIDTH[sketch.gender])
    width, height = size
    # An upright photo has room for a larger head.
    apart = float(rng.uniform(0.155, 0.180)) * (1.15 if height > width else 1.0)
    across = float(rng.uniform(0.46, 0.54)) if width <= height else float(rng.uniform(0.40, 0.60))
    pose = Pose((across, 0.43), apart, float(rng.normal(0, 0.05)) * calm, float(rng.uniform(-0.14, 0.14)) * calm)
    light = Light(
        float(rng.choice([-1, 1])),
        float(rng.uniform(0.02, 0.20)) * calm,
        float(np.exp(rng.normal(0, 0.09 * calm))),
        float(rng.normal(0, 0.035)) * calm,
    )
    scene = SCENES[(2 * person + number) % len(SCENES)] if number else ("studio", "office", "wall")[person % 3]
    return scene, sitter, pose, light, float(rng.uniform(0.2, 0.6))


def _dress(person: int, number: int) -> tuple[Colour, str]:
    return _TOPS[(3 * person + 5 * number) % len(_TOPS)], _NECKLINES[(person + number) % len(_NECKLINES)]


def group_sitters(
    members: list[tuple[Ingredients, Sketch, np.random.Generator]],
) -> list[tuple[Sitter, Pose, Light]]:
    """Five people side by side in a photo of 800 by 420; those in the middle stand in front."""
    placed = []
    for place, (mixed, sketch, rng) in enumerate(members):
        face, known = mixed.mix(vary_weights(mixed.weights, rng, 0.3, LARGEST_WEIGHT))
        sitter = Sitter(face, known, sketch.hair, *_dress(place, 7), _HALF_WIDTH[sketch.gender])
        at = ((place + 0.5) / len(members), 0.40 + 0.05 * (place % 2) + float(rng.uniform(-0.01, 0.01)))
        pose = Pose(at, float(rng.uniform(0.110, 0.116)), float(rng.normal(0, 0.04)), 0.05 * (2 - place))
        placed.append((sitter, pose, Light(1.0, 0.08, float(np.exp(rng.normal(0, 0.05))), 0.01)))
    # Painted back to front.
    return [placed[k] for k in (0, 2, 4, 1, 3) if k < len(placed)]
