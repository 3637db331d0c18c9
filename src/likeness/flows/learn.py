"""The network learns the new people, on a copy of the memory; nothing that is in force is touched."""

from __future__ import annotations

import shutil
from dataclasses import replace

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset, storage_error
from likeness.errors import NothingToLearn
from likeness.flows.home import Model
from likeness.flows.known import model_before
from likeness.flows.order import Facts
from likeness.flows.screen import link_files
from likeness.flows.waiting import too_little, waiting
from likeness.flows.work import Work

MEMORY, MODELS, NEW = "memory", "models", "new"


def learn(work: Work) -> Facts:
    """Train, judge and calibrate a new bundle in the work's folder, where there is enough to learn."""
    reason = too_little(work.home, work.order)
    if reason:
        work.tell.say(f"No network is trained: {reason}.")
        return {"trained": False, "why": reason}
    from likeness.train.continual import continue_bundle
    from likeness.train.recipe import load_recipe
    from likeness.train.steps import Asked, Places

    state = work.home.state()
    data = Dataset.read(work.home.data(state.data))
    _copy_memory(work, model_before(work))
    learnt = _new_people(work, data)
    if _is_made(work):
        return {"trained": True, "photos": len(learnt.rows)}
    begun = (work.folder / MEMORY / "memory.json").is_file()
    order = work.order
    try:
        done = continue_bundle(
            work.base,
            learnt.folder,
            load_recipe(order.recipe, order.changes),
            Places(work.folder / MEMORY, work.folder / MODELS, work.record.model),
            Asked(
                budget=order.budget,
                exemplars=order.exemplars,
                old=None if begun else order.old,
                verify=(data, "test"),
                keep_space=not order.new_space,
            ),
            settings=work.cropping,
            say=work.tell.say,
            watch=work.tell.watch,
        )
    except NothingToLearn:  # as where the photos of `old` came by the storage too
        reason = "all photos that wait are known to it already"
        work.tell.say(f"No network is trained: {reason}.")
        return {"trained": False, "known": True, "why": reason}
    return {"trained": True, "photos": len(learnt.rows), "refused": done.refusal.message if done.refusal else None}


def _copy_memory(work: Work, model: Model | None) -> None:
    """The memory of the model in force, to work on; a copy that was not finished is made anew."""
    target = work.folder / MEMORY
    if model is None or not work.home.memory(model).exists() or target.exists():
        return
    aside = target.with_name(f".{MEMORY}")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(work.home.memory(model), aside)
        aside.replace(target)
    except OSError as error:
        raise storage_error(error, target) from error


def _new_people(work: Work, data: Dataset) -> Dataset:
    """What is to be learnt as a data set of its own; its files are links."""
    paths = set(waiting(work.home, work.home.state()))
    folder = work.folder / NEW
    rows = tuple(row for row in data.rows if row.path in paths)
    learnt = replace(data, folder=folder, rows=rows)
    try:
        link_files(rows, data.folder, folder)
    except OSError as error:
        raise storage_error(error, folder) from error
    learnt.write()
    return learnt


def _is_made(work: Work) -> bool:
    """Whether the memory has taken the new people in already: the work was killed before that was noted."""
    from likeness.train.memory import STATE, Memory

    target = work.folder / MODELS / work.record.model
    if not (work.folder / MEMORY / STATE).is_file() or not target.is_dir():
        return False
    return Bundle.read(target).manifest.files["model"].sha256 == Memory.read(work.folder / MEMORY).state.model
