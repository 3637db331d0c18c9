"""Encodings of the face_recognition library against our own: the same faces, and how well either finds the next photo.

    python benchmarks/imported.py --people 200 --json results/imported.json

Of each of some people of LFW the first photo is encoded by the real library and by us, the second one is the probe,
always by us. A person counts where both find a face on the first photo; whether it is the same face is told by the
similarity of the two (0.9 at least: other faces on the photo are far below).
"""

from __future__ import annotations

import argparse
import json
import os
import random
from pathlib import Path
from typing import Any

import numpy as np

import machine
import peer
from likeness.recognizer import Recognizer
from likeness.settings import Settings
from likeness.types import Vector

DATA = Path(os.environ.get("LIKENESS_DATA", "../shared/data"))
SAME_FACE = 0.9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=200)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    folders = sorted(each for each in (DATA / "lfw").rglob("*") if each.is_dir() and len(list(each.glob("*.jpg"))) >= 2)
    chosen = random.Random(asked.seed).sample(folders, asked.people)
    facts = {
        "machine": machine.describe("face_recognition", "dlib-bin", "numpy", "onnxruntime"),
        "seed": asked.seed,
        "asked": asked.people,
    } | measured(chosen)
    print(json.dumps(facts, indent=1))
    if asked.json:
        asked.json.write_text(json.dumps(facts, indent=1) + "\n")


def measured(folders: list[Path]) -> dict[str, Any]:
    """Figures over people: their encodings, our embeddings of the same faces, and the probes."""
    library, recognizer = peer.face_recognition(), Recognizer(Settings.load(), threads=1)
    theirs, ours, probes = [], [], []
    for folder in folders:
        first, second = sorted(folder.glob("*.jpg"))[:2]
        found = library.face_encodings(library.load_image_file(first))
        mine, probe = (recognizer.faces(recognizer.photo(path)) for path in (first, second))
        if not (found and mine and probe):
            continue
        assert mine[0].embedding is not None
        assert probe[0].embedding is not None
        nearest = max((row / np.linalg.norm(row) for row in found), key=lambda row: float(row @ mine[0].embedding))
        if float(nearest @ mine[0].embedding) < SAME_FACE:
            continue
        theirs.append(nearest.astype(np.float32))
        ours.append(mine[0].embedding)
        probes.append(probe[0].embedding)
    same = np.sum(np.stack(theirs) * np.stack(ours), axis=1)
    return {
        "people": len(theirs),
        "same_face": {"mean": rounded(same.mean()), "least": rounded(same.min())},
        "imported_encodings": figures(np.stack(probes), np.stack(theirs)),
        "own_embeddings": figures(np.stack(probes), np.stack(ours)),
    }


def figures(probes: Vector, enrolled: Vector) -> dict[str, float]:
    """Similarities of the same people and of strangers, and the share of probes whose nearest is the right person."""
    similarities = probes @ enrolled.T
    own = np.diag(similarities)
    others = similarities[~np.eye(len(probes), dtype=bool)]
    return {
        "same_person_mean": rounded(own.mean()),
        "strangers_mean": rounded(others.mean()),
        "strangers_99_9_percent_below": rounded(np.percentile(others, 99.9)),
        "rank_1": rounded((similarities.argmax(axis=1) == np.arange(len(probes))).mean()),
    }


def rounded(value: Any) -> float:
    """To four digits."""
    return round(float(value), 4)


if __name__ == "__main__":
    main()
