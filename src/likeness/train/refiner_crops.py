"""Crops that the detector's second network learns from: faces cut out a little wrong, and what is no face."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from likeness.train.detector_losses import decode_maps
from likeness.train.detector_network import CROP_PX, TEMPLATE_PX, Maps
from likeness.train.scenes import Scene
from likeness.train.teacher_faces import overlaps
from likeness.types import Pixels, Vector
from likeness.vision.align import align, similarity_transform
from likeness.vision.detect import suppress
from likeness.vision.single_shot import places

TEMPLATE = np.array(TEMPLATE_PX, np.float32)
LEAST_FACE_PX = 15.0
_IS_FACE, _IS_NONE = 0.45, 0.25
_SHAKEN = 8
_LEAST_SCORE, _MOST_FOUND = 0.12, 8


@dataclass(frozen=True, slots=True, eq=False)
class Crops:
    """Crops `(n, side, side, 3)`, whether each is a face `(n,)`, and its landmarks' offsets `(n, 10)` if so."""

    pixels: Pixels
    faces: Vector
    offsets: Vector

    @classmethod
    def join(cls, parts: list[Crops]) -> Crops:
        """All of them."""
        return cls(
            np.concatenate([part.pixels for part in parts]),
            np.concatenate([part.faces for part in parts]),
            np.concatenate([part.offsets for part in parts]),
        )


def cut(scene: Scene, rough: Vector, face: int | np.intp | None) -> Crops:
    """One crop of a scene by rough landmarks `(5, 2)`; of the face with this number, or of none."""
    pixels = align(scene.pixels, rough, TEMPLATE, CROP_PX)
    offsets = np.zeros(10, np.float32)
    if face is not None:
        matrix = similarity_transform(rough, TEMPLATE)
        true = scene.landmarks_px[face] @ matrix[:, :2].T + matrix[:, 2]
        offsets = ((true - TEMPLATE) / CROP_PX).astype(np.float32).ravel()
    return Crops(pixels[None], np.array([face is not None], np.float32), offsets[None])


def shaken(rng: np.random.Generator, landmarks: Vector) -> Vector:
    """Landmarks `(5, 2)` moved, scaled and turned together, and each a little by itself."""
    middle, eyes = landmarks.mean(axis=0), float(np.linalg.norm(landmarks[1] - landmarks[0]))
    turn, scale = np.deg2rad(rng.normal(0, 9)), np.exp(rng.normal(0, 0.1))
    linear = scale * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    moved = (landmarks - middle) @ linear.T + middle + rng.normal(0, 0.1 * eyes, 2)
    shifted: Vector = (moved + rng.normal(0, 0.04 * eyes, (5, 2))).astype(np.float32)
    return shifted


def made_crops(rng: np.random.Generator, scene: Scene) -> list[Crops]:
    """Each wanted face some times, by landmarks that are a little wrong; and one place without a face."""
    sizes = (scene.boxes_xyxy_px[:, 2:] - scene.boxes_xyxy_px[:, :2]).mean(axis=1)
    crops = [
        cut(scene, shaken(rng, scene.landmarks_px[face]), face)
        for face in np.flatnonzero(scene.wanted & (sizes >= LEAST_FACE_PX))
        for _ in range(_SHAKEN)
    ]
    side = scene.pixels.shape[0]
    size = 10 * 8 ** rng.random()
    corner = rng.random(2) * (side - 0.5 * size)
    box = np.array([*corner, *(corner + size)], np.float32)
    if not len(sizes) or overlaps(box[None], scene.boxes_xyxy_px).max() < _IS_NONE / 2:
        crops.append(cut(scene, (corner + TEMPLATE / CROP_PX * size).astype(np.float32), None))
    return crops


@torch.inference_mode()
def found_crops(finder: nn.Module, scenes: list[Scene], *, half: bool = False) -> list[Crops]:
    """What a finder takes for faces in scenes of one size: those it is right about, and those it is wrong about.

    With `half` it computes in 16 bits, as it does in training.
    """
    pixels = torch.from_numpy(np.stack([scene.pixels for scene in scenes]))
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=half):
        maps = finder(pixels.permute(0, 3, 1, 2).float())
    maps = Maps(*(part.float() for part in maps))
    centres, strides = places(pixels.shape[1], pixels.shape[2])
    boxes, landmarks = decode_maps(maps, torch.tensor(centres), torch.tensor(strides))
    scores = maps.scores.sigmoid()
    crops = []
    for index, scene in enumerate(scenes):
        sure = scores[index] > _LEAST_SCORE
        seen, marks = boxes[index][sure].numpy(), landmarks[index][sure].numpy()
        for place in suppress(seen, scores[index][sure].numpy(), 0.4)[:_MOST_FOUND]:
            crops += _judged(scene, seen[place], marks[place])
    return crops


def _judged(scene: Scene, box: Vector, landmarks: Vector) -> list[Crops]:
    if (box[2:] - box[:2]).mean() < LEAST_FACE_PX * 0.8:
        return []
    shared = overlaps(box[None], scene.boxes_xyxy_px)[0]
    if not len(shared) or shared.max() < _IS_NONE:
        return [cut(scene, landmarks, None)]
    best = int(shared.argmax())
    return [cut(scene, landmarks, best)] if scene.wanted[best] and shared[best] > _IS_FACE else []
