"""False-match rates among strangers of one age, gender or group, at the threshold stated for random strangers.

UTKFace's labels say how people look, no more. Its photos carry no names: a few people appear twice, so that the rates
found are a little too high. Pairs of similarity 0.985 and more are taken for copies of one photo and left out.

    python benchmarks/strangers.py --photos 6000 --json results/strangers.json
"""

from __future__ import annotations

import argparse
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

import machine
from likeness.errors import PhotoError
from likeness.recognizer import Recognizer
from likeness.settings import Settings

DATA = Path(os.environ.get("LIKENESS_DATA", "../shared/data")) / "utkface"
COPIES = 0.985
STATED = 1e-3
GENDERS = ("men", "women")
GROUPS = ("White", "Black", "Asian", "Indian", "others")
AGES = ((0, 3), (3, 12), (12, 20), (20, 30), (30, 45), (45, 60), (60, 120))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=6000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    recognizer = Recognizer(Settings(), threads=1)
    vectors, labels = embed(recognizer, options.photos)
    threshold = recognizer.calibration.threshold(STATED)
    rows = [rate(name, vectors[chosen], threshold) for name, chosen in selections(labels)]
    report = {
        "what": "share of pairs of strangers at or above the threshold stated for a false-match rate of 0.001",
        "data": "UTKFace, a seeded sample",
        "photos_with_a_face": len(vectors),
        "threshold": threshold,
        "stated": STATED,
        "rows": rows,
        "machine": machine.describe("likeness", "onnxruntime"),
    }
    for row in rows:
        print(f"{row['among']:28} {row['photos']:6} photos {row['pairs']:10} pairs  {row['false_match_rate']:.5f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def embed(recognizer: Recognizer, count: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Embeddings `(n, d)` and labels `(n, 3)`: age in years, gender, group."""
    photos = [path for path in sorted(DATA.glob("*.jpg")) if len(path.name.split("_")) == 4]
    random.Random(0).shuffle(photos)
    chosen = photos[:count]
    vectors, labels = [], []
    found = recognizer.map(lambda path: _largest(recognizer, path), chosen)
    for path, vector in zip(chosen, track(found, "UTKFace", total=len(chosen)), strict=True):
        if vector is not None:
            vectors.append(vector)
            labels.append([int(word) for word in path.name.split("_")[:3]])
    return np.stack(vectors), np.array(labels)


def _largest(recognizer: Recognizer, path: Path) -> Any:
    try:
        faces = recognizer.faces(path, attributes=False, largest=True)
    except PhotoError:
        return None
    return faces[0].embedding if faces else None


def selections(labels: NDArray[np.int64]) -> list[tuple[str, NDArray[np.bool_]]]:
    """Who is compared with whom: everybody, then each group, gender, age band, among themselves."""
    age, gender, group = labels.T
    chosen = [("everybody", np.ones(len(labels), bool))]
    chosen += [(name, gender == number) for number, name in enumerate(GENDERS)]
    chosen += [(name, group == number) for number, name in enumerate(GROUPS)]
    chosen += [(f"{low} to {high - 1} years", (age >= low) & (age < high)) for low, high in AGES]
    for place, name in enumerate(GROUPS[:4]):
        for number, words in enumerate(GENDERS):
            adults = (group == place) & (gender == number) & (age >= 20) & (age < 45)
            chosen.append((f"{name} {words}, 20 to 44", adults))
    return chosen


def rate(name: str, vectors: NDArray[np.float32], threshold: float) -> dict[str, Any]:
    """The false-match rate among these faces."""
    above = pairs = 0
    for start in range(0, len(vectors), 1000):
        block = vectors[start : start + 1000] @ vectors[start:].T
        upper = np.triu(np.ones(block.shape, bool), 1) & (block < COPIES)
        pairs += int(upper.sum())
        above += int((block[upper] >= threshold).sum())
    return {
        "among": name,
        "photos": len(vectors),
        "pairs": pairs,
        "false_matches": above,
        "false_match_rate": above / max(pairs, 1),
    }


if __name__ == "__main__":
    main()
