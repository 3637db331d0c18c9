"""Where MTCNN's five landmarks lie, on average, in dlib's face chips: the alignment template of dlib's embedder.

dlib cuts its chips (150 pixels, padding 0.25) by landmarks of its own. For each photo in which both detectors see one
face, the map from photo to chip is read off a picture whose colours are its coordinates, MTCNN's landmarks are sent
through it, and the mean over all photos is the template. Run once; the numbers stand in the catalogue entries.

    python scripts/fit_alignment.py FOLDER --photos 2000 --json scripts/alignment.json
"""

from __future__ import annotations

import argparse
import json
import random
from pathlib import Path
from typing import Any

import dlib
import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from likeness.convert.source import locate
from likeness.settings import Settings
from likeness.types import Pixels
from likeness.vision.decode import decode_photo
from likeness.vision.detect import Detector

CHIP_PX, PADDING = 150, 0.25


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=2000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    photos = sorted(options.folder.rglob("*.jpg"))
    random.Random(0).shuffle(photos)
    detector = Settings().library().find("mtcnn").load()
    finder = dlib.get_frontal_face_detector()
    predictor = dlib.shape_predictor(
        str(locate("face_recognition_models", "models/shape_predictor_5_face_landmarks.dat"))
    )
    placed = [
        points
        for path in track(photos[: options.photos], "photos")
        if (points := place(decode_photo(path).pixels, detector, finder, predictor)) is not None
    ]
    stacked = np.stack(placed)
    template = np.median(stacked, axis=0)
    spread = np.abs(stacked - template).mean(axis=(0, 2))
    report = {
        "template_px": np.round(template, 3).tolist(),
        "mean_absolute_deviation_px": np.round(spread, 3).tolist(),
        "photos_used": len(placed),
        "photos_seen": min(options.photos, len(photos)),
        "data": options.folder.name,
    }
    print(json.dumps(report, indent=2))
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def place(pixels: Pixels, detector: Detector, finder: Any, predictor: Any) -> NDArray[np.float64] | None:
    """MTCNN's landmarks `(5, 2)` in dlib's chip of the same face; None unless both see exactly one face."""
    ours, theirs = detector.detect(pixels), finder(pixels, 1)
    if len(ours) != 1 or len(theirs) != 1:
        return None
    matrix = chip_map(pixels.shape[0], pixels.shape[1], predictor(pixels, theirs[0]))
    return np.column_stack([ours.landmarks_px[0], np.ones(5)]) @ matrix.T


def chip_map(height: int, width: int, shape: Any) -> NDArray[np.float64]:
    """The `(2, 3)` affine map from photo to chip that dlib uses for these landmarks."""
    y, x = np.mgrid[:height, :width]
    inside = np.full_like(x, 255)
    colours = np.stack([x * 255.0 / width, y * 255.0 / height, inside], axis=-1).round().astype(np.uint8)
    chip = dlib.get_face_chip(colours, shape, size=CHIP_PX, padding=PADDING).astype(np.float64)
    rows, columns = np.nonzero(chip[..., 2] == 255)
    in_chip = np.column_stack([columns + 0.5, rows + 0.5])
    values = chip[rows, columns]
    in_photo = np.column_stack([values[:, 0] * width / 255 + 0.5, values[:, 1] * height / 255 + 0.5])
    solved = np.linalg.lstsq(np.column_stack([in_photo, np.ones(len(in_photo))]), in_chip, rcond=None)[0]
    return np.asarray(solved.T)


if __name__ == "__main__":
    main()
