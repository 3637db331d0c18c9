"""Each shipped recipe learns faces: its smoke size, by the real command, beats chance by a stated margin."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch import nn
from torch.nn import functional
from varied_people import LEARNT, Said

from likeness.data.dataset import Dataset
from likeness.errors import DatasetError
from likeness.train.checkpoint import load_trained
from likeness.train.loop import train
from likeness.train.material import choose_material, crops_of
from likeness.train.networks import build_network
from likeness.train.recipe import Recipe, load_recipe
from likeness.train.run import Run
from likeness.train.validation import separation

HELD = 6
CHANCE = 1 / LEARNT


def match_accuracy(network: nn.Module, dataset: Dataset, recipe: Recipe, part: str) -> float:
    """How often, of the photos of a part of the material, a genuine pair is more alike than an impostor pair."""
    photos = getattr(choose_material(dataset, recipe), part)
    crops = crops_of(dataset, photos, recipe)
    with torch.inference_mode():
        raw = network.eval()(torch.stack([crops[0, index][0] for index in range(len(crops))]))
    return separation(functional.normalize(raw, dim=1).numpy(), photos.labels)["match_accuracy"]


def smoke(command: Callable[..., Said], name: str, dataset: Dataset, folder: Path) -> Run:
    done = command(
        "train",
        name,
        "--smoke",
        "--data",
        dataset.folder,
        "--run",
        folder,
        "--set",
        f"data.hold_photos={HELD}",
        "--json",
    )
    assert done.code == 0, done.err
    run = Run.read(folder)
    assert run.finished
    assert json.loads(done.out)["epochs"] == run.epochs
    return run


@pytest.mark.slow
@pytest.mark.parametrize("name", ["softmax-resnet50", "softmax-inception-resnet-v1", "arcface-mobilenet-v3"])
def test_a_classifier_names_held_photos_four_times_as_often_as_chance(command, hard, tmp_path, name):
    run = smoke(command, name, hard, tmp_path / "run")
    assert len(run.held) == HELD * LEARNT
    accuracy = run.epochs[run.best]["held/class_accuracy"]
    assert accuracy > 4 * CHANCE, f"chance is {CHANCE}"

    torch.manual_seed(1)
    untrained = build_network(run.recipe.network)
    for part, chance_at_most, at_least in (("held", 0.65, 0.8), ("validation", 0.6, 0.65)):
        before = match_accuracy(untrained, hard, run.recipe, part)
        after = match_accuracy(load_trained(tmp_path / "run").network, hard, run.recipe, part)
        assert before < chance_at_most, "the photos are hard: an untrained network guesses"
        assert after > at_least
        assert after > before + 0.1


@pytest.mark.slow
def test_triplets_bring_photos_of_a_person_together(command, hard, tmp_path):
    run = smoke(command, "triplet-efficientnet-b0", hard, tmp_path / "run")
    assert "held/class_accuracy" not in run.epochs[0], "there is no classifier"
    torch.manual_seed(1)
    untrained = build_network(run.recipe.network)
    for part, chance_at_most, at_least in (("held", 0.65, 0.75), ("validation", 0.6, 0.65)):
        before = match_accuracy(untrained, hard, run.recipe, part)
        after = match_accuracy(load_trained(tmp_path / "run").network, hard, run.recipe, part)
        assert before < chance_at_most, "the photos are hard: an untrained network guesses"
        assert after > at_least
        assert after > before + 0.1


def test_the_record_says_what_was_done_to_what(short, hard):
    run = Run.read(short)
    assert run.finished
    assert run.data.digest == hard.digest
    assert (run.data.people, run.data.photos, run.data.held_photos) == (LEARNT, LEARNT * 18, LEARNT * 6)
    assert (run.data.validation_people, run.data.validation_photos) == (4, 80), "of one person twenty at most"
    assert len(run.epochs) == 4
    assert {"torch", "lightning", "timm", "likeness", "python"} <= run.versions.keys()
    assert run.seconds > 0
    errors = [epoch["validation/equal_error_rate"] for epoch in run.epochs]
    assert run.best == int(np.argmin(errors))
    text = json.dumps(run.without_names())
    assert not any(name in text for name in run.people), "programs and people are told no names"


def test_figures_of_the_record_are_those_of_the_network_that_was_kept(short, hard):
    run = Run.read(short)
    trained = load_trained(short)
    expected = run.epochs[run.best]["validation/match_accuracy"]
    assert match_accuracy(trained.network, hard, run.recipe, "validation") == pytest.approx(expected, abs=2e-3)


def test_tensorboard_finds_the_curves(short):
    run = Run.read(short)
    events = EventAccumulator(str(short / "tensorboard"))
    events.Reload()
    assert set(run.epochs[0]) <= set(events.Tags()["scalars"])
    for name in run.epochs[0]:
        curve = [event.value for event in events.Scalars(name)]
        assert curve == pytest.approx([epoch[name] for epoch in run.epochs], abs=1e-5)


def test_a_training_that_gets_no_better_stops_after_its_patience(tiny, tmp_path):
    changes = ["loop.epochs=30", "loop.patience=2", "optimiser.learning_rate=1e-12", "data.workers=0"]
    recipe = load_recipe("softmax-resnet50", [*changes, "optimiser.weight_decay=0"], smoke=True)
    run = train(tiny, recipe, tmp_path / "run")
    assert run.finished
    assert len(run.epochs) < 30
    assert len(run.epochs) - 1 - run.best == 2
    assert run.stopped == "no better for 2 epochs"


def test_half_precision_trains_too(tiny, tmp_path):
    changes = ["loop.epochs=1", "loop.precision=bfloat16", "data.workers=0"]
    run = train(tiny, load_recipe("softmax-resnet50", changes, smoke=True), tmp_path / "run")
    assert run.finished
    assert all(np.isfinite(list(run.epochs[0].values())))


def test_all_batches_and_epochs_are_told(tiny, tmp_path):
    recipe = load_recipe("triplet-efficientnet-b0", ["loop.epochs=2", "data.workers=0"], smoke=True)
    told, said = [], []
    train(tiny, recipe, tmp_path / "run", progress=lambda done, total: told.append((done, total)), say=said.append)
    total = told[0][1]
    assert told == [(done, total) for done in range(1, total + 1)]
    assert said[0] == "Starting from random weights."
    assert [line.partition(":")[0] for line in said[1:]] == ["Epoch 1/2", "Epoch 2/2"]


def test_photos_that_are_no_crops_are_not_trained_on(tiny, tmp_path):
    facts = tiny.facts.model_copy(update={"crops": None})
    with pytest.raises(DatasetError, match="no aligned crops") as caught:
        train(Dataset(tiny.folder, facts, tiny.rows), load_recipe("softmax-resnet50", smoke=True), tmp_path / "run")
    assert caught.value.hint == "make them: likeness data crop"
    assert not (tmp_path / "run").exists()
