"""Training the network that finds faces, on scenes composed as it goes; stopped anywhere, it goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from likeness.train.detector_losses import decode_maps, finder_loss
from likeness.train.detector_network import FaceFinder
from likeness.train.detector_work import Averaged, Schedule
from likeness.train.scene_stream import SceneStream, as_batch, loader
from likeness.train.scenes import Scene, SceneComposer
from likeness.train.teacher_faces import overlaps
from likeness.types import Vector
from likeness.vision.detect import suppress
from likeness.vision.single_shot import places

SCORES = (0.3, 0.5)
"""Least scores that the figures of an epoch are at."""
CHECKPOINT, LOG = "finder.pt", "finder.jsonl"
_MATCH = 0.4
_NEIGHBOURS = 0.4


@dataclass(frozen=True, slots=True)
class SceneFigures:
    """How a detector does on composed scenes, at a score.

    Attributes:
        recall: share of the wanted faces found. extra: detections that are no face, a scene.
        landmark_error: mean distance as a share of the distance between the eyes, of the faces found.
    """

    score: float
    recall: float
    extra: float
    landmark_error: float


def train_finder(
    composer: SceneComposer,
    held: Sequence[Scene],
    folder: Path,
    schedule: Schedule,
    *,
    say: Callable[[str], None] = print,
) -> FaceFinder:
    """Train a finder, writing a checkpoint and a line of figures into `folder` after each epoch; its averaged weights.

    Goes on where a training in the folder stopped; it may be longer or shorter than was planned then.

    Raises:
        RunDiffers: the training in the folder has another schedule, or other faces, pictures or scenes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    work = Averaged(FaceFinder, schedule, composer.work())
    for epoch in range(work.restore(folder / CHECKPOINT), schedule.epochs):
        start = time.monotonic()
        stream = SceneStream(composer, size=schedule.size, batches=schedule.batches, seed=(schedule.seed, epoch))
        losses = _run_epoch(work, stream, epoch)
        figures = [measure_finder(work.average, held, score) for score in SCORES] if held else []
        seconds = time.monotonic() - start
        work.save(folder / CHECKPOINT, epoch + 1, seconds)
        line = {"epoch": epoch + 1, **losses, "seconds": seconds, "held": [asdict(each) for each in figures]}
        with (folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        words = [", ".join(f"{name} {value:.3f}" for name, value in losses.items())]
        words += [f"at {each.score}: recall {each.recall:.3f}, extra {each.extra:.3f}, "
                  f"landmarks {each.landmark_error:.4f}" for each in figures]  # fmt: skip
        say(f"Finder, epoch {epoch + 1}/{schedule.epochs} ({seconds:.0f} s): {'; '.join(words)}")
    return work.average


def _run_epoch(work: Averaged[FaceFinder], stream: SceneStream, epoch: int) -> dict[str, float]:
    """All batches of one epoch; mean losses."""
    work.network.train()
    sums = np.zeros(3)
    for number, batch in enumerate(loader(stream, work.schedule.workers)):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=work.half):
            maps = work.network(batch.pixels.permute(0, 3, 1, 2).float())
        maps = type(maps)(*(part.float() for part in maps))
        loss = finder_loss(maps, *_places(batch.pixels), batch.kinds, batch.boxes, batch.landmarks)
        work.learn(loss.total, epoch * work.schedule.batches + number)
        sums += [float(part.detach()) for part in loss[1:]]
    means = (sums / len(stream)).round(5).tolist()
    return dict(zip(("score", "box", "landmark"), means, strict=True))


def _places(pixels: Tensor) -> tuple[Tensor, Tensor]:
    centres, strides = places(pixels.shape[1], pixels.shape[2])
    return torch.tensor(centres), torch.tensor(strides)


@torch.inference_mode()
def measure_finder(finder: nn.Module, scenes: Sequence[Scene], score: float, *, size: int = 50) -> SceneFigures:
    """The figures of a finder on scenes of one size."""
    finder.eval()
    wanted = found = extra = 0
    errors: list[float] = []
    for start in range(0, len(scenes), size):
        part = list(scenes[start : start + size])
        pixels = as_batch(part).pixels
        maps = finder(pixels.permute(0, 3, 1, 2).float())
        boxes, marks = decode_maps(maps, *_places(pixels))
        scores = maps.scores.sigmoid()
        for index, scene in enumerate(part):
            sure = scores[index] > score
            seen, sites = boxes[index][sure].numpy(), marks[index][sure].numpy()
            kept = suppress(seen, scores[index][sure].numpy(), _NEIGHBOURS)
            wrong, others = match_scene(scene, seen[kept], sites[kept])
            wanted, found, extra = wanted + int(scene.wanted.sum()), found + len(wrong), extra + others
            errors += wrong
    return SceneFigures(score, found / max(wanted, 1), extra / max(len(scenes), 1), float(np.mean(errors or [1.0])))


def match_scene(scene: Scene, boxes: Vector, landmarks: Vector) -> tuple[list[float], int]:
    """The landmarks' error, in eye distances, of each wanted face that was found; how many detections are no face."""
    if not len(boxes):
        return [], 0
    shared = overlaps(boxes, scene.boxes_xyxy_px)
    extra = int((shared.max(axis=1) < _MATCH).sum()) if shared.shape[1] else len(boxes)
    errors = []
    for face in np.flatnonzero(scene.wanted):
        best = int(shared[:, face].argmax())
        if shared[best, face] >= _MATCH:
            true = scene.landmarks_px[face]
            eyes = max(float(np.linalg.norm(true[1] - true[0])), 1e-6)
            errors.append(float(np.linalg.norm(landmarks[best] - true, axis=1).mean()) / eyes)
    return errors, extra
