"""Fit the calibration that comes with an embedder: on LFW's people who are in none of the official 6,000 pairs.

    python scripts/fit_calibration.py dlib-resnet-int8 --data ../shared/data

The result is written beside the bundle's catalogue entry; `scripts/build_bundles.py` puts it into the bundle. These
people are nobody's whose photos stand behind a reported figure of verification.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from rich.progress import Progress

from likeness.bundle import CATALOGUE
from likeness.evaluate.calibrate import calibrate
from likeness.evaluate.embeddings import embed_central_faces
from likeness.evaluate.lfw import Lfw
from likeness.recognizer import Recognizer
from likeness.settings import Settings

WORDS = "LFW (deep-funneled): the people who are in none of the official 6,000 pairs"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path)
    options = parser.parse_args()
    lfw = Lfw.find(options.data)
    recognizer = Recognizer(Settings.load({"embedder": options.model}), threads=1, say=print)
    with Progress() as bar:
        task = bar.add_task("photos")
        embedded = embed_central_faces(
            recognizer,
            lfw.photos,
            Path(recognizer.settings.cache) / "evaluation",
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    chosen = lfw.outside_pairs & embedded.found
    calibration = calibrate(recognizer.space, embedded.vectors[chosen], lfw.people[chosen], WORDS)
    target = CATALOGUE / options.model / "calibration.json"
    target.write_text(json.dumps(calibration.as_dict(), indent=1) + "\n", "utf-8")
    print(f"{target}: {calibration.people} people, {calibration.genuine_pairs} genuine and "
          f"{calibration.impostor_pairs} impostor pairs")  # fmt: skip


if __name__ == "__main__":
    main()
