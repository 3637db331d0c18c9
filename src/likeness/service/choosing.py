"""Which of a photo's faces is meant, and whether it is good enough to be enrolled."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from likeness.errors import FaceRejected, NoFace, SeveralFaces
from likeness.types import Face, Quality

Pick = Literal["only", "largest", "central"] | int
"""Which of several faces is meant; a number counts from the largest, which is 1."""

DOMINANT = 4.0
"""A face whose area is at least this many times every other's is the one meant, if it is in the photo's middle."""

_WORDS = {
    "small": "too small (eyes {eye_distance_px:.0f} pixels apart)",
    "blurred": "too blurred (sharpness {sharpness:.3f})",
    "dark": "too dark (brightness {brightness:.0f} of 255)",
    "bright": "too bright (brightness {brightness:.0f} of 255)",
    "flat": "without contrast",
    "turned": "turned too far to the side ({turn:.2f} of 1)",
    "cut_off": "cut off by the photo's edge ({inside:.0%} inside)",
    "faint": "hardly recognisable as a face (score {score:.2f})",
}


def choose(faces: Sequence[Face], pick: Pick, size_px: tuple[int, int]) -> tuple[int, str]:
    """Index of the face meant among those (at least one) of a photo of `size_px`, and a note where there was a choice.

    Raises:
        SeveralFaces: it is not clear which one is meant.
    """
    if not faces:
        raise ValueError("expected at least one face to choose from")
    if isinstance(pick, int):
        if not 1 <= pick <= len(faces):
            raise NoFace(f"there is no face number {pick} among {len(faces)}", hint="1 is the largest one")
        index = sorted(range(len(faces)), key=lambda index: -faces[index].area_px)[pick - 1]
        return index, f"number {pick} of {len(faces)} faces, by size" if len(faces) > 1 else ""
    if len(faces) == 1:
        return 0, ""
    largest = max(range(len(faces)), key=lambda index: faces[index].area_px)
    if pick == "largest":
        return largest, f"the largest of {len(faces)} faces"
    if pick == "central":
        central = min(range(len(faces)), key=lambda index: _distance_from_middle(faces[index], size_px))
        return central, f"the most central of {len(faces)} faces"
    next_area = max(face.area_px for index, face in enumerate(faces) if index != largest)
    times = faces[largest].area_px / next_area
    if times >= DOMINANT and _distance_from_middle(faces[largest], size_px) <= 0.5:
        return largest, f"the one of {len(faces)} faces that is in the middle and {times:.0f} times as large as others"
    raise SeveralFaces(
        f"the photo shows {len(faces)} faces, and it is not clear which one is meant",
        hint="crop it, or say --pick largest, --pick central, or --pick 2 for the second largest",
    )


def expect_quality(quality: Quality) -> None:
    """Let a face pass that may be enrolled.

    Raises:
        FaceRejected: it is below the gate; the message names the reasons.
    """
    if not quality.passes:
        raise FaceRejected(
            f"the face is {explain(quality)}", hint="take a better photo, or enrol it all the same with --no-gate"
        )


def explain(quality: Quality) -> str:
    """The reasons against a face in words, with the measures behind them."""
    return ", ".join(_WORDS.get(reason, reason).format_map(quality.measures) for reason in quality.reasons)


def _distance_from_middle(face: Face, size_px: tuple[int, int]) -> float:
    """0 in the photo's middle, 1 where the face's middle lies on an edge: the larger of the two directions."""
    x1, y1, x2, y2 = face.box_xyxy_px
    width, height = size_px
    return max(abs((x1 + x2) / width - 1), abs((y1 + y2) / height - 1))
