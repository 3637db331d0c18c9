"""Whether a face is good enough to be enrolled, and why not.

Each measure is a plain number; each has a limit below (or above) which the gate closes with a reason. The limits are
choices, not fits: they turn away one LFW photo in 500 (of a sample of 500) and one in 18 of UTKFace,
most of those because the picture ends inside the face.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from likeness.types import Pixels, Quality, Vector

SHARPNESS_PX = 38
"""Side of the crop's middle half where sharpness is measured: half of that in a crop of 150 pixels."""


@dataclass(frozen=True, slots=True)
class QualityGate:
    """Limits of the gate; a face beyond one of them is refused for the reason named.

    Attributes:
        min_eye_distance_px: `small`; between the eyes, in pixels of the full-size photo.
        min_sharpness: `blurred`; the crop's Laplacian over its gradient, root mean squares at 75 pixels. About 1.1 for
            a sharp photo and 0.5 for one blurred by a Gaussian of 0.065 eye distances; contrast does not change it.
        min_brightness, max_brightness: `dark`, `bright`; mean luminance of the crop's middle, 0 to 255.
        min_contrast: `flat`; standard deviation of that luminance.
        max_turn: `turned`; how far the nose lies off the middle of the eyes, in eye distances (0 frontal).
        min_inside: `cut_off`; share of the box that lies in the photo.
        min_score: `faint`; the detector's confidence.
    """

    min_eye_distance_px: float = 18.0
    min_sharpness: float = 0.5
    min_brightness: float = 35.0
    max_brightness: float = 230.0
    min_contrast: float = 12.0
    max_turn: float = 0.55
    min_inside: float = 0.85
    min_score: float = 0.85

    def judge(
        self,
        crop: Pixels,
        landmarks_px: Vector,
        box_xyxy_px: tuple[float, float, float, float],
        score: float,
        size_px: tuple[int, int],
    ) -> Quality:
        """The quality of one face; landmarks and box in pixels of the full-size photo of `size_px`."""
        measures = {
            "eye_distance_px": eye_distance(landmarks_px),
            **_light(crop),
            "turn": turn(landmarks_px),
            "inside": _inside(box_xyxy_px, size_px),
            "score": score,
        }
        checks = (
            ("small", measures["eye_distance_px"], self.min_eye_distance_px, 1),
            ("blurred", measures["sharpness"], self.min_sharpness, 1),
            ("dark", measures["brightness"], self.min_brightness, 1),
            ("bright", measures["brightness"], self.max_brightness, -1),
            ("flat", measures["contrast"], self.min_contrast, 1),
            ("turned", measures["turn"], self.max_turn, -1),
            ("cut_off", measures["inside"], self.min_inside, 1),
            ("faint", score, self.min_score, 1),
        )
        reasons = tuple(name for name, value, limit, sign in checks if (value - limit) * sign < 0)
        return Quality(_overall(measures), reasons, measures)


def eye_distance(landmarks_px: Vector) -> float:
    """Distance between the eyes, in the landmarks' pixels."""
    return float(np.linalg.norm(landmarks_px[1] - landmarks_px[0]))


def turn(landmarks_px: Vector) -> float:
    """How far the face looks to the side: the nose's way from the eyes' middle along their line, in eye distances."""
    eyes = landmarks_px[1] - landmarks_px[0]
    length = float(eyes @ eyes)
    if length < 1e-9:
        return 1.0
    nose = landmarks_px[2] - (landmarks_px[0] + landmarks_px[1]) / 2
    return min(abs(float(nose @ eyes) / length), 1.0)


def _light(crop: Pixels) -> dict[str, float]:
    """Brightness, contrast and sharpness of the crop's middle half, where the face is."""
    side = crop.shape[0]
    middle = crop[side // 4 : -side // 4, side // 4 : -side // 4].astype(np.float32)
    grey = middle @ np.array([0.299, 0.587, 0.114], np.float32)
    return {"brightness": float(grey.mean()), "contrast": float(grey.std()), "sharpness": _sharpness(grey)}


def _sharpness(grey: Vector) -> float:
    # At half size the noise of rounding and of JPEG no longer passes for detail.
    # One side for crops of all models: what is sharp at 112 pixels need not be at 150.
    half = grey if grey.shape[0] <= SHARPNESS_PX else np.asarray(
        Image.fromarray(grey).resize((SHARPNESS_PX, SHARPNESS_PX), Image.Resampling.BOX)
    )  # fmt: skip
    laplacian = half[1:-1, :-2] + half[1:-1, 2:] + half[:-2, 1:-1] + half[2:, 1:-1] - 4 * half[1:-1, 1:-1]
    slope = np.sqrt((np.diff(half, axis=0) ** 2).mean() + (np.diff(half, axis=1) ** 2).mean())
    return float(np.sqrt((laplacian**2).mean()) / max(float(slope), 0.5))


def _inside(box: tuple[float, float, float, float], size_px: tuple[int, int]) -> float:
    x1, y1, x2, y2 = box
    width = max(min(x2, size_px[0]) - max(x1, 0.0), 0.0)
    height = max(min(y2, size_px[1]) - max(y1, 0.0), 0.0)
    return width * height / ((x2 - x1) * (y2 - y1))


def _overall(measures: dict[str, float]) -> float:
    """One number from 0 to 1: the product of how nearly each measure is what one would wish for."""
    ramps = [
        np.interp(measures["eye_distance_px"], [8, 40], [0.2, 1]),
        np.interp(measures["sharpness"], [0.4, 0.9], [0.3, 1]),
        np.interp(measures["brightness"], [15, 70, 190, 250], [0.3, 1, 1, 0.3]),
        np.interp(measures["contrast"], [6, 25], [0.3, 1]),
        np.interp(measures["turn"], [0.1, 0.7], [1, 0.3]),
        np.interp(measures["inside"], [0.5, 0.95], [0.3, 1]),
        np.interp(measures["score"], [0.7, 0.99], [0.3, 1]),
    ]
    return float(np.prod(np.array(ramps)))
