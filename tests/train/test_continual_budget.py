"""What a step beyond its budget comes to, and one that is stopped while it is published: never to half a step."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from continual_world import CHANGES, FIRST, FORGETFUL, OLD, Stopped, World, step, stop_at

from likeness.bundle import Bundle
from likeness.train import judgement
from likeness.train import memory as memories
from likeness.train.memory import Memory
from likeness.train.steps import Stepped


@pytest.fixture(scope="module")
def refusal(world: World, tmp_path_factory: pytest.TempPathFactory) -> tuple[Stepped, Path]:
    """A step without protection, which forgot too much."""
    folder = tmp_path_factory.mktemp("refused")
    naive = {"rehearse": False, "protect": False, "verify": (world.strangers, "test")}
    return step(world, folder, world.first, FORGETFUL, budget=0.01, **naive), folder


def test_a_step_beyond_its_budget_is_not_published_and_is_within_a_larger_one(
    world, refusal, tmp_path, command, monkeypatch
):
    refused, folder = refusal
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
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
    sets = [word for change in (*CHANGES, FORGETFUL) for word in ("--set", change)]
    # Old galleries lost more than old people did: at a budget between the two the space decides.
    galleries = refused.report["old_galleries"]["old people"]["lost"]
    assert refused.report["old_people"]["lost"] < 0.2 < galleries
    said = command("train", "--continue", world.start.folder, *places, *sets, "--budget", "0.2", "--keep-space")
    assert said.code == 6
    assert "was not published" in said.err
    assert "in old galleries fell" in said.err
    assert "over budget" in said.out
    said = command(
        *("train", "--continue", world.start.folder, *places, *sets),
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
    assert memory.state.exemplars == 40, "as before, where nothing else is asked for"
    assert made.manifest.embedding.space != world.start.manifest.embedding.space
    assert memory.first.manifest.embedding == made.manifest.embedding, "later steps are held to this one"
    said = command("train", "--memory", tmp_path / "memory", "--forget", OLD[0])
    assert said.code == 0
    assert OLD[0] not in Memory.read(tmp_path / "memory").centres


def test_a_step_that_is_stopped_while_it_is_published_ends_as_if_it_had_not_been(world, refusal, tmp_path, monkeypatch):
    shutil.copytree(refusal[1], tmp_path, dirs_exist_ok=True)
    place, folder = tmp_path / "models" / "start-1", tmp_path / "memory"
    before = world.start.manifest.embedding

    def stopped(owner: object, name: str, budget: float) -> None:
        def stop(*given: object, **named: object) -> None:
            raise Stopped

        with monkeypatch.context() as patched:
            patched.setattr(owner, name, stop)
            with pytest.raises(Stopped):
                step(world, tmp_path, world.first, FORGETFUL, budget=budget)

    stopped(judgement, "calibrate_step", 1.0)  # the bundle is placed, in the old space: all may be forgotten
    assert Bundle.read(place).manifest.embedding == before
    stopped(Memory, "_drop_others", 0.2)  # it is placed anew, in a space of its own, and its network is kept
    assert Bundle.read(place).manifest.embedding != before
    stopped(memories, "replace_file", 0.2)  # all is written but the state
    memory = Memory.read(folder)
    assert memory.step == 0
    assert memory.first.manifest.embedding == before, "a step that is not finished has changed nothing"
    assert set(memory.centres) == set(OLD)
    stopped(judgement, "tidy", 0.2)  # all is done but the leftovers
    memory, made = Memory.read(folder), Bundle.read(place)
    assert memory.step == 1
    assert memory.state.steps[-1]["space"] == made.manifest.embedding.space != before.space
    assert memory.first.manifest.embedding == made.manifest.embedding
    assert [path.name for path in folder.glob("first-*")] == ["first-001"]
    assert (folder / "steps" / "001" / "data").exists()
    (folder / "begun" / "crops").mkdir(parents=True)
    with pytest.raises(Stopped):
        step(world, tmp_path, world.second, start=made, watching=stop_at("training"))
    assert [path.name for path in (folder / "steps" / "001").iterdir()] == ["report"]
    assert not (folder / "begun").exists()
