"""Train the small embedder `likeness-s` from photos to the bundle and its card; stopped anywhere, it goes on.

    python scripts/train_likeness_s.py --data ../shared/data --work WORK --out src/likeness/bundles/likeness-s

Learns on UTKFace (`DATA/utkface`) only: faces of its split train, as the day-one embedder sees them, and their ages and
genders. LFW (`DATA/lfw`) is never learnt from: its people who are in none of the official 6,000 pairs fit the
probabilities, and are looked at after each epoch; all others measure. UTKFace's split validation fits the intervals of
ages and the probability of genders, its split test measures them.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.progress import Progress

from likeness.bundle import Bundle, place_folder, write_manifest
from likeness.cli import run
from likeness.data.dataset import Dataset
from likeness.evaluate.calibrate import calibrate
from likeness.evaluate.calibrated import write_calibrated
from likeness.evaluate.embeddings import embed_central_faces
from likeness.evaluate.lfw import Lfw
from likeness.recognizer import Recognizer
from likeness.settings import Settings

STUDENT, TEACHER = "likeness-s", "dlib-resnet-int8"
CALIBRATION_WORDS = "LFW (deep-funneled): the people who are in none of the official 6,000 pairs"
WEIGHTS_LICENCE = "for non-commercial research, as the data"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with utkface/, lfw/ and lfw_pairs.txt")
    parser.add_argument("--work", type=Path, required=True, help="folder for what is kept between runs")
    parser.add_argument("--out", type=Path, required=True, help="folder of the bundle")
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    options = parser.parse_args()
    work, lfw = options.work, Lfw.find(options.data)
    faces, watched, folder, made = (work / name for name in ("utkface", "lfw-watched", "run", STUDENT))
    if not (faces / "dataset.json").is_file():
        likeness("data", "crop", options.data / "utkface", faces, "--source", "utkface", "--model", TEACHER)
    if not any(row.split for row in Dataset.read(faces).rows):
        likeness("data", "split", faces, "--shares", "80/10/10", "--nameless", "--embeddings", "--seed", 0)
    if not (watched / "dataset.json").is_file():
        write_watched(lfw, options.data / "lfw", work / "lfw", watched)
    changes = [part for change in options.changes for part in ("--set", change)]
    likeness("distil", STUDENT, "--teacher", TEACHER, "--data", faces, "--photos", options.data / "utkface",
             "--watch", watched, "--run", folder, *changes)  # fmt: skip
    shutil.rmtree(made, ignore_errors=True)
    likeness("export", folder, "--out", made, "--data", faces, "--int8", "--licence", WEIGHTS_LICENCE)
    calibrate_identity(made, lfw)
    likeness("calibrate", made, faces, "--attributes", "--in-place")
    measure(made, faces, options.data, work)
    place_folder(options.out, lambda target: _copy(made, target), replace=True)


def _copy(source: Path, target: Path) -> None:
    shutil.copytree(source, target, dirs_exist_ok=True)


def likeness(*arguments: object) -> None:
    """Run a command; what fails ends the script."""
    words = [str(argument) for argument in arguments]
    print("$ likeness", *words, flush=True)
    if code := run([*words, "--progress"] if arguments[0] != "export" else words):
        sys.exit(code)


def write_watched(lfw: Lfw, photos: Path, crops: Path, target: Path) -> None:
    """LFW's people who are in none of the official pairs, as a data set of crops."""
    if not (crops / "dataset.json").is_file():
        likeness("data", "crop", photos, crops, "--source", "lfw", "--model", TEACHER)
    whole = Dataset.read(crops)
    outside = {photo.name for photo, out in zip(lfw.photos, lfw.outside_pairs, strict=True) if out}
    chosen = [row for row in whole.rows if Path(row.photo).name in outside]
    for row in chosen:
        (target / row.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(whole.path(row), target / row.path)
    Dataset(target, whole.facts, tuple(replace(row, split="validation") for row in chosen)).write()


def calibrate_identity(folder: Path, lfw: Lfw) -> None:
    """Fit the probabilities on whole photos, detector and all, of people who are in none of the official pairs."""
    recognizer = Recognizer(Settings.load({"embedder": str(folder)}), threads=1, say=print)
    chosen = [at for at, out in enumerate(lfw.outside_pairs) if out]
    with Progress() as bar:
        task = bar.add_task("calibrating")
        embedded = embed_central_faces(
            recognizer,
            [lfw.photos[at] for at in chosen],
            Path(recognizer.settings.cache) / "evaluation",
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    people = lfw.people[chosen][embedded.found]
    fitted = calibrate(recognizer.space, embedded.vectors[embedded.found], people, CALIBRATION_WORDS)
    write_calibrated(Bundle.read(folder), fitted, None)


def measure(folder: Path, faces: Path, data: Path, work: Path) -> None:
    """Measure the bundle and write the figures into its manifest."""
    likeness("evaluate", "lfw", "--data", data, "--model", folder, "--report", work / "lfw.json")
    likeness("evaluate", "attributes", faces, "--attributes", folder, "--out", work / "attributes")
    bundle = Bundle.read(folder)
    facts = json.loads(bundle.manifest.model_dump_json(exclude={"files"}))
    facts["metrics"] = [*lfw_metrics(work / "lfw.json"), *attribute_metrics(work / "attributes" / "report.json")]
    write_manifest(folder, facts, {key: file.path for key, file in bundle.manifest.files.items()})


def lfw_metrics(file: Path) -> list[dict[str, Any]]:
    """Figures of verification for the manifest."""
    report = json.loads(file.read_text("utf-8"))
    found, protocol = report["verification"], "the official 6,000 pairs, detector and all; LFW was never learnt from"
    chosen = {
        "lfw_accuracy": found["accuracy"],
        "lfw_tar_at_fmr_1e-3": found["tar_at_fmr_1e-3"],
        "lfw_equal_error_rate": found["equal_error_rate"],
        "lfw_calibration_error": found["calibration"]["expected_calibration_error"],
    }
    return [_metric(name, value, report["data"], protocol, report["date"]) for name, value in chosen.items()]


def attribute_metrics(file: Path) -> list[dict[str, Any]]:
    """Figures of age and gender for the manifest."""
    report = json.loads(file.read_text("utf-8"))
    age, gender = report["age"], report["gender"]
    chosen = {
        "age_mean_absolute_error_years": age["mean_absolute_error_years"],
        "age_interval_coverage": age["coverage"],
        "gender_accuracy": gender["accuracy"],
        "gender_calibration_error": gender["expected_calibration_error"],
    }
    protocol = "aligned crops; no photo of it was learnt from or calibrated on, nor a copy of one"
    return [_metric(name, value, report["data"]["name"], protocol, report["date"]) for name, value in chosen.items()]


def _metric(name: str, value: float, data: str, protocol: str, date: str) -> dict[str, Any]:
    return {"name": name, "value": value, "data": data, "protocol": protocol, "date": date}


if __name__ == "__main__":
    main()
