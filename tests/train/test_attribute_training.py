"""A network that tells age and gender: trained, exported, calibrated, measured, told with."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from attribute_bundles import write_faces
from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.errors import DatasetError
from likeness.train.attribute_task import AttributesTask
from likeness.train.checkpoint import load_trained
from likeness.train.export import export_run
from likeness.train.loop import train
from likeness.train.material import choose_material
from likeness.train.networks import build_network
from likeness.train.recipe import Recipe, load_recipe
from likeness.train.run import Run


@pytest.fixture(scope="module")
def faces(tmp_path_factory) -> Dataset:
    """Colours, of which every network can learn what age and gender they stand for."""
    return write_faces(tmp_path_factory.mktemp("faces") / "colours", 600, side_px=32)


@pytest.fixture(scope="module")
def recipe() -> Recipe:
    changes = ["network.side_px=32", "data.workers=0", "loop.epochs=4", "data.augment=none"]
    return load_recipe("attributes-mobilenet-v3", changes, smoke=True)


@pytest.fixture(scope="module")
def trained(faces, recipe, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    train(faces, recipe, folder)
    return folder


@pytest.fixture(scope="module")
def bundle(trained, faces, tmp_path_factory) -> Bundle:
    return export_run(trained, tmp_path_factory.mktemp("bundles") / "ages", dataset=faces).bundle


def test_the_best_epoch_is_that_of_the_smallest_error_of_age(trained, faces):
    run = Run.read(trained)
    errors = [epoch["validation/mean_absolute_error_years"] for epoch in run.epochs]
    assert run.best == errors.index(min(errors))
    ages = np.array([row.label("age_years") for row in faces.of_split("validation")])
    assert min(errors) < 0.6 * np.abs(ages - np.median(ages)).mean()
    assert run.epochs[run.best]["validation/gender_accuracy"] > 0.8
    assert {"train/age", "train/age_error", "train/gender", "train/loss"} <= set(run.epochs[0])
    assert (run.data.people, run.data.photos, run.data.validation_photos) == (0, 300, 150)


def test_the_figures_are_those_of_the_network_that_is_kept(trained, faces, recipe):
    from likeness.train.material import crops_of

    crops = crops_of(faces, choose_material(faces, recipe).validation, recipe)
    task_recipe = load_trained(trained)
    network = task_recipe.network
    with torch.no_grad():
        age_logits, gender_logit = network(torch.stack([crops[0, at][0] for at in range(len(crops))]))
    told = []
    for row in age_logits.softmax(1).tolist():
        below, year = 0.0, 0
        while below + row[year] < 0.5:
            below += row[year]
            year += 1
        told.append(year)
    error = np.abs(np.array(told) - crops.labels[:, 0]).mean()
    right = ((gender_logit.numpy() > 0) == (crops.labels[:, 1] > 0.5)).mean()
    run = Run.read(trained)
    best = run.epochs[run.best]
    assert best["validation/mean_absolute_error_years"] == pytest.approx(error, abs=0.02)
    assert best["validation/gender_accuracy"] == pytest.approx(right, abs=0.006)


def test_the_bundle_tells_age_and_gender_and_says_by_whose_labels(bundle, trained):
    manifest = bundle.manifest
    assert (manifest.role, manifest.embedding) == ("attributes", None)
    assert manifest.attributes.age_bins == 101
    assert "how people are seen" in manifest.attributes.labels
    assert {metric.name for metric in manifest.metrics} == {
        "validation/mean_absolute_error_years",
        "validation/gender_accuracy",
    }
    crops = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)
    logits = bundle.load(threads=1).attribute_logits(crops)
    planes = torch.from_numpy(load_trained(trained).run.recipe.network.input.prepare(crops))
    with torch.no_grad():
        ages, genders = load_trained(trained).network(planes)
    assert logits.age == pytest.approx(ages.numpy(), abs=1e-3)
    assert logits.gender == pytest.approx(genders.numpy(), abs=1e-3)


def test_from_the_training_to_what_describe_says(bundle, faces, command, samples):
    where = str(bundle.folder)
    assert command("calibrate", where, faces.folder, "--in-place").code == 0
    done = command("evaluate", "attributes", faces.folder, "--attributes", where, "--rounds", "20", "--json")
    measured = json.loads(done.out.splitlines()[-1])
    assert measured["age"]["coverage"] == pytest.approx(0.8, abs=0.1)
    assert measured["calibration"]["trained_on_this_data"] is True
    assert measured["calibration"]["honest"] is True
    told = command("describe", samples / "group.jpg", "--attributes", where)
    assert "8 of 10 within" in told.out


def test_labels_that_are_not_known_are_left_out(faces, recipe):
    rows = [
        replace(row, labels={} if at % 3 == 0 else {"gender": "male"} if at % 3 == 1 else row.labels)
        for at, row in enumerate(faces.rows)
    ]
    material = choose_material(Dataset(faces.folder, faces.facts, tuple(rows)), recipe)
    assert len(material.learnt.rows) < len(faces.of_split("train"))
    assert np.isnan(material.learnt.labels[:, 0]).any()
    assert np.isfinite(material.learnt.labels[:, 1]).all()
    nothing = tuple(replace(row, labels={}) for row in faces.rows)
    with pytest.raises(DatasetError, match="has an age or a gender"):
        choose_material(Dataset(faces.folder, faces.facts, nothing), recipe)


def test_people_in_both_splits_are_noticed(faces, recipe):
    same = tuple(replace(row, identity="Ada") for row in faces.rows)
    with pytest.raises(DatasetError, match="are also in train"):
        choose_material(Dataset(faces.folder, faces.facts, same), recipe)


@pytest.mark.parametrize(("licence", "commercial"), [("academic research only", False), ("made up", None)])
def test_data_that_forbids_commercial_use_forbids_it_of_the_bundle(trained, tmp_path, licence, commercial):
    from likeness.train.bundling import MODEL
    from likeness.train.export import describe_bundle

    run = Run.read(trained)
    run = run.model_copy(update={"data": run.data.model_copy(update={"licence": licence})})
    (tmp_path / MODEL).write_bytes(b"-")
    assert describe_bundle(run, tmp_path / MODEL, name="mine")["licence"]["commercial"] is commercial


def test_any_backbone_carries_the_heads(recipe):
    part = load_recipe("attributes-mobilenet-v3").network.model_copy(update={"pretrained": False})
    task = AttributesTask(build_network(part), recipe.task, part.dimension)
    ages, genders = task.network.eval()(torch.zeros(2, 3, part.side_px, part.side_px))
    assert (ages.shape, genders.shape) == ((2, 101), (2,))
