"""Steps from end to end: a bundle learns new people, what it forgets is measured, and too much is not published."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from continual_world import FIRST, OLD, SECOND, STRANGERS, TERMS, Stopped, World, recipe, step, stop_at
from patterned_people import write_patterned

from likeness.bundle import PACKAGED, Bundle
from likeness.data.dataset import Dataset
from likeness.errors import Conflict, DatasetError, InputError, PersonNotFound, RunDiffers, StorageError
from likeness.evaluate.dataset import embed_dataset
from likeness.evaluate.report import read_report
from likeness.settings import Settings
from likeness.train.continual import continue_bundle
from likeness.train.erasure import forget_person
from likeness.train.memory import EXEMPLAR, HELD, STATE, Memory, rows_used
from likeness.train.run import Run
from likeness.train.steps import Asked, Places, Stepped


@pytest.fixture(scope="module")
def one(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stepped, Path]:
    """A first step, with strangers to measure on."""
    folder = tmp_path_factory.mktemp("steps")
    return step(world, folder, world.first, verify=(world.strangers, "test")), folder


@pytest.fixture(scope="module")
def two(world: World, one: tuple[Stepped, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Stepped, Path]:
    """A second step on top of the first, where a photo was left that the memory does not have."""
    folder = tmp_path_factory.mktemp("second") / "steps"
    shutil.copytree(one[1], folder)
    left = folder / "memory" / "crops" / "zzz" / "0.png"
    left.parent.mkdir()
    shutil.copyfile(world.strangers.path(world.strangers.rows[0]), left)
    return step(world, folder, world.second, start=one[0].bundle), folder


def test_the_figures_of_old_people_are_those_of_the_two_bundles(world, one, tmp_path):
    found, folder = one
    memory = Memory.read(folder / "memory")
    held = [row for row in rows_used(memory.dataset.rows, HELD) if row.identity in OLD]
    assert len(held) == found.report["old_people"]["photos"] == 6 * 4
    # The gallery: exemplars of the old (40 for six people are six each) and what was learnt of the new.
    before = Memory.read(folder / "memory").state.steps[0]
    assert (before["people"], before["exemplars"]) == (6, 6 * 6)
    assert found.report["new_people"]["photos"] == 6 * 4
    assert found.report["data"]["photos"] == 6 * 6 + 6 * 6
    classes = np.stack([memory.centres[name] for name in memory.centres])
    vectors = embed_dataset(found.bundle, memory.dataset, held, tmp_path, lambda done, total: None).vectors
    named = [list(memory.centres)[at] for at in (vectors @ classes.T).argmax(axis=1)]
    right = np.mean([name == row.identity for name, row in zip(named, held, strict=True)])
    assert memory.state.steps[1]["named"]["0"] == pytest.approx(right)
    assert "".join(str(row.label("named"))[-1] for row in held).count("y") == round(right * len(held))


def test_a_gallery_of_the_old_network_is_searched_by_the_new_one(world, one, tmp_path):
    found, _ = one
    assert found.bundle is not None
    assert found.bundle.manifest.embedding.space == world.start.manifest.embedding.space
    rows = world.strangers.rows
    enrolled = [row for row in rows if row.path.endswith("/0.png")]
    asked = [row for row in rows if row not in enrolled]
    gallery = embed_dataset(world.start, world.strangers, enrolled, tmp_path, lambda done, total: None).vectors
    shares = {}
    for name, bundle in (("before", world.start), ("after", found.bundle)):
        probes = embed_dataset(bundle, world.strangers, asked, tmp_path, lambda done, total: None).vectors
        nearest = [enrolled[at].identity for at in (probes @ gallery.T).argmax(axis=1)]
        shares[name] = np.mean([a == row.identity for a, row in zip(nearest, asked, strict=True)])
    told = found.report["old_galleries"]["strangers"]
    assert (told["before_rank_1"], told["after_rank_1"]) == pytest.approx((shares["before"], shares["after"]))


def test_the_report_names_nobody_and_lies_with_its_pictures_and_tables(one):
    found, _ = one
    folder = found.page.parent
    report = read_report(folder)
    assert report["published"] is True
    assert report["verification"]["people"] == len(STRANGERS)
    assert {"old people", "strangers"} == set(report["old_galleries"])
    for path in (folder / "report.json", folder / "report.html", folder / "report.md"):
        text = path.read_text()
        assert not any(name in text for name in (*OLD, *FIRST, *STRANGERS)), path.name
    assert (folder / "losses.png").read_bytes().startswith(b"\x89PNG")
    assert (folder / "course.png").is_file()
    assert "old galleries, rank-1 of strangers" in (folder / "report.md").read_text()


def test_a_finished_step_leaves_neither_photos_nor_embeddings_nor_checkpoints(one):
    _, folder = one
    assert [path.name for path in (folder / "memory" / "steps" / "001").iterdir()] == ["report"]
    assert not (folder / "memory" / "begun").exists()


def test_the_memory_is_bounded_and_knows_everybody_after_two_steps(two):
    found, folder = two
    memory = Memory.read(folder / "memory")
    each = Counter(row.identity for row in rows_used(memory.dataset.rows, EXEMPLAR))
    assert set(each) == {*OLD, *FIRST, *SECOND} == set(memory.centres)
    assert memory.state.exemplars == 40, "as before, where nothing else is asked for"
    assert set(each.values()) == {40 // 18}
    files = {path.relative_to(memory.folder).as_posix() for path in (memory.folder / "crops").rglob("*.png")}
    assert files == {row.path for row in memory.dataset.rows}, "what is not remembered is deleted"
    assert [entry["people"] for entry in memory.state.steps] == [6, 12, 18]
    courses = {int(row.label("step")): len(str(row.label("named"))) for row in rows_used(memory.dataset.rows, HELD)}
    assert courses == {0: 3, 1: 2, 2: 1}
    assert set(found.report["forgetting"]["named"]["of_steps"]) == {0, 1}
    assert found.bundle.manifest.origin["continued"] == {"series": "start", "step": 2, "from": "start-1"}
    assert not (memory.folder / "crops" / "zzz").exists(), "what was left is gone too"


def test_the_memory_goes_with_one_bundle_only(world, one, tmp_path):
    folder = tmp_path / "steps"
    shutil.copytree(one[1], folder)
    with pytest.raises(Conflict, match="another network"):
        step(world, folder, world.second, start=world.start)


def test_who_withdraws_is_gone_from_the_memory(two, tmp_path):
    folder = tmp_path / "memory"
    shutil.copytree(two[1] / "memory", folder)
    unfinished = folder / "steps" / "003" / "data"
    write_patterned(unfinished, [OLD[2], "new"], of_each=2)
    # Of a step that was stopped when it was finished, and of a beginning that was.
    write_patterned(folder / "steps" / "002" / "data", [OLD[2], "new"], of_each=2)
    write_patterned(folder / "begun" / "arrived", [OLD[2], "new"], of_each=2)
    assert forget_person(folder, "OLD 2") == 4 + 2
    memory = Memory.read(folder)
    assert OLD[2] not in memory.centres
    assert not any(row.identity == OLD[2] for row in memory.dataset.rows)
    assert not unfinished.exists()
    assert (folder / "steps" / "002" / "report" / "report.json").is_file()
    for path in folder.rglob("*"):
        assert OLD[2] not in path.as_posix()
        if path.is_file():
            assert OLD[2].encode() not in path.read_bytes(), path
    with pytest.raises(PersonNotFound):
        forget_person(folder, OLD[2])


def test_who_withdraws_while_the_memory_begins_is_gone_too(world, tmp_path):
    with pytest.raises(Stopped):
        step(world, tmp_path, world.first, watching=stop_at("remembering"))
    folder = tmp_path / "memory"
    assert not (folder / STATE).exists()
    assert forget_person(folder, OLD[0]) == len(world.old.rows)
    assert [path.name for path in folder.iterdir()] == [".lock"]


def test_what_shows_people_and_cannot_be_deleted_is_said(one, tmp_path):
    folder = tmp_path / "memory"
    shutil.copytree(one[1] / "memory", folder)
    (tmp_path / "elsewhere").mkdir()
    (folder / "begun").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(StorageError, match="begun' cannot be deleted"):
        forget_person(folder, OLD[0])


def test_a_model_that_began_with_a_forbidden_one_forbids_commercial_use_too(world, two):
    found = two[0].bundle.manifest.licence
    assert world.start.manifest.licence.commercial is False
    assert found.commercial is False
    assert TERMS in found.data
    assert TERMS in found.note


def test_a_memory_without_room_for_everybody_is_refused_before_the_training(world, tmp_path):
    with pytest.raises(InputError, match="5 exemplars and would have 6 people"):
        step(world, tmp_path, world.first, exemplars=5)
    with pytest.raises(InputError, match="11 exemplars and would have 12 people"):
        step(world, tmp_path, world.first, exemplars=11, watching=stop_at("training"))
    with pytest.raises(Stopped):
        step(world, tmp_path, world.first, exemplars=12, watching=stop_at("training"))


def test_a_step_that_is_stopped_goes_on_to_the_same_network(world, one, tmp_path):
    @contextmanager
    def stopping(what: str) -> Iterator[object]:
        def told(done: int, total: int) -> None:
            if what == "training" and done > total // 2:
                raise Stopped

        yield told

    with pytest.raises(Stopped):
        step(world, tmp_path, world.first, watching=stopping)
    assert (tmp_path / "memory" / "steps" / "001" / "checkpoints" / "last.ckpt").is_file()
    with pytest.raises(RunDiffers):
        step(world, tmp_path, world.second)
    with pytest.raises(Stopped):  # when it is trained: the same weights would be exported to the same file
        step(world, tmp_path, world.first, say=_stop_at_export)
    assert Run.read(tmp_path / "memory" / "steps" / "001").epochs == one[0].report["training"]["epochs"]


def _stop_at_export(text: str) -> None:
    if text.startswith("Exporting"):
        raise Stopped


def test_photos_that_are_known_teach_nothing(world, tmp_path):
    with pytest.raises(DatasetError, match="known already"):
        step(world, tmp_path, world.old, exemplars=100)


def test_a_step_needs_two_people(tmp_path, world):
    alone = write_patterned(tmp_path / "alone", ["one"], of_each=3)
    with pytest.raises(DatasetError, match="two people"):
        step(world, tmp_path, alone, old=None)


def test_a_known_name_on_somebody_elses_photos_is_refused(sample_crops, tmp_path):
    names = sorted({row.identity for row in sample_crops.rows})
    known = renamed(sample_crops, tmp_path / "known", {name: name for name in names[:3]})
    start = Bundle.read(PACKAGED / "dlib-resnet-int8")
    strange = renamed(sample_crops, tmp_path / "strange", {names[3]: names[0], names[4]: names[4]})
    with pytest.raises(Conflict, match=names[0]):
        first_step(start, known, strange, tmp_path / "one")
    # The same photos under the right names pass.
    new = renamed(sample_crops, tmp_path / "new", {names[3]: names[3], names[4]: names[4]})
    with pytest.raises(Stopped):
        first_step(start, known, new, tmp_path / "two")


def renamed(crops: Dataset, folder: Path, names: dict[str, str]) -> Dataset:
    """Some people of a data set in a folder of their own, under other names."""
    rows = [row for row in crops.rows if row.identity in names]
    for row in rows:
        (folder / row.path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(crops.path(row), folder / row.path)
    made = Dataset(folder, crops.facts, tuple(replace(row, identity=names[row.identity]) for row in rows))
    made.write()
    return made


def first_step(start: Bundle, known: Dataset, new: Dataset, folder: Path) -> Stepped:
    """A step up to its training."""
    return continue_bundle(
        start,
        new.folder,
        recipe(),
        Places(folder / "memory", folder / "models"),
        Asked(old=known.folder),
        settings=Settings.load(),
        say=lambda text: None,
        watch=stop_at("training"),
    )


def test_people_to_measure_on_must_not_be_learnt(world, tmp_path):
    with pytest.raises(DatasetError, match="are learnt"):
        step(world, tmp_path, world.first, verify=(replace(world.old), "all"))
