"""From a distillation's folder to a model bundle of the teacher's embedding space."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from likeness.data.dataset import Dataset
from likeness.errors import DatasetError
from likeness.manifest import InputSpec
from likeness.train.attribute_heads import AttributeHead
from likeness.train.bundling import (
    CALIBRATION_CROPS,
    REAL_CROPS,
    TOLD,
    WEIGHTS,
    Exported,
    Written,
    expect_crops,
    expect_name,
    expect_target,
    licence_facts,
    place_bundle,
)
from likeness.train.crops import load_crops
from likeness.train.distil_run import choose_faces
from likeness.train.distillation import Distillation, load_student_of
from likeness.train.onnx_export import OUTPUT
from likeness.train.residual import ResidualNet
from likeness.train.students import Student
from likeness.types import Pixels

LABELS = (
    "ages and genders as the data set labels them, part of them estimated by a program and checked by eye; two genders "
    "only; what is told is how a face looks to such labels, not who somebody is"
)


class _All(nn.Module):
    """A student as it is exported: everything that it tells, as a tuple."""

    def __init__(self, student: Student) -> None:
        super().__init__()
        self.student = copy.deepcopy(student)
        for module in self.student.modules():
            if isinstance(module, ResidualNet):
                module.take_pixels()

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """`(n, d)`, and where the student tells them `(n, bins)` and `(n,)`."""
        told = self.student.tell(x)
        parts = (told.embeddings, told.age_logits, told.gender_logit)
        return tuple(part for part in parts if part is not None)


def export_distillation(
    folder: Path,
    target: Path,
    *,
    dataset: Dataset | None = None,
    name: str | None = None,
    licence: str = WEIGHTS,
    int8: bool = False,
    replace: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> Exported:
    """Write the averaged weights of a distillation as the bundle `target`; see `export_run`.

    Raises:
        InputError: no bundle can be called so.
        DatasetError: no epoch is finished, int8 is asked for without the crops, or they are of other data.
        Conflict: `target` is there already.
        ExportFailed: the file does not agree with the network.
    """
    expect_name(name or target.name)
    record, student = load_student_of(folder)
    if not record.epochs:
        raise DatasetError(f"the distillation in {str(folder)!r} has not come to the end of an epoch yet")
    expect_target(target, replace=replace)
    expect_crops(int8, dataset)
    if dataset is not None and dataset.digest != record.digest:
        raise DatasetError(
            f"{str(dataset.folder)!r} is not what the student learnt from, {record.data}, or was split anew",
            hint="name the data set of the distillation: its faces calibrate int8",
        )
    crops = None if dataset is None else _crops(record, student, dataset, CALIBRATION_CROPS if int8 else REAL_CROPS)
    spec = InputSpec(side_px=student.side_px, layout="NCHW", dtype="float32")
    head = next((each for each in student.modules() if isinstance(each, AttributeHead)), None)
    outputs = (OUTPUT,) if head is None else (OUTPUT, *TOLD)

    def describe(aside: Path) -> tuple[dict[str, Any], dict[str, str]]:
        return _describe(record, student, head, name=name or target.name, licence=licence), {}

    written = Written(_All(student), spec, crops, int8, outputs)
    return place_bundle(written, target, describe, replace=replace, say=say)


def _describe(
    record: Distillation, student: Student, head: AttributeHead | None, *, name: str, licence: str
) -> dict[str, Any]:
    """The manifest, less its files."""
    facts: dict[str, Any] = {
        "name": name,
        "version": "1",
        "role": "embedder",
        "engine": "aligned-crop",
        "summary": f"{record.recipe.summary.rstrip('.')}.",
        "input": InputSpec(side_px=student.side_px).model_dump(mode="json"),
        "alignment": {"template_px": record.crops.template_for(student.side_px)},
        "embedding": {"dimension": record.dimension, "space": record.space},
        "licence": licence_facts(licence, record.licence, record.teacher_licence),
        "origin": {
            "student": record.recipe.model_dump(mode="json", exclude_defaults=True),
            "teacher": record.teacher,
            "data": {"name": record.data, "digest": record.digest, "photos": record.photos},
            "agreement": record.epochs[-1] if record.epochs else {},
            "seconds": record.seconds,
            "epochs": len(record.epochs),
            "epochs_planned_from": [list(each) for each in record.schedules],
            "machine": record.machine,
            "versions": record.versions,
            "commit": record.commit,
        },
    }
    if head is not None:
        years = head.years.tolist()
        step = years[1] - years[0]
        facts["attributes"] = {
            "first_year": years[0], "year_step": step, "age_bins": len(years), "labels": LABELS
        }  # fmt: skip
        assert math.isclose(years[-1], years[0] + step * (len(years) - 1))
    return facts


def _crops(record: Distillation, student: Student, dataset: Dataset, most: int) -> Pixels:
    """Faces that were learnt from, at the student's side."""
    learnt, _ = choose_faces(dataset, record.recipe)
    return load_crops(dataset, learnt[:most], student.side_px)
