"""Herding, the losses' course, the measure of forgetting and the memory: each against a plain loop, or what it says."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import torch
from patterned_people import pattern
from torch import nn

from likeness.data.dataset import Dataset, Facts
from likeness.data.manifest import Row
from likeness.errors import InputError
from likeness.train.arrivals import material_of
from likeness.train.continual_task import ContinualTask, Teacher
from likeness.train.forgetting import accuracies, forgetting, outcomes
from likeness.train.herding import herd, share_of_each
from likeness.train.publishing import choose_exemplars
from likeness.train.recipe import ContinualPart
from likeness.train.sampling import Batches
from likeness.train.step_figures import keeps_space, over_budget


def unit(rows: np.ndarray) -> np.ndarray:
    scaled: np.ndarray = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def herd_by_loop(embeddings: np.ndarray, most: int) -> list[int]:
    mean = sum(row.astype(np.float64) for row in embeddings) / len(embeddings)
    chosen: list[int] = []
    for k in range(1, min(most, len(embeddings)) + 1):
        best, least = -1, float("inf")
        for at in range(len(embeddings)):
            if at in chosen:
                continue
            total = embeddings[at].astype(np.float64)
            for other in chosen:
                total = total + embeddings[other]
            apart = float(np.sqrt(((mean - total / k) ** 2).sum()))
            if apart < least:
                best, least = at, apart
        chosen.append(best)
    return chosen


@pytest.mark.parametrize("seed", range(4))
def test_herding_equals_a_loop(seed):
    embeddings = unit(np.random.default_rng(seed).normal(size=(13, 5)) + 0.6)
    assert herd(embeddings, 9) == herd_by_loop(embeddings, 9)


def test_herded_photos_stand_for_all_better_than_photos_drawn_blindly():
    random = np.random.default_rng(1)
    better = 0
    for _ in range(30):
        embeddings = unit(random.normal(size=(30, 16)) + 1)
        mean = embeddings.mean(axis=0)
        chosen = np.linalg.norm(embeddings[herd(embeddings, 5)].mean(axis=0) - mean)
        blind = np.linalg.norm(embeddings[random.permutation(30)[:5]].mean(axis=0) - mean)
        better += chosen < blind
    assert better >= 28


def test_a_budget_is_shared_out_and_one_that_is_too_small_is_refused():
    assert share_of_each(100, 30) == 3
    with pytest.raises(InputError, match="exemplars") as refused:
        share_of_each(10, 11)
    assert "--exemplars" in (refused.value.hint or "")


def row(name: str, number: int, **labels: str | float) -> Row:
    return Row(path=f"{name}/{number}.png", identity=name, labels=labels)


def test_the_memory_shrinks_to_the_first_of_those_chosen_before_and_herds_anew_where_photos_came():
    embeddings = unit(np.random.default_rng(3).normal(size=(9, 4)) + 0.5)
    rows = [
        *(row("a", number, use="exemplar", rank=rank) for number, rank in enumerate((3, 1, 2))),
        *(row("b", number, use="exemplar", rank=number + 1) for number in range(2)),
        *(row("b", number, use="learn") for number in range(2, 6)),
    ]
    kept = choose_exemplars(rows, embeddings, budget=5, people=2)
    assert [each.path for each in kept if each.identity == "a"] == ["a/1.png", "a/2.png"]
    mine = herd(embeddings[3:], 2)
    assert [each.path for each in kept if each.identity == "b"] == [f"b/{number}.png" for number in mine]
    assert [each.label("rank") for each in kept if each.identity == "b"] == [1, 2]


def test_each_batch_is_half_old_and_half_new_and_the_larger_half_is_shown_once():
    old = np.arange(50) < 9
    batches = Batches(np.zeros(50, np.intp), batch_size=10, old=old, seed=5)
    shown = [[index for _, index in batch] for batch in batches]
    assert len(shown) == len(batches) == 8
    assert all(sum(old[index] for index in batch) == 5 == len(batch) - 5 for batch in shown)
    new = [index for batch in shown for index in batch if not old[index]]
    assert len(set(new)) == 40
    counts = np.bincount([index for batch in shown for index in batch if old[index]], minlength=9)[:9]
    assert counts.max() - counts.min() <= 1
    again = Batches(np.zeros(50, np.intp), batch_size=10, old=old, seed=5)
    assert [[index for _, index in batch] for batch in again] == shown


def test_without_old_people_batches_are_as_always():
    labels = np.arange(40) % 4
    plain, none = (Batches(labels, batch_size=8, seed=2, old=old) for old in (None, np.zeros(40, bool)))
    assert list(plain) == list(none)


COURSES = {
    "a": (0, ["yyy", "yyn", "yny"]),
    "b": (0, ["nny", "yyn"]),
    "c": (1, ["yn", "yy", "nn"]),
    "d": (2, ["y"]),
}


def held_rows() -> list[Row]:
    return [
        row(name, number, use="held", step=step, named=course)
        for name, (step, courses) in COURSES.items()
        for number, course in enumerate(courses)
    ]


def test_forgetting_is_the_best_so_far_less_today_averaged_over_earlier_steps():
    lost = []
    for step in (0, 1):
        courses = [course for at, courses in COURSES.values() if at == step for course in courses]
        shares = [sum(course[at] == "y" for course in courses) / len(courses) for at in range(len(courses[0]))]
        lost.append(max(shares[:-1]) - shares[-1])
    found = forgetting(held_rows(), "named")
    assert found is not None
    assert found["mean"] == pytest.approx(sum(lost) / 2)
    assert found["of_steps"] == pytest.approx({0: lost[0], 1: lost[1]})
    assert found["interval"][0] < found["mean"] < found["interval"][1]
    assert accuracies(held_rows(), "named")[2] == [1.0]


def test_nothing_is_forgotten_before_a_second_step():
    assert forgetting([each for each in held_rows() if each.label("step") == 2], "named") is None


def test_outcomes_say_who_was_named_and_who_was_found():
    vectors = unit(np.array([[1, 0.1, 0], [0.1, 1, 0], [0, 0.2, 1]]))
    gallery, names = unit(np.array([[0, 1, 0], [1, 0, 0], [0, 1, 0.1]])), ["a", "a", "b"]
    centres = {"a": np.float32([1, 0, 0]), "b": np.float32([0, 1, 0]), "c": np.float32([0, 0, 1])}
    told = outcomes(vectors, ["a", "b", "b"], gallery, names, centres)
    assert [each["named"] for each in told] == ["y", "y", "n"]
    assert [each["found"] for each in told] == [
        "y" if names[int((gallery @ vector).argmax())] == person else "n"
        for vector, person in zip(vectors, ["a", "b", "b"], strict=True)
    ]


def lost(share: float) -> dict[str, float]:
    return {"lost": share}


def test_the_budget_counts_people_and_strangers_and_galleries_where_the_space_must_stay():
    figures = {
        "old_people": lost(0.01),
        "verification": {"lost": {"accuracy": lost(0.03), "tar": lost(-0.2)}},
        "old_galleries": {"old people": lost(0.05), "strangers": None},
    }
    assert [words.split(" fell")[0] for words in over_budget(figures, 0.02, keep_space=False)] == [
        "verification accuracy"
    ]
    assert len(over_budget(figures, 0.02, keep_space=True)) == 2
    assert over_budget(figures, 0.05, keep_space=True) == []
    assert keeps_space(figures, 0.05)
    assert not keeps_space(figures, 0.04)
    assert not keeps_space({"old_galleries": {"strangers": None}}, 1.0), "what was not measured is not claimed"


# Training: a network that knows six people learns six more.

OLD, NEW, EACH = [f"old-{n}" for n in range(6)], [f"new-{n}" for n in range(6)], 10
PART = ContinualPart(scale=16.0, embedding=10.0, relations=10.0, classes=1.0)


def shots(names: list[str], each: int, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    random = np.random.default_rng(seed)
    pixels = np.stack([pattern(name, random) for name in names for _ in range(each)]).astype(np.float32)
    return torch.from_numpy((pixels - 128) / 64).permute(0, 3, 1, 2), torch.arange(len(names)).repeat_interleave(each)


def network() -> nn.Module:
    return nn.Sequential(
        nn.Conv2d(3, 12, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(12, 16, 3, stride=2),
        nn.ReLU(),
        nn.AvgPool2d(3),
        nn.Flatten(),
        nn.Linear(64, 16),
    )


def learn(task: ContinualTask, pictures: torch.Tensor, people: torch.Tensor, steps: int, seed: int) -> None:
    optimiser = torch.optim.Adam(task.parameters(), lr=5e-3)
    random = np.random.default_rng(seed)
    for _ in range(steps):
        chosen = torch.from_numpy(random.permutation(len(people))[:32])
        optimiser.zero_grad()
        task.losses((pictures[chosen], people[chosen]))["loss"].backward()
        optimiser.step()


def named_rightly(task: ContinualTask, pictures: torch.Tensor, people: torch.Tensor) -> float:
    with torch.no_grad():
        unit_length = nn.functional.normalize(task.network(pictures), dim=1)
        return float(((unit_length @ task.class_weights().T).argmax(1) == people).float().mean())


@pytest.mark.parametrize("seed", range(3))
def test_a_protected_step_keeps_the_old_people_that_plain_fine_tuning_forgets(seed):
    torch.manual_seed(seed)
    start = ContinualTask(network(), PART, len(OLD), 16)
    learn(start, *shots(OLD, EACH, seed), steps=80, seed=seed)
    (old_held, old_names), (new_held, new_names) = shots(OLD, 8, seed + 100), shots(NEW, 8, seed + 101)
    before = named_rightly(start, old_held, old_names)
    pictures, people = shots(NEW, EACH, seed + 50)
    exemplars, theirs = shots(OLD, 3, seed)
    found = {}
    for way in ("naive", "protected"):
        torch.manual_seed(seed + 1)
        task = ContinualTask(copy.deepcopy(start.network), PART, len(OLD) + len(NEW), 16)
        with torch.no_grad():
            task.centres[: len(OLD)] = start.class_weights()
        if way == "protected":
            mean = nn.functional.normalize(start.network(exemplars), dim=1).mean(dim=0).detach()
            task.teacher = Teacher(copy.deepcopy(start.network), mean, start.class_weights().detach())
            # As the sampler has it: as many old as new.
            old = (exemplars.repeat(3, 1, 1, 1), theirs.repeat(3))
            learn(task, torch.cat([pictures, old[0]]), torch.cat([people + len(OLD), old[1]]), 80, seed)
        else:
            learn(task, pictures, people + len(OLD), 80, seed)
        found[way] = (named_rightly(task, old_held, old_names), named_rightly(task, new_held, new_names + len(OLD)))
    assert before > 0.8
    assert found["protected"][0] > found["naive"][0] + 0.3
    assert found["protected"][1] > 0.6, "the new people are learnt too"


def test_the_teacher_stays_as_it_was_and_out_of_the_checkpoint():
    torch.manual_seed(0)
    task = ContinualTask(network(), PART, 8, 16)
    told = network()
    task.teacher = Teacher(told, torch.zeros(16), torch.randn(4, 16))
    before = copy.deepcopy(told.state_dict())
    pictures, people = shots(OLD, 4, 0)
    learn(task, pictures, people, steps=5, seed=0)
    assert all(torch.equal(value, before[name]) for name, value in told.state_dict().items())
    assert len(list(task.parameters())) == 1 + len(list(task.network.parameters()))
    assert not any("teacher" in name for name in task.state_dict())


def test_a_network_that_has_not_moved_is_at_no_distance_from_its_teacher():
    torch.manual_seed(0)
    task = ContinualTask(network(), PART, 6, 16)
    task.teacher = Teacher(copy.deepcopy(task.network), torch.full((16,), 0.1), task.class_weights().detach())
    values = task.losses(shots(OLD, 4, 0))
    for name in ("embedding", "relations", "classes"):
        assert float(values[name].detach()) == pytest.approx(0, abs=1e-5)


def test_known_people_come_first_and_held_photos_are_never_learnt():
    rows = (
        row("zoe", 0, use="exemplar", step=0),
        row("zoe", 1, use="held", step=0),
        row("abe", 0, use="learn", step=1),
        row("abe", 1, use="learn", step=1),
        row("abe", 2, use="held", step=1),
    )
    material = material_of(Dataset(Path(), Facts(name="x", source="x"), rows), ["zoe"])
    assert material.learnt.people == ("zoe", "abe")
    assert material.learnt.labels.tolist() == [0, 1, 1]
    assert material.learnt.old is not None
    assert material.learnt.old.tolist() == [True, False, False]
    assert {each.path for each in material.held.rows} == {"zoe/1.png", "abe/2.png"}
