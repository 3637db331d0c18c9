"""Invented people who are patterns: quick to make, and told apart only by who has learnt them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from likeness.data.dataset import CropFacts, Dataset, Facts
from likeness.data.manifest import Row, Split
from likeness.types import Pixels

SIDE_PX = 32
TEMPLATE = ((10.0, 10.0), (22.0, 10.0), (16.0, 17.0), (11.0, 22.0), (21.0, 22.0))


def pattern(name: str, random: np.random.Generator) -> Pixels:
    """A photo of a person: their own blots, moved, in another light, under noise."""
    own = np.random.default_rng(sum(name.encode()) * 7919 + len(name))
    coarse = own.normal(size=(6, 6, 3))
    whole = np.kron(coarse, np.ones((8, 8, 1)))
    top, left = random.integers(5, 12, 2)
    cut = whole[top : top + SIDE_PX, left : left + SIDE_PX]
    noisy = cut * random.uniform(0.6, 1.2) + random.normal(scale=0.9, size=cut.shape) + random.normal(scale=0.4, size=3)
    pixels: Pixels = np.clip(noisy * 38 + 128, 0, 255).astype(np.uint8)
    return pixels


def write_patterned(folder: Path, names: Sequence[str], *, of_each: int, split: Split = "", seed: int = 0) -> Dataset:
    """A cropped data set with so many photos of each."""
    random = np.random.default_rng(seed)
    rows = []
    for name in names:
        for number in range(of_each):
            path = f"crops/{name}/{number}.png"
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pattern(name, random)).save(folder / path)
            rows.append(Row(path=path, identity=name, split=split, source="patterns", licence="test"))
    facts = CropFacts(side_px=SIDE_PX, template_px=TEMPLATE, detector="none")
    dataset = Dataset(folder, Facts(name="patterns", source="folder", crops=facts, steps=("drawn",)), tuple(rows))
    dataset.write()
    return dataset
