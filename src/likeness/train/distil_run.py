"""One distillation from end to end: faces and a teacher in, a folder with the student and a record out."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from likeness.bundle import Bundle
from likeness.convert.dlib_resnet import CROP_PX
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.errors import DatasetError, RecipeInvalid
from likeness.evaluate.dataset import expect_template
from likeness.evaluate.predictions import FEMALE, known_of
from likeness.train import run as record
from likeness.train.crops import load_crops
from likeness.train.distil import Distiller, Lessons, agreement
from likeness.train.distillation import ANSWERS, RECORD, STATE, Distillation, state_of
from likeness.train.from_bundle import Watch
from likeness.train.material import SPLITS
from likeness.train.recut import recut_crops
from likeness.train.states import write_state
from likeness.train.student_recipe import CutPart, StudentRecipe
from likeness.train.students import begin_student, blank_student
from likeness.train.teachers import Answers, Teacher, resized
from likeness.train.validation import separation
from likeness.train.views import PLANS, Views
from likeness.train.watched import Watched, crop_facts, planes, tell_all

Say = Callable[[str], None]


def unwatched(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """Where nobody looks on."""
    return nullcontext(lambda done, total: None)


def distil(
    dataset: Dataset,
    teacher: Bundle,
    recipe: StudentRecipe,
    folder: Path,
    *,
    photos: Path | None = None,
    answers: Path | None = None,
    watched: Watched | None = None,
    fresh: bool = False,
    say: Say = lambda text: None,
    watch: Watch = unwatched,
) -> Distillation:
    """Distil `teacher` into the recipe's student, or go on where that was stopped; a finished one is left as it is.

    Faces of the split `train` (all, where there are no splits) are learnt from, those of `validation` looked at.
    With `photos`, the folder that the crops came from, faces are cut out anew and nothing in them is black. The
    teacher's answers are kept in the folder `answers`, where other students find them, or beside the record.

    Raises:
        DatasetError: the data set has no crops, or too few. ModelError: no such student can learn from this teacher.
        RunDiffers: the folder holds another distillation, and `fresh` is not said.
        Conflict: another process is at work in it.
    """
    crop_facts(dataset)
    expect_template(teacher, dataset)
    with record.alone(folder):
        if fresh:
            record.erase(folder, RECORD, STATE, ANSWERS)
        work = _Work(dataset, Teacher(teacher), recipe, folder, photos, answers or folder / ANSWERS, say, watch)
        found = work.begin(watched)
        if found.finished:
            say(f"This distillation is finished: {len(found.epochs)} epochs.")
            return found
        return work.run(found, watched)


class _Work:
    def __init__(
        self,
        dataset: Dataset,
        teacher: Teacher,
        recipe: StudentRecipe,
        folder: Path,
        photos: Path | None,
        answers: Path,
        say: Say,
        watch: Watch,
    ) -> None:
        self.dataset, self.teacher, self.recipe, self.folder = dataset, teacher, recipe, folder
        self.photos, self.answers, self.say, self.watch = photos, answers, say, watch
        self.learnt, self.validation = choose_faces(dataset, recipe)
        if recipe.losses.classes and teacher.classes is None:
            raise RecipeInvalid(
                f"losses.classes: the teacher {teacher.bundle.manifest.name} has no classes to tell of",
                hint="export it with --keep-classes, or take --set losses.classes=0",
            )

    def begin(self, watched: Watched | None) -> Distillation:
        dataset, teacher = self.dataset, self.teacher
        new = Distillation(
            recipe=self.recipe,
            teacher=teacher.bundle.manifest.name,
            teacher_fingerprint=teacher.bundle.fingerprint,
            teacher_licence=teacher.bundle.manifest.licence,
            space=teacher.space,
            dimension=teacher.dimension,
            data=dataset.facts.name,
            licence=dataset.facts.licence,
            digest=dataset.digest,
            crops=crop_facts(dataset),
            photos=len(self.learnt),
            validation_photos=len(self.validation),
            faces=faces_digest(self.learnt),
            recut=self.photos is not None,
            watched=watched.name if watched else "",
            commit=record.commit(),
            versions=record.versions(),
            machine=record.machine("cuda" if torch.cuda.is_available() else "cpu"),
        )
        if not (self.folder / RECORD).is_file():
            if (self.folder / STATE).is_file():
                raise DatasetError(f"{self.folder / RECORD} is lost, its {STATE} is there", hint="begin anew: --fresh")
            return new.planned(self.recipe)
        old = Distillation.read(self.folder)
        new.expect_same(old, self.folder)
        # The record is written first: what the state does not know yet is learnt again.
        del old.epochs[int(state_of(self.folder)["epoch"]) :]
        return old.planned(self.recipe)

    def run(self, found: Distillation, watched: Watched | None) -> Distillation:
        crops = self._crops(self.learnt)
        looked_at = self._crops(self.validation)
        lessons = self._lessons(crops)
        distiller = self._distiller(found, lessons, crops)
        truth = torch.from_numpy(self.teacher.embed(looked_at))
        for round_ in range(min(self.recipe.views.rounds, self.recipe.schedule.epochs)):
            with self.watch("asking the teacher") as progress:
                lessons.answers.of(round_, progress)
        with self.watch("distilling") as progress:
            while distiller.epoch < self.recipe.schedule.epochs:
                since = time.monotonic()
                figures = distiller.run_epoch(progress)
                figures |= self._figures(distiller, lessons, looked_at, truth, watched)
                found.epochs.append({name: round(value, 6) for name, value in figures.items()})
                found.seconds = round(found.seconds + time.monotonic() - since, 1)
                self._keep(distiller, found)
                words = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
                self.say(f"Epoch {len(found.epochs)}/{self.recipe.schedule.epochs}: {words}")
        return found

    def _distiller(self, found: Distillation, lessons: Lessons, crops: Tensor) -> Distiller:
        if (self.folder / STATE).is_file():
            distiller = Distiller(blank_student(self.recipe), self.recipe, lessons)
            distiller.resume(state_of(self.folder))
            self.say(f"Going on after {distiller.epoch} epochs.")
            return distiller
        part = self.recipe.student
        few = resized(crops[: part.faces], CROP_PX) if isinstance(part, CutPart) else crops[:1]
        torch.manual_seed(self.recipe.schedule.seed)
        with self.watch("cutting out") as progress:
            student, fitted = begin_student(
                self.recipe,
                self.teacher.bundle,
                few,
                say=self.say,
                progress=progress,
            )
        found.fitted = tuple((each.layer, each.channels, round(each.missed, 4)) for each in fitted)
        distiller = Distiller(student, self.recipe, lessons)
        self._keep(distiller, found)
        return distiller

    def _keep(self, distiller: Distiller, found: Distillation) -> None:
        """Record and state on disk; who is stopped between the two has an epoch to repeat."""
        found.write(self.folder)
        write_state(self.folder / STATE, distiller.state())

    def _lessons(self, crops: Tensor) -> Lessons:
        views = Views(crops, PLANS[self.recipe.views.strength], seed=self.recipe.schedule.seed)
        faces = f"{faces_digest(self.learnt)} {self.photos is not None}"
        answers = Answers(self.teacher, views, self.answers, key=faces)
        with self.watch("asking the teacher") as progress:
            plain = answers.of(0, progress)
        return Lessons(
            views,
            answers,
            *labels_of(self.learnt),
            plain.mean(0),
            self.teacher.classes,
        )

    def _crops(self, rows: Sequence[Row]) -> Tensor:
        side = crop_facts(self.dataset).side_px
        with self.watch("reading faces") as progress:
            if self.photos is not None:
                return planes(recut_crops(self.dataset, rows, self.photos, side, progress=progress))
            return planes(load_crops(self.dataset, rows, side, progress=progress))

    def _figures(
        self, distiller: Distiller, lessons: Lessons, faces: Tensor, truth: Tensor, watched: Watched | None
    ) -> dict[str, float]:
        unit, ages, female = tell_all(distiller.average, faces)
        figures = {f"validation/{key}": value for key, value in agreement(unit, truth, lessons.mean).items()}
        if ages is not None and female is not None:
            known, genders = labels_of(self.validation)
            aged, sexed = known.isfinite(), genders.isfinite()
            figures["validation/age_error_years"] = float((ages - known).abs()[aged].mean())
            figures["validation/gender_accuracy"] = float(((female > 0) == (genders > 0.5))[sexed].float().mean())
        if watched is not None:
            seen = tell_all(distiller.average, watched.crops)[0]
            figures |= {f"watched/{key}": value for key, value in separation(seen.numpy(), watched.people).items()}
        return {name: value for name, value in figures.items() if math.isfinite(value)}


def choose_faces(dataset: Dataset, recipe: StudentRecipe) -> tuple[tuple[Row, ...], tuple[Row, ...]]:
    """What is learnt from and what is looked at; without splits some of all photos are set aside.

    Raises:
        DatasetError: there are fewer faces than two batches, or none to look at.
    """
    learnt, validation = (tuple(row for row in dataset.rows if row.split == split) for split in SPLITS)
    most = recipe.validation_photos
    random = np.random.default_rng(recipe.schedule.seed)
    if not learnt and not any(row.split for row in dataset.rows):
        order = random.permutation(len(dataset.rows))
        aside = min(most, len(order) // 10)
        validation = tuple(dataset.rows[at] for at in sorted(order[:aside]))
        learnt = tuple(dataset.rows[at] for at in sorted(order[aside:]))
    elif len(validation) > most:
        validation = tuple(validation[at] for at in sorted(random.choice(len(validation), most, replace=False)))
    if len(learnt) < 2 * recipe.schedule.batch_size or len(validation) < 3:
        raise DatasetError(
            f"{str(dataset.folder)!r} has {len(learnt):,} faces to learn from and {len(validation):,} to look at; "
            f"batches of {recipe.schedule.batch_size} need at least {2 * recipe.schedule.batch_size}, and 3",
            hint="make batches smaller: --set schedule.batch_size=…",
        )
    # In an order of no meaning, so that the first of them stand for all.
    return tuple(learnt[at] for at in random.permutation(len(learnt))), validation


def faces_digest(rows: Sequence[Row]) -> str:
    """Of photos in their order: a teacher's answers are about these and no others."""
    return hashlib.sha256("\n".join(f"{row.path} {row.sha256}" for row in rows).encode()).hexdigest()


def labels_of(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Ages in years and genders (1 female, 0 male) `(n,)` each, NaN where not known."""
    known = [known_of(row) for row in rows]
    return torch.tensor([age for age, _ in known]), torch.tensor([FEMALE[gender] for _, gender in known])
