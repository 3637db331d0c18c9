"""What waits to be learnt: rows that came after what the model in force has learnt, and whether they are enough."""

from __future__ import annotations

import hashlib
import json

from likeness.data.dataset import Dataset
from likeness.data.splits import person_key
from likeness.flows.home import Home, State
from likeness.flows.order import Order

LEAST_STRANGERS = 2
"""People with two photos each who must be apart, to find by them whether a model is better."""


def waiting(home: Home, state: State) -> list[str]:
    """Paths of the rows that are to be learnt, and came after what the model in force has learnt."""
    learnt = state.model.data if state.model else 0
    rows = Dataset.read(home.data(state.data)).rows
    return [row.path for row in rows if row.split == "train" and float(row.label("version") or 0) > learnt]


def learning_digest(home: Home, state: State) -> str:
    """Hex digest of what would be learnt: the same photos, on top of a model that has learnt the same."""
    told = json.dumps([state.model.data if state.model else 0, sorted(waiting(home, state))])
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def too_little(home: Home, order: Order) -> str:
    """Why nothing is to be learnt yet; empty where something is."""
    state = home.state()
    if not state.data:
        return "there is no data set yet"
    paths = set(waiting(home, state))
    rows = Dataset.read(home.data(state.data)).rows
    people = {person_key(row.identity) for row in rows if row.path in paths}
    # Who learns alone, with nobody remembered, learns nothing.
    least = max(order.least_people, 1 if state.model and state.model.data else 2)
    if len(people) < least:
        return f"{len(people)} people are to be learnt, fewer than {least}; they wait"
    if not order.again and learning_digest(home, state) in state.declined:
        return "the same photos came to nothing before"
    tested = [person_key(row.identity) for row in rows if row.split == "test"]
    if sum(tested.count(key) > 1 for key in set(tested)) < LEAST_STRANGERS:
        return f"fewer than {LEAST_STRANGERS} people are apart to measure on; more must come"
    return ""
