"""Steps from end to end: a bundle learns new people, what it forgets is measured, and too much is not published."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
from patterned_people import write_patterned

from likeness.bundle import PACKAGED, Bundle
from likeness.data.dataset import Dataset
from likeness.errors import Conflict, DatasetError, PersonNotFound, RunDiffers
from likeness.evaluate.dataset import embed_dataset
from likeness.evaluate.report import read_report
from likeness.settings import Settings
from likeness.train.continual import continue_bundle
from likeness.train.export import export_run
from likeness.train.loop import train
from likeness.train.memory import EXEMPLAR, HELD, Memory, forget_person, rows_used
from likeness.train.recipe import Recipe, load_recipe
from likeness.train.run import Run
from likeness.train.steps import Asked, Places, Stepped

OLD, FIRST, SECOND, STRANGERS = ([f"{kind}-{number}" for number in range(6)] for kind in ("old", "one", "two", "else"))

CHANGES = ("loop.epochs=3", "data.workers=0", "data.batch_size=16", "data.augment=none", "data.hold_photos=4")


class Stopped(BaseException):
    """Ends a training as abruptly as an exception can."""


@dataclass(frozen=True)
class World:
    """A network that knows the people of `old`, two batches of new ones, and strangers."""

    start: Bundle
    old: Dataset
    first: Dataset
    second: Dataset
    strangers: Dataset


@contextmanager
def watch(what: str) -> Iterator[object]:
    yield lambda done, total: None


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder = tmp_path_factory.mktemp("world")
    old = write_patterned(folder / "old", OLD, of_each=12)
    others = write_patterned(folder / "others", [f"apart-{number}" for number in range(4)], of_each=4)
    known = write_patterned(folder / "known", OLD, of_each=12, split="train", seed=1)
    for row in others.rows:
        (known.folder / row.path).parent.mkdir(parents=True, exist_ok=True)
        (known.folder / row.path).hardlink_to(others.path(row))
    known = replace(known, rows=(*known.rows, *(replace(row, split="validation") for row in others.rows)))
    changes = ["loop.epochs=12", "data.workers=0", "network.side_px=32", "data.augment=none"]
    train(known, load_recipe("softmax-resnet50", changes, smoke=True), folder / "run")
    return World(
        start=export_run(folder / "run", folder / "start", dataset=known, keep_classes=True).bundle,
        old=old,
        first=write_patterned(folder / "first", FIRST, of_each=10),
        second=write_patterned(folder / "second", SECOND, of_each=10),
        strangers=write_patterned(folder / "strangers", STRANGERS, of_each=8, split="test"),
    )


def recipe(*changes: str) -> Recipe:
    return load_recipe("continue", [*CHANGES, "optimiser.learning_rate=1e-3", *changes])


def step(
    world: World,
    folder: Path,
    people: Dataset,
    *changes: str,
    start: Bundle | None = None,
    watching: object = watch,
    fresh: bool = False,
    name: str | None = None,
    say: Callable[[str], None] = lambda text: None,
    **asked: object,
) -> Stepped:
    begun = (folder / "memory" / "memory.json").is_file()
    told = {"budget": 1.0, "exemplars": 40, "old": None if begun else world.old.folder} | asked
    return continue_bundle(
        start or world.start,
        people.folder,
        recipe(*changes),
        Places(folder / "memory", folder / "models", name),
        Asked(**told),
        settings=Settings.load(),
        say=say,
        watch=watching,
        fresh=fresh,
    )


@pytest.fixture(scope="module")
def one(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stepped, Path]:
    """A first step, with strangers to measure on."""
    folder = tmp_path_factory.mktemp("steps")
    return step(world, folder, world.first, verify=(world.strangers, "test")), folder


@pytest.fixture(scope="module")
def two(world: World, one: tuple[Stepped, Path], tmp_path_factory: pytest.TempPathFactory) -> tuple[Stepped, Path]:
    """A second step on top of the first."""
    folder = tmp_path_factory.mktemp("second") / "steps"
    shutil.copytree(one[1], folder)
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
    assert set(each.values()) == {40 // 18}
    files = {path.relative_to(memory.folder).as_posix() for path in (memory.folder / "crops").rglob("*.png")}
    assert files == {row.path for row in memory.dataset.rows}, "what is not remembered is deleted"
    assert [entry["people"] for entry in memory.state.steps] == [6, 12, 18]
    courses = {int(row.label("step")): len(str(row.label("named"))) for row in rows_used(memory.dataset.rows, HELD)}
    assert courses == {0: 3, 1: 2, 2: 1}
    assert set(found.report["forgetting"]["named"]["of_steps"]) == {0, 1}
    assert found.bundle.manifest.origin["continued"] == {"series": "start", "step": 2, "from": "start-1"}
    assert not any("zzz" in name for name in files)


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
    assert forget_person(folder, "OLD 2") == 4 + 2
    memory = Memory.read(folder)
    assert OLD[2] not in memory.centres
    assert not any(row.identity == OLD[2] for row in memory.dataset.rows)
    assert not unfinished.exists()
    for path in folder.rglob("*"):
        assert OLD[2] not in path.as_posix()
        if path.is_file():
            assert OLD[2].encode() not in path.read_bytes(), path
    with pytest.raises(PersonNotFound):
        forget_person(folder, OLD[2])


def test_a_step_beyond_its_budget_is_not_published_and_is_within_a_larger_one(world, tmp_path, command, monkeypatch):
    naive = {"rehearse": False, "protect": False, "verify": (world.strangers, "test")}
    refused = step(world, tmp_path, world.first, "optimiser.learning_rate=3e-3", budget=0.01, **naive)
    assert refused.refusal is not None
    assert refused.refusal.exit_code == 6
    assert "rank-1 of old people fell" in refused.refusal.message
    assert refused.report["published"] is False
    assert json.loads((refused.page.parent / "report.json").read_text())["over_budget"]
    assert not (tmp_path / "models").exists() or not list((tmp_path / "models").iterdir())
    memory = Memory.read(tmp_path / "memory")
    assert memory.step == 0
    assert not any(row.identity in FIRST for row in memory.dataset.rows)
    # Asked for again by the command, it is not trained again, but measured.
    monkeypatch.setenv("LIKENESS_MODELS", str(tmp_path / "models"))
    places = ("--data", world.first.folder, "--memory", tmp_path / "memory", "--verify", world.strangers.folder)
    sets = [word for change in (*CHANGES, "optimiser.learning_rate=3e-3") for word in ("--set", change)]
    more = ("--exemplars", 40, *sets)
    said = command("train", "--continue", world.start.folder, *places, *more, "--budget", "0.01")
    assert said.code == 6
    assert "was not published" in said.err
    assert "over budget" in said.out
    # Old galleries lost more than old people did: at a budget between the two the space decides.
    galleries = refused.report["old_galleries"]["old people"]["lost"]
    assert refused.report["old_people"]["lost"] < 0.2 < galleries
    said = command("train", "--continue", world.start.folder, *places, *more, "--budget", "0.2", "--keep-space")
    assert said.code == 6
    assert "in old galleries fell" in said.err
    said = command(
        *("train", "--continue", world.start.folder, *places, *more),
        *("--budget", "0.2", "--json", "--report", tmp_path / "told"),
    )
    assert said.code == 0, said.err
    assert "gallery re-embed --model start-1" in said.err
    told = json.loads(said.out)
    assert told["training"]["seconds"] == refused.report["training"]["seconds"]
    assert told["published"] is True
    assert Path(told["bundle"]) == tmp_path / "models" / "start-1"
    assert (tmp_path / "told" / "report.html").is_file()
    memory, made = Memory.read(tmp_path / "memory"), Bundle.read(tmp_path / "models" / "start-1")
    assert memory.step == 1
    assert made.manifest.embedding.space != world.start.manifest.embedding.space
    assert memory.first.manifest.embedding == made.manifest.embedding, "later steps are held to this one"
    said = command("train", "--memory", tmp_path / "memory", "--forget", OLD[0])
    assert said.code == 0
    assert OLD[0] not in Memory.read(tmp_path / "memory").centres


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
        watch=_stop_at_training,
    )


@contextmanager
def _stop_at_training(what: str) -> Iterator[object]:
    if what == "training":
        raise Stopped
    yield lambda done, total: None


def test_people_to_measure_on_must_not_be_learnt(world, tmp_path):
    with pytest.raises(DatasetError, match="are learnt"):
        step(world, tmp_path, world.first, verify=(replace(world.old), "all"))
