"""Recipes: what is trained, on what, how and for how long. A file states only what differs from the defaults here."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from likeness.bundle import InputSpec
from likeness.errors import RecipeInvalid

SHIPPED = Path(str(files("likeness"))) / "recipes"
SMOKE = "smoke"

_NORMALISATIONS = {
    # What ImageNet's networks were trained with, in units of pixel values.
    "imagenet": ((123.675, 116.28, 103.53), (1 / 58.395, 1 / 57.12, 1 / 57.375)),
    "centred": ((127.5, 127.5, 127.5), (1 / 128, 1 / 128, 1 / 128)),
    # Networks that came from a bundle do it themselves.
    "none": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
FROM_BUNDLE = "bundle"
"""The backbone of a fine-tuning: the network of another bundle, kept beside the training's record."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class NetworkPart(_Part):
    """The network: `backbone` is one of timm's names, `inception-resnet-v1`, `mobile-face`, or `bundle` where a bundle
    is fine-tuned.

    `pretrained` asks for ImageNet weights; `weights` is the file of a state dict of your own, which wins.
    `blocks` and `width` shrink an `inception-resnet-v1`, `width` a `mobile-face`.
    """

    backbone: str
    dimension: int = Field(512, ge=8, le=4096)
    side_px: int = Field(112, ge=32, le=1024)
    normalise: Literal["imagenet", "centred", "none"] = "imagenet"
    pretrained: bool = True
    weights: Path | None = None
    drop: float = Field(0.0, ge=0, lt=1)
    blocks: tuple[int, int, int] = (5, 10, 5)
    width: float = Field(1.0, gt=0, le=1)

    @property
    def input(self) -> InputSpec:
        """What the network takes: RGB, channels first."""
        mean, scale = _NORMALISATIONS[self.normalise]
        return InputSpec(side_px=self.side_px, layout="NCHW", dtype="float32", mean=mean, scale=scale)


class TripletPart(_Part):
    """Triplet loss on the hardest positive and negative of each anchor in a batch. Hermans et al. 2017.

    Distances are Euclidean between unit-length embeddings. The `margin` "soft" stands for log(1 + exp(·)).
    """

    kind: Literal["triplet"] = "triplet"
    margin: Annotated[float, Field(gt=0, le=2)] | Literal["soft"] = 0.2
    mining: Literal["hard", "semihard"] = "hard"


class SoftmaxPart(_Part):
    """Cross-entropy over a linear classifier, sized from the data, that export strips."""

    kind: Literal["softmax"] = "softmax"
    label_smoothing: float = Field(0.0, ge=0, lt=1)


class ArcFacePart(_Part):
    """Cross-entropy over cosines with an additive angular margin. Deng et al. 2019, "ArcFace"."""

    kind: Literal["arcface"] = "arcface"
    margin_degrees: float = Field(28.65, ge=0, lt=90)
    scale: float = Field(64.0, gt=0)


class FineTunePart(_Part):
    """A network that knows faces learns its owner's people: cross-entropy over cosines to each person's centre.

    The centres begin at the means of the people's embeddings. `anchor` weighs the squared distance of all weights from
    where they began, so that few photos do not undo what many taught. Li et al. 2018, "L2-SP".
    """

    kind: Literal["fine-tune"] = "fine-tune"
    scale: float = Field(64.0, gt=0)
    anchor: float = Field(1.0, ge=0)


class ContinualPart(_Part):
    """A network that knows people learns more of them and is held to what it was: rehearsal and distillation.

    Cross-entropy over cosines to each person's centre, times `scale`, on new people and on exemplars of the old; plus,
    weighed by `embedding`, `relations` and `classes`, how far the new network is from the previous one on the same
    pictures: in each embedding, in the similarities among them, and in what is said of the old people, softened by
    `temperature`. Rebuffi et al. 2017, "iCaRL"; Li and Hoiem 2016, "Learning without forgetting".
    """

    kind: Literal["continual"] = "continual"
    scale: float = Field(64.0, gt=0)
    embedding: float = Field(1.0, ge=0)
    relations: float = Field(1.0, ge=0)
    classes: float = Field(1.0, ge=0)
    temperature: float = Field(2.0, gt=0)


class AttributesPart(_Part):
    """Apparent age and gender of a model that tells nothing else, on the trunk's `dimension` features.

    Age is a distribution over `age_bins` ages, `first_year`, `first_year + year_step`, …, held to a Gaussian of
    `sigma_years` about the known one; `mean_weight` weighs how far its mean is off, in years, and `gender_weight` the
    gender. Gao et al. 2017, "Deep label distribution learning". Of `drop` of the features the heads see none.
    """

    kind: Literal["attributes"] = "attributes"
    age_bins: int = Field(101, ge=2, le=1000)
    first_year: float = Field(0.0, ge=0)
    year_step: float = Field(1.0, gt=0)
    sigma_years: float = Field(2.0, gt=0)
    mean_weight: float = Field(0.1, ge=0)
    gender_weight: float = Field(1.0, ge=0)
    drop: float = Field(0.0, ge=0, lt=1)


TaskPart = Annotated[
    TripletPart | SoftmaxPart | ArcFacePart | FineTunePart | ContinualPart | AttributesPart,
    Field(discriminator="kind"),
]


class DataPart(_Part):
    """Batches. `per_person` photos of each person stand in a batch, 0 shuffles all photos.

    `hold_photos` of each training person, as long as three stay, are not trained on but tell how often the classifier
    names them rightly. `validation_photos` and `max_people` bound the work. `workers` processes
    prepare pictures; with 0 the training itself does, which on a busy machine costs it ten times as much.
    """

    batch_size: int = Field(64, ge=2)
    per_person: int = Field(0, ge=0)
    augment: Literal["none", "light", "standard"] = "standard"
    hold_photos: int = Field(0, ge=0)
    validation_photos: int = Field(1500, ge=20, le=5000)
    max_people: int | None = Field(None, ge=2)
    workers: int = Field(1, ge=0)

    @model_validator(mode="after")
    def _of_two_people(self) -> Self:
        if self.per_person * 2 > self.batch_size:
            raise ValueError(f"a batch of {self.batch_size} has no room for two people with {self.per_person} photos")
        return self


class OptimiserPart(_Part):
    """AdamW with its learning rate, constant or falling along a cosine after a linear warm-up."""

    learning_rate: float = Field(1e-3, gt=0)
    weight_decay: float = Field(1e-2, ge=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_epochs: float = Field(0.5, ge=0)
    clip: float = Field(5.0, gt=0)


class LoopPart(_Part):
    """At most `epochs`, fewer where the validation has not improved for `patience` of them.

    `keep` says which epoch's network is the result: the best by validation, or the last, where nothing but the loss
    decides and there is no stopping early.
    """

    epochs: int = Field(10, ge=1)
    patience: int = Field(3, ge=1)
    keep: Literal["best", "last"] = "best"
    precision: Literal["float32", "bfloat16"] = "float32"
    seed: int = Field(0, ge=0, lt=2**32)
    devices: int = Field(0, ge=0, description="Processors used at once; 0 takes all GPUs, or the CPU.")


class Recipe(_Part):
    """Everything that decides a training, but for the data."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    summary: str = ""
    network: NetworkPart
    task: TaskPart
    data: DataPart = DataPart()
    optimiser: OptimiserPart = OptimiserPart()
    loop: LoopPart = LoopPart()

    @property
    def monitored(self) -> str:
        """The figure by which the best epoch is chosen: the smallest."""
        error = "mean_absolute_error_years" if isinstance(self.task, AttributesPart) else "equal_error_rate"
        return f"validation/{error}"


def load_recipe(name: str, changes: Iterable[str] = (), *, smoke: bool = False) -> Recipe:
    """A recipe by the path of its file or by a shipped one's name, with `key=value` changes on top.

    `smoke` lays the recipe's table `[smoke]` over it: a tiny network for tests.

    Raises:
        RecipeInvalid: it is not there, or a value in it or in `changes` cannot be used.
    """
    return check_recipe(read_values(name, SHIPPED, changes, smoke=smoke), where=f"the recipe {name!r}")


def read_values(name: str, shipped: Path, changes: Iterable[str] = (), *, smoke: bool = False) -> dict[str, Any]:
    """The values of a recipe's file, or of the one of this name in the folder `shipped`, with `changes` laid over.

    Raises:
        RecipeInvalid: it is not there, or cannot be read.
    """
    path = Path(name) if name.endswith(".toml") else shipped / f"{name}.toml"
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        known = ", ".join(sorted(path.stem for path in shipped.glob("*.toml")))
        raise RecipeInvalid(f"there is no recipe {name!r}", hint=f"name a .toml file or one of: {known}") from None
    except (OSError, ValueError, RecursionError) as error:  # of numbers without end, too
        raise RecipeInvalid(f"the recipe {name!r} cannot be read: {error}") from None
    small = values.pop(SMOKE, {})
    if smoke:
        values = _merged(values, small)
    for change in changes:
        values = _merged(values, _parsed(change))
    return values


def check_recipe(values: Mapping[str, Any], *, where: str) -> Recipe:
    """The recipe of plain values.

    Raises:
        RecipeInvalid: one of them cannot be used.
    """
    try:
        return Recipe.model_validate(values)
    except ValidationError as error:
        raise RecipeInvalid(f"{where}: {first_fault(error, values)}") from None


def first_fault(error: ValidationError, values: Mapping[str, Any]) -> str:
    """What is wrong with plain values, by the key that somebody wrote."""
    first = error.errors()[0]
    key = ".".join(_written(first["loc"], values) + [str(first["loc"][-1])] * (first["type"] == "missing"))
    return f"{key}: {first['msg']}, got {str(first['input'])[:80]!r}"


def _written(place: tuple[int | str, ...], values: Any) -> list[str]:
    """The keys of a place that somebody wrote: pydantic puts kinds and types between them."""
    keys = []
    for part in place:
        if isinstance(values, Mapping) and part in values:
            keys.append(str(part))
            values = values[part]
    return keys


def shipped_recipes() -> list[str]:
    """Names of the recipes that come with Likeness."""
    return sorted(path.stem for path in SHIPPED.glob("*.toml"))


def _parsed(change: str) -> dict[str, Any]:
    """`loop.epochs=3` as `{"loop": {"epochs": 3}}`; a value that is no TOML is text."""
    key, equals, text = change.partition("=")
    if not equals or not key.strip():
        raise RecipeInvalid(f"expected --set key=value, got {change!r}", hint="for example --set loop.epochs=3")
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except (ValueError, RecursionError):
        value = text
    nested: Any = value
    for part in reversed(key.strip().split(".")):
        nested = {part: nested}
    return dict(nested)


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, dict) and isinstance(result.get(key), dict)
        result[key] = _merged(result[key], value) if both else value
    return result
