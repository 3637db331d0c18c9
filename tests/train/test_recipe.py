"""Recipes state only differences, say which key is wrong, and are what was promised of those that are shipped."""

from __future__ import annotations

from pathlib import Path

import pytest

from likeness.errors import RecipeInvalid
from likeness.train.recipe import (
    ArcFacePart,
    FineTunePart,
    Recipe,
    SoftmaxPart,
    TripletPart,
    check_recipe,
    load_recipe,
    shipped_recipes,
)

TRAINED = (
    "arcface-mobilenet-v3",
    "attributes-mobilenet-v3",
    "softmax-inception-resnet-v1",
    "softmax-resnet50",
    "triplet-efficientnet-b0",
)


def test_these_recipes_come_with_likeness():
    assert shipped_recipes() == sorted((*TRAINED, "continue", "fine-tune"))


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_shipped_recipe_is_named_like_its_file_and_says_what_it_is(name):
    recipe = load_recipe(name)
    assert recipe.name == name
    assert recipe.summary.endswith(".")


def test_triplets_train_as_stated():
    recipe = load_recipe("triplet-efficientnet-b0")
    assert recipe.network.backbone == "efficientnet_b0"
    assert (recipe.network.dimension, recipe.network.side_px) == (300, 224)
    assert isinstance(recipe.task, TripletPart)
    assert recipe.task.mining == "hard"
    assert (recipe.optimiser.learning_rate, recipe.optimiser.weight_decay) == (1e-3, 1e-2)
    assert (recipe.data.batch_size, recipe.loop.epochs, recipe.loop.patience) == (32, 10, 3)


def test_resnet50_is_fine_tuned_as_stated():
    recipe = load_recipe("softmax-resnet50")
    assert isinstance(recipe.task, SoftmaxPart)
    assert recipe.network.backbone == "resnet50"
    assert recipe.network.pretrained
    assert (recipe.optimiser.learning_rate, recipe.loop.epochs) == (5e-5, 35)


def test_our_inception_resnet_gives_512_numbers_before_its_classifier():
    recipe = load_recipe("softmax-inception-resnet-v1")
    assert isinstance(recipe.task, SoftmaxPart)
    assert (recipe.network.backbone, recipe.network.dimension) == ("inception-resnet-v1", 512)
    assert (recipe.network.blocks, recipe.network.width) == ((5, 10, 5), 1.0)


def test_mobilenet_learns_with_an_angular_margin():
    recipe = load_recipe("arcface-mobilenet-v3")
    assert isinstance(recipe.task, ArcFacePart)
    assert recipe.network.backbone == "mobilenetv3_large_100"


def test_fine_tuning_holds_photos_back_and_starts_from_a_bundle():
    recipe = load_recipe("fine-tune")
    assert isinstance(recipe.task, FineTunePart)
    assert recipe.network.backbone == "bundle"
    assert recipe.data.hold_photos == 2


@pytest.mark.parametrize("name", TRAINED)
def test_the_smoke_size_keeps_the_task_but_not_the_size(name):
    full, smoke = load_recipe(name), load_recipe(name, smoke=True)
    assert smoke.task.kind == full.task.kind
    assert smoke.network.dimension < full.network.dimension
    assert smoke.network.side_px < full.network.side_px
    assert not smoke.network.pretrained, "tests do not wait for a network"


@pytest.mark.parametrize("name", shipped_recipes())
def test_a_recipe_survives_its_own_record(name):
    recipe = load_recipe(name)
    assert Recipe.model_validate_json(recipe.model_dump_json()) == recipe


def test_changes_reach_nested_keys_with_their_types():
    recipe = load_recipe(
        "softmax-resnet50",
        [
            "loop.epochs=10",
            "optimiser.learning_rate=1e-4",
            "network.pretrained=false",
            "network.blocks=[1, 2, 3]",
            'summary="in quotes"',
        ],
    )
    assert recipe.loop.epochs == 10
    assert recipe.optimiser.learning_rate == 1e-4
    assert recipe.network.pretrained is False
    assert recipe.network.blocks == (1, 2, 3)
    assert recipe.summary == "in quotes"
    assert recipe.loop.patience == load_recipe("softmax-resnet50").loop.patience, "what is not named stays"


def test_a_table_can_be_given_at_once():
    recipe = load_recipe("softmax-inception-resnet-v1", ['task={kind="arcface", scale=16.0}'])
    assert recipe.task == ArcFacePart(scale=16.0)


def test_a_value_that_is_no_toml_is_text():
    recipe = load_recipe("softmax-resnet50", ["network.backbone=resnet18", "network.weights=my weights/a=b.pt"])
    assert recipe.network.backbone == "resnet18"
    assert recipe.network.weights == Path("my weights/a=b.pt")


def test_the_last_of_two_changes_wins():
    assert load_recipe("softmax-resnet50", ["loop.seed=1", "loop.seed=2"]).loop.seed == 2


def test_changes_come_on_top_of_the_smoke_size():
    assert load_recipe("softmax-resnet50", ["loop.epochs=1"], smoke=True).loop.epochs == 1


def test_a_task_of_another_kind_needs_its_own_table():
    with pytest.raises(RecipeInvalid, match=r"task\.label_smoothing"):
        load_recipe("softmax-resnet50", ["task.kind=arcface"])


@pytest.mark.parametrize(
    ("change", "named"),
    [
        pytest.param("loop.epoch=3", "loop.epoch", id="a key that is not there"),
        pytest.param("colour=blue", "colour", id="a table that is not there"),
        pytest.param("loop.epochs=many", "loop.epochs", id="text for a number"),
        pytest.param("loop.epochs=0", "loop.epochs", id="too small"),
        pytest.param("loop.epochs=2.5", "loop.epochs", id="a part of an epoch"),
        pytest.param("network.drop=1.0", "network.drop", id="everything dropped"),
        pytest.param("network.blocks=[1, 2]", "network.blocks", id="two of three"),
        pytest.param("data.augment=wild", "data.augment", id="none of the choices"),
        pytest.param("optimiser.learning_rate=-1", "optimiser.learning_rate", id="negative"),
        pytest.param("task.kind=guess", "task", id="a task that is not there"),
        pytest.param("data.per_person=17", "data", id="no room for two people in a batch"),
        pytest.param("loop=3", "loop", id="a value for a table"),
        pytest.param("name=No Such Name", "name", id="a name that is no file's"),
    ],
)
def test_a_change_that_cannot_be_used_is_refused_by_its_key(change, named):
    with pytest.raises(RecipeInvalid) as caught:
        load_recipe("softmax-resnet50", [change])
    assert f"softmax-resnet50': {named}" in caught.value.message


@pytest.mark.parametrize("change", ["loop.epochs", "=3", " = 3"])
def test_a_change_without_a_key_or_a_value_is_refused(change):
    with pytest.raises(RecipeInvalid, match="key=value"):
        load_recipe("softmax-resnet50", [change])


def test_a_margin_is_refused_by_its_key():
    with pytest.raises(RecipeInvalid, match=r": task\.margin: "):
        load_recipe("triplet-efficientnet-b0", ["task.margin=3.0"])


def test_a_recipe_that_is_not_there_names_those_that_are():
    with pytest.raises(RecipeInvalid, match="softmax-resnet5") as caught:
        load_recipe("softmax-resnet5")
    assert "softmax-resnet50" in (caught.value.hint or "")


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(RecipeInvalid, match="no recipe"):
        load_recipe(str(tmp_path / "mine.toml"))


@pytest.mark.parametrize("content", [b"name = ", b"\xff\xfe"])
def test_a_file_that_is_no_toml_is_said_so(tmp_path, content):
    (tmp_path / "mine.toml").write_bytes(content)
    with pytest.raises(RecipeInvalid, match="cannot be read"):
        load_recipe(str(tmp_path / "mine.toml"))


def test_a_recipe_of_ones_own_states_only_what_differs(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[network]\nbackbone = "resnet18"\n[task]\nkind = "triplet"\n')
    recipe = load_recipe(str(path))
    assert recipe == check_recipe(
        {"name": "mine", "network": {"backbone": "resnet18"}, "task": {"kind": "triplet"}}, where="here"
    )
    assert load_recipe(str(path), smoke=True) == recipe, "it has no table for a smoke size"


def test_a_recipe_without_a_network_is_refused(tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('name = "mine"\n[task]\nkind = "triplet"\n')
    with pytest.raises(RecipeInvalid, match=r"network: Field required"):
        load_recipe(str(path))


def test_normalising_is_said_in_units_of_pixels():
    recipe = load_recipe("softmax-inception-resnet-v1")
    spec = recipe.network.input
    assert (spec.layout, spec.dtype, spec.side_px) == ("NCHW", "float32", 160)
    assert (255 - spec.mean[0]) * spec.scale[0] == pytest.approx(127.5 / 128)
    imagenet = load_recipe("softmax-resnet50").network.input
    assert (255 - imagenet.mean[1]) * imagenet.scale[1] == pytest.approx((1 - 0.456) / 0.224)
