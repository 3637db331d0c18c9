"""What a student is told, against sums written out."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional

from likeness.train.distil_losses import (
    centred,
    centred_cosine_loss,
    map_loss,
    relation_loss,
    softened_classes_loss,
)


@pytest.fixture
def pair() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Raw embeddings of a student, unit ones of a teacher in a narrow cone, and the teacher's mean."""
    torch.manual_seed(3)
    teacher = functional.normalize(torch.randn(7, 5, dtype=torch.float64) * 0.2 + 2.0, dim=1)
    return torch.randn(7, 5, dtype=torch.float64) + 1.0, teacher, teacher.mean(0)


def unit(values: list[float]) -> list[float]:
    length = math.sqrt(sum(value**2 for value in values))
    return [value / length for value in values]


def seen_from(row: torch.Tensor, mean: torch.Tensor) -> list[float]:
    return unit([value - middle for value, middle in zip(unit(row.tolist()), mean.tolist(), strict=True)])


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_the_centred_cosine_loss_is_the_mean_over_faces_seen_from_the_teachers_mean(pair):
    student, teacher, mean = pair
    loops = [1 - cosine(seen_from(a, mean), seen_from(b, mean)) for a, b in zip(student, teacher, strict=True)]
    assert float(centred_cosine_loss(student, teacher, mean)) == pytest.approx(sum(loops) / len(loops))


@pytest.mark.parametrize("from_mean", [False, True], ids=["plain cosines", "seen from the mean"])
def test_the_relation_loss_compares_each_pair_of_different_faces(pair, from_mean):
    student, teacher, mean = pair
    look = (lambda row: seen_from(row, mean)) if from_mean else (lambda row: unit(row.tolist()))
    total, count = 0.0, 0
    for i in range(len(student)):
        for j in range(len(student)):
            if i != j:
                mine = cosine(look(student[i]), look(student[j]))
                its = cosine(look(teacher[i]), look(teacher[j]))
                total, count = total + (mine - its) ** 2, count + 1
    assert float(relation_loss(student, teacher, mean if from_mean else None)) == pytest.approx(total / count)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_the_softened_classes_loss_is_t_squared_times_the_divergence(temperature):
    torch.manual_seed(0)
    student, teacher = torch.randn(4, 6, dtype=torch.float64), torch.randn(4, 6, dtype=torch.float64) * 3
    total = 0.0
    for mine, its in zip(student.tolist(), teacher.tolist(), strict=True):
        soft = [[math.exp(value / temperature) for value in row] for row in (mine, its)]
        told, known = ([value / sum(row) for value in row] for row in soft)
        total += sum(q * math.log(q / p) for p, q in zip(told, known, strict=True))
    found = softened_classes_loss(student, teacher, temperature)
    assert float(found) == pytest.approx(temperature**2 * total / 4)


def test_the_map_loss_is_a_share_of_what_the_teacher_says():
    teacher = torch.randn(2, 3, 4, 4)
    assert float(map_loss(torch.zeros_like(teacher), teacher)) == pytest.approx(1.0)
    assert float(map_loss(teacher * 1.1, teacher)) == pytest.approx(0.01, rel=1e-4)


def test_a_student_that_says_what_its_teacher_says_loses_nothing_whatever_its_lengths(pair):
    _, teacher, mean = pair
    longer = teacher * torch.linspace(0.5, 9, len(teacher), dtype=torch.float64)[:, None]
    assert float(centred_cosine_loss(longer, teacher, mean)) == pytest.approx(0, abs=1e-12)
    assert float(relation_loss(longer, teacher, mean)) == pytest.approx(0, abs=1e-12)
    assert float(softened_classes_loss(longer, longer, 4.0)) == pytest.approx(0, abs=1e-12)


def test_in_a_narrow_cone_plain_cosines_hide_what_centred_ones_show():
    torch.manual_seed(1)
    middle = functional.normalize(torch.ones(64), dim=0)
    teacher = functional.normalize(middle + 0.05 * torch.randn(200, 64), dim=1)
    says_nothing = middle.expand(200, 64) + 1e-4 * torch.randn(200, 64)
    mean = teacher.mean(0)
    assert float(functional.cosine_similarity(says_nothing, teacher).mean()) > 0.9
    assert float((centred(says_nothing, mean) * centred(teacher, mean)).sum(1).mean()) < 0.2


def test_batches_of_one_face_have_no_relations():
    assert float(relation_loss(torch.randn(1, 4), torch.randn(1, 4))) == 0.0
