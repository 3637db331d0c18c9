"""Small data sets of the sample people, varied so much that only who has learnt faces tells them apart."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from likeness.data.dataset import CropFacts, Dataset, Facts
from likeness.data.manifest import Row
from likeness.types import Pixels

SIDE_PX = 80
LEARNT = 8
"""Of the twelve sample people so many are in the split train; the others validate."""


def varied(crop: Pixels, random: np.random.Generator) -> Pixels:
    """The face turned, shifted and cut closer, its colours gone, another light and a colour cast laid over it.

    What is left of a person is the drawing of the face: mean colours and brightness tell nothing.
    """
    side = len(crop)
    shift = tuple(random.uniform(-0.04, 0.04, 2) * side)
    turned = Image.fromarray(crop).rotate(random.uniform(-10, 10), Image.Resampling.BILINEAR, translate=shift)
    inner = side / random.uniform(1.25, 1.4)
    edge = (side - inner) / 2
    box = (edge, edge, side - edge, side - edge)
    cut = turned.resize((SIDE_PX, SIDE_PX), Image.Resampling.BICUBIC, box=box)
    grey = np.asarray(cut).astype(np.float64).mean(axis=2, keepdims=True)
    plain = (grey - grey.mean()) / grey.std()
    cast = random.uniform(0.6, 1.4, 3)
    pixels: Pixels = np.clip((plain * random.uniform(25, 60) + random.uniform(80, 170)) * cast, 0, 255).astype(np.uint8)
    return pixels


def write_varied(crops: Dataset, folder: Path, *, of_each: int, seed: int = 0) -> Dataset:
    """A data set with so many variations of each crop; the first people by name are train, the others validation."""
    random = np.random.default_rng(seed)
    names = sorted({row.identity for row in crops.rows})
    rows = []
    for row in sorted(crops.rows, key=lambda row: row.path):
        pixels = np.asarray(Image.open(crops.path(row)).convert("RGB"))
        for number in range(of_each):
            path = f"crops/{row.identity}/{Path(row.path).stem}-{number}.png"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(varied(pixels, random)).save(folder / path)
            split = "train" if names.index(row.identity) < LEARNT else "validation"
            rows.append(Row(path=path, identity=row.identity, split=split, source="samples", licence="test"))
    assert crops.facts.crops is not None
    facts = CropFacts(
        side_px=SIDE_PX, template_px=crops.facts.crops.template_for(SIDE_PX), detector=crops.facts.crops.detector
    )
    dataset = Dataset(folder, Facts(name="varied", source="folder", crops=facts, steps=("varied",)), tuple(rows))
    dataset.write()
    return dataset


@dataclass(frozen=True)
class Said:
    """What came of a command."""

    code: int
    out: str
    err: str
