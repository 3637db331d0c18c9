"""A detector distilled from the day-one detector on a few sample photos: it learns, goes on, exports, and runs."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.bundle import PACKAGED, Bundle
from likeness.data.sources import open_source
from likeness.data.sources.base import Listing
from likeness.errors import Conflict, DatasetError, ExportFailed
from likeness.train import detector_export
from likeness.train.backdrops import made_texture
from likeness.train.detector import DistilOptions, Material, distil_detector, gather_material, measure_detector
from likeness.train.detector_export import PlainRefiner, export_refiner
from likeness.train.detector_network import FaceFinder, FaceRefiner
from likeness.train.detector_training import measure_finder, train_finder
from likeness.train.detector_work import Averaged, Schedule
from likeness.train.scenes import SceneOptions
from likeness.vision.session import Session

EASY = SceneOptions(side_px=96, face_px=(30.0, 80.0), empty=0.1, most_faces=2)
THIRDS = (0.5, 0.25, 0.25)
SHORT = Schedule(epochs=1, batches=2, size=4, workers=0)


@pytest.fixture(scope="module")
def photos(samples: Path) -> Listing:
    return open_source(samples / "people", "folder")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(6):
        made_texture(np.random.default_rng(seed), 200, 160).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def material(photos: Listing, pictures: Path, detector_teacher, tmp_path_factory: pytest.TempPathFactory) -> Material:
    folder = tmp_path_factory.mktemp("material")
    return gather_material(
        photos, [pictures], detector_teacher, folder, DistilOptions(shares=THIRDS), say=lambda text: None
    )


def test_the_teachers_answers_are_kept_and_every_photo_is_in_one_part(
    material: Material, photos: Listing, pictures: Path, tmp_path: Path
) -> None:
    assert len(material.faces.paths) == len(photos.rows)
    used = sorted(index for part in material.parts.values() for index in part)
    assert used == sorted(set(used))
    people = {part: {material.faces.paths[index].partition("/")[0] for index in indices}
              for part, indices in material.parts.items()}  # fmt: skip
    assert not people["train"] & (people["validation"] | people["test"])
    target = tmp_path / "teacher.npz"
    material.faces.write(target)
    kept = type(material.faces).read(target, material.faces.folder)
    assert kept.paths == material.faces.paths
    assert np.array_equal(kept.landmarks_px, material.faces.landmarks_px)
    target.write_bytes(target.read_bytes()[:1000])
    with pytest.raises(DatasetError):
        type(material.faces).read(target, material.faces.folder)


def test_a_finder_learns_to_find_faces_it_has_not_seen_before(material: Material, tmp_path: Path) -> None:
    parts = {"train": material.parts["train"], "held": material.parts["validation"] + material.parts["test"]}
    split = dataclasses.replace(material, parts=parts if parts["held"] else {**parts, "held": parts["train"]})
    held = split.scenes("held", EASY, 40, 3)
    untrained = measure_finder(FaceFinder(), held, 0.3)
    schedule = Schedule(epochs=1, batches=100, size=10, rate=4e-3, workers=0)
    finder = train_finder(split.composer("train", EASY), held, tmp_path, schedule, say=lambda text: None)
    learnt = measure_finder(finder, held, 0.3)
    assert untrained.recall == 0.0
    assert learnt.recall > 0.3
    line = json.loads((tmp_path / "finder.jsonl").read_text())
    assert line["held"][0]["recall"] == pytest.approx(learnt.recall)


def test_a_training_that_was_stopped_comes_to_the_same_weights(material: Material, tmp_path: Path) -> None:
    schedule = Schedule(epochs=2, batches=2, size=4, workers=0)
    composer = material.composer("train", EASY)
    whole = train_finder(composer, [], tmp_path / "whole", schedule, say=lambda text: None)
    work = Averaged(FaceFinder, schedule)
    assert work.restore(tmp_path / "none.pt") == 0

    class Stopped(Exception):
        pass

    def stop(text: str) -> None:
        raise Stopped

    with pytest.raises(Stopped):
        train_finder(composer, [], tmp_path / "halves", schedule, say=stop)
    again = train_finder(composer, [], tmp_path / "halves", schedule, say=lambda text: None)
    for name, weight in whole.state_dict().items():
        assert torch.equal(weight, again.state_dict()[name]), name
    (tmp_path / "halves" / "finder.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(DatasetError, match=r"finder\.pt"):
        train_finder(composer, [], tmp_path / "halves", schedule)


class Distillation:
    """One of six people's photos, far too short; it can be run again."""

    def __init__(self, photos: Listing, pictures: Path, folder: Path) -> None:
        self.photos = Listing(photos.source, photos.folder, photos.rows[::2])
        self.pictures, self.folder, self.target = pictures, folder, folder / "tiny-detector"
        self.said: list[str] = []

    def run(self, *, replace: bool = False) -> Bundle:
        options = DistilOptions(
            scenes=EASY, refined_scenes=EASY, finder=SHORT, refiner=SHORT, held_scenes=8, shares=THIRDS
        )
        teacher = Bundle.read(PACKAGED / "mtcnn")
        return distil_detector(
            self.photos, [self.pictures], teacher, self.folder, self.target, options, say=self.said.append,
            replace=replace,
        )  # fmt: skip


@pytest.fixture(scope="module")
def distilled(photos: Listing, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Bundle, Distillation]:
    work = Distillation(photos, pictures, tmp_path_factory.mktemp("distilled"))
    return work.run(), work


def test_a_whole_distillation_gives_a_bundle_that_runs_and_says_what_it_is(
    distilled: tuple[Bundle, Distillation], samples: Path
) -> None:
    bundle, work = distilled
    bundle.verify()
    manifest = bundle.manifest
    assert (manifest.role, manifest.engine) == ("detector", "single-shot")
    assert sum(file.bytes for file in manifest.files.values()) < 2_000_000
    assert {metric.name for metric in manifest.metrics} >= {"recall", "landmark error in eye distances"}
    assert manifest.origin["teacher"] == "mtcnn"
    found = bundle.load(threads=1).detect(np.asarray(Image.open(samples / "group.jpg").convert("RGB")))
    assert found.boxes_xyxy_px.shape == (len(found), 4)
    with pytest.raises(Conflict):
        work.run()
    assert sum("epoch 1/1" in line for line in work.said) == 2


def test_files_answer_as_the_networks_do_at_any_size(distilled: tuple[Bundle, Distillation]) -> None:
    bundle, work = distilled
    both = Averaged(FaceFinder, SHORT), Averaged(FaceRefiner, SHORT)
    for trained, name in zip(both, ("finder.pt", "refiner.pt"), strict=True):
        assert trained.restore(work.folder / name) == 1
    finder, refiner = (trained.average for trained in both)
    rng = np.random.default_rng(0)
    session = Session(bundle.path("finder"), threads=1)
    for shape in ((1, 32, 32, 3), (3, 96, 256, 3), (1, 320, 64, 3)):
        pixels = rng.integers(0, 256, shape, np.uint8)
        with torch.inference_mode():
            maps = finder(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())
        scores, geometry = session.run(pixels=pixels)
        assert scores == pytest.approx(maps.scores.sigmoid().numpy(), abs=2e-3)
        assert geometry[..., :4] == pytest.approx(maps.boxes.numpy(), abs=2e-2)
    crops = rng.integers(0, 256, (5, 48, 48, 3), np.uint8)
    with torch.inference_mode():
        answers = refiner(torch.from_numpy(crops).permute(0, 3, 1, 2).float())
    scores, landmarks = Session(bundle.path("refiner"), threads=1).run(crops=crops)
    assert scores == pytest.approx(answers[:, 0].sigmoid().numpy(), abs=2e-3)
    assert landmarks.shape == (5, 5, 2)


def test_a_file_that_answers_otherwise_is_not_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(PlainRefiner):
        def forward(self, crops: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            scores, landmarks = super().forward(crops)
            # What is exported is not what is run here.
            return (scores, landmarks) if torch.compiler.is_exporting() else (scores + 0.5, landmarks)

    monkeypatch.setattr(detector_export, "PlainRefiner", Wrong)
    with pytest.raises(ExportFailed, match="scores"):
        export_refiner(FaceRefiner(), tmp_path / "refiner.onnx", probe=np.zeros((1, 48, 48, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_the_teacher_itself_finds_what_scenes_are_made_of(material: Material, detector_teacher) -> None:
    options = SceneOptions(face_px=(50.0, 120.0), empty=0.0, portraits=1.0)
    figures = measure_detector(detector_teacher, material.scenes("train", options, 12, 0), least_px=40)
    assert figures.recall > 0.5
    assert figures.landmark_error < 0.1
