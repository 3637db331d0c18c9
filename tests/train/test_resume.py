"""A training that was stopped, however, goes on where it was and ends with the same bits."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
import torch

from likeness.data.dataset import Dataset
from likeness.errors import DatasetError, RunDiffers
from likeness.train.checkpoint import task_state
from likeness.train.loop import train
from likeness.train.recipe import Recipe, load_recipe
from likeness.train.run import Run

# Dropout and augmentation draw random numbers, the cosine must be where it was, and triplets draw people.
SOFTMAX = ("softmax-resnet50", "network.drop=0.3", "data.augment=standard", "data.hold_photos=1")
TRIPLET = ("triplet-efficientnet-b0", "network.drop=0.3", "data.batch_size=16")


def recipe_of(name: str, *changes: str, epochs: int = 4) -> Recipe:
    return load_recipe(name, [*changes, f"loop.epochs={epochs}", "loop.patience=9", "data.workers=0"], smoke=True)


def last_state(folder: Path) -> dict[str, torch.Tensor]:
    checkpoint = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=False)
    state: dict[str, torch.Tensor] = checkpoint["state_dict"]
    return state


def expect_same(folder: Path, whole: Path) -> None:
    """Weights to the last bit, and figures."""
    for ours, theirs in ((last_state(folder), last_state(whole)), (task_state(folder), task_state(whole))):
        assert ours.keys() == theirs.keys()
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    run, expected = Run.read(folder), Run.read(whole)
    assert run.epochs == expected.epochs
    assert (run.best, run.finished, run.stopped) == (expected.best, expected.finished, expected.stopped)


@pytest.fixture(scope="module")
def whole(tiny: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Trainings that ran through, by name of their recipe."""
    folders = {}
    for changes in (SOFTMAX, TRIPLET):
        folders[changes[0]] = tmp_path_factory.mktemp("whole") / "run"
        assert train(tiny, recipe_of(*changes), folders[changes[0]]).finished
    return folders


class Stopped(BaseException):
    """Ends a training as abruptly as an exception can."""


KILLED = """
import os, signal, sys
from pathlib import Path
import torch
from likeness.data.dataset import Dataset
from likeness.train.loop import train
from likeness.train.recipe import check_recipe
import json

torch.set_num_threads(1)

def stop(done, total):
    if done == int(sys.argv[4]):
        os.kill(os.getpid(), signal.SIGKILL)

recipe = check_recipe(json.loads(sys.argv[1]), where="here")
train(Dataset.read(Path(sys.argv[2])), recipe, Path(sys.argv[3]), progress=stop)
"""


def test_killed_in_the_middle_of_an_epoch(tiny, whole, tmp_path):
    recipe, folder = recipe_of(*SOFTMAX), tmp_path / "run"
    # Two batches an epoch (24 photos, twelve at a time): it dies in the third epoch.
    arguments = [recipe.model_dump_json(), str(tiny.folder), str(folder), "5"]
    done = subprocess.run([sys.executable, "-c", KILLED, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == -signal.SIGKILL, done.stderr
    run = Run.read(folder)
    assert len(run.epochs) == 2
    assert not run.finished
    said: list[str] = []
    train(tiny, recipe, folder, say=said.append)
    assert said[0] == "Going on after 2 epochs."
    expect_same(folder, whole[SOFTMAX[0]])


@pytest.mark.parametrize("batch", [1, 3, 6])
def test_stopped_at_a_batch_with_triplets(tiny, whole, tmp_path, batch):
    def stop(done: int, total: int) -> None:
        if done == batch:
            raise Stopped

    with pytest.raises(Stopped):
        train(tiny, recipe_of(*TRIPLET), tmp_path / "run", progress=stop)
    train(tiny, recipe_of(*TRIPLET), tmp_path / "run")
    expect_same(tmp_path / "run", whole[TRIPLET[0]])


@pytest.mark.parametrize("when", ["before the record of an epoch is written", "after it is written"])
def test_stopped_between_record_and_checkpoint(tiny, whole, tmp_path, when, monkeypatch):
    write = Run.write

    def stop(run: Run, folder: Path) -> None:
        if when.startswith("after"):
            write(run, folder)
        if len(run.epochs) == 2:
            raise Stopped
        write(run, folder)

    with monkeypatch.context() as patch:
        patch.setattr(Run, "write", stop)
        with pytest.raises(Stopped):
            train(tiny, recipe_of(*SOFTMAX), tmp_path / "run")
    train(tiny, recipe_of(*SOFTMAX), tmp_path / "run")
    expect_same(tmp_path / "run", whole[SOFTMAX[0]])


def test_more_epochs_go_on_from_a_finished_training(tiny, tmp_path):
    changes = (*SOFTMAX, "optimiser.schedule=constant")
    train(tiny, recipe_of(*changes, epochs=3), tmp_path / "whole")
    assert train(tiny, recipe_of(*changes, epochs=1), tmp_path / "run").finished
    run = train(tiny, recipe_of(*changes, epochs=3), tmp_path / "run")
    assert len(run.epochs) == 3
    expect_same(tmp_path / "run", tmp_path / "whole")


def copied(folder: Path, target: Path) -> Path:
    import shutil

    shutil.copytree(folder, target)
    return target


def test_a_finished_training_is_left_alone(tiny, whole, tmp_path):
    folder = copied(whole[SOFTMAX[0]], tmp_path / "run")
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    said: list[str] = []
    run = train(tiny, recipe_of(*SOFTMAX), folder, say=said.append)
    assert run.finished
    assert re.fullmatch(r"This training is finished: 4 epochs, the best was \d\.", said[0])
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_another_recipe_is_refused_by_what_differs(tiny, whole, tmp_path):
    folder = copied(whole[SOFTMAX[0]], tmp_path / "run")
    with pytest.raises(RunDiffers, match=r"network\.dimension, optimiser\.learning_rate") as caught:
        train(tiny, recipe_of(*SOFTMAX, "network.dimension=16", "optimiser.learning_rate=1"), folder)
    assert "--fresh" in (caught.value.hint or "")


def test_other_data_are_refused(tiny, whole, tmp_path):
    folder = copied(whole[SOFTMAX[0]], tmp_path / "run")
    fewer = tiny.with_rows(tiny.rows[1:], step="one less")
    with pytest.raises(RunDiffers, match="differs in the data"):
        train(fewer, recipe_of(*SOFTMAX), folder)


def test_fresh_begins_anew_whatever_was_there(tiny, whole, tmp_path):
    folder = copied(whole[TRIPLET[0]], tmp_path / "run")
    train(tiny, recipe_of(*SOFTMAX), folder, fresh=True)
    expect_same(folder, whole[SOFTMAX[0]])


def test_fresh_does_not_delete_a_folder_that_holds_no_training(tiny, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "letter.txt").write_text("dear diary")
    train(tiny, recipe_of(*SOFTMAX, epochs=1), tmp_path / "run", fresh=True)
    assert (tmp_path / "run" / "letter.txt").read_text() == "dear diary"


@pytest.mark.parametrize("content", [b"", b"no checkpoint", None])
def test_a_damaged_checkpoint_is_said_so_and_left_as_it_is(tiny, whole, tmp_path, content):
    folder = copied(whole[SOFTMAX[0]], tmp_path / "run")
    last = folder / "checkpoints" / "last.ckpt"
    damaged = last.read_bytes()[:-1000] if content is None else content
    last.write_bytes(damaged)
    with pytest.raises(DatasetError, match=r"last\.ckpt") as caught:
        train(tiny, recipe_of(*SOFTMAX, epochs=5), folder)
    assert "--fresh" in (caught.value.hint or "")
    assert last.read_bytes() == damaged


def test_a_damaged_record_is_said_so(tiny, whole, tmp_path):
    folder = copied(whole[SOFTMAX[0]], tmp_path / "run")
    (folder / "run.json").write_text("{}")
    with pytest.raises(DatasetError, match=r"run\.json cannot be read"):
        train(tiny, recipe_of(*SOFTMAX), folder)


def likeness(*arguments: object) -> list[str]:
    return [str(Path(sys.executable).with_name("likeness")), *map(str, arguments)]


@pytest.mark.slow
def test_ctrl_c_leaves_a_training_that_goes_on(tiny, whole, tmp_path, command):
    sets = [part for change in (*SOFTMAX[1:], "loop.patience=99") for part in ("--set", change)]
    arguments = ["train", SOFTMAX[0], "--smoke", "--data", tiny.folder, "--run", tmp_path / "run", *sets]
    # Where the tests run in the background Ctrl-C is ignored, and processes inherit that.
    listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    process = subprocess.Popen(
        likeness(*arguments, "--set", "loop.epochs=200"),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
        preexec_fn=listens,
    )
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.startswith("Epoch 2/"):  # the first one's checkpoint is whole by then
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, (lines, rest)
    assert rest.endswith("interrupted\n")
    assert "Traceback" not in rest
    ended = len(Run.read(tmp_path / "run").epochs)
    assert 1 <= ended < 200
    done = command(*arguments, "--set", f"loop.epochs={ended + 1}")
    assert done.code == 0, done.err
    assert f"Going on after {ended} epochs." in done.err
    assert Run.read(tmp_path / "run").finished


@pytest.mark.slow
def test_two_processes_train_together_and_one_of_them_writes(tiny, tmp_path):
    sets = ("--set", "loop.devices=2", "--set", "loop.epochs=2", "--set", "data.hold_photos=1")
    arguments = ["train", SOFTMAX[0], "--smoke", "--data", tiny.folder, "--run", tmp_path / "run", *sets, "--json"]
    done = subprocess.run(likeness(*arguments), capture_output=True, text=True, timeout=200, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1, "one result, not one a process"
    assert done.stderr.count("Epoch 1/2") == 1
    assert "Traceback" not in done.stderr
    run = Run.read(tmp_path / "run")
    assert run.finished
    assert len(run.epochs) == 2
    assert 0 <= run.epochs[-1]["held/class_accuracy"] <= 1
