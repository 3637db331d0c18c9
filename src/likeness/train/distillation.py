"""What a distillation keeps on disk: its record and the state of its student."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from likeness.data.dataset import CropFacts, replace_file
from likeness.errors import DatasetError, RunDiffers
from likeness.manifest import Licence
from likeness.train.states import read_state
from likeness.train.student_recipe import StudentRecipe
from likeness.train.students import Student, blank_student

RECORD = "distil.json"
STATE = "state.pt"
ANSWERS = "answers"


class Distillation(BaseModel):
    """The record of a distillation, written after every epoch.

    `faces` is a digest of the photos learnt from in their order, `recut` whether they were cut out of the photos anew.
    `schedules` are the epochs that were planned, by the epoch from which on that was the plan.
    """

    model_config = ConfigDict(extra="forbid")

    format: Literal[1] = 1
    recipe: StudentRecipe
    teacher: str
    teacher_fingerprint: str
    teacher_licence: Licence | None = None
    space: str
    dimension: int
    data: str
    licence: str
    digest: str
    crops: CropFacts
    photos: int
    validation_photos: int
    faces: str = ""
    recut: bool = False
    watched: str = ""
    commit: str
    versions: dict[str, str]
    machine: dict[str, Any]
    fitted: tuple[tuple[str, int, float], ...] = ()
    schedules: tuple[tuple[int, int], ...] = ()
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

    def planned(self, recipe: StudentRecipe) -> Distillation:
        """The record with the recipe that is followed from now on."""
        plan = (len(self.epochs), recipe.schedule.epochs)
        same = bool(self.schedules) and self.schedules[-1][1] == plan[1]
        before = tuple(each for each in self.schedules if each[0] < plan[0])
        return self.model_copy(update={"recipe": recipe, "schedules": self.schedules if same else (*before, plan)})

    @property
    def finished(self) -> bool:
        """Whether all epochs are done."""
        return len(self.epochs) >= self.recipe.schedule.epochs

    def write(self, folder: Path) -> None:
        """Write it in one step."""
        replace_file(folder / RECORD, (self.model_dump_json(indent=1) + "\n").encode())

    def expect_same(self, other: Distillation, folder: Path) -> None:
        """Let a distillation go on that is the one in the folder; more or fewer epochs are allowed, and noted.

        Raises:
            RunDiffers: teacher, recipe or faces are others.
        """
        loose = {"schedule": {"epochs"}}
        told = ("teacher_fingerprint", "digest", "faces", "recut")
        changed = [key for key in told if getattr(self, key) != getattr(other, key)]
        if self.recipe.model_dump(exclude=loose) != other.recipe.model_dump(exclude=loose):
            changed.append("recipe")
        if changed:
            raise RunDiffers(
                f"{str(folder)!r} holds a distillation that differs in {', '.join(changed)}",
                hint="name another folder with --run, or begin anew with --fresh",
            )


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
