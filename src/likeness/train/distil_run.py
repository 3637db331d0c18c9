"""One distillation from end to end: faces and a teacher in, a folder with the student and a record out."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor
from torch.nn import functional

from likeness.bundle import Bundle
from likeness.convert.dlib_resnet import CROP_PX
from likeness.data.dataset import CropFacts, Dataset, replace_file
from likeness.data.manifest import Row
from likeness.errors import DatasetError, RunDiffers
from likeness.evaluate.dataset import expect_template
from likeness.train import run as record
from likeness.train.crops import load_crops
from likeness.train.distil import Distiller, Lessons, agreement
from likeness.train.from_bundle import Watch
from likeness.train.material import SPLITS
from likeness.train.recut import recut_crops
from likeness.train.states import read_state, write_state
from likeness.train.student_recipe import CutPart, StudentRecipe
from likeness.train.students import Student, begin_student, blank_student
from likeness.train.teachers import Answers, Teacher, resized
from likeness.train.validation import separation
from likeness.train.views import PLANS, Views
from likeness.types import Pixels

RECORD = "distil.json"
STATE = "state.pt"
ANSWERS = "answers"
Say = Callable[[str], None]
_BATCH = 64


def unwatched(what: str) -> AbstractContextManager[Callable[[int, int], None]]:
    """Where nobody looks on."""
    return nullcontext(lambda done, total: None)


class Distillation(BaseModel):
    """The record of a distillation, written after every epoch."""

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    recipe: StudentRecipe
    teacher: str
    teacher_fingerprint: str
    space: str
    dimension: int
    data: str
    licence: str
    digest: str
    crops: CropFacts
    photos: int
    validation_photos: int
    watched: str = ""
    commit: str
    versions: dict[str, str]
    machine: dict[str, Any]
    fitted: tuple[tuple[str, int, float], ...] = ()
    seconds: float = 0.0
    epochs: list[dict[str, float]] = []

    @classmethod
    def read(cls, folder: Path) -> Self:
        """Read the record in a distillation's folder.

        Raises:
            DatasetError: there is none, or it is malformed.
        """
        try:
            return cls.model_validate_json((folder / RECORD).read_bytes())
        except FileNotFoundError:
            raise DatasetError(f"{str(folder)!r} is no distillation's folder: it has no {RECORD}") from None
        except (OSError, ValidationError) as error:
            raise DatasetError(f"{folder / RECORD} cannot be read: {error}") from None

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.epochs) >= self.recipe.schedule.epochs

    def write(self, folder: Path) -> None:
        """Write it in one step."""
        replace_file(folder / RECORD, (self.model_dump_json(indent=1) + "\n").encode())

    def expect_same(self, other: Distillation, folder: Path) -> None:
        """Let a distillation go on that is the one in the folder; more epochs are allowed.

        Raises:
            RunDiffers: teacher, recipe or data are others.
        """
        loose = {"schedule": {"epochs"}}
        changed = [
            key for key in ("teacher_fingerprint", "digest", "photos") if getattr(self, key) != getattr(other, key)
        ]
        if self.recipe.model_dump(exclude=loose) != other.recipe.model_dump(exclude=loose):
            changed.append("recipe")
        if changed:
            raise RunDiffers(
                f"{str(folder)!r} holds a distillation that differs in {', '.join(changed)}",
                hint="name another folder with --run, or begin anew with --fresh",
            )


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """Named people on whom a student is looked at after each epoch, and who decide nothing."""

    name: str
    crops: Tensor
    people: np.ndarray[Any, np.dtype[np.intp]]

    @classmethod
    def of(cls, dataset: Dataset, rows: Sequence[Row]) -> Self:
        """The rows' crops and their people, by number."""
        assert dataset.facts.crops is not None
        named = [row for row in rows if row.identity]
        numbers = {name: at for at, name in enumerate(sorted({row.identity for row in named}))}
        crops = planes(load_crops(dataset, named, dataset.facts.crops.side_px))
        return cls(dataset.facts.name, crops, np.array([numbers[row.identity] for row in named], np.intp))


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
    if dataset.facts.crops is None:
        raise DatasetError(f"{str(dataset.folder)!r} holds no aligned crops", hint="make them: likeness data crop")
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

    def begin(self, watched: Watched | None) -> Distillation:
        dataset, teacher = self.dataset, self.teacher
        assert dataset.facts.crops is not None
        new = Distillation(
            recipe=self.recipe,
            teacher=teacher.bundle.manifest.name,
            teacher_fingerprint=teacher.bundle.fingerprint,
            space=teacher.space,
            dimension=teacher.dimension,
            data=dataset.facts.name,
            licence=dataset.facts.licence,
            digest=dataset.digest,
            crops=dataset.facts.crops,
            photos=len(self.learnt),
            validation_photos=len(self.validation),
            watched=watched.name if watched else "",
            commit=record.commit(),
            versions=record.versions(),
            machine=record.machine("cuda" if torch.cuda.is_available() else "cpu"),
        )
        if not (self.folder / RECORD).is_file():
            return new
        old = Distillation.read(self.folder)
        new.expect_same(old, self.folder)
        return old.model_copy(update={"recipe": self.recipe})

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
            while not found.finished:
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
            del found.epochs[distiller.epoch :]
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
        """State and record on disk; who is stopped between the two has an epoch to repeat."""
        write_state(self.folder / STATE, distiller.state())
        found.write(self.folder)

    def _lessons(self, crops: Tensor) -> Lessons:
        views = Views(crops, PLANS[self.recipe.views.strength], seed=self.recipe.schedule.seed)
        answers = Answers(self.teacher, views, self.answers, key=f"{self.dataset.digest} {self.photos is not None}")
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
        assert self.dataset.facts.crops is not None
        side = self.dataset.facts.crops.side_px
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


def labels_of(rows: Sequence[Row]) -> tuple[Tensor, Tensor]:
    """Ages in years and genders (1 female, 0 male) `(n,)` each, NaN where not known."""
    ages = [float(row.labels.get("age_years", math.nan)) for row in rows]
    genders = [{"female": 1.0, "male": 0.0}.get(str(row.labels.get("gender")), math.nan) for row in rows]
    return torch.tensor(ages), torch.tensor(genders)


def state_of(folder: Path) -> dict[str, Any]:
    """The state of a distillation.

    Raises:
        DatasetError: there is none yet, or it is damaged.
    """
    path = folder / STATE
    if not path.is_file():
        raise DatasetError(f"the distillation in {str(folder)!r} has not come to the end of an epoch yet")
    return read_state(path, hint="begin anew with --fresh")


def load_student_of(folder: Path) -> tuple[Distillation, Student]:
    """The record and the student, with its averaged weights, of a distillation; which need not be finished."""
    found = Distillation.read(folder)
    student = blank_student(found.recipe)
    student.load_state_dict(state_of(folder)["average"])
    return found, student.eval()


def tell_all(student: Student, faces: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None]:
    """Unit embeddings `(n, d)` of faces `(n, 3, s, s)` uint8, told ages in years and gender logits `(n,)`."""
    parts = []
    device = next(student.parameters()).device
    with torch.inference_mode():
        for start in range(0, len(faces), _BATCH):
            parts.append(student.tell(resized(faces[start : start + _BATCH], student.side_px).float().to(device)))
    unit = functional.normalize(torch.cat([part.embeddings for part in parts]).float(), dim=1).cpu()
    if parts[0].age_logits is None or parts[0].gender_logit is None:
        return unit, None, None
    shares = torch.cat([part.age_logits for part in parts if part.age_logits is not None]).float().softmax(1).cpu()
    ages = (shares.cumsum(1) < 0.5).sum(1).float()
    return unit, ages, torch.cat([part.gender_logit for part in parts if part.gender_logit is not None]).cpu()


def planes(crops: Pixels) -> Tensor:
    """Crops `(n, s, s, 3)` as `(n, 3, s, s)`."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous()
