"""Whom the model that a refresh begins with has learnt: they are never among the people whom a new one is judged by."""

from __future__ import annotations

from likeness.data.dataset import FACTS, Dataset
from likeness.data.sources import open_source
from likeness.data.splits import person_key
from likeness.flows.home import Model
from likeness.flows.order import Order
from likeness.flows.work import Work


def model_before(work: Work) -> Model | None:
    """The published model that the work begins with; None where it is the first."""
    return next((model for model in reversed(work.home.state().models) if model.name != work.record.model), None)


def known_people(work: Work) -> set[str]:
    """Keys of the people who are remembered with that model, and of those of `old`."""
    from likeness.train.memory import STATE, Memory

    model = model_before(work)
    folder = None if model is None else work.home.memory(model)
    remembered = Memory.read(folder).centres if folder is not None and (folder / STATE).is_file() else {}
    return {person_key(name) for name in remembered} | _old(work.order)


def _old(order: Order) -> set[str]:
    if order.old is None:
        return set()
    if (order.old / FACTS).is_file():
        rows = Dataset.read(order.old).rows
        split = any(row.split for row in rows)
        rows = tuple(row for row in rows if row.split == "train" or not split)
    else:
        rows = tuple(open_source(order.old).rows)
    return {person_key(row.identity) for row in rows if row.identity}
