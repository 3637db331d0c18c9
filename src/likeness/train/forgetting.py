"""How much was forgotten over the steps, from what was right of each step's held photos after each later step.

The measure of Chaudhry et al. 2018, "Riemannian walk". Later steps have more people to choose from: a network that
never changed would lose by it too. What a single step's training did is measured in `likeness.train.step_figures`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.data.manifest import Row
from likeness.evaluate.bootstrap import ROUNDS, draw_people, interval
from likeness.train.memory import HELD, rows_used
from likeness.types import Vector


def outcomes(
    vectors: Vector, people: Sequence[str], gallery: Vector, names: Sequence[str], centres: Mapping[str, Vector]
) -> list[dict[str, str]]:
    """Of each held photo by letters whether the classifier `named` and the nearest exemplar `found` its person."""
    known = list(centres)
    told = (vectors @ np.stack(list(centres.values())).T).argmax(axis=1)
    nearest = (vectors @ gallery.T).argmax(axis=1)
    return [
        {
            "named": "y" if known[told[at]] == person else "n",
            "found": "y" if names[nearest[at]] == person else "n",
        }
        for at, person in enumerate(people)
    ]


def accuracies(rows: Sequence[Row], measure: str) -> dict[int, list[float]]:
    """Of the held photos of each step's people, the share that was right after that step and after each later one."""
    return {step: table.mean(axis=0).tolist() for step, (table, _) in _tables(rows, measure).items()}


def forgetting(rows: Sequence[Row], measure: str, *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any] | None:
    """Average forgetting after the last step, with its interval by person; None before a second step.

    F = mean over earlier steps j of (max over l < now of a(l, j) − a(now, j)), a(l, j) the share of held photos of the
    people of step j that were right after step l. Chaudhry et al. 2018.
    """
    tables = {step: parts for step, parts in _tables(rows, measure).items() if parts[0].shape[1] > 1}
    if not tables:
        return None
    each = {step: _forgot(table.mean(axis=0)) for step, (table, _) in tables.items()}
    drawn = np.zeros(rounds)
    for step, (table, owner) in tables.items():
        for at, counts in enumerate(draw_people(int(owner.max()) + 1, rounds, seed + step)):
            weight = counts[owner]
            drawn[at] += _forgot(weight @ table / weight.sum()) / len(tables) if weight.sum() else np.nan
    return {"mean": float(np.mean(list(each.values()))), "interval": interval(drawn), "of_steps": each}


def _forgot(course: NDArray[np.float64]) -> float:
    return float(course[:-1].max() - course[-1])


def _tables(rows: Sequence[Row], measure: str) -> dict[int, tuple[NDArray[np.float64], NDArray[np.intp]]]:
    """For each step its held photos' outcomes `(photos, steps since)` and their people's numbers `(photos,)`."""
    groups: dict[int, list[Row]] = {}
    for row in rows_used(rows, HELD):
        if row.label(measure):
            groups.setdefault(int(float(row.label("step") or 0)), []).append(row)
    found = {}
    for step, group in sorted(groups.items()):
        table = np.array([[letter == "y" for letter in str(row.label(measure))] for row in group], np.float64)
        _, owner = np.unique([row.identity for row in group], return_inverse=True)
        found[step] = (table, owner.astype(np.intp))
    return found
