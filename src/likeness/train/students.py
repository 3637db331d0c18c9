"""The students of a distillation: cut out of the teacher or from their own weights, with or without age and gender."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from likeness.bundle import Bundle, InputSpec
from likeness.convert.dlib_resnet import CROP_PX, STAGES
from likeness.errors import RecipeInvalid
from likeness.train.attribute_heads import AttributeHead
from likeness.train.cutting import Fitted, cut_student
from likeness.train.networks import build_network
from likeness.train.recipe import NetworkPart
from likeness.train.residual import ResidualBlock, ResidualNet, read_residual
from likeness.train.student_recipe import AttributesPart, CutPart, StudentRecipe

TRUNK_STAGES = 3
"""Stages that identity and attributes share; what comes after knows people too well to know their age."""


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a student says of faces: raw embeddings `(n, d)`, and `(n, bins)` and `(n,)` logits where it has a head."""

    embeddings: Tensor
    age_logits: Tensor | None = None
    gender_logit: Tensor | None = None


class Student(nn.Module):
    """Pixels `(n, 3, side_px, side_px)` float32 RGB, 0 to 255, to embeddings, and more by `tell`."""

    side_px: int

    def forward(self, x: Tensor) -> Tensor:
        """Raw embeddings `(n, d)`."""
        return self.tell(x).embeddings

    def tell(self, x: Tensor) -> Told:
        """All that it says."""
        raise NotImplementedError


class CutStudent(Student):
    """A residual network, and where asked for a branch for age and gender from the end of its third stage."""

    def __init__(self, part: CutPart, attributes: AttributesPart | None) -> None:
        super().__init__()
        self.side_px = CROP_PX
        self.trunk = ResidualNet(patches=part.patches, inner=part.inner, counts=part.counts)
        self.shared = sum(part.counts[:TRUNK_STAGES])
        self.branch: nn.Sequential | None = None
        if attributes is not None:
            width = STAGES[TRUNK_STAGES - 1][0]
            blocks = [ResidualBlock(width, attributes.inner, width, down=False) for _ in range(attributes.blocks)]
            self.branch = nn.Sequential(*blocks, AttributeHead(width, hidden=attributes.hidden))

    def tell(self, x: Tensor) -> Told:
        """All that it says, in one pass."""
        maps = self.trunk.maps(x)
        embeddings = self.trunk.embedding(maps[-1])
        if self.branch is None:
            return Told(embeddings)
        return Told(embeddings, *self.branch(maps[self.shared]))


class FreshStudent(Student):
    """A network that begins with its own weights, with the scaling of pixels that it wants."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.side_px, self.network = spec.side_px, network
        self.register_buffer("mean", torch.tensor(spec.mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(spec.scale).view(1, 3, 1, 1), persistent=False)

    def tell(self, x: Tensor) -> Told:
        """Embeddings."""
        return Told(self.network((x - self.mean) * self.scale))


def blank_student(recipe: StudentRecipe) -> Student:
    """The student with weights that mean nothing, for one whose state is loaded next."""
    part = recipe.student
    if isinstance(part, CutPart):
        return CutStudent(part, recipe.attributes)
    return FreshStudent(build_network(_network_part(part), blank=True), part.input)


def begin_student(
    recipe: StudentRecipe,
    teacher: Bundle,
    faces: Tensor,
    *,
    say: Callable[[str], None] = lambda text: None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[Student, tuple[Fitted, ...]]:
    """The student as it begins; one that is cut out is fitted to `teacher` on `faces`, see `cut_student`.

    Raises:
        ModelError: no student can be cut out of this teacher.
        RecipeInvalid: the recipe asks for what this student has not.
    """
    part = recipe.student
    if isinstance(part, CutPart):
        student = CutStudent(part, recipe.attributes)
        say("Cutting the student out of its teacher …")
        fitted = cut_student(
            read_residual(teacher.path("model")),
            student.trunk,
            faces,
            seed=recipe.schedule.seed,
            stem_steps=part.stem_steps,
            progress=progress,
        )
        return student, tuple(fitted)
    if recipe.attributes is not None:
        raise RecipeInvalid("only a student that is cut out of its teacher tells age and gender beside identity")
    return FreshStudent(build_network(_network_part(part), say=say), part.input), ()


def _network_part(part: NetworkPart) -> NetworkPart:
    return NetworkPart(**part.model_dump(exclude={"kind"}))
