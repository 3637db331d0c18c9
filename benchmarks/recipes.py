"""The recipes' figures: trainings → bundles → calibration on validation people → test split, in one table.

    python recipes.py --data lfw-crops --runs runs --json results/recipes.json [--reference dlib-resnet-int8]

Each folder below --runs is a training that `likeness train` made on --data. A bundle that is there already is not
exported again. What is measured is the exported ONNX file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.progress import Progress

import telling
from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.evaluate.calibrate import calibrate_dataset
from likeness.evaluate.calibrated import write_calibrated
from likeness.evaluate.dataset import evaluate_dataset
from likeness.evaluate.held import evaluate_classes
from likeness.evaluate.report import write_report
from likeness.settings import Settings
from likeness.train.export import export_run
from likeness.train.run import RECORD, Run


def main() -> None:
    parser = telling.arguments(__doc__)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--reports", type=Path, help="Folder for a report of each bundle.")
    parser.add_argument("--reference", action="append", default=[], help="A bundle to measure beside them; repeat.")
    options = parser.parse_args()
    settings = Settings.load()
    dataset, cache = Dataset.read(options.data), Path(settings.cache) / "evaluation"
    rows = []
    with Progress() as bar:
        task = bar.add_task("photos")

        def told(done: int, total: int) -> None:
            bar.update(task, completed=done, total=total)

        for folder in sorted(path.parent for path in options.runs.glob(f"*/{RECORD}")):
            run = Run.read(folder)
            if run.data.digest != dataset.digest or not run.finished:
                print(f"{folder.name}: not trained on this data, or not to its end, left out")
                continue
            bundle = _bundle(folder, dataset, cache, told)
            rows.append(_row(bundle, dataset, cache, told, options.reports) | _cost(run, bundle))
            rows[-1]["held_class_accuracy"] = _held(bundle, run, dataset, cache, told)
        for name in options.reference:
            rows.append(_row(settings.library(print).find(name), dataset, cache, told, options.reports))
    telling.write_results(
        options.json,
        dataset,
        rows,
        "likeness torch timm lightning onnxruntime",
        what="recipes on a person-disjoint test split",
        splits=dataset.summary(),
    )
    print(_table(rows))


def _bundle(folder: Path, dataset: Dataset, cache: Path, told: Any) -> Bundle:
    target, run = folder / "bundle", Run.read(folder)
    if target.exists():
        bundle = Bundle.read(target)
        if bundle.manifest.origin["seconds"] != run.seconds:
            raise SystemExit(f"{target} is of another state of its training: remove it, and it is exported anew")
    else:
        classifier = run.recipe.task.kind != "triplet"
        bundle = export_run(
            folder, target, dataset=dataset, name=folder.name, keep_classes=classifier, say=print
        ).bundle
    if bundle.has("calibration"):
        return bundle
    calibration = calibrate_dataset(bundle, dataset, "validation", cache=cache, progress=told)
    return write_calibrated(bundle, calibration, None)


def _row(bundle: Bundle, dataset: Dataset, cache: Path, told: Any, reports: Path | None) -> dict[str, Any]:
    found = evaluate_dataset(bundle, dataset, "test", cache=cache, progress=told)
    if reports is not None:
        write_report(found, reports / bundle.manifest.name)
    verified, closed = found["verification"], found["identification"]["closed"]
    return {
        "name": bundle.manifest.name,
        "accuracy": verified["accuracy"],
        "accuracy_interval": verified["accuracy_interval"],
        "equal_error_rate": verified["equal_error_rate"],
        "tar_at_fmr": verified["tar_at_fmr"],
        "rank_1": closed["rank_1"],
        "match_accuracy": found["triplets"]["match_accuracy"],
        "probabilities": {
            key: value for key, value in found.get("probabilities", {}).items() if isinstance(value, int | float)
        },
        "megabytes": found["model"]["megabytes"],
    }


def _cost(run: Run, bundle: Bundle) -> dict[str, Any]:
    recipe = run.recipe
    return {
        "dimension": recipe.network.dimension,
        "side_px": recipe.network.side_px,
        "epochs": len(run.epochs),
        "best_epoch": run.best + 1,
        "batch": recipe.data.batch_size,
        "minutes": round(run.seconds / 60, 1),
        "photos": run.data.photos,
        "people": run.data.people,
        "precision": recipe.loop.precision,
        "began_with": run.started_from or _began(run),
        "trained_on": run.machine,
        "commit": run.commit,
        "parity": bundle.manifest.origin["parity"],
    }


def _began(run: Run) -> str:
    """What the recipe of a record that does not say it leaves open."""
    part = run.recipe.network
    return "random weights" if not part.pretrained and part.weights is None else "not recorded"


def _held(bundle: Bundle, run: Run, dataset: Dataset, cache: Path, told: Any) -> dict[str, Any] | None:
    """Class accuracy on photos of the people learnt that were held back."""
    held = set(run.held)
    rows = [row for row in dataset.rows if row.path in held]
    if not rows or not bundle.has("classes"):
        return None
    found = evaluate_classes(bundle, dataset, rows, cache=cache, progress=told)
    return {key: found[key] for key in ("top_1", "top_1_interval", "top_5", "photos", "people", "chance")}


def _table(rows: list[dict[str, Any]]) -> str:
    columns = [
        "",
        "input, dimension",
        "accuracy (95%)",
        "EER",
        "TAR at FMR 1e-2",
        "rank-1",
        "triplet match",
        "class top-1",
        "trained: epochs, minutes",
        "MB",
    ]
    return telling.table(columns, map(_line, rows))


def _line(row: dict[str, Any]) -> list[object]:
    low, high = row["accuracy_interval"]
    held = row.get("held_class_accuracy")
    return [
        row["name"],
        f"{row['side_px']} px, {row['dimension']}" if "side_px" in row else "—",
        f"{row['accuracy']:.1%} ({low:.1%} to {high:.1%})",
        f"{row['equal_error_rate']:.1%}",
        f"{row['tar_at_fmr']['1e-02']:.1%}",
        f"{row['rank_1']:.1%}",
        f"{row['match_accuracy']:.1%}",
        f"{held['top_1']:.1%}" if held else "—",
        f"{row['epochs']}, {row['minutes']:.0f}" if "epochs" in row else "—",
        row["megabytes"],
    ]


if __name__ == "__main__":
    main()
