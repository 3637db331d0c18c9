"""Every loss equals a naive loop over the formula it is named after."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from likeness.train.optimisation import rate_factor
from likeness.train.recipe import ArcFacePart, FineTunePart, SoftmaxPart, TripletPart
from likeness.train.tasks import build_task

PEOPLE, DIMENSION = 5, 8


class Shifted(nn.Module):
    """A network of one number, as some tasks want weights to look after."""

    def __init__(self) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(()))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.shift


def batch(seed: int, each: int = 4) -> tuple[torch.Tensor, torch.Tensor]:
    """Random embeddings of unequal lengths, so many of each person."""
    random = np.random.default_rng(seed)
    embeddings = random.normal(size=(PEOPLE * each, DIMENSION)) * random.uniform(0.5, 3, (PEOPLE * each, 1))
    people = random.permutation(np.repeat(np.arange(PEOPLE), each))
    return torch.from_numpy(embeddings.astype(np.float32)), torch.from_numpy(people)


def unit(row: np.ndarray) -> np.ndarray:
    return row / np.linalg.norm(row)


def hardest(embeddings: torch.Tensor, people: torch.Tensor) -> list[tuple[float, float]]:
    """Of each anchor the distance to its farthest positive and to its nearest negative."""
    rows = [unit(row) for row in embeddings.numpy().astype(np.float64)]
    found = []
    for a, anchor in enumerate(rows):
        positive = max(
            np.linalg.norm(anchor - other) for b, other in enumerate(rows) if b != a and people[b] == people[a]
        )
        negative = min(np.linalg.norm(anchor - other) for b, other in enumerate(rows) if people[b] != people[a])
        found.append((float(positive), float(negative)))
    return found


@pytest.mark.parametrize("seed", range(5))
def test_batch_hard_triplets_with_a_margin(seed):
    embeddings, people = batch(seed)
    task = build_task(nn.Identity(), TripletPart(margin=0.3), PEOPLE, DIMENSION)
    each = [max(0.0, positive - negative + 0.3) for positive, negative in hardest(embeddings, people)]
    # Triplets that keep the margin do not count in the mean.
    expected = np.mean([loss for loss in each if loss > 0])
    assert task.losses((embeddings, people))["loss"].item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_batch_hard_triplets_with_a_soft_margin(seed):
    embeddings, people = batch(seed)
    task = build_task(nn.Identity(), TripletPart(margin="soft"), PEOPLE, DIMENSION)
    expected = np.mean(
        [math.log(1 + math.exp(positive - negative)) for positive, negative in hardest(embeddings, people)]
    )
    assert task.losses((embeddings, people))["loss"].item() == pytest.approx(expected, rel=1e-5)


def test_a_recipe_file_can_ask_for_the_soft_margin(tmp_path):
    from likeness.train.recipe import load_recipe

    path = tmp_path / "soft.toml"
    path.write_text('name = "soft"\n[network]\nbackbone = "resnet18"\n[task]\nkind = "triplet"\nmargin = "soft"\n')
    task = load_recipe(str(path)).task
    assert isinstance(task, TripletPart)
    assert task.margin == "soft"


def test_semihard_triplets_have_a_negative_behind_the_positive_but_within_the_margin():
    embeddings, people = batch(3)
    task = build_task(nn.Identity(), TripletPart(margin=0.3, mining="semihard"), PEOPLE, DIMENSION)
    rows = [unit(row) for row in embeddings.numpy().astype(np.float64)]
    each = []
    for a in range(len(rows)):
        for p in range(len(rows)):
            for n in range(len(rows)):
                if p == a or people[p] != people[a] or people[n] == people[a]:
                    continue
                gap = np.linalg.norm(rows[a] - rows[n]) - np.linalg.norm(rows[a] - rows[p])
                if 0 < gap <= 0.3:
                    each.append(0.3 - gap)
    assert task.losses((embeddings, people))["loss"].item() == pytest.approx(np.mean(each), rel=1e-4)


def test_the_spread_tells_a_collapse_from_points_in_all_directions():
    task = build_task(nn.Identity(), TripletPart(), 2, 4)
    people = torch.tensor([0, 0, 1, 1])
    same = torch.ones(4, 4)
    assert task.losses((same, people))["spread"].item() == pytest.approx(0, abs=1e-6)
    apart = torch.eye(4)
    assert task.losses((apart, people))["spread"].item() == pytest.approx(0.75)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_cross_entropy_over_a_classifier_with_smoothing(smoothing):
    embeddings, people = batch(0)
    task = build_task(nn.Identity(), SoftmaxPart(label_smoothing=smoothing), PEOPLE, DIMENSION)
    rows = task.class_weights().detach().numpy().astype(np.float64)
    losses, right = [], []
    for embedding, person in zip(embeddings.numpy(), people.numpy(), strict=True):
        logits = [float(row @ embedding) for row in rows]
        log_sum = math.log(sum(math.exp(value) for value in logits))
        wanted = [smoothing / PEOPLE + (1 - smoothing) * (at == person) for at in range(PEOPLE)]
        losses.append(sum(share * (log_sum - value) for share, value in zip(wanted, logits, strict=True)))
        right.append(logits.index(max(logits)) == person)
    found = task.losses((embeddings, people))
    assert found["loss"].item() == pytest.approx(np.mean(losses), rel=1e-5)
    assert found["right"].item() == pytest.approx(np.mean(right))


@pytest.mark.parametrize(("margin", "scale"), [(28.65, 64.0), (17.0, 32.0), (0.0, 16.0)])
def test_arcface_adds_the_margin_to_the_angle_of_the_right_person(margin, scale):
    embeddings, people = batch(1)
    task = build_task(nn.Identity(), ArcFacePart(margin_degrees=margin, scale=scale), PEOPLE, DIMENSION)
    centres = task.class_weights().detach().numpy().astype(np.float64)
    losses, right = [], []
    for embedding, person in zip(embeddings.numpy().astype(np.float64), people.numpy(), strict=True):
        cosines = [float(unit(centre) @ unit(embedding)) for centre in centres]
        right.append(cosines.index(max(cosines)) == person)
        angle = math.acos(cosines[person]) + math.radians(margin)
        # Past half a turn the cosine would rise again; the losses of these stay on a line. None is so far here.
        assert angle < math.pi
        logits = [scale * value for value in cosines]
        logits[person] = scale * math.cos(angle)
        log_sum = math.log(sum(math.exp(value - max(logits)) for value in logits)) + max(logits)
        losses.append(log_sum - logits[person])
    found = task.losses((embeddings, people))
    assert found["loss"].item() == pytest.approx(np.mean(losses), rel=1e-4)
    assert found["right"].item() == pytest.approx(np.mean(right))


def test_fine_tuning_holds_the_weights_near_where_they_began():
    torch.manual_seed(0)
    network = nn.Linear(DIMENSION, DIMENSION)
    began = [value.detach().clone().numpy().astype(np.float64) for value in network.parameters()]
    task = build_task(network, FineTunePart(scale=16.0, anchor=0.7), PEOPLE, DIMENSION)
    embeddings, people = batch(2)
    assert task.losses((embeddings, people))["moved"].item() == 0

    with torch.no_grad():
        for value in network.parameters():
            value += torch.randn_like(value) * 0.1
    now = [value.detach().numpy().astype(np.float64) for value in network.parameters()]
    moved = sum(float(((a - b) ** 2).sum()) for a, b in zip(now, began, strict=True))
    centres = task.class_weights().detach().numpy().astype(np.float64)
    losses = []
    for embedding, person in zip(embeddings.numpy().astype(np.float64), people.numpy(), strict=True):
        out = unit(now[0] @ embedding + now[1])
        logits = [16.0 * float(unit(centre) @ out) for centre in centres]
        losses.append(math.log(sum(math.exp(value) for value in logits)) - logits[person])
    found = task.losses((embeddings, people))
    assert found["moved"].item() == pytest.approx(moved, rel=1e-5)
    assert found["loss"].item() == pytest.approx(np.mean(losses) + 0.7 * moved, rel=1e-5)


@pytest.mark.parametrize("part", [SoftmaxPart(), ArcFacePart(), FineTunePart()])
def test_class_weights_have_a_row_for_each_person_and_are_nearest_to_whom_they_stand_for(part):
    torch.manual_seed(0)
    task = build_task(Shifted(), part, PEOPLE, DIMENSION)
    optimiser = torch.optim.Adam(task.parameters(), 0.1)
    centres = torch.nn.functional.normalize(torch.randn(PEOPLE, DIMENSION), dim=1)
    for _ in range(60):
        optimiser.zero_grad()
        task.losses((centres, torch.arange(PEOPLE)))["loss"].backward()
        optimiser.step()
    weights = task.class_weights()
    assert weights.shape == (PEOPLE, DIMENSION)
    assert (centres @ weights.T).argmax(1).tolist() == list(range(PEOPLE))


def test_triplets_have_no_classifier():
    assert build_task(nn.Identity(), TripletPart(), PEOPLE, DIMENSION).class_weights() is None


@pytest.mark.parametrize("part", [TripletPart(), SoftmaxPart(label_smoothing=0.1), ArcFacePart(), FineTunePart()])
def test_half_precision_embeddings_give_a_loss_in_full_precision(part):
    embeddings, people = batch(4)
    with torch.no_grad():
        task = build_task(Shifted(), part, PEOPLE, DIMENSION)
        with torch.autocast("cpu", torch.bfloat16):
            found = task.losses((embeddings.bfloat16(), people))["loss"]
        assert found.dtype == torch.float32


@settings(max_examples=100, deadline=None)
@given(st.integers(2, 2000), st.data())
def test_the_learning_rate_rises_to_one_and_falls_to_nothing(steps, data):
    warmup = data.draw(st.integers(0, steps - 1))
    factors = [rate_factor("cosine", step, steps=steps, warmup=warmup) for step in range(steps + 1)]
    assert all(0 <= factor <= 1 for factor in factors)
    assert factors[warmup] == 1
    assert all(a < b for a, b in pairwise(factors[: warmup + 1]))
    assert all(a > b for a, b in pairwise(factors[warmup:]))
    assert factors[-1] == pytest.approx(0, abs=1e-9)
