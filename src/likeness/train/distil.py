"""Distillation: a student learns to see faces as its teacher does, from faces that need no names.

It keeps the teacher's embedding space, so that what the teacher enrolled the student finds.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from likeness.errors import ModelError
from likeness.train.attribute_heads import attribute_loss
from likeness.train.distil_losses import centred, centred_cosine_loss, relation_loss, softened_classes_loss
from likeness.train.optimisation import decayed_groups, follow, rate_factor
from likeness.train.student_recipe import StudentRecipe
from likeness.train.students import Student, Told
from likeness.train.teachers import Answers
from likeness.train.views import Views

CLASS_SCALE = 32.0
"""Cosines to classes are as logits too near each other to be soft."""
Counted = Callable[[int, int], None]


@dataclass(frozen=True, slots=True, eq=False)
class Lessons:
    """What a student learns from.

    Attributes:
        views: of the photos. answers: the teacher's, about them.
        ages, genders: `(n,)` labels, NaN where not known; 1 is female.
        mean: `(d,)` of the teacher's unit embeddings of the photos as they are.
        classes: the teacher's classifier `(people, d)`, or None.
    """

    views: Views
    answers: Answers
    ages: Tensor
    genders: Tensor
    mean: Tensor
    classes: Tensor | None = None


class Distiller:
    """A distillation under way; the loop, which the learner's state on disk can be put back into.

    Args:
        student: as it begins.
    """

    def __init__(self, student: Student, recipe: StudentRecipe, lessons: Lessons) -> None:
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.student = student.to(self.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = deepcopy(self.student).eval().requires_grad_(False)
        self.recipe, self.lessons, self.epoch = recipe, lessons, 0
        part = recipe.schedule
        self.batches = max(1, len(lessons.views.crops) // part.batch_size)
        self.optimiser = torch.optim.AdamW(decayed_groups(self.student, part.weight_decay), lr=part.learning_rate)
        self.schedule = torch.optim.lr_scheduler.LambdaLR(self.optimiser, self._factor)

    def run_epoch(self, progress: Counted = lambda done, total: None) -> dict[str, float]:
        """One pass over all photos; means of the losses.

        Raises:
            ModelError: the training came to numbers that are none.
        """
        part, lessons = self.recipe.schedule, self.lessons
        round_ = self.epoch % self.recipe.views.rounds
        answers = lessons.answers.of(round_)
        generator = torch.Generator().manual_seed(hash((part.seed, self.epoch)) & 0xFFFFFFFF)
        order = torch.randperm(len(answers), generator=generator)
        sums: dict[str, float] = {}
        self.student.train()
        for batch in range(self.batches):
            places = order[batch * part.batch_size : (batch + 1) * part.batch_size]
            shared = lessons.views.shared(round_, places)
            faces = lessons.views.student(shared, self.student.side_px, generator)
            values = self._step(faces, answers[places], self._labels(round_, places))
            for name, value in values.items():
                sums[name] = sums.get(name, 0.0) + float(value.detach())
            progress(self.epoch * self.batches + batch + 1, part.epochs * self.batches)
        figures = {name: total / self.batches for name, total in sums.items()}
        if not all(map(math.isfinite, figures.values())):
            raise ModelError(
                f"the distillation came to numbers that are none in epoch {self.epoch + 1}",
                hint="learn more slowly: --set schedule.learning_rate=… with --fresh",
            )
        self.epoch += 1
        return figures

    def state(self) -> dict[str, Any]:
        """All that `resume` needs."""
        return {
            "epoch": self.epoch,
            "student": self.student.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "schedule": self.schedule.state_dict(),
        }

    def resume(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state`."""
        self.epoch = int(state["epoch"])
        self.student.load_state_dict(state["student"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.schedule.load_state_dict(state["schedule"])

    def losses(self, told: Told, answers: Tensor, labels: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        """The weighted losses of a batch by name; `loss` is their sum."""
        part, mean = self.recipe.losses, self.lessons.mean.to(answers)
        given = told.embeddings.float()
        values = {
            "embedding": part.embedding * centred_cosine_loss(given, answers, mean),
            "relations": part.relations * relation_loss(given, answers, mean),
        }
        if part.classes and self.lessons.classes is not None:
            rows = CLASS_SCALE * functional.normalize(self.lessons.classes.to(answers), dim=1).T
            pair = (functional.normalize(given, dim=1) @ rows, answers @ rows)
            values["classes"] = part.classes * softened_classes_loss(*pair, part.temperature)
        if self.recipe.attributes and told.age_logits is not None and told.gender_logit is not None:
            learnt = attribute_loss(told.age_logits, told.gender_logit, *labels)
            values["attributes"] = self.recipe.attributes.weight * learnt["loss"]
        return {"loss": torch.stack(list(values.values())).sum(), **values}

    def _step(self, faces: Tensor, answers: Tensor, labels: tuple[Tensor, Tensor]) -> dict[str, Tensor]:
        part = self.recipe.schedule
        faces = faces.to(self.device, memory_format=torch.channels_last)
        half = torch.autocast(self.device.type, torch.bfloat16, enabled=part.precision == "bfloat16")
        with half:
            told = self.student.tell(faces)
        ages, genders = (each.to(self.device) for each in labels)
        values = self.losses(told, answers.to(self.device), (ages, genders))
        self.optimiser.zero_grad(set_to_none=True)
        values["loss"].backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), part.clip)
        self.optimiser.step()
        self.schedule.step()
        follow(self.average, self.student, steps=self.schedule.last_epoch, most=part.average)
        return values

    def _labels(self, round_: int, places: Tensor) -> tuple[Tensor, Tensor]:
        """Ages and genders; of two blended faces nobody knows them."""
        lessons = self.lessons
        unknown = lessons.views.blended(round_, places)
        blank = torch.tensor(math.nan)
        return torch.where(unknown, blank, lessons.ages[places]), torch.where(unknown, blank, lessons.genders[places])

    def _factor(self, step: int) -> float:
        part = self.recipe.schedule
        warmup = round(self.batches * part.warmup_epochs)
        return rate_factor(part.schedule, step, steps=self.batches * part.epochs, warmup=warmup)


def agreement(student: Tensor, teacher: Tensor, mean: Tensor) -> dict[str, float]:
    """How near a student's embeddings `(n, d)` come to the teacher's of the same faces, both seen from `mean` `(d,)`.

    `cosine` is the mean over faces; `relations` the correlation of the pairwise cosines.
    """
    mine, its = centred(student, mean), centred(teacher, mean)
    first, second = torch.triu_indices(len(mine), len(mine), 1)
    pairs = torch.stack([(each @ each.T)[first, second] for each in (mine, its)])
    return {"cosine": float((mine * its).sum(1).mean()), "relations": float(torch.corrcoef(pairs)[0, 1])}
