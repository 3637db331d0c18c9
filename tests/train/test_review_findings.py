"""What must not happen to a training: files lost, numbers that are none, two at once, others' words taken as ours."""

from __future__ import annotations

import json
import math
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import torch

from likeness.data.dataset import Dataset
from likeness.errors import Conflict, DatasetError, ModelError, RunDiffers
from likeness.train import run as record
from likeness.train.checkpoint import load_trained
from likeness.train.export import describe_bundle
from likeness.train.loop import train
from likeness.train.material import choose_material
from likeness.train.networks import build_network
from likeness.train.recipe import NetworkPart, Recipe, load_recipe
from likeness.train.run import Run, alone, commit, erase
from likeness.train.verdict import Comparison, Standing

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


def recipe_of(*changes: str, epochs: int = 2) -> Recipe:
    few = ("data.max_people=2", "data.workers=0", f"loop.epochs={epochs}")
    return load_recipe("softmax-resnet50", (*few, *changes), smoke=True)


@pytest.fixture(scope="module")
def two_epochs(tiny: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("review") / "run"
    train(tiny, recipe_of(), folder)
    return folder


def test_beginning_anew_keeps_what_no_training_wrote(two_epochs, tmp_path):
    folder = shutil.copytree(two_epochs, tmp_path / "run")
    (folder / "people").mkdir()
    (folder / "people" / "manifest.csv").write_text("a data set")
    (folder / "people" / "link").symlink_to(tmp_path)
    erase(folder)
    assert {path.name for path in folder.iterdir()} == {"people", record.LOCK}
    assert (folder / "people" / "manifest.csv").read_text() == "a data set"


def test_a_second_process_may_not_train_in_the_same_folder(tiny, tmp_path):
    with alone(tmp_path / "run"), pytest.raises(Conflict, match="another process is training"):
        train(tiny, recipe_of(), tmp_path / "run")


def test_a_refused_training_deletes_nothing(tiny, two_epochs, tmp_path):
    folder = shutil.copytree(two_epochs, tmp_path / "run")
    with pytest.raises(DatasetError):
        train(tiny, recipe_of("data.per_person=1", "data.batch_size=64", "data.max_people=2"), folder, fresh=True)
    assert Run.read(folder).finished
    assert load_trained(folder).run.best >= 0


def test_numbers_that_are_none_end_a_training_in_words(tiny, tmp_path):
    with pytest.raises(ModelError, match="numbers that are none in epoch 1"):
        train(tiny, recipe_of("optimiser.learning_rate=1e35", "optimiser.clip=1e38"), tmp_path / "run")


def test_a_record_with_numbers_that_are_none_can_be_read(two_epochs, tmp_path):
    run = Run.read(two_epochs)
    run.epochs[0]["train/loss"] = math.nan
    run.write(tmp_path)
    assert math.isnan(Run.read(tmp_path).epochs[0]["train/loss"])


def test_fewer_epochs_than_there_are_is_said_so(tiny, two_epochs, tmp_path):
    folder = shutil.copytree(two_epochs, tmp_path / "run")
    run = Run.read(folder)
    run.finished = False
    run.write(folder)
    with pytest.raises(RunDiffers, match="2 epochs already"):
        train(tiny, recipe_of(epochs=1), folder)


def test_a_folder_that_was_moved_keeps_its_best_epoch(tiny, two_epochs, tmp_path):
    folder = shutil.copytree(two_epochs, tmp_path / "moved")
    last = folder / record.CHECKPOINTS / record.LAST
    state = torch.load(last, weights_only=True)
    for key, kept in state["callbacks"].items():
        if key.startswith("ModelCheckpoint") and kept["monitor"]:
            kept["best_model_score"] = kept["kth_value"] = torch.tensor(-1.0)
            kept["best_k_models"] = dict.fromkeys(kept["best_k_models"], torch.tensor(-1.0))
    torch.save(state, last)
    before = (folder / record.CHECKPOINTS / record.BEST).read_bytes()
    train(tiny, recipe_of(epochs=3), folder)
    assert len(Run.read(folder).epochs) == 3
    assert (folder / record.CHECKPOINTS / record.BEST).read_bytes() == before


def test_the_patience_of_the_recipe_counts_when_a_training_goes_on(tiny, two_epochs, tmp_path):
    folder = shutil.copytree(two_epochs, tmp_path / "run")
    last = folder / record.CHECKPOINTS / record.LAST
    state = torch.load(last, weights_only=True)
    for key, kept in state["callbacks"].items():
        if key.startswith("EarlyStopping"):
            kept["best_score"] = torch.tensor(-1.0)
    torch.save(state, last)
    run = train(tiny, recipe_of("loop.patience=1", epochs=5), folder)
    assert len(run.epochs) == 3
    assert run.stopped == "no better for 1 epochs"


INTERRUPTED = """
import os, signal, sys, json
from pathlib import Path
import torch
from likeness.data.dataset import Dataset
from likeness.train.loop import train
from likeness.train.recipe import check_recipe

torch.set_num_threads(1)
try:
    train(Dataset.read(Path(sys.argv[2])), check_recipe(json.loads(sys.argv[1]), where="here"), Path(sys.argv[3]),
          progress=lambda done, total: os.kill(os.getpid(), signal.SIGINT))
except KeyboardInterrupt:
    print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)
"""


def test_ctrl_c_comes_through_and_works_again_afterwards(tiny, tmp_path):
    arguments = [recipe_of().model_dump_json(), str(tiny.folder), str(tmp_path / "run")]
    # Where the tests run in the background Ctrl-C is ignored, and processes inherit that.
    listens = partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    done = subprocess.run(
        [sys.executable, "-c", INTERRUPTED, *arguments],
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=listens,
    )
    assert done.stdout.strip() == "True", done.stderr
    assert done.returncode == 0


def test_a_checkpoint_that_would_run_code_is_not_run(tiny, two_epochs, tmp_path):
    folder = shutil.copytree(two_epochs, tmp_path / "run")

    class Evil:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return os.mkdir, (str(tmp_path / "ran"),)

    torch.save({"state_dict": {}, "evil": Evil()}, folder / record.CHECKPOINTS / record.LAST)
    with pytest.raises(DatasetError, match="cannot be read"):
        train(tiny, recipe_of(epochs=3), folder)
    assert not (tmp_path / "ran").exists()


def test_people_who_are_in_both_splits_are_refused(tiny):
    rows = [replace(row, split="validation" if at % 2 else "train") for at, row in enumerate(tiny.rows)]
    with pytest.raises(DatasetError, match="are also in train"):
        choose_material(tiny.with_rows(rows, step="mixed"), recipe_of())


def test_the_record_says_which_weights_a_training_began_with(two_epochs):
    assert Run.read(two_epochs).started_from == "random weights"


def test_a_bundle_tells_no_path_of_the_weights_it_began_with(two_epochs, tmp_path):
    run = Run.read(two_epochs)
    network = run.recipe.network.model_copy(update={"weights": tmp_path / "mine.pt"})
    run.recipe = run.recipe.model_copy(update={"network": network})
    model = two_epochs / "run.json"
    told = json.dumps(describe_bundle(run, model, name="mine"))
    assert str(tmp_path) not in told
    assert "mine.pt" in told


def test_a_training_can_begin_with_the_checkpoint_of_another(two_epochs):
    part = load_trained(two_epochs).run.recipe.network
    began: list[str] = []
    best = two_epochs / record.CHECKPOINTS / record.BEST
    network = build_network(NetworkPart.model_validate(part.model_dump() | {"weights": best}), began=began.append)
    expected = load_trained(two_epochs).network.state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in network.state_dict().items())
    assert began[0].startswith("the weights in best.ckpt, sha256 ")


def test_another_repository_around_an_installation_is_not_our_commit(tmp_path):
    package = tmp_path / "site-packages" / "likeness"
    package.parent.mkdir()
    source = Path(record.__file__).parents[1]
    shutil.copytree(source, package, ignore=shutil.ignore_patterns("bundles", "catalogue", "__pycache__"))
    for command in (
        ["init", "-q"],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x", "--allow-empty"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    code = "from likeness.train.run import commit; print(repr(commit()))"
    env = os.environ | {"PYTHONPATH": str(package.parent)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env, check=True)
    assert done.stdout.strip() == "''"
    assert commit() != ""


def test_more_processes_than_batches_are_refused(tiny, tmp_path):
    with pytest.raises(DatasetError, match="no batch for each of 2 devices"):
        train(tiny, recipe_of("loop.devices=2"), tmp_path / "run")


@pytest.mark.parametrize(("people", "word"), [(5, "no clear difference"), (6, "better")])
def test_few_people_who_all_gain_make_no_clear_difference(people, word):
    gained = (0.1, 0.2)
    found = Comparison("held", people, people * 2, Standing(0.5, 0.5), Standing(0.65, 0.65), gained, gained)
    assert found.word == word
