"""The single-shot detector against MTCNN: faces found at several sizes, false alarms, landmarks, speed.

On LFW the face asked for is the one that MTCNN sees nearest the middle of the photo, so MTCNN's own recall there is of
agreeing with itself. A detection is an extra if MTCNN, asked for faces down to 16 pixels, has none there; `--sheet`
draws them, because some are faces. In composed scenes the truth is known: faces of UTKFace's photos that were not
trained on, and are no copy of one that was, labelled by MTCNN before they were pasted; `--work` names the folder of
`scripts/train_detector.py`. Behind them are pictures that were not trained on, from the folders `--pictures` (without
any, made textures and words alone).

    python benchmarks/detector.py --photos 1000 --work WORK --pictures UNSEEN --json results/detector.json \\
        --plot results/detector.png
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

import machine
from likeness.bundle import Bundle
from likeness.data.sources.base import Listing
from likeness.data.splits import split_by_person
from likeness.settings import Settings
from likeness.train.same_work import digest_of_file
from likeness.train.teacher_faces import mirrored, overlaps
from likeness.types import Pixels, Vector
from likeness.vision.decode import decode_photo
from likeness.vision.detect import Detections, Detector

if TYPE_CHECKING:
    from likeness.train.detector import DistilOptions

DATA = Path(os.environ.get("LIKENESS_DATA", "../shared/data"))
SIZES_PX = (20, 32, 48, 64, 96, 160, 256)
SCENE_SIZES_PX = (16, 24, 40, 64, 100, 160)
SCENES = 1000
LEAST_PX, MATCH, APART = 16.0, 0.4, 0.2
TEACHER = "mtcnn"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detector", default="likeness-detector", help="name or folder of the bundle")
    parser.add_argument("--photos", type=int, default=1000, help="LFW photos (default 1000)")
    parser.add_argument("--timed", type=int, default=200, help="photos that speed is measured on (default 200)")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--work", type=Path, help="folder of the training, for composed scenes")
    parser.add_argument("--pictures", type=Path, nargs="*", default=[], help="folders of pictures for those scenes")
    parser.add_argument("--only-scenes", action="store_true", help="measure on composed scenes alone")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write JSON (to standard output)")
    parser.add_argument("--plot", type=Path, metavar="PNG")
    parser.add_argument("--sheet", type=Path, metavar="PNG", help="draw what one of the two alone takes for a face")
    options = parser.parse_args()
    library = Settings().library()
    bundles = {"single-shot": library.find(options.detector), TEACHER: library.find(TEACHER)}
    report = compare(bundles, options)
    if options.json:
        text = json.dumps(report, indent=1) + "\n"
        sys.stdout.write(text) if options.json == "-" else Path(options.json).write_text(text)
    if options.plot and "lfw" in report:
        plot(report, options.plot)


def compare(bundles: dict[str, Bundle], options: argparse.Namespace) -> dict[str, Any]:
    """All parts that there is data for."""
    sides = {name: bundle.load(threads=1) for name, bundle in bundles.items()}
    photos = [] if options.only_scenes else lfw_photos(options.photos)
    report: dict[str, Any] = {
        "what": "a single-shot detector against MTCNN, one thread each, in one process, in turns",
        "bundles": {name: [bundle.manifest.name, bundle.manifest.version] for name, bundle in bundles.items()},
        "megabytes": {name: sum(file.bytes for file in bundle.manifest.files.values()) / 1e6
                      for name, bundle in bundles.items()},
        "machine": machine.describe("likeness", "onnxruntime", "numpy", "pillow"),
    }  # fmt: skip
    if photos:
        report["lfw"] = lfw_report(sides, photos, options.sheet)
        timed = photos[:: max(1, len(photos) // options.timed)][: options.timed]
        report["speed"] = speed(sides, timed, options.rounds)
    if options.work:
        report["scenes"] = scene_report(sides, bundles[TEACHER], options.work, options.pictures)
    return report


def lfw_photos(count: int) -> list[Pixels]:
    """Photos of different people."""
    every = sorted((DATA / "lfw").glob("*/*_0001.jpg"))
    if not every:
        raise SystemExit(f"there is no LFW below {DATA}: name its folder with LIKENESS_DATA")
    return [decode_photo(path).pixels for path in every[:: max(1, len(every) // count)][:count]]


def lfw_report(sides: dict[str, Detector], photos: list[Pixels], sheet: Path | None) -> dict[str, Any]:
    """Recall by size, extras, landmarks and boxes, against MTCNN's face nearest the middle."""
    teacher = sides[TEACHER]
    truth = [central(teacher.detect(pixels), pixels) for pixels in photos]
    kept = [(pixels, face) for pixels, face in zip(photos, truth, strict=True) if face is not None]
    recall: dict[str, dict[str, float]] = {name: {} for name in sides}
    for size in SIZES_PX:
        for name, detector in sides.items():
            found = [found_at(detector, pixels, face, size) for pixels, face in kept]
            recall[name][str(size)] = float(np.mean(found))
        print(size, {name: round(recall[name][str(size)], 4) for name in sides}, file=sys.stderr)
    own = sides["single-shot"]
    answers = [own.detect(pixels) for pixels, _ in kept]
    return {
        "data": "LFW (deep-funneled), 250 x 250, a photo of each person",
        "photos": len(kept),
        "recall_by_longer_side_px": recall,
        "extras": extras(sides, [pixels for pixels, _ in kept], sheet),
        "landmarks": {
            "single-shot": landmark_errors(answers, [face for _, face in kept]),
            "mtcnn on the mirror image": landmark_errors(
                [mirror_answer(teacher, pixels) for pixels, _ in kept],
                [face for _, face in kept],
            ),
        },
        "box_overlap_with_mtcnn": float(np.mean([best_overlap(seen, face.boxes_xyxy_px[0])
                                                 for seen, (_, face) in zip(answers, kept, strict=True)])),
        "median_score": float(np.median([seen.scores[0] for seen in answers if len(seen)])),
    }  # fmt: skip


def mirror_answer(detector: Detector, pixels: Pixels) -> Detections:
    """What a detector says of the mirror image, mirrored back."""
    return mirrored(detector.detect(np.ascontiguousarray(pixels[:, ::-1])), pixels.shape[1])


def central(found: Detections, pixels: Pixels) -> Detections | None:
    """The face nearest the middle."""
    if not len(found):
        return None
    middles = (found.boxes_xyxy_px[:, :2] + found.boxes_xyxy_px[:, 2:]) / 2
    best = int(np.linalg.norm(middles - np.array(pixels.shape[1::-1]) / 2, axis=1).argmin())
    return Detections(found.boxes_xyxy_px[[best]], found.landmarks_px[[best]], found.scores[[best]])


def found_at(detector: Detector, pixels: Pixels, face: Detections, size_px: int) -> bool:
    """Whether the face is found in the photo scaled so that its longer side has so many pixels."""
    box = face.boxes_xyxy_px[0]
    scale = size_px / float((box[2:] - box[:2]).max())
    size = (max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale)))
    scaled = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BICUBIC))
    seen = detector.detect(scaled, min_face_px=min(32.0, 0.8 * size_px))
    return best_overlap(seen, box * scale) >= MATCH


def best_overlap(found: Detections, box: Vector) -> float:
    return float(overlaps(found.boxes_xyxy_px, box[None]).max()) if len(found) else 0.0


def landmark_errors(answers: Sequence[Detections], truth: Sequence[Detections]) -> dict[str, float]:
    """Mean distance from MTCNN's landmarks in distances between the eyes, of the faces that both see."""
    errors = []
    for found, face in zip(answers, truth, strict=True):
        shared = overlaps(found.boxes_xyxy_px, face.boxes_xyxy_px)[:, 0] if len(found) else np.zeros(0)
        if len(shared) and shared.max() >= MATCH:
            true = face.landmarks_px[0]
            off = np.linalg.norm(found.landmarks_px[shared.argmax()] - true, axis=1).mean()
            errors.append(float(off / np.linalg.norm(true[1] - true[0])))
    low, middle, high = np.percentile(errors, [5, 50, 95])
    return {"faces": len(errors), "mean": float(np.mean(errors)), "p5": low, "median": middle, "p95": high}


def extras(sides: dict[str, Detector], photos: list[Pixels], sheet: Path | None) -> dict[str, Any]:
    """What one detector takes for a face and the other, asked for smaller ones too, does not; a hundred photos."""
    report: dict[str, Any] = {}
    pictures: dict[str, list[Image.Image]] = {}
    for name, other in (("single-shot", TEACHER), (TEACHER, "single-shot")):
        pictures[name], faces = [], 0
        for pixels in photos:
            found, check = sides[name].detect(pixels), sides[other].detect(pixels, min_face_px=LEAST_PX)
            faces += len(found)
            for box, score in zip(found.boxes_xyxy_px, found.scores, strict=True):
                if best_overlap(check, box) < APART:
                    pictures[name].append(cut(pixels, box, float(score)))
        report[name] = {"detections": faces, "alone": len(pictures[name]),
                        "alone_in_100_photos": 100 * len(pictures[name]) / max(len(photos), 1)}  # fmt: skip
        print(name, report[name], file=sys.stderr)
    if sheet:
        draw_sheet(pictures, sheet)
    return report


def cut(pixels: Pixels, box: Vector, score: float) -> Image.Image:
    """A detection with its surroundings."""
    side = 1.6 * float((box[2:] - box[:2]).max())
    left, top = ((box[:2] + box[2:]) / 2 - side / 2).tolist()
    area = (left, top, left + side, top + side)
    return Image.fromarray(pixels).transform((96, 96), Image.Transform.EXTENT, area, Image.Resampling.BILINEAR)


def draw_sheet(pictures: dict[str, list[Image.Image]], target: Path) -> None:
    rows = [images[start : start + 12] for images in pictures.values() for start in range(0, len(images), 12)]
    sheet = Image.new("RGB", (12 * 98, max(1, len(rows)) * 98), (255, 255, 255))
    for row, images in enumerate(rows):
        for column, image in enumerate(images):
            sheet.paste(image, (column * 98, row * 98))
    sheet.save(target)


def speed(sides: dict[str, Detector], photos: list[Pixels], rounds: int) -> dict[str, Any]:
    """Milliseconds a photo from pixels to faces, in turns photo by photo; each photo's best round counts."""
    best = {name: np.full(len(photos), np.inf) for name in sides}
    for _ in range(rounds):
        for number, pixels in enumerate(photos):
            for name, detector in sides.items():
                start = time.perf_counter()
                detector.detect(pixels)
                best[name][number] = min(best[name][number], 1000 * (time.perf_counter() - start))
    mean = {name: float(times.mean()) for name, times in best.items()}
    print(mean, file=sys.stderr)
    return {"photos": len(photos), "rounds": rounds, "milliseconds_a_photo": mean,
            "times_faster": mean[TEACHER] / mean["single-shot"]}  # fmt: skip


def scene_report(sides: dict[str, Detector], teacher: Bundle, work: Path, pictures: Sequence[Path]) -> dict[str, Any]:
    """Recall by size, extras and landmarks on composed scenes of photos that were not trained on."""
    from likeness.data.sources import open_source
    from likeness.train.backdrops import load_backdrops
    from likeness.train.detector import DistilOptions, Material, load_teacher_faces, measure_detector, split_photos
    from likeness.train.detector_training import match_scene

    options = DistilOptions()
    listing = open_source(DATA / "utkface", "utkface")
    faces = load_teacher_faces(listing, teacher, work, options)
    parted = copies_parted(listing, options)
    unseen = [photo for photo in split_photos(listing, faces, options)["test"] if faces.paths[photo] not in parted]
    backdrops = load_backdrops(pictures, sides[TEACHER], work / "unseen.npz")
    scenes = Material(faces, {"test": backdrops}, {"test": unseen}).scenes("test", options.scenes, SCENES, seed=99)
    report: dict[str, Any] = {"scenes": len(scenes), "photos": len(unseen), "pictures": len(backdrops)}
    for name, detector in sides.items():
        answers = [detector.detect(scene.pixels, min_face_px=LEAST_PX) for scene in scenes]
        recall: dict[str, Any] = {}
        for low, high in pairwise(SCENE_SIZES_PX):
            wanted = found = 0
            for scene, seen in zip(scenes, answers, strict=True):
                sizes = (scene.boxes_xyxy_px[:, 2:] - scene.boxes_xyxy_px[:, :2]).max(axis=1)
                asked = replace(scene, wanted=scene.wanted & (sizes >= low) & (sizes < high))
                wanted += int(asked.wanted.sum())
                found += len(match_scene(asked, seen.boxes_xyxy_px, seen.landmarks_px)[0])
            recall[f"{low} to {high}"] = {"faces": wanted, "recall": found / max(wanted, 1)}
        figures = measure_detector(detector, scenes)
        report[name] = {"recall_by_longer_side_px": recall, "recall": figures.recall, "extras_a_scene": figures.extra,
                        "landmark_error": figures.landmark_error}  # fmt: skip
        print(name, report[name], file=sys.stderr)
    return report


def copies_parted(listing: Listing, options: DistilOptions) -> set[str]:
    """Photos of which another part than their own has an equal file, where each is placed by its own name.

    The training of the bundle's first version placed them so, and used every copy.
    """
    rows = split_by_person(listing.rows, shares=options.shares, min_photos=1, seed=options.seed, nameless=True)
    parts: dict[str, set[str]] = {}
    digests = {row.path: digest_of_file(listing.folder / row.path) for row in rows}
    for row in rows:
        parts.setdefault(digests[row.path], set()).add(row.split)
    return {path for path, digest in digests.items() if len(parts[digest]) > 1}


def plot(report: dict[str, Any], target: Path) -> None:
    """Recall by size on LFW, and in scenes where they were measured."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    parts = ["LFW photos, scaled"] + (["composed scenes"] if "scenes" in report else [])
    figure, axes = pyplot.subplots(1, len(parts), figsize=(5 * len(parts), 3.6), squeeze=False)
    for name in ("single-shot", TEACHER):
        found = report["lfw"]["recall_by_longer_side_px"][name]
        axes[0, 0].plot([int(size) for size in found], list(found.values()), marker="o", label=name)
        if "scenes" in report:
            by_size = report["scenes"][name]["recall_by_longer_side_px"]
            axes[0, 1].plot(list(by_size), [each["recall"] for each in by_size.values()], marker="o", label=name)
    for axis, title in zip(axes[0], parts, strict=True):
        axis.set(title=title, xlabel="longer side of the face, pixels", ylabel="share found", ylim=(0, 1.02))
        axis.grid(alpha=0.3)
    axes[0, 0].set_xscale("log", base=2)
    axes[0, 0].legend()
    figure.tight_layout()
    figure.savefig(target, dpi=110)


if __name__ == "__main__":
    main()
