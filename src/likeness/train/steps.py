"""A step of continual learning: what is asked of it, where it works, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.errors import StepRefused
from likeness.train.from_bundle import Watch
from likeness.train.loop import Say
from likeness.train.memory import Memory

MADE, EMBEDDINGS = "bundle", "embeddings"
TABLES = "report.md"
"""What lies in a step's folder: the bundle before it is published, embeddings that can be made again; its tables."""
EXEMPLARS = 2000
"""How many photos of all people together a memory begins with room for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What is asked of a step.

    Attributes:
        budget: how much a figure may fall, as a share.
        exemplars: of all people together; where it is None as many as before, at first `EXEMPLARS`.
        old: photos of people whom the first network of a series knows already.
        verify: a data set with people who are never learnt, and its split to measure on.
        keep_space: refuse a step whose network cannot search the galleries of the old one.
        rehearse, protect: exemplars, and distillation; without both a step is plain fine-tuning.
    """

    budget: float = 0.02
    exemplars: int | None = None
    old: Path | None = None
    verify: tuple[Dataset, str] | None = None
    keep_space: bool = False
    rehearse: bool = True
    protect: bool = True


@dataclass(frozen=True, slots=True)
class Places:
    """Folders: the memory, and that of the models; the new bundle's name where it is not the series' and the step's."""

    memory: Path
    models: Path
    name: str | None = None


@dataclass(frozen=True)
class Stepped:
    """What came of a step: its report (figures, and whether it was published), its page, and the bundle if so."""

    report: dict[str, Any]
    page: Path
    bundle: Bundle | None
    refusal: StepRefused | None
    remarks: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        place = str(self.bundle.folder) if self.bundle else None
        return {"bundle": place, "page": str(self.page), "remarks": self.remarks, **self.report}


@dataclass(frozen=True)
class Step:
    """A step at work: `old` is the bundle that it begins with, `folder` its own, `name` that of the new bundle."""

    old: Bundle
    memory: Memory
    folder: Path
    name: str
    asked: Asked
    say: Say
    watch: Watch

    @property
    def number(self) -> int:
        """The first is 1."""
        return self.memory.step + 1

    @property
    def cache(self) -> Path:
        """Embeddings of people lie with the step, and go with it."""
        return self.folder / EMBEDDINGS
