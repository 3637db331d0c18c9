"""A distillation from faces and a teacher to a bundle that searches the teacher's galleries."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from likeness.bundle import PACKAGED, Bundle
from likeness.data.dataset import Dataset
from likeness.errors import Conflict, DatasetError, ModelError, RecipeInvalid, RunDiffers
from likeness.train import distil_run
from likeness.train.distil import Distiller, Lessons
from likeness.train.distil_export import export_distillation
from likeness.train.distil_run import distil, labels_of
from likeness.train.distillation import STATE, Distillation, load_student_of
from likeness.train.student_recipe import load_student, shipped_students
from likeness.train.students import blank_student
from likeness.train.teachers import Answers, Teacher
from likeness.train.views import PLANS, Views
from likeness.train.watched import Watched, planes

FEW = ["schedule.batch_size=8", "student.faces=16", "schedule.epochs=2"]
QUICK = ["schedule.batch_size=8", "schedule.epochs=2"]


@pytest.fixture(scope="module")
def teacher() -> Bundle:
    return Bundle.read(PACKAGED / "dlib-resnet-int8")


@pytest.fixture(scope="module")
def labelled(sample_crops: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    """The sample faces without names, with ages and genders, every sixth to look at."""
    rows = [
        replace(
            row,
            identity="",
            labels={"age_years": 20 + at % 40, "gender": "female" if at % 2 else "male"} if at % 5 else {},
            split="validation" if at % 6 == 0 else "train",
        )
        for at, row in enumerate(sample_crops.rows)
    ]
    return replace(sample_crops, rows=tuple(rows))


@pytest.fixture(scope="module")
def distilled(labelled: Dataset, teacher: Bundle, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("distilled") / "run"
    distil(labelled, teacher, load_student("likeness-s", FEW, smoke=True), folder)
    return folder


def test_each_shipped_student_is_there_at_both_sizes():
    assert shipped_students() == ["likeness-s", "mobile-face", "mobilenet-v3-large", "mobilenet-v3-small"]
    for name in shipped_students():
        assert load_student(name).name == load_student(name, smoke=True).name == name


@pytest.mark.parametrize(
    ("name", "changes", "words"),
    [
        ("nobody", [], "there is no recipe 'nobody'"),
        ("likeness-s", ["schedule.epochs=0"], "schedule.epochs: "),
        ("likeness-s", ["student.patches=1"], "student.patches: "),
        ("mobile-face", ["student.kind=cut"], "student.inner: "),
        ("likeness-s", ["student.inner=[32,64,72,112,300]"], "stage 5 of the teacher has 256 channels"),
    ],
)
def test_a_recipe_that_cannot_be_is_refused_by_the_key_that_was_written(name, changes, words):
    with pytest.raises(RecipeInvalid, match=words):
        load_student(name, changes)


def test_the_record_tells_what_was_learnt_from_and_how_near_the_student_came(distilled, teacher):
    found = Distillation.read(distilled)
    assert (found.teacher, found.space, found.dimension) == ("dlib-resnet-int8", "dlib-resnet-v1", 128)
    assert (found.photos, found.validation_photos) == (40, 8)
    assert len(found.epochs) == 2
    assert found.finished
    expected = {"loss", "embedding", "relations", "attributes"}
    expected |= {f"validation/{name}" for name in ("cosine", "relations", "age_error_years", "gender_accuracy")}
    assert set(found.epochs[0]) == expected
    assert [name for name, *_ in found.fitted[:3]] == ["stem", "block0.conv1", "block0.conv2"]


def test_a_stopped_distillation_ends_with_the_same_weights(labelled, teacher, tmp_path, monkeypatch):
    class Stopped(Exception):
        pass

    recipe, folder = load_student("mobile-face", QUICK, smoke=True), tmp_path / "parts"
    run_epoch = Distiller.run_epoch

    def only_one(self, progress=lambda done, total: None):
        if self.epoch:
            raise Stopped
        return run_epoch(self, progress)

    with monkeypatch.context() as patch:
        patch.setattr(Distiller, "run_epoch", only_one)
        with pytest.raises(Stopped):
            distil(labelled, teacher, recipe, folder)
    assert len(Distillation.read(folder).epochs) == 1
    said: list[str] = []
    distil(labelled, teacher, recipe, folder, say=said.append)
    assert "Going on after 1 epochs." in said
    distil(labelled, teacher, recipe, tmp_path / "whole")
    whole, parts = (load_student_of(each)[1].state_dict() for each in (tmp_path / "whole", folder))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, atol=0, rtol=0)


def test_stopped_between_record_and_state_an_epoch_is_repeated_and_none_added(labelled, teacher, tmp_path, monkeypatch):
    class Stopped(Exception):
        pass

    recipe, folder = load_student("mobile-face", QUICK, smoke=True), tmp_path / "run"
    write, written = distil_run.write_state, list[int]()

    def stopping(path, state):
        written.append(state["epoch"])
        if state["epoch"] == 2:
            raise Stopped
        write(path, state)

    with monkeypatch.context() as patch:
        patch.setattr(distil_run, "write_state", stopping)
        with pytest.raises(Stopped):
            distil(labelled, teacher, recipe, folder)
    assert len(Distillation.read(folder).epochs) == 2
    done = distil(labelled, teacher, recipe, folder)
    whole = distil(labelled, teacher, recipe, tmp_path / "whole")
    assert done.epochs == whole.epochs
    (folder / "distil.json").unlink()
    with pytest.raises(DatasetError, match="--fresh"):
        distil(labelled, teacher, recipe, folder)


def test_answers_about_photos_in_another_order_are_not_taken_for_these(labelled):
    few, more = (load_student("mobile-face", [*QUICK, f"validation_photos={n}"], smoke=True) for n in (20, 21))
    plain = replace(labelled, rows=tuple(replace(row, split="") for row in labelled.rows))
    one, other = (distil_run.choose_faces(plain, recipe)[0] for recipe in (few, more))
    assert len(one) == len(other)
    digests = {distil_run.faces_digest(rows) for rows in (one, other, one[::-1])}
    assert len(digests) == (2 if one == other else 3)


def test_a_change_of_the_epochs_planned_is_noted_and_other_faces_are_refused(labelled, teacher, tmp_path):
    longer = load_student("mobile-face", [*QUICK, "schedule.epochs=3"], smoke=True)
    distil(labelled, teacher, load_student("mobile-face", [*QUICK, "schedule.epochs=1"], smoke=True), tmp_path / "run")
    done = distil(labelled, teacher, longer, tmp_path / "run")
    assert done.schedules == ((0, 1), (1, 3))
    assert len(done.epochs) == 3
    fewer = replace(labelled, rows=(labelled.rows[0], *labelled.rows[2:]))
    with pytest.raises(RunDiffers, match="digest, faces"):
        distil(fewer, teacher, longer, tmp_path / "run")


def test_who_is_watched_must_have_names_and_a_second_photo(labelled, sample_crops, teacher):
    with pytest.raises(DatasetError, match="0 people"):
        Watched.of(labelled, labelled.rows, teacher)
    with pytest.raises(DatasetError, match="one of them twice"):
        Watched.of(sample_crops, [row for row in sample_crops.rows if row.path.endswith("1.jpg")], teacher)


def test_softened_classes_need_a_teacher_that_has_classes(labelled, teacher, tmp_path):
    with pytest.raises(RecipeInvalid, match="has no classes"):
        distil(
            labelled, teacher, load_student("mobile-face", [*QUICK, "losses.classes=1"], smoke=True), tmp_path / "run"
        )


def test_a_finished_one_is_left_as_it_is_and_another_teacher_or_recipe_refused(labelled, teacher, distilled):
    said: list[str] = []
    before = (distilled / STATE).read_bytes()
    distil(labelled, teacher, load_student("likeness-s", FEW, smoke=True), distilled, say=said.append)
    assert said[-1].startswith("This distillation is finished")
    assert (distilled / STATE).read_bytes() == before
    with pytest.raises(RunDiffers, match="recipe"):
        distil(labelled, teacher, load_student("likeness-s", [*FEW, "losses.relations=1"], smoke=True), distilled)


def test_the_teacher_is_asked_once_and_other_students_find_its_answers(labelled, teacher, tmp_path):
    views = Views(planes(np.zeros((3, 150, 150, 3), np.uint8)), PLANS["strong"])
    asked = Teacher(teacher, threads=1)
    first = Answers(asked, views, tmp_path, key="k").of(1)
    asked.embed = None  # type: ignore[assignment, method-assign]
    assert torch.equal(Answers(asked, views, tmp_path, key="k").of(1), first)
    (kept,) = tmp_path.iterdir()
    kept.write_bytes(kept.read_bytes()[:50])
    with pytest.raises(DatasetError, match="cannot be read"):
        Answers(asked, views, tmp_path, key="k").of(1)


def test_the_bundle_is_of_the_teachers_space_and_tells_age_and_gender_in_the_same_pass(
    distilled, labelled, teacher, tmp_path
):
    made = export_distillation(distilled, tmp_path / "small", dataset=labelled)
    manifest = made.bundle.manifest
    assert manifest.embedding == teacher.manifest.embedding
    assert manifest.attributes is not None
    assert manifest.attributes.years.tolist() == list(range(101))
    assert manifest.input is not None
    assert manifest.input.side_px == 150
    assert manifest.origin["teacher"] == "dlib-resnet-int8"
    assert made.parity.max_difference < 1e-4
    embedder = made.bundle.load(threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (3, 150, 150, 3), np.uint8)
    vectors, logits = embedder.embed_and_tell(crops)
    assert vectors.shape == (3, 128)
    assert logits.age.shape == (3, 101)
    with pytest.raises(Conflict):
        export_distillation(distilled, tmp_path / "small")
    anew = labelled.with_rows([replace(row, split="test") for row in labelled.rows], step="split otherwise")
    with pytest.raises(DatasetError, match="not what the student learnt from"):
        export_distillation(distilled, tmp_path / "other", dataset=anew, int8=True)


def test_faces_of_a_data_set_without_splits_are_mostly_learnt_from(sample_crops):
    plain = replace(sample_crops, rows=tuple(replace(row, split="", identity="") for row in sample_crops.rows))
    learnt, validation = distil_run.choose_faces(plain, load_student("likeness-s", FEW, smoke=True))
    assert (len(learnt), len(validation)) == (44, 4)
    assert not {row.path for row in learnt} & {row.path for row in validation}
    with pytest.raises(DatasetError, match="to learn from"):
        distil_run.choose_faces(plain, load_student("likeness-s", ["schedule.batch_size=64"], smoke=True))


def test_only_a_student_that_is_cut_out_tells_ages(labelled, teacher, tmp_path):
    recipe = load_student("mobile-face", ["attributes.weight=0.1"], smoke=True)
    with pytest.raises(RecipeInvalid, match="age and gender"):
        distil(labelled, teacher, recipe, tmp_path / "run")


def test_no_student_is_cut_out_of_a_network_of_another_form(labelled, distilled, tmp_path):
    other = export_distillation(distilled, tmp_path / "other").bundle
    with pytest.raises(ModelError, match="of dlib's form"):
        distil(labelled, other, load_student("likeness-s", FEW, smoke=True), tmp_path / "run")


def test_labels_are_taken_where_they_are_known(labelled):
    ages, genders = labels_of(labelled.rows[:6])
    assert ages.isnan().tolist() == [True, False, False, False, False, True]
    assert genders[1:5].tolist() == [1.0, 0.0, 1.0, 0.0]


@pytest.mark.parametrize("name", ["mobile-face", "mobilenet-v3-small"])
def test_a_fresh_student_comes_nearer_to_its_teacher(name, sample_crops, teacher, tmp_path):
    plain = replace(sample_crops, rows=tuple(replace(row, identity="", split="") for row in sample_crops.rows))
    changes = ["schedule.epochs=8", "schedule.warmup_epochs=0", "views.strength=none", "losses.relations=1"]
    done = distil(plain, teacher, load_student(name, changes, smoke=True), tmp_path / "run")
    assert done.epochs[-1]["loss"] < 0.75 * done.epochs[0]["loss"]
    assert done.epochs[-1]["validation/cosine"] > done.epochs[0]["validation/cosine"]


def test_softened_classes_are_told_where_the_teacher_has_classes():
    recipe = load_student("mobile-face", ["losses.classes=1"], smoke=True)
    views = Views(torch.zeros(4, 3, 32, 32, dtype=torch.uint8), PLANS["none"])
    unknown = torch.full((4,), float("nan"))
    torch.manual_seed(0)
    for classes, expected in ((None, {"loss", "embedding", "relations"}), (torch.randn(5, 128), {"classes"})):
        lessons = Lessons(views, None, unknown, unknown, torch.zeros(128), classes)  # type: ignore[arg-type]
        distiller = Distiller(blank_student(recipe), recipe, lessons)
        told = distiller.student.tell(torch.rand(4, 3, 64, 64) * 255)
        values = distiller.losses(told, torch.nn.functional.normalize(torch.randn(4, 128), dim=1), (unknown, unknown))
        assert expected <= set(values)
        assert float(values["loss"].detach()) == pytest.approx(
            sum(float(value.detach()) for key, value in values.items() if key != "loss"), rel=1e-5
        )


def test_watched_people_are_looked_at_and_decide_nothing(labelled, sample_crops, teacher, tmp_path):
    watched, recipe = (
        Watched.of(sample_crops, sample_crops.rows[:16], teacher),
        load_student("mobile-face", QUICK, smoke=True),
    )
    done = distil(labelled, teacher, recipe, tmp_path / "watched", watched=watched)
    distil(labelled, teacher, recipe, tmp_path / "alone")
    assert {"watched/equal_error_rate", "watched/match_accuracy"} <= set(done.epochs[-1])
    one, other = (load_student_of(tmp_path / name)[1].state_dict() for name in ("watched", "alone"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_command_distils_exports_and_lists(command, labelled, tmp_path):
    labelled = replace(labelled, folder=labelled.folder)
    labelled.write()
    listed = command("distil", "--list", "--json")
    assert [json.loads(line)["name"] for line in listed.out.splitlines()] == shipped_students()
    run = tmp_path / "run"
    said = command(
        "distil", "mobile-face", "--smoke", "--data", labelled.folder, "--run", run, "--set", "schedule.batch_size=8",
        "--json",
    )  # fmt: skip
    assert said.code == 0, said.err
    assert json.loads(said.out)["teacher"] == "dlib-resnet-int8"
    made = command("export", run, "--out", tmp_path / "bundle", "--json")
    assert made.code == 0, made.err
    assert Bundle.read(tmp_path / "bundle").manifest.embedding.space == "dlib-resnet-v1"
    wrong = command("export", run, "--out", tmp_path / "other", "--flip")
    assert wrong.code == 2
    assert "distillation" in wrong.err
    nobody = command("distil", "mobile-face")
    assert nobody.code == 2
