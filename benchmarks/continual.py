"""Continual learning: a network meets several batches of new people, in three ways; what each learns and forgets.

    python continual.py --data lfw-crops --out work --json results/continual.json --picture ../docs/continual.png

*protected* is `likeness train --continue`: exemplars of the old people, and distillation from the previous network.
*naive* fine-tunes on the new people alone. *retrained* begins each time with the first network and learns all photos of
all people so far. All three begin with the same network, have the same photos, epochs and learning rates, and are
measured on the same held photos, on strangers (people of the split test, never learnt), and on galleries made by the
first network. What is measured is the exported ONNX file. A run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import continual_page
import telling
from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row, Split
from likeness.evaluate.report import read_report
from likeness.settings import Settings
from likeness.train.continual import continue_bundle
from likeness.train.material import by_person
from likeness.train.memory import HELD, STEPS, Memory, copy_photo, rows_used
from likeness.train.recipe import load_recipe
from likeness.train.step_figures import over_budget
from likeness.train.steps import Asked, Places

BUDGET = 0.02
STRATEGIES: dict[str, dict[str, Any]] = {
    "protected": {},
    "naive": {"rehearse": False, "protect": False},
    "retrained": {"protect": False, "exemplars": 100_000},
}
LEAST, MOST = 5, 6
"""Photos of a person; of those with more, so many are drawn."""


@dataclass(frozen=True)
class Study:
    """What the trials share."""

    start: Bundle
    batches: list[Dataset]
    strangers: Dataset
    out: Path
    options: argparse.Namespace
    settings: Settings


def main() -> None:
    parser = telling.arguments(__doc__)
    parser.add_argument("--out", type=Path, required=True, help="Folder of the work.")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--start", default="dlib-resnet-int8", help="The network that begins.")
    parser.add_argument("--rates", type=float, nargs="+", default=[5e-5, 3e-4])
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--people", type=int, default=50, help="People of a batch.")
    parser.add_argument("--strangers", type=int, default=120)
    parser.add_argument("--exemplars", type=int, default=300)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    settings = Settings.load({"embedder": options.start})
    dataset = Dataset.read(options.data)
    study = Study(
        settings.library(print).find(options.start),
        [_batch(dataset, options, number) for number in range(options.steps + 1)],
        _written(dataset, _strangers(dataset, options.strangers), options.out / "strangers", "test"),
        options.out,
        options,
        settings,
    )
    rows: list[dict[str, Any]] = []
    for rate in options.rates:
        for strategy in STRATEGIES:
            rows += _trial(study, strategy, rate)
            _write(study, dataset, rows)


def _batch(dataset: Dataset, options: argparse.Namespace, number: int) -> Dataset:
    """So many people of the split train; the first batch is known from the start."""
    groups = by_person(dataset.of_split("train"))
    random = np.random.default_rng(0)
    names = [name for name in sorted(groups) if len(groups[name]) >= LEAST]
    names = random.permutation(names).tolist()[number * options.people : (number + 1) * options.people]
    if len(names) < options.people:
        raise SystemExit(f"the split train has too few people with {LEAST} photos for batch {number}")
    rows = []
    for name in sorted(names):
        *learnt, one, two = _few(groups[name], MOST)
        rows += [*learnt, *(replace(row, labels={"use": HELD}) for row in (one, two))]
    return _written(dataset, rows, options.out / f"batch-{number}", "")


def _strangers(dataset: Dataset, most: int) -> list[Row]:
    groups = {name: rows for name, rows in by_person(dataset.of_split("test")).items() if len(rows) > 1}
    return [row for name in sorted(groups)[:most] for row in _few(groups[name], 3)]


def _few(rows: Sequence[Row], most: int) -> list[Row]:
    order = np.random.default_rng(len(rows)).permutation(len(rows))[:most]
    return [rows[at] for at in sorted(order)]


def _written(dataset: Dataset, rows: Sequence[Row], folder: Path, split: Split) -> Dataset:
    for row in rows:
        copy_photo(dataset.path(row), folder / row.path)
    chosen = Dataset(folder, dataset.facts, tuple(replace(row, split=split) for row in rows))
    chosen.write()
    return chosen


def _trial(study: Study, strategy: str, rate: float) -> list[dict[str, Any]]:
    """The steps of one strategy at one learning rate."""
    folder = study.out / f"{rate:g}" / strategy
    bundle, rows = study.start, []
    for step in range(1, study.options.steps + 1):
        whole = strategy == "retrained"
        place = folder / f"step-{step}" if whole else folder
        kept = folder / f"step-{step}.json"
        name = f"step-{step}"
        if not kept.exists():
            if not (place / "models" / name).exists():
                people = _union(study, step) if whole else study.batches[step].folder
                _step(study, strategy, rate, study.start if whole else bundle, people, place, name)
            row = _figures(study, Memory.read(place / "memory"), strategy, rate, step)
            kept.write_text(json.dumps(row, indent=1) + "\n", "utf-8")
            print(json.dumps(row), flush=True)
        bundle = Bundle.read(place / "models" / name)
        rows.append(json.loads(kept.read_text("utf-8")))
    return rows


def _union(study: Study, step: int) -> Path:
    """All photos of the batches since the first, as one data set."""
    folder = study.out / f"union-{step}"
    rows = [row for batch in study.batches[1 : step + 1] for row in batch.rows]
    for batch in study.batches[1 : step + 1]:
        for row in batch.rows:
            copy_photo(batch.path(row), folder / row.path)
    Dataset(folder, study.batches[0].facts, tuple(rows)).write()
    return folder


def _step(study: Study, strategy: str, rate: float, start: Bundle, people: Path, place: Path, name: str) -> None:
    changes = [
        f"optimiser.learning_rate={rate}",
        f"loop.epochs={study.options.epochs}",
        "loop.precision=bfloat16",
        "data.workers=0",
    ]
    begun = (place / "memory" / "memory.json").is_file()
    told: dict[str, Any] = {
        "budget": 1.0,  # so that every way goes on to the end; what BUDGET would have refused is written down
        "exemplars": study.options.exemplars,
        "old": None if begun else study.batches[0].folder,
        "verify": (study.strangers, "test"),
    }

    @contextmanager
    def watch(what: str) -> Iterator[Any]:
        yield lambda done, total: None

    continue_bundle(
        start,
        people,
        load_recipe("continue", changes),
        Places(place / "memory", place / "models", name),
        Asked(**(told | STRATEGIES[strategy])),
        settings=study.settings,
        say=lambda text: print(f"{strategy} {rate:g} {name}: {text}", flush=True),
        watch=watch,
    )


def _figures(study: Study, memory: Memory, strategy: str, rate: float, step: int) -> dict[str, Any]:
    report = read_report(memory.folder / STEPS / f"{memory.step:03d}" / "report")
    home = {row.identity: number for number, batch in enumerate(study.batches) for row in batch.rows}
    held = rows_used(memory.dataset.rows, HELD)
    right: dict[str, dict[str, float]] = {}
    for measure in ("named", "found"):
        for number in range(step + 1):
            letters = [str(row.label(measure))[-1] for row in held if home[row.identity] == number]
            right.setdefault(measure, {})[str(number)] = float(np.mean([letter == "y" for letter in letters]))
    return {
        "strategy": strategy,
        "learning_rate": rate,
        "step": step,
        "people": report["data"]["people"],
        "photos_learnt": report["data"]["photos"],
        **right,
        "at_start": report["steps"][0]["named"],
        "old_people": report["old_people"],
        "new_people": report["new_people"],
        "verification": report["verification"],
        "old_galleries": report["old_galleries"],
        "forgetting": report["forgetting"]["named"],
        "refused": over_budget(report, BUDGET, keep_space=False),
        "new_space": any(part["lost"] > BUDGET for part in report["old_galleries"].values() if part),
        "training_seconds": report["training"]["seconds"],
        "last_epoch": report["training"]["epochs"][-1],
    }


def _write(study: Study, dataset: Dataset, rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["average_forgetting"] = _average_forgetting(rows, row)
    told = {key: value for key, value in vars(study.options).items() if not isinstance(value, Path)}
    telling.write_results(
        study.options.json,
        dataset,
        rows,
        "likeness torch lightning onnxruntime",
        what="batches of new people, learnt with protection, without, and all anew",
        start=study.start.manifest.name,
        held_photos=2,
        options=told,
        budget=BUDGET,
    )
    if study.options.picture:
        study.options.picture.write_bytes(continual_page.draw(rows))
    print(continual_page.table(rows), flush=True)


def _average_forgetting(rows: list[dict[str, Any]], row: dict[str, Any]) -> float:
    """Chaudhry et al. 2018, over the batches before this step; see `likeness.train.forgetting`."""
    mine = [
        each for each in rows if (each["strategy"], each["learning_rate"]) == (row["strategy"], row["learning_rate"])
    ]
    course = {0: {"0": row["at_start"]["0"]}} | {each["step"]: each["named"] for each in mine}
    lost = [
        max(named[str(batch)] for step, named in course.items() if batch <= step < row["step"])
        - row["named"][str(batch)]
        for batch in range(row["step"])
    ]
    return float(np.mean(lost))


if __name__ == "__main__":
    main()
