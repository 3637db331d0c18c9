"""Deleting what shows people: leftovers of steps that were finished or stopped, and all of who withdraws."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

from likeness.data.dataset import Dataset
from likeness.data.splits import person_key
from likeness.errors import DatasetError, PersonNotFound, StorageError
from likeness.train.memory import ARRIVED, BEGUN, CROPS, DATA, STATE, STEPS, Memory
from likeness.train.run import alone

REPORT = "report"
"""What stays of a finished step; it names nobody."""


def remove(path: Path) -> None:
    """Delete a file, or a folder with all in it, where it is there.

    Raises:
        StorageError: it cannot be deleted.
    """
    try:
        if path.is_dir() or path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:  # never passed over: what shows people would stay
        raise StorageError(
            f"{str(path)!r} cannot be deleted: {error.strerror or error}", hint="it may show people: delete it by hand"
        ) from error


def tidy(step: Path) -> None:
    """Delete what a finished step needs no more: photos, embeddings, the training; its report stays.

    Raises:
        StorageError: something cannot be deleted.
    """
    for path in step.iterdir():
        if path.name != REPORT:
            remove(path)


def clear_leftovers(memory: Memory) -> None:
    """Delete what was left where the memory's beginning, or a step that it has, was stopped before it was tidied.

    Raises:
        StorageError: something cannot be deleted.
    """
    remove(memory.folder / BEGUN)
    for step in (memory.folder / STEPS).glob("*"):
        if step.name.isdecimal() and int(step.name) <= memory.step:
            tidy(step)


def forget_person(folder: Path, name: str) -> int:
    """Delete all that a memory keeps of a person: photos, name, centre, and unfinished steps that learn from them.

    What the network itself became by learning them stays in its weights. A memory whose beginning was stopped is
    deleted as far as it came, whoever is in it: the same command begins it again.

    Returns:
        How many photos the memory has no more.

    Raises:
        PersonNotFound: the memory does not know them.
        StorageError: something cannot be deleted.
    """
    with alone(folder):
        if not (folder / STATE).is_file() and (folder / BEGUN).exists():
            return _forget_beginning(folder)
        memory, key = Memory.read(folder), person_key(name)
        clear_leftovers(memory)
        gone = [row for row in memory.dataset.rows if person_key(row.identity) == key]
        known = [each for each in memory.centres if person_key(each) == key]
        unfinished = [path for path in (folder / STEPS).glob("*") if _names(path, key)]
        if not gone and not known and not unfinished:
            raise PersonNotFound(f"the memory {str(folder)!r} knows nobody called {name!r}")
        for path in unfinished:
            remove(path)
        rows = [row for row in memory.dataset.rows if person_key(row.identity) != key]
        centres = {each: vector for each, vector in memory.centres.items() if person_key(each) != key}
        left = replace(memory, dataset=replace(memory.dataset, rows=tuple(rows)), centres=centres)
        left.write(folder, left.first)
        return len(gone)


def _forget_beginning(folder: Path) -> int:
    """Delete a memory that was never finished: who is in it cannot be told for sure."""
    photos = sum(path.is_file() for path in (folder / BEGUN).rglob(f"{CROPS}/**/*"))
    for path in Memory.parts(folder):
        remove(path)
    return photos


def _names(step: Path, key: str) -> bool:
    """Whether a step that is not finished has photos of a person; so does one whose photos cannot be told."""
    for part in (step / DATA, step / ARRIVED):
        if not part.exists():
            continue
        try:
            rows = Dataset.read(part).rows
        except DatasetError:
            return True
        if any(person_key(row.identity) == key for row in rows):
            return True
    return False
