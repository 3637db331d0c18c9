"""A single-shot detector of one's own, distilled from another detector's answers: from photos to a bundle.

The teacher is asked once about each photo, and its answers go with the faces into composed scenes (`scenes`). A finder
learns to find them there (`detector_training`), and a refiner to judge what it finds and to place the landmarks
(`refiner_training`). Both are exported, measured on scenes of photos and pictures that had no part in it, and put into
a bundle.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from likeness.bundle import Bundle, place_folder, write_manifest
from likeness.data.manifest import SPLITS, Row
from likeness.data.sources.base import Listing
from likeness.data.splits import split_by_person
from likeness.errors import DatasetError
from likeness.train.backdrops import Backdrops, load_backdrops
from likeness.train.bundling import WEIGHTS, expect_target, licence_facts
from likeness.train.detector_export import export_finder, export_refiner
from likeness.train.detector_network import CROP_PX, TEMPLATE_PX, FaceFinder, FaceRefiner
from likeness.train.detector_training import CHECKPOINT as FINDER_CHECKPOINT
from likeness.train.detector_training import SceneFigures, match_scene, train_finder
from likeness.train.detector_work import Schedule, course_of
from likeness.train.refiner_crops import Crops, made_crops
from likeness.train.refiner_training import CHECKPOINT as REFINER_CHECKPOINT
from likeness.train.refiner_training import train_refiner
from likeness.train.same_work import digest_of
from likeness.train.scenes import Scene, SceneComposer, SceneOptions
from likeness.train.teacher_faces import AskedFor, TeacherFaces, find_teacher_faces
from likeness.vision.detect import Detector
from likeness.vision.single_shot import FINDER, REFINER, SingleShotParameters

INPUT_FACE_PX = 16.0
"""Longer side, in the finder's input, of the smallest face that is looked for."""
FINDER_FILE, REFINER_FILE = "finder.onnx", "refiner.onnx"
_PROBES = 8
_TEACHER, _BACKDROPS = "teacher.npz", "backdrops.npz"
HELD_SEED, TEST_SEED = 1_000_001, 1_000_002


@dataclass(frozen=True, slots=True)
class DistilOptions:
    """What a distillation is given.

    Attributes:
        scenes, refined_scenes: what the finder and the refiner learn from; the refiner's faces are larger.
        finder, refiner: the networks' schedules.
        teacher_face_px: smallest face that the teacher is asked for in the photos.
        held_scenes: composed of photos not trained on, to watch the training with, and again to measure with.
        min_face_px, min_face_share: smallest face that the detector will look for, as in `SingleShotParameters`.
        thresholds: least scores of its two networks. backdrops: where the pictures without faces come from, in words.
        shares: of the photos (of the people, where they are named): to train on, to watch the training with, and to
            measure the finished detector on. backdrop_shares: of the pictures, for the same. seed: of both splits.
    """

    scenes: SceneOptions = field(default_factory=SceneOptions)
    refined_scenes: SceneOptions = field(
        default_factory=lambda: SceneOptions(face_px=(18.0, 150.0), empty=0.2, most_faces=4)
    )
    finder: Schedule = field(default_factory=lambda: Schedule(epochs=29))
    refiner: Schedule = field(default_factory=lambda: Schedule(epochs=20, batches=200, size=2))
    teacher_face_px: float = 36.0
    held_scenes: int = 300
    min_face_px: float = 32.0
    min_face_share: float = 0.03
    thresholds: tuple[float, float] = (0.25, 0.7)
    backdrops: str = "not stated"
    shares: tuple[float, float, float] = (0.94, 0.02, 0.04)
    backdrop_shares: tuple[float, float, float] = (0.8, 0.05, 0.15)
    seed: int = 0

    def parameters(self) -> dict[str, Any]:
        """What the bundle's manifest says of the detector."""
        return asdict(
            SingleShotParameters(
                min_face_px=self.min_face_px,
                min_face_share=self.min_face_share,
                input_face_px=INPUT_FACE_PX,
                largest_px=float(self.scenes.side_px),
                thresholds=self.thresholds,
                overlap=0.6,
                max_candidates=1000,
                side_px=CROP_PX,
                template_px=TEMPLATE_PX,
            )
        )


def distil_detector(
    listing: Listing,
    backgrounds: Sequence[Path],
    teacher: Bundle,
    folder: Path,
    target: Path,
    options: DistilOptions = DistilOptions(),
    *,
    licence: str = WEIGHTS,
    replace: bool = False,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Bundle:
    """Train a detector on what the `teacher` finds in the photos of a source, and write it as the bundle `target`.

    All that is found and learnt is kept in `folder`: called again with the same after it was stopped, it goes on.

    Args:
        backgrounds: folders of pictures, best without people; those in which the teacher sees a face are not used.
        licence: of the weights, in words.

    Raises:
        Conflict: `target` is there already, and `replace` does not say that it may go.
        DatasetError: there are no faces, or what is in `folder` is damaged.
        RunDiffers: what is in `folder` was made from other photos or pictures, by another teacher or otherwise.
        ExportFailed: an exported network does not do what the trained one does.
    """
    expect_target(target, replace=replace)
    material = gather_material(listing, backgrounds, teacher, folder, options, say=say, progress=progress)
    held = material.scenes("validation", options.scenes, options.held_scenes, HELD_SEED)
    finder = train_finder(material.composer("train", options.scenes), held, folder, options.finder, say=say)
    refiner = train_refiner(
        material.composer("train", options.refined_scenes), finder, held, folder, options.refiner, say=say
    )
    measured = material.scenes("test", options.scenes, options.held_scenes, TEST_SEED)
    course = {"finder": course_of(folder / FINDER_CHECKPOINT), "refiner": course_of(folder / REFINER_CHECKPOINT)}
    return write_detector(finder, refiner, measured, target, options, listing, teacher, course=course,
                          licence=licence, replace=replace, say=say)  # fmt: skip


def write_detector(
    finder: FaceFinder,
    refiner: FaceRefiner,
    measured: Sequence[Scene],
    target: Path,
    options: DistilOptions,
    listing: Listing,
    teacher: Bundle,
    *,
    course: Mapping[str, Sequence[Mapping[str, Any]]],
    licence: str = WEIGHTS,
    replace: bool = False,
    say: Callable[[str], None] = print,
) -> Bundle:
    """Export both networks, measure them on scenes as users will run them, and write the bundle.

    Args:
        course: how the `finder` and the `refiner` were trained, as `course_of` tells it.
    """
    terms = listing.licence or "not stated"
    facts = {
        "name": target.name,
        "version": "1",
        "role": "detector",
        "engine": "single-shot",
        "summary": f"Faces of {options.min_face_px:.0f} pixels and more with five landmarks, in one look and a second.",
        "parameters": options.parameters(),
        "licence": licence_facts(licence, f"{listing.source.title}: {terms}", teacher.manifest.licence),
        "origin": {"teacher": teacher.manifest.name, "data": listing.origin, "photos": len(listing.rows),
                   "backdrops": options.backdrops, "shares": options.shares,
                   "backdrop_shares": options.backdrop_shares, "split_seed": options.seed,
                   **{name: {"epochs": sum(part["epochs"] for part in parts), "parts": list(parts)}
                      for name, parts in course.items()}},
    }  # fmt: skip

    def fill(aside: Path) -> None:
        pixels = np.stack([scene.pixels for scene in measured[:_PROBES]])
        export_finder(finder, aside / FINDER_FILE, probe=pixels)
        crops = Crops.join(
            [crop for scene in measured[:_PROBES] for crop in made_crops(np.random.default_rng(0), scene)]
        )
        export_refiner(refiner, aside / REFINER_FILE, probe=crops.pixels)
        roles = {FINDER: FINDER_FILE, REFINER: REFINER_FILE}
        write_manifest(aside, facts, roles)
        figures = measure_detector(Bundle.read(aside).load(threads=1), measured)
        say(
            f"On scenes of photos and pictures not trained on: recall {figures.recall:.3f}, {figures.extra:.3f} "
            f"detections a scene that are no face, landmarks off by {figures.landmark_error:.1%} of the eyes' distance."
        )
        write_manifest(aside, facts | {"metrics": _metrics(figures, options, len(measured))}, roles)

    return place_folder(target, fill, replace=replace)


def _metrics(figures: SceneFigures, options: DistilOptions, scenes: int) -> list[dict[str, Any]]:
    low, high = options.scenes.face_px
    protocol = f"{scenes} composed scenes of photos and pictures not trained on, faces of {low:.0f} to {high:.0f} px"
    rest = {"data": "composed scenes", "protocol": protocol, "date": datetime.now(UTC).date().isoformat()}
    values = {"recall": figures.recall, "false detections a scene": figures.extra,
              "landmark error in eye distances": figures.landmark_error}  # fmt: skip
    return [{"name": name, "value": round(value, 4), **rest} for name, value in values.items()]


def measure_detector(detector: Detector, scenes: Sequence[Scene], *, least_px: float = INPUT_FACE_PX) -> SceneFigures:
    """How a detector does on scenes, asked for faces of `least_px` and more."""
    wanted = found = extra = 0
    errors: list[float] = []
    for scene in scenes:
        seen = detector.detect(scene.pixels, min_face_px=least_px)
        sizes = (scene.boxes_xyxy_px[:, 2:] - scene.boxes_xyxy_px[:, :2]).max(axis=1)
        asked = dataclasses.replace(scene, wanted=scene.wanted & (sizes >= least_px))
        off, others = match_scene(asked, seen.boxes_xyxy_px, seen.landmarks_px)
        wanted, found, extra = wanted + int(asked.wanted.sum()), found + len(off), extra + others
        errors += off
    return SceneFigures(0.0, found / max(wanted, 1), extra / max(len(scenes), 1), float(np.mean(errors or [1.0])))


@dataclass(frozen=True, slots=True, eq=False)
class Material:
    """A teacher's faces, and which photos and which backdrops are in which part."""

    faces: TeacherFaces
    backdrops: dict[str, Backdrops]
    parts: dict[str, list[int]]

    def composer(self, part: str, options: SceneOptions) -> SceneComposer:
        """Makes scenes out of the photos and the backdrops of one part."""
        return SceneComposer(self.faces, self.backdrops[part], self.parts[part], options)

    def scenes(self, part: str, options: SceneOptions, count: int, seed: int) -> list[Scene]:
        """Some scenes, the same whenever asked for."""
        composer = self.composer(part, options)
        return [composer.compose(np.random.default_rng((seed, index))) for index in range(count)]


def gather_material(
    listing: Listing,
    backgrounds: Sequence[Path],
    teacher: Bundle,
    folder: Path,
    options: DistilOptions,
    *,
    say: Callable[[str], None] = print,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Material:
    """The teacher's answers and the backdrops, kept in `folder`, by part: all by a hash, photos of their names.

    Raises:
        RunDiffers: what is in `folder` is of other photos or pictures, or of another teacher.
        DatasetError: there are too few photos.
    """
    faces = load_teacher_faces(listing, teacher, folder, options, progress=progress)
    say(f"The teacher sees {len(faces.photo)} faces in {len(faces.paths)} photos.")
    asked = {"teacher": digest_of([teacher.fingerprint])}
    backdrops = load_backdrops(backgrounds, teacher.load(threads=1), folder / _BACKDROPS, asked=asked, say=say)
    return Material(faces, split_backdrops(backdrops, options), split_photos(listing, faces, options))


def load_teacher_faces(
    listing: Listing,
    teacher: Bundle,
    folder: Path,
    options: DistilOptions,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TeacherFaces:
    """The teacher's answers, kept in `folder`; raises as `find_teacher_faces` does."""
    asked = {"teacher": digest_of([teacher.fingerprint]), "least face": options.teacher_face_px}
    detector = AskedFor(teacher.load(threads=1), options.teacher_face_px)
    return find_teacher_faces(listing, detector, folder / _TEACHER, asked=asked, progress=progress)


def split_backdrops(backdrops: Backdrops, options: DistilOptions) -> dict[str, Backdrops]:
    """The pictures of each part, by a hash of what they show; of few, a part may have none but made textures."""
    names = backdrops.digests()
    rows = split_by_person([Row(path=name) for name in names], shares=options.backdrop_shares, min_photos=1,
                           seed=options.seed, nameless=True)  # fmt: skip
    split = {row.path: row.split for row in rows}
    return {part: backdrops.chosen([at for at, name in enumerate(names) if split[name] == part]) for part in SPLITS}


def split_photos(listing: Listing, faces: TeacherFaces, options: DistilOptions) -> dict[str, list[int]]:
    """Indices into `faces.paths` of each part; a person's photos are in one where people are named.

    Raises:
        DatasetError: there are so few that a part is empty.
    """
    rows = split_by_person(listing.rows, shares=options.shares, min_photos=1, seed=options.seed, nameless=True)
    split = {row.path: row.split for row in rows}
    parts: dict[str, list[int]] = {"train": [], "validation": [], "test": []}
    for index, path in enumerate(faces.paths):
        if split[path]:
            parts[split[path]].append(index)
    for part, photos in parts.items():
        if not photos:
            raise DatasetError(
                f"of {len(faces.paths)} photos with a face none falls to the part {part!r}", hint="take more photos"
            )
    return parts
