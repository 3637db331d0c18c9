"""Composed scenes as batches of tensors, made by a process of their own."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, IterableDataset

from likeness.train.detector_targets import assign
from likeness.train.scenes import LEAST_FACE_PX, MOST_HIDDEN, Scene, SceneComposer
from likeness.train.teacher_faces import mirrored
from likeness.train.weathering import relight
from likeness.vision.detect import Detections

T = TypeVar("T")
_WAITING = 512
_AGAIN = 0.75
_ZOOM = (-0.4, 0.35)


@dataclass(frozen=True, slots=True)
class Batch:
    """Scenes `(n, h, w, 3)` uint8 and their targets, as in `Targets`, each with `n` before."""

    pixels: Tensor
    kinds: Tensor
    boxes: Tensor
    landmarks: Tensor


class SceneStream(IterableDataset[Batch]):
    """Batches of one epoch. Each scene comes three times, later mirrored, and nearer or farther, in other light.

    Composing takes longer than learning: this gives the network more to see in the same time.
    """

    def __init__(self, composer: SceneComposer, *, size: int, batches: int, seed: tuple[int, ...]) -> None:
        self._composer, self._size, self._batches, self._seed = composer, size, batches, seed

    def __len__(self) -> int:
        return self._batches

    def __iter__(self) -> Iterator[Batch]:
        scenes = self._scenes()
        for _ in range(self._batches):
            yield as_batch([next(scenes) for _ in range(self._size)])

    def _scenes(self) -> Iterator[Scene]:
        order, waiting = np.random.default_rng(self._seed), list[Scene]()
        index = 0
        while True:
            if len(waiting) > 1 and order.random() < _AGAIN * min(1.0, 0.5 + len(waiting) / _WAITING):
                place = int(order.integers(len(waiting)))
                waiting[place], waiting[-1] = waiting[-1], waiting[place]
                yield waiting.pop()
            else:
                scene = self._composer.compose(np.random.default_rng((*self._seed, index)))
                index += 1
                waiting += [mirrored_scene(order, scene), zoomed_scene(order, scene)]
                yield scene


def mirrored_scene(rng: np.random.Generator, scene: Scene) -> Scene:
    """A scene's mirror image, in other light."""
    image = relight(rng, Image.fromarray(scene.pixels).transpose(Image.Transpose.FLIP_LEFT_RIGHT), 0.7)
    faces = Detections(scene.boxes_xyxy_px, scene.landmarks_px, np.ones(len(scene.wanted), np.float32))
    turned = mirrored(faces, scene.pixels.shape[1])
    return Scene(np.asarray(image), turned.boxes_xyxy_px, turned.landmarks_px, scene.wanted)


def zoomed_scene(rng: np.random.Generator, scene: Scene) -> Scene:
    """A scene from nearer, in part, or from farther, with black around it; in other light."""
    side = scene.pixels.shape[0]
    zoom = float(np.exp(rng.uniform(*_ZOOM)))
    # Where the picture's corner comes to lie: of a larger one outside, of a smaller one inside.
    corner = rng.random(2) * (side - side * zoom)
    left, top = (-corner / zoom).tolist()
    image = relight(rng, Image.fromarray(scene.pixels), 0.7).transform(
        (side, side), Image.Transform.EXTENT, (left, top, left + side / zoom, top + side / zoom),
        Image.Resampling.BILINEAR,
    )  # fmt: skip
    boxes = scene.boxes_xyxy_px * zoom + np.tile(corner, 2)
    sizes = (boxes[:, 2:] - boxes[:, :2]).mean(axis=1)
    seen = np.maximum(np.minimum(boxes[:, 2:], side) - np.maximum(boxes[:, :2], 0), 0).prod(axis=1)
    whole = np.maximum((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), 1e-6)
    wanted = scene.wanted & (sizes >= LEAST_FACE_PX) & (seen > (1 - MOST_HIDDEN) * whole)
    landmarks = (scene.landmarks_px * zoom + corner).astype(np.float32)
    return Scene(np.asarray(image), boxes.astype(np.float32), landmarks, wanted)


def as_batch(scenes: list[Scene]) -> Batch:
    """Scenes of one size with their targets."""
    targets = [assign(scene) for scene in scenes]
    return Batch(
        torch.from_numpy(np.stack([scene.pixels for scene in scenes])),
        torch.from_numpy(np.stack([target.kinds for target in targets])),
        torch.from_numpy(np.stack([target.boxes_xyxy_px for target in targets])),
        torch.from_numpy(np.stack([target.landmarks_px for target in targets])),
    )


class PlainScenes(IterableDataset[list[Scene]]):
    """Lists of `size` scenes, all new."""

    def __init__(self, composer: SceneComposer, *, size: int, batches: int, seed: tuple[int, ...]) -> None:
        self._composer, self._size, self._batches, self._seed = composer, size, batches, seed

    def __iter__(self) -> Iterator[list[Scene]]:
        for batch in range(self._batches):
            numbers = range(batch * self._size, (batch + 1) * self._size)
            yield [self._composer.compose(np.random.default_rng((*self._seed, number))) for number in numbers]


def loader(stream: IterableDataset[T], workers: int) -> DataLoader[T]:
    """What a stream gives, made by another process (with no `workers` by this one; more than one would repeat it)."""
    return DataLoader(stream, batch_size=None, num_workers=min(workers, 1), prefetch_factor=6 if workers else None)
