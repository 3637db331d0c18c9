"""Heads for age and gender, and their losses against naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from likeness.train.attribute_heads import AttributeHead, attribute_loss

YEARS = [5.0 * bin_ for bin_ in range(12)]


def batch(seed: int, count: int = 9):
    random = np.random.default_rng(seed)
    ages = random.uniform(0, 70, count)  # some beyond the oldest bin
    genders = random.integers(0, 2, count).astype(float)
    ages[1], genders[2] = math.nan, math.nan
    logits, logit = random.normal(0, 2, (count, len(YEARS))), random.normal(0, 2, count)
    return [torch.tensor(values, dtype=torch.float32) for values in (logits, logit, ages, genders)]


@pytest.mark.parametrize("seed", range(4))
def test_the_loss_is_its_formula_summed_by_hand(seed):
    logits, logit, ages, genders = batch(seed)
    sigma, mean_weight, gender_weight = 3.0, 0.2, 0.7
    apart, errors, wrong = [], [], []
    for row, score, age, gender in zip(*(value.tolist() for value in (logits, logit, ages, genders)), strict=True):
        powers = [math.exp(value) for value in row]
        told = [power / sum(powers) for power in powers]
        if not math.isnan(age):
            age = min(max(age, YEARS[0]), YEARS[-1])
            bells = [math.exp(-((year - age) ** 2) / (2 * sigma**2)) for year in YEARS]
            wanted = [bell / sum(bells) for bell in bells]
            apart.append(sum(q * (math.log(q) - math.log(p)) for q, p in zip(wanted, told, strict=True) if q > 0))
            errors.append(abs(sum(p * year for p, year in zip(told, YEARS, strict=True)) - age))
        if not math.isnan(gender):
            female = 1 / (1 + math.exp(-score))
            wrong.append(-math.log(female if gender == 1 else 1 - female))
    age, error, sex = (sum(values) / len(values) for values in (apart, errors, wrong))
    found = attribute_loss(
        logits,
        logit,
        ages,
        genders,
        years=torch.tensor(YEARS),
        sigma_years=sigma,
        mean_weight=mean_weight,
        gender_weight=gender_weight,
    )
    assert {name: value.item() for name, value in found.items()} == pytest.approx(
        {"loss": age + mean_weight * error + gender_weight * sex, "age": age, "age_error": error, "gender": sex},
        rel=1e-4,
    )


def test_faces_without_labels_have_no_loss_and_no_gradient():
    logits, logit, ages, genders = batch(0)
    logits.requires_grad_()
    logit.requires_grad_()
    attribute_loss(logits, logit, ages, genders)["loss"].backward()
    assert (logits.grad[1] == 0).all()
    assert logit.grad[2] == 0
    assert all((logits.grad[at] != 0).any() for at in range(9) if at != 1)
    nothing = torch.full((9,), math.nan)
    found = attribute_loss(logits, logit, nothing, nothing)
    assert found["loss"].item() == 0


def test_the_labels_own_distribution_has_no_loss_but_that_of_the_ends():
    ages = torch.tensor([20.0, 55.0, 90.0])
    years = torch.arange(101.0)
    right = -((years - ages[:, None]) ** 2) / (2 * 2.0**2)
    found = attribute_loss(right, torch.tensor([30.0, -30.0, 30.0]), ages, torch.tensor([1.0, 0.0, 1.0]))
    assert found["age"].item() == pytest.approx(0, abs=1e-5)
    assert found["age_error"].item() == pytest.approx(0, abs=1e-3)
    assert found["gender"].item() == pytest.approx(0, abs=1e-6)


def test_a_head_takes_the_mean_of_a_map_or_pooled_features():
    torch.manual_seed(0)
    head = AttributeHead(6, bins=11, first_year=10, year_step=5, hidden=4).eval()
    features = torch.randn(3, 6, 5, 5)
    ages, genders = head(features)
    assert ages.shape == (3, 11)
    assert genders.shape == (3,)
    assert head.years.tolist() == [10 + 5 * step for step in range(11)]
    for one, other in zip(head(features), head(features.mean((2, 3))), strict=True):
        assert torch.allclose(one, other, atol=1e-6)
    assert "years" not in head.state_dict()


def test_a_head_learns_age_and_gender_from_features_that_tell_them():
    torch.manual_seed(0)
    ages = torch.rand(256) * 80
    genders = (torch.rand(256) < 0.5).float()
    features = torch.stack([ages / 40 - 1, genders * 2 - 1, torch.randn(256)], dim=1)
    head = AttributeHead(3, hidden=32)
    optimiser = torch.optim.AdamW(head.parameters(), lr=0.02)
    for _ in range(250):
        optimiser.zero_grad()
        attribute_loss(*head(features), ages, genders)["loss"].backward()
        optimiser.step()
    with torch.no_grad():
        logits, logit = head.eval()(features)
        told = logits.softmax(1) @ head.years
    assert (told - ages).abs().mean() < 3
    assert ((logit > 0) == (genders > 0.5)).all()


def test_a_head_in_bfloat16_is_weighed_in_full_precision():
    logits, logit, ages, genders = batch(1)
    found = attribute_loss(logits.bfloat16(), logit.bfloat16(), ages, genders)
    assert found["loss"].dtype == torch.float32
