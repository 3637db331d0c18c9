"""Training the detector's second network, on what its first one finds in composed scenes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.train.detector_network import CROP_PX, TEMPLATE_PX, FaceRefiner
from likeness.train.detector_work import Averaged, Schedule
from likeness.train.landmark_pool import FacePool
from likeness.train.refiner_crops import Crops, found_crops, made_crops
from likeness.train.same_work import digest_of
from likeness.train.scene_stream import PlainScenes, loader, mirrored_scene
from likeness.train.scenes import Scene, SceneComposer

LANDMARK_WEIGHT = 30.0
POOLED, MOST_POOLED = 256, 30_000
"""Crops of the pool in a batch, beside those of scenes; and most faces in the pool."""
_BETA = 0.01
"""Share of a crop's side below which the landmarks' loss is quadratic: half a pixel."""
CHECKPOINT, LOG = "refiner.pt", "refiner.jsonl"


def refiner_loss(answers: Tensor, faces: Tensor, offsets: Tensor) -> tuple[Tensor, Tensor]:
    """Cross-entropy of the scores, and smooth L1 of the landmarks of faces: `answers (n, 11)`, `offsets (n, 10)`."""
    score = functional.binary_cross_entropy_with_logits(answers[:, 0], faces)
    apart = functional.smooth_l1_loss(answers[:, 1:], offsets, beta=_BETA, reduction="none").mean(1)
    return score, (apart * faces).sum() / faces.sum().clamp(min=1)


def train_refiner(
    composer: SceneComposer,
    finder: nn.Module,
    held: Sequence[Scene],
    folder: Path,
    schedule: Schedule,
    *,
    say: Callable[[str], None] = print,
) -> FaceRefiner:
    """Train a refiner on what `finder` finds, as `train_finder` trains: a checkpoint and a line after each epoch.

    Raises:
        RunDiffers: the training in the folder has another schedule or finder, or other faces, pictures or scenes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    weights = (value.cpu().contiguous().numpy().tobytes() for value in finder.state_dict().values())
    rests_on = {**composer.work(), "finder": digest_of(weights), "pool": [POOLED, MOST_POOLED]}
    work = Averaged(FaceRefiner, schedule, rests_on)
    begun = work.restore(folder / CHECKPOINT)
    pool = FacePool.gather(composer.faces, composer.usable, MOST_POOLED) if begun < schedule.epochs else None
    watched = held_crops(finder, held) if held else None
    for epoch in range(begun, schedule.epochs):
        start = time.monotonic()
        assert pool is not None
        losses = _run_epoch(work, finder, composer, pool, epoch)
        figures = measure_refiner(work.average, watched) if watched is not None else None
        seconds = time.monotonic() - start
        work.save(folder / CHECKPOINT, epoch + 1, seconds)
        line = {"epoch": epoch + 1, **losses, "seconds": seconds}
        if figures is not None:
            line |= {"error": figures.error, "wrong": figures.wrong}
        with (folder / LOG).open("a", encoding="utf-8") as log:
            log.write(json.dumps(line) + "\n")
        words = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in line.items() if name != "epoch")
        say(f"Refiner, epoch {epoch + 1}/{schedule.epochs}: {words}")
    return work.average


def _run_epoch(
    work: Averaged[FaceRefiner], finder: nn.Module, composer: SceneComposer, pool: FacePool, epoch: int
) -> dict[str, float]:
    work.network.train()
    finder.eval()
    schedule = work.schedule
    rng, sums = np.random.default_rng((schedule.seed, epoch)), np.zeros(2)
    stream = PlainScenes(composer, size=schedule.size, batches=schedule.batches, seed=(schedule.seed, epoch, 1))
    for number, scenes in enumerate(loader(stream, schedule.workers)):
        # Each scene twice: composing takes longer than learning.
        both = [*scenes, *(mirrored_scene(rng, scene) for scene in scenes)]
        made = [crop for scene in both for crop in made_crops(rng, scene)]
        crops = Crops.join([*made, *found_crops(finder, both, half=work.half)])
        pooled, places = pool.batch(rng, POOLED)
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=work.half):
            pixels = torch.from_numpy(crops.pixels).permute(0, 3, 1, 2).float()
            answers = work.network(torch.cat([pixels, pooled]).contiguous(memory_format=torch.channels_last)).float()
        own = len(pixels)
        score, scene_landmark = refiner_loss(
            answers[:own], torch.from_numpy(crops.faces), torch.from_numpy(crops.offsets)
        )
        _, pool_landmark = refiner_loss(answers[own:], torch.ones(len(pooled)), places)
        landmark = (scene_landmark + 2 * pool_landmark) / 3
        work.learn(score + LANDMARK_WEIGHT * landmark, epoch * schedule.batches + number)
        sums += [float(score.detach()), float(landmark.detach())]
    score_mean, landmark_mean = (sums / schedule.batches).round(6).tolist()
    return {"score": score_mean, "landmark": landmark_mean}


@dataclass(frozen=True, slots=True)
class RefinerFigures:
    """On what a finder found in held scenes.

    Attributes:
        error: the landmarks' mean error as a share of the distance between the template's eyes.
        wrong: share of crops that are judged wrongly at one half.
    """

    error: float
    wrong: float


def held_crops(finder: nn.Module, scenes: Sequence[Scene], *, size: int = 50) -> Crops:
    """What the finder takes for faces in scenes."""
    parts: list[Crops] = []
    for start in range(0, len(scenes), size):
        parts += found_crops(finder.eval(), list(scenes[start : start + size]))
    empty = Crops(np.empty((0, CROP_PX, CROP_PX, 3), np.uint8), np.empty(0, np.float32), np.empty((0, 10), np.float32))
    return Crops.join([empty, *parts])


@torch.inference_mode()
def measure_refiner(refiner: nn.Module, crops: Crops) -> RefinerFigures:
    """How a refiner does on crops."""
    if not len(crops.faces):
        return RefinerFigures(0.0, 0.0)
    answers = refiner.eval()(torch.from_numpy(crops.pixels).permute(0, 3, 1, 2).float()).numpy()
    wrong = float(((answers[:, 0] > 0) != (crops.faces > 0.5)).mean())
    face = crops.faces > 0.5
    eyes = (TEMPLATE_PX[1][0] - TEMPLATE_PX[0][0]) / CROP_PX
    apart = (answers[face, 1:] - crops.offsets[face]).reshape(-1, 5, 2)
    return RefinerFigures(float(np.linalg.norm(apart, axis=2).mean()) / eyes if face.any() else 0.0, wrong)
