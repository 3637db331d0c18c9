"""Persona's table: a teacher and its students on one test split, in one run.

    python benchmarks/students.py --data lfw-crops --teacher dlib-resnet-int8 --student RUN --json FILE

Each RUN is a folder of `likeness distil`; it is exported (floats) beside its record unless that was done. Measured on
people of the split test, whom nobody learnt: match accuracy over the split's triplets; class accuracy, the share of
photos whose person's centre (the mean over the person's other half of photos) is the nearest of all; both also across
networks, students' photos against the teacher's centres.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

import machine
from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.evaluate.dataset import embed_dataset
from likeness.evaluate.sample import Sample
from likeness.evaluate.triplets import match_triplets
from likeness.settings import Settings
from likeness.train.distil_export import export_distillation
from likeness.train.distillation import Distillation
from likeness.train.parity import ms_a_face
from likeness.types import Vector

LEAST_PHOTOS = 4
"""Of a person, for class accuracy: half of them make the centre."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--teacher", required=True)
    parser.add_argument("--student", type=Path, action="append", default=[], help="folder of a distillation; repeat")
    parser.add_argument("--bundle", action="append", default=[], help="a finished bundle beside them; repeat")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    settings = Settings.load()
    library, dataset = settings.library(print), Dataset.read(options.data)
    bundles = [library.find(name) for name in (options.teacher, *options.bundle)]
    bundles += [exported(folder, dataset) for folder in options.student]
    rows = dataset.of_split("test")
    with Progress() as bar:
        task = bar.add_task("photos")

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        cache = Path(settings.cache) / "evaluation"
        embedded = [embed_dataset(bundle, dataset, rows, cache, told) for bundle in bundles]
    people = np.array([person_key(row.identity) for row in rows])
    table = []
    for bundle, faces in zip(bundles, embedded, strict=True):
        sample = Sample(people=people, embedded=faces, paths=[row.path for row in rows])
        triplets = match_triplets(sample, rows)
        table.append(
            {
                "name": bundle.manifest.name,
                "match_accuracy": triplets["match_accuracy"],
                "match_accuracy_interval": triplets["match_accuracy_interval"],
                "class_accuracy": class_accuracy(faces.vectors, faces.vectors, rows),
                "class_accuracy_against_teachers_centres": class_accuracy(faces.vectors, embedded[0].vectors, rows),
                "megabytes": bundle.manifest.files["model"].bytes / 1e6,
                "ms_a_face": speed(bundle),
            }
            | told_of(bundle)
        )
    report = {
        "what": "a teacher and its students on people whom nobody learnt",
        "data": f"{dataset.facts.name}, split test",
        "photos": len(rows),
        "people": len(set(people)),
        "people_in_classes": sum(len(at) >= LEAST_PHOTOS for at in places(rows).values()),
        "machine": machine.describe("likeness", "torch", "timm", "onnxruntime"),
        "rows": table,
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=1) + "\n", "utf-8")
    for row in table:
        print(f"{row['name']:24} match {row['match_accuracy']:.2%}  class {row['class_accuracy']:.2%}  "
              f"against the teacher's {row['class_accuracy_against_teachers_centres']:.2%}  "
              f"{row['megabytes']:.1f} MB  {row['ms_a_face']:.2f} ms")  # fmt: skip


def exported(folder: Path, dataset: Dataset) -> Bundle:
    """The bundle of a distillation, in floats, made where it is not there or is of another state of it."""
    record = Distillation.read(folder)
    target = folder / record.recipe.name
    if target.exists():
        bundle = Bundle.read(target)
        if bundle.manifest.origin["epochs"] == len(record.epochs):
            return bundle
    return export_distillation(folder, target, name=target.name, replace=True, say=print).bundle


def told_of(bundle: Bundle) -> dict[str, Any]:
    """How a student came to be."""
    origin = bundle.manifest.origin
    if "teacher" not in origin:
        return {}
    facts = {key: origin[key] for key in ("teacher", "epochs", "data", "machine", "commit", "agreement")}
    return facts | {"minutes": round(origin["seconds"] / 60, 1)}


def places(rows: tuple[Row, ...]) -> dict[str, list[int]]:
    """Each person's places among the rows."""
    found: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        found.setdefault(person_key(row.identity), []).append(at)
    return found


def class_accuracy(probes: Vector, gallery: Vector, rows: tuple[Row, ...]) -> float:
    """Each person's second half of photos, in the rows' order, against all people's centres of the first half."""
    people = [at for at in places(rows).values() if len(at) >= LEAST_PHOTOS]
    centres = np.stack([gallery[at[: len(at) // 2]].mean(axis=0) for at in people])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    asked: NDArray[np.intp] = np.concatenate([at[len(at) // 2 :] for at in people])
    known = np.repeat(np.arange(len(people)), [len(at) - len(at) // 2 for at in people])
    return float(((probes[asked] @ centres.T).argmax(axis=1) == known).mean())


def speed(bundle: Bundle) -> float:
    """Milliseconds for one face on one core."""
    embedder = bundle.load(threads=1)
    crop = np.random.default_rng(0).integers(0, 256, (1, embedder.side_px, embedder.side_px, 3), np.uint8)
    return ms_a_face(lambda: embedder.embed(crop), 1, runs=50)


if __name__ == "__main__":
    main()
