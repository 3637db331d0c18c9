"""A training becomes a bundle without its classifier that the product runs at once."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.errors import Conflict, DatasetError
from likeness.evaluate.classes import Classes
from likeness.evaluate.dataset import embed_dataset
from likeness.train.bundling import Exported
from likeness.train.checkpoint import load_trained
from likeness.train.crops import load_crops
from likeness.train.export import export_run
from likeness.train.loop import train
from likeness.train.material import choose_material, crops_of
from likeness.train.recipe import load_recipe
from likeness.train.run import Run


@pytest.fixture(scope="module")
def exported(short: Path, hard: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """The short training as a bundle that keeps its classes."""
    return export_run(short, tmp_path_factory.mktemp("bundles") / "mine", dataset=hard, keep_classes=True)


def test_the_network_of_a_training_comes_back_ready_to_run(short):
    trained = load_trained(short)
    assert not trained.network.training
    assert trained.classes is not None
    assert trained.classes.shape == (8, 32)
    assert not trained.classes.requires_grad


def test_a_folder_without_a_training_is_said_so(tmp_path):
    with pytest.raises(DatasetError, match=r"no training's folder"):
        load_trained(tmp_path)


def test_a_training_without_an_epoch_is_said_so(short, tmp_path):
    shutil.copy(short / "run.json", tmp_path / "run.json")
    with pytest.raises(DatasetError, match="end of an epoch"):
        load_trained(tmp_path)


def test_a_damaged_checkpoint_is_said_so(short, tmp_path):
    shutil.copytree(short, tmp_path / "run")
    (tmp_path / "run" / "checkpoints" / "best.ckpt").write_bytes(b"damaged")
    with pytest.raises(DatasetError, match=r"best\.ckpt"):
        load_trained(tmp_path / "run")


def test_the_bundle_says_what_it_is_and_where_it_came_from(exported, short, hard):
    bundle = Bundle.read(exported.bundle.folder)
    bundle.verify()
    run, manifest = Run.read(short), bundle.manifest
    assert (manifest.name, manifest.role) == ("mine", "embedder")
    assert manifest.embedding is not None
    assert manifest.embedding.dimension == 32
    assert manifest.embedding.space.startswith("softmax-resnet50-")
    assert manifest.input is not None
    assert (manifest.input.side_px, manifest.input.dtype) == (64, "uint8")
    assert manifest.alignment is not None
    assert manifest.alignment.template_px == hard.facts.crops.template_for(64)
    origin = json.loads((bundle.folder / "manifest.json").read_text())["origin"]
    assert origin["parity"]["max_difference"] <= 1e-4
    assert origin["data"]["digest"] == hard.digest
    assert origin["recipe"]["task"]["kind"] == "softmax"
    text = (bundle.folder / "manifest.json").read_text()
    assert not any(name in text for name in run.people), "a bundle names nobody whom it learnt"


def test_the_bundle_has_no_classifier(exported):
    import onnx

    graph = onnx.load(exported.bundle.path("model")).graph
    assert [dim.dim_value for dim in graph.output[0].type.tensor_type.shape.dim][1:] == [32]
    assert not any(8 in each.dims and 32 in each.dims for each in graph.initializer)


def test_the_product_embeds_as_the_network_did(exported, short, hard):
    rows = hard.rows[:10]
    embedder = exported.bundle.load(threads=1)
    found = embedder.embed(load_crops(hard, rows, 64))
    trained = load_trained(short)
    crops = crops_of(hard, choose_material(hard, trained.run.recipe).learnt, trained.run.recipe)
    wanted = {row.path: at for at, row in enumerate(choose_material(hard, trained.run.recipe).learnt.rows)}
    both = [(at, wanted[row.path]) for at, row in enumerate(rows) if row.path in wanted]
    assert len(both) > 3
    with torch.inference_mode():
        expected = functional.normalize(trained.network(torch.stack([crops[0, at][0] for _, at in both])), dim=1)
    # The product averages a face with its mirror image where the bundle says so: cosines are what counts.
    cosines = (found[[at for at, _ in both]] * expected.numpy()).sum(axis=1)
    assert cosines.min() > 0.999


def test_kept_classes_name_held_photos_as_often_as_in_training(exported, short, hard, tmp_path):
    run = Run.read(short)
    classes = Classes.of(exported.bundle)
    assert classes is not None
    assert [str(name) for name in classes.identities] == list(run.people)
    held = [row for row in hard.rows if row.path in set(run.held)]
    embedded = embed_dataset(exported.bundle, hard, held, tmp_path, lambda done, total: None, threads=1)
    answers = (embedded.vectors @ classes.weights.T).argmax(axis=1)
    right = np.mean([run.people[answer] == row.identity for answer, row in zip(answers, held, strict=True)])
    assert right == pytest.approx(run.epochs[run.best]["held/class_accuracy"], abs=1.01 / len(held))


def test_without_being_asked_no_classes_are_kept_and_the_name_is_the_folders(short, tmp_path):
    done = export_run(short, tmp_path / "plain", licence="mine alone")
    assert done.bundle.manifest.name == "plain"
    assert not done.bundle.has("classes")
    assert done.bundle.manifest.licence.weights == "mine alone"
    assert sorted(path.name for path in (tmp_path / "plain").iterdir()) == ["manifest.json", "model.onnx"]


def test_eight_bits_are_smaller_and_say_what_they_cost(exported, short, hard, tmp_path):
    done = export_run(short, tmp_path / "small", dataset=hard, int8=True)
    assert done.quantized is not None
    floats, bytes_ = (bundle.path("model").stat().st_size for bundle in (exported.bundle, done.bundle))
    assert bytes_ < floats * 0.6
    assert "int8" in done.as_dict()
    crops = load_crops(hard, hard.rows[::20], 64)
    whole, small = (bundle.load(threads=1).embed(crops) for bundle in (exported.bundle, done.bundle))
    assert (whole * small).sum(axis=1).mean() > 0.95


def test_what_is_there_is_not_overwritten(short, tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear diary")
    with pytest.raises(Conflict, match="mine"):
        export_run(short, tmp_path / "mine")
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]


def test_eight_bits_without_crops_are_refused_before_the_work(short, tmp_path):
    with pytest.raises(DatasetError, match="calibrated on faces"):
        export_run(short, tmp_path / "small", int8=True)


def test_crops_of_people_who_were_not_trained_on_do_not_do(short, hard, tmp_path):
    others = hard.with_rows([row for row in hard.rows if row.split == "validation"], step="others")
    with pytest.raises(DatasetError, match="nobody whom the training knew"):
        export_run(short, tmp_path / "small", dataset=others, int8=True)
    assert not (tmp_path / "small").exists()


def test_triplets_have_no_classes_to_keep(tiny, tmp_path):
    recipe = load_recipe("triplet-efficientnet-b0", ["loop.epochs=1", "data.workers=0"], smoke=True)
    train(tiny, recipe, tmp_path / "run")
    with pytest.raises(DatasetError, match="no classifier"):
        export_run(tmp_path / "run", tmp_path / "mine", keep_classes=True)
