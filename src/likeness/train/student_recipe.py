"""Recipes of distillation: which student, what it is told, how faces are made many, how long."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from likeness.convert.dlib_resnet import STAGES
from likeness.errors import RecipeInvalid
from likeness.train.recipe import SHIPPED, NetworkPart, first_fault, read_values

STUDENTS = SHIPPED / "students"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CutPart(_Part):
    """A student cut out of a residual teacher, for the same crops: see `likeness.train.cutting`.

    `patches` are the channels of its stem's patches, `counts` the blocks kept of each stage, `inner` the channels kept
    between the two convolutions of a block, a number a stage. `faces` are fitted on.
    """

    kind: Literal["cut"] = "cut"
    patches: int = Field(64, ge=4)
    counts: tuple[int, int, int, int, int] = (3, 4, 3, 3, 1)
    inner: tuple[int, int, int, int, int]
    faces: int = Field(1500, ge=16)
    stem_steps: int = Field(600, ge=1)

    @model_validator(mode="after")
    def _of_its_teacher(self) -> Self:
        for stage, (left, (_, count)) in enumerate(zip(self.counts, STAGES, strict=True)):
            if not 1 <= left <= count:
                raise ValueError(f"stage {stage + 1} of the teacher has {count} blocks, {left} cannot be kept of them")
        for stage, (left, (width, _)) in enumerate(zip(self.inner, STAGES, strict=True)):
            if not 1 <= left <= width:
                raise ValueError(f"stage {stage + 1} of the teacher has {width} channels, {left} cannot be kept")
        return self


class FreshPart(NetworkPart):
    """A student from its own weights: a backbone of timm's or `mobile-face`."""

    kind: Literal["fresh"] = "fresh"
    dimension: int = Field(128, ge=8, le=4096)


class AttributesPart(_Part):
    """Age and gender learnt beside identity, from labels: a branch of `blocks` on the third stage, `inner` wide."""

    weight: float = Field(0.1, gt=0)
    inner: int = Field(96, ge=8)
    blocks: int = Field(2, ge=1)
    hidden: int = Field(128, ge=0)


class LossesPart(_Part):
    """Weights of what the student is told: where faces lie, how they lie to each other, how alike classes are."""

    embedding: float = Field(1.0, ge=0)
    relations: float = Field(5.0, ge=0)
    classes: float = Field(0.0, ge=0)
    temperature: float = Field(4.0, gt=0)


class ViewsPart(_Part):
    """How few faces are made many: `rounds` views of each photo that the teacher is asked about, then again."""

    strength: Literal["none", "light", "strong"] = "strong"
    rounds: int = Field(6, ge=1)


class SchedulePart(_Part):
    """AdamW at a learning rate that falls along a cosine, or stays; `average` is the decay of the averaged weights."""

    epochs: int = Field(20, ge=1)
    batch_size: int = Field(96, ge=4)
    learning_rate: float = Field(5e-4, gt=0)
    schedule: Literal["constant", "cosine"] = "cosine"
    warmup_epochs: float = Field(0.25, ge=0)
    weight_decay: float = Field(1e-4, ge=0)
    clip: float = Field(2.0, gt=0)
    average: float = Field(0.998, ge=0, lt=1)
    precision: Literal["float32", "bfloat16"] = "bfloat16"
    seed: int = Field(0, ge=0, lt=2**32)


class StudentRecipe(_Part):
    """Everything that decides a distillation, but for teacher and data."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    summary: str
    student: Annotated[CutPart | FreshPart, Field(discriminator="kind")]
    attributes: AttributesPart | None = None
    losses: LossesPart = LossesPart()
    views: ViewsPart = ViewsPart()
    schedule: SchedulePart = SchedulePart()
    validation_photos: int = Field(1000, ge=20)


def load_student(name: str, changes: Iterable[str] = (), *, smoke: bool = False) -> StudentRecipe:
    """A recipe by the path of its file or by a shipped student's name, with `key=value` changes on top.

    Raises:
        RecipeInvalid: it is not there, or a value in it or in `changes` cannot be used.
    """
    values = read_values(name, STUDENTS, changes, smoke=smoke)
    try:
        return StudentRecipe.model_validate(values)
    except ValidationError as error:
        raise RecipeInvalid(f"the recipe {name!r}: {first_fault(error, values)}") from None


def shipped_students() -> list[str]:
    """Names of the students that come with Likeness."""
    return sorted(path.stem for path in STUDENTS.glob("*.toml"))
