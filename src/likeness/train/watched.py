"""Looking at a student while it learns: what it tells of faces, and of people who decide nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.bundle import Bundle
from likeness.data.dataset import CropFacts, Dataset
from likeness.data.manifest import Row
from likeness.errors import DatasetError
from likeness.evaluate.dataset import expect_template
from likeness.train.crops import load_crops
from likeness.train.students import Student
from likeness.train.teachers import resized
from likeness.types import Pixels

_BATCH = 64


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """Named people on whom a student is looked at after each epoch, and who decide nothing."""

    name: str
    crops: Tensor
    people: np.ndarray[Any, np.dtype[np.intp]]

    @classmethod
    def of(cls, dataset: Dataset, rows: Sequence[Row], teacher: Bundle) -> Self:
        """The rows' crops and their people, by number.

        Raises:
            DatasetError: the data set has no crops, or they are aligned otherwise than the teacher's; or it names too
                few people: two, one of them twice.
        """
        facts = crop_facts(dataset)
        expect_template(teacher, dataset)
        named = [row for row in rows if row.identity]
        photos = Counter(row.identity for row in named)
        if len(photos) < 2 or max(photos.values()) < 2:
            raise DatasetError(
                f"{str(dataset.folder)!r} names {len(photos)} people to look at: two are needed, one of them twice"
            )
        numbers = {name: at for at, name in enumerate(sorted({row.identity for row in named}))}
        crops = planes(load_crops(dataset, named, facts.side_px))
        return cls(dataset.facts.name, crops, np.array([numbers[row.identity] for row in named], np.intp))


def crop_facts(dataset: Dataset) -> CropFacts:
    """How the crops of a data set were cut.

    Raises:
        DatasetError: it has none.
    """
    if dataset.facts.crops is None:
        raise DatasetError(f"{str(dataset.folder)!r} holds no aligned crops", hint="make them: likeness data crop")
    return dataset.facts.crops


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
