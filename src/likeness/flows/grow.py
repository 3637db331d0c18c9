"""A new version of the data set: earlier rows and new ones, split by person, pushed, and in force."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from likeness.data.balance import balance_of
from likeness.data.dataset import FACTS, Dataset, storage_error
from likeness.data.exchange import pull as pull_dataset
from likeness.data.exchange import push
from likeness.data.manifest import SPLITS, Row, Split
from likeness.data.splits import person_key, split_by_person
from likeness.errors import Conflict
from likeness.flows.known import known_people
from likeness.flows.order import Facts as Told
from likeness.flows.pull import read_seen
from likeness.flows.screen import DATA, SCREENED
from likeness.flows.work import Work
from likeness.hub import SCHEME

PUSHED = "huggingface"


def grow(work: Work) -> Told:
    """Let the next version of the data set be in force; without a photo for it the set-aside ones are noted alone."""
    home, version = work.home, work.record.data
    state, seen = home.state(), read_seen(work, SCREENED)
    photos = (home.photos() | {each.path: each for each in seen}).values()
    if state.run == work.record.run:  # switched, and killed before that was noted
        return _told(Dataset.read(home.data(version)), version) if state.data == version else {"version": None}
    if not work.record.done["screen"]["accepted"]:
        if seen:
            home.switch(state.model_copy(update={"run": work.record.run, "phase": "grown"}), photos)
        return {"version": None}
    target = home.data(version)
    if (work.folder / DATA / FACTS).is_file():
        dataset = _split(work)
        _push(work, dataset, version)
        work.tell.reached("pushed")
        try:
            shutil.rmtree(target, ignore_errors=True)
            target.parent.mkdir(parents=True, exist_ok=True)
            dataset.folder.replace(target)
        except OSError as error:
            raise storage_error(error, target) from error
    home.switch(state.model_copy(update={"run": work.record.run, "phase": "grown", "data": version}), photos)
    return _told(Dataset.read(target), version)


def _split(work: Work) -> Dataset:
    """The data set with everybody in a split: those of earlier versions where they were."""
    dataset = Dataset.read(work.folder / DATA)
    new = [row for row in dataset.rows if row.label("version") == work.record.data]
    # Who is known to the model that learns would measure nothing among the people who are kept apart.
    known: dict[str, Split] = dict.fromkeys(known_people(work), "train")
    fixed = known | {person_key(row.identity): row.split for row in dataset.rows if row.split}
    names = {key: row.identity for row in dataset.rows if (key := person_key(row.identity)) in fixed}
    rows = split_by_person(
        dataset.rows, shares=work.order.shares, fixed={name: fixed[key] for key, name in names.items()}
    )
    people = len({person_key(row.identity) for row in new})
    facts = dataset.facts.model_copy(update={"name": work.order.name})
    step = f"likeness flow refresh, version {work.record.data}: {len(new)} photos of {people} people"
    if rows != dataset.rows or facts.steps[-1:] != (step,):
        dataset = replace(dataset, facts=facts).with_rows(rows, step=step)
        dataset.write()
    return dataset


def _push(work: Work, dataset: Dataset, version: int) -> None:
    """Keep the version as a Hugging Face data set; one that is there already must be this very one."""
    target, tag = work.order.dataset or str(work.home.folder.absolute() / PUSHED), f"v{version:04d}"
    with work.tell.watch("packing") as progress:
        try:
            push(dataset, target, tag=tag, replace=True, progress=progress)
        except Conflict:
            if not target.startswith(SCHEME) or not _is_there(work.folder, f"{target}@{tag}", dataset):
                raise


def _is_there(work: Path, source: str, dataset: Dataset) -> bool:
    """Whether a version on the hub is this very data set, pushed by a run that was killed then."""
    with tempfile.TemporaryDirectory(dir=work) as folder:
        return pull_dataset(source, Path(folder) / "pulled").digest == dataset.digest


def _told(dataset: Dataset, version: int) -> Told:
    splits = {split: _balance([row for row in dataset.rows if row.split == split]) for split in SPLITS}
    alone = [row for row in dataset.rows if not row.split]
    return {"version": version, "photos": len(dataset.rows), "splits": splits, "in_no_split": len(alone)}


def _balance(rows: Sequence[Row]) -> dict[str, float]:
    found = balance_of(rows)
    return {"people": found.people, "photos": found.photos, "gini": round(found.gini, 4)}
