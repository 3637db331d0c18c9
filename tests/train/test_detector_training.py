"""A detector distilled from the day-one detector on a few sample photos: it learns, goes on, exports, and runs."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
from importlib.metadata import version
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from likeness.bundle import PACKAGED, Bundle
from likeness.data.sources import open_source
from likeness.data.sources.base import Listing
from likeness.errors import Conflict, DatasetError, ExportFailed, RunDiffers
from likeness.train import detector_export
from likeness.train.backdrops import made_texture
from likeness.train.detector import DistilOptions, Material, gather_material, measure_detector
from likeness.train.detector_export import PlainRefiner, export_refiner
from likeness.train.detector_network import FaceFinder, FaceRefiner
from likeness.train.detector_training import measure_finder, train_finder
from likeness.train.detector_work import Averaged, Schedule, course_of
from likeness.train.refiner_training import train_refiner
from likeness.train.scenes import SceneOptions
from likeness.vision.session import Session

EASY = SceneOptions(side_px=96, face_px=(30.0, 80.0), empty=0.1, most_faces=2)
EASIEST = SceneOptions(side_px=64, face_px=(24.0, 52.0), empty=0.1, most_faces=1)
SHORT = Schedule(epochs=1, batches=2, size=4, workers=0)
SCRIPT = Path(__file__).parents[2] / "scripts" / "train_detector.py"
TEACHER = Bundle.read(PACKAGED / "mtcnn")


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("train_detector", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def photos(samples: Path, tmp_path_factory: pytest.TempPathFactory) -> Listing:
    """Two small photos of each of twelve people, and a copy of one under a thirteenth name."""
    folder = tmp_path_factory.mktemp("photos")
    for person in sorted((samples / "people").iterdir()):
        (folder / person.name).mkdir()
        for photo in sorted(person.glob("*.jpg"))[:2]:
            image = Image.open(photo).convert("RGB")
            image.thumbnail((224, 224))
            image.save(folder / person.name / photo.name, quality=95)
    (folder / "Somebody").mkdir()
    shutil.copy(next(folder.glob("A*/*.jpg")), folder / "Somebody" / "copy.jpg")
    return open_source(folder, "folder")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    for seed in range(6):
        made_texture(np.random.default_rng(seed), 200, 160).save(folder / f"{seed}.png")
    return folder


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("work")


def gathered(
    photos: Listing, pictures: Path, work: Path, options: DistilOptions, teacher: Bundle = TEACHER
) -> Material:
    return gather_material(photos, [pictures], teacher, work, options, say=lambda text: None)


@pytest.fixture(scope="module")
def material(photos: Listing, pictures: Path, work: Path, script: ModuleType) -> Material:
    return gathered(photos, pictures, work, script.smoke_options())


def test_the_teachers_answers_are_kept_and_every_photo_is_in_one_part(
    material: Material, photos: Listing, tmp_path: Path
) -> None:
    assert len(material.faces.paths) == len(photos.rows) - 1, "a copy is used twice"
    used = sorted(index for part in material.parts.values() for index in part)
    assert used == list(range(len(material.faces.paths)))
    people = {part: {material.faces.paths[index].partition("/")[0] for index in indices}
              for part, indices in material.parts.items()}  # fmt: skip
    assert not people["train"] & (people["validation"] | people["test"])
    target = tmp_path / "teacher.npz"
    material.faces.write(target)
    kept = type(material.faces).read(target, material.faces.folder)
    assert (kept.paths, kept.work) == (material.faces.paths, material.faces.work)
    assert np.array_equal(kept.landmarks_px, material.faces.landmarks_px)
    target.write_bytes(target.read_bytes()[:1000])
    with pytest.raises(DatasetError):
        type(material.faces).read(target, material.faces.folder)


def test_what_stands_behind_faces_is_in_one_part_too(material: Material) -> None:
    parts = {part: set(backdrops.digests()) for part, backdrops in material.backdrops.items()}
    assert sum(len(names) for names in parts.values()) == len(set.union(*parts.values())) == 6
    assert parts["train"]
    assert parts["test"]


@pytest.mark.parametrize(
    ("changed", "told"), [("photos", "photos"), ("least face", "least face"), ("teacher", "teacher")]
)
def test_kept_answers_to_another_question_are_refused(
    material: Material, photos: Listing, pictures: Path, work: Path, script: ModuleType, changed: str, told: str
) -> None:
    options, teacher = script.smoke_options(), TEACHER
    if changed == "photos":
        photos = Listing(photos.source, photos.folder, photos.rows[1:])
    elif changed == "least face":
        options = dataclasses.replace(options, teacher_face_px=20.0)
    else:
        teacher = Bundle.read(PACKAGED / "likeness-detector")
    with pytest.raises(RunDiffers, match=f"teacher.npz.*: {told} "):
        gathered(photos, pictures, work, options, teacher)


def test_kept_pictures_of_other_folders_are_refused(
    material: Material, photos: Listing, pictures: Path, work: Path, script: ModuleType, tmp_path: Path
) -> None:
    fewer = tmp_path / "fewer"
    fewer.mkdir()
    shutil.copy(pictures / "0.png", fewer)
    with pytest.raises(RunDiffers, match=r"backdrops\.npz.*: pictures "):
        gathered(photos, fewer, work, script.smoke_options())
    again = gathered(photos, pictures, work, script.smoke_options())
    assert again.parts == material.parts
    assert {part: each.digests() for part, each in again.backdrops.items()} == {
        part: each.digests() for part, each in material.backdrops.items()
    }


def test_a_finder_learns_to_find_faces_it_has_not_seen_before(material: Material, tmp_path: Path) -> None:
    held = [*material.scenes("validation", EASIEST, 12, 3), *material.scenes("test", EASIEST, 12, 3)]
    untrained = measure_finder(FaceFinder(), held, 0.3)
    schedule = Schedule(epochs=1, batches=100, size=10, rate=4e-3, workers=0)
    finder = train_finder(material.composer("train", EASIEST), held, tmp_path, schedule, say=lambda text: None)
    learnt = measure_finder(finder, held, 0.3)
    assert untrained.recall == 0.0
    assert learnt.recall > 0.3
    line = json.loads((tmp_path / "finder.jsonl").read_text())
    assert line["held"][0]["recall"] == pytest.approx(learnt.recall)


def test_a_training_that_was_stopped_comes_to_the_same_weights_and_its_parts_are_told(
    material: Material, tmp_path: Path
) -> None:
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
    longer = dataclasses.replace(schedule, epochs=3)
    train_finder(composer, [], tmp_path / "halves", longer, say=lambda text: None)
    parts = course_of(tmp_path / "halves" / "finder.pt")
    assert [(part["epochs"], part["schedule"]["epochs"]) for part in parts] == [(2, 2), (1, 3)]
    assert all(part["seconds"] > 0 for part in parts)
    (tmp_path / "halves" / "finder.pt").write_bytes(b"not a checkpoint")
    with pytest.raises(DatasetError, match=r"finder\.pt"):
        train_finder(composer, [], tmp_path / "halves", schedule)


class Distillation:
    """The script in its smallest form; it can be run again."""

    def __init__(self, script: ModuleType, photos: Listing, pictures: Path, work: Path) -> None:
        self.script, self.photos, self.pictures, self.folder = script, photos, pictures, work
        self.target = work / "tiny-detector"

    def run(self) -> Bundle:
        self.script.main(
            ["--smoke", "--data", str(self.photos.folder), "--source", "folder", "--backgrounds", str(self.pictures),
             "--backgrounds-from", "made textures", "--work", str(self.folder), "--out", str(self.target)]
        )  # fmt: skip
        return Bundle.read(self.target)


@pytest.fixture(scope="module")
def distilled(
    material: Material, script: ModuleType, photos: Listing, pictures: Path, work: Path, home_of_their_own: Path
) -> tuple[Bundle, Distillation]:
    distillation = Distillation(script, photos, pictures, work)
    return distillation.run(), distillation


def test_the_script_gives_a_bundle_that_runs_and_says_what_it_is(
    distilled: tuple[Bundle, Distillation], samples: Path
) -> None:
    bundle, work = distilled
    bundle.verify()
    manifest = bundle.manifest
    assert (manifest.role, manifest.engine) == ("detector", "single-shot")
    assert sum(file.bytes for file in manifest.files.values()) < 2_000_000
    assert {metric.name for metric in manifest.metrics} >= {"recall", "landmark error in eye distances"}
    assert (manifest.origin["teacher"], manifest.origin["backdrops"]) == ("mtcnn", "made textures")
    for name in ("finder", "refiner"):
        (part,) = manifest.origin[name]["parts"]
        assert manifest.origin[name]["epochs"] == part["epochs"] == 1
        assert part["seconds"] > 0
        assert part["versions"]["torch"] == version("torch")
        assert part["machine"]["device"] == "cpu"
        assert "commit" in part
        assert len((work.folder / f"{name}.jsonl").read_text().splitlines()) == 1
    found = bundle.load(threads=1).detect(np.asarray(Image.open(samples / "group.jpg").convert("RGB")))
    assert found.boxes_xyxy_px.shape == (len(found), 4)
    with pytest.raises(Conflict):
        work.run()


@pytest.mark.parametrize("changed", ["seed", "size", "rate", "batches", "scenes", "faces", "backdrops"])
def test_a_checkpoint_goes_on_with_the_work_that_it_is_of_and_no_other(
    distilled: tuple[Bundle, Distillation], material: Material, script: ModuleType, changed: str
) -> None:
    options, part = script.smoke_options(), "train"
    schedule, scenes = options.finder, options.scenes
    if changed in ("seed", "size", "rate", "batches"):
        schedule = dataclasses.replace(schedule, **{changed: 3})
    elif changed == "scenes":
        scenes = dataclasses.replace(scenes, empty=0.5)
    elif changed == "faces":
        material = dataclasses.replace(material, parts={**material.parts, "train": material.parts["train"][1:]})
    else:
        material = dataclasses.replace(material, backdrops={"train": material.backdrops["test"]})
    checkpoint = distilled[1].folder / "finder.pt"
    work = Averaged(FaceFinder, schedule, material.composer(part, scenes).work())
    with pytest.raises(RunDiffers, match=rf"finder\.pt.*: {changed} "):
        work.restore(checkpoint)


def test_a_refiner_of_another_finder_is_refused(
    distilled: tuple[Bundle, Distillation], material: Material, script: ModuleType
) -> None:
    options = script.smoke_options()
    composer = material.composer("train", options.refined_scenes)
    with pytest.raises(RunDiffers, match=r"refiner\.pt.*: finder "):
        train_refiner(composer, FaceFinder(), [], distilled[1].folder, options.refiner)


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
