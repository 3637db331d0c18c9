"""Rows taken out or renamed because of what a check found; files stay, and the manifest as it was is kept."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from likeness.data.check import Report
from likeness.data.coherence import Coherence, Suspect
from likeness.data.dataset import MANIFEST, Dataset
from likeness.data.duplicates import groups_of
from likeness.data.manifest import Row, Split
from likeness.data.splits import person_key
from likeness.errors import StorageError


@dataclass(frozen=True, slots=True)
class Change:
    """One row that is dropped, or moved to another person (`identity`), and why."""

    path: str
    what: Literal["dropped", "moved"]
    why: str
    identity: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        moved = {"identity": self.identity} if self.what == "moved" else {}
        return {"path": self.path, "what": self.what, "why": self.why} | moved


def plan_mending(report: Report, *, relabel: bool = False, keep_doubted: bool = False) -> list[Change]:
    """What to change, by path, without doing it.

    Rows whose files are gone are dropped. Of a photo that is there several times the first row stays; where it has
    two names, the row whose name the person's other photos support stays, and none where they support no name or
    two. Photos that disagree with their person go; of a person's only two photos, which disagree, both, unless one of
    them has a sure suggestion. With `relabel` photos with a sure suggestion are moved to that person instead; with
    `keep_doubted` all of them stay.
    """
    changes = {path: Change(path, "dropped", "its file is gone") for path in report.missing}
    coherence = report.coherence
    supported = _supported(report.checked, coherence)
    for group in groups_of(report.duplicates):
        for change in _of_group(group, supported):
            changes[change.path] = change
    suspects = coherence.suspects if coherence is not None and not keep_doubted else ()
    for change in _of_suspects(suspects, relabel):
        changes.setdefault(change.path, change)
    return [changes[path] for path in sorted(changes)]


def mend(dataset: Dataset, changes: Sequence[Change], *, step: str) -> tuple[Dataset, Path]:
    """Make the changes on disk; also gives the path of the copy of the manifest as it was.

    A row that is moved goes into the split of the person whom it is moved to.

    Raises:
        StorageError: the copy cannot be written; nothing was changed then.
    """
    by_path = {change.path: change for change in changes}
    splits: dict[str, Split] = {person_key(row.identity): row.split for row in dataset.rows if row.identity}
    rows = []
    for row in dataset.rows:
        change = by_path.get(row.path)
        if change is None:
            rows.append(row)
        elif change.what == "moved":
            rows.append(replace(row, identity=change.identity, split=splits.get(person_key(change.identity), "")))
    number = 1
    while (copy := dataset.folder / f"manifest.before-{number}.csv").exists():
        number += 1
    try:
        shutil.copyfile(dataset.folder / MANIFEST, copy)
    except OSError as error:
        raise StorageError(f"the manifest cannot be copied to {str(copy)!r}: {error.strerror}") from error
    dropped = sum(change.what == "dropped" for change in changes)
    words = f"{step}: {dropped} rows dropped, {len(changes) - dropped} moved; before that: {copy.name}"
    mended = dataset.with_rows(rows, step=words)
    mended.write()
    return mended, copy


def _supported(dataset: Dataset, coherence: Coherence | None) -> set[str]:
    if coherence is None:
        return set()
    return {row.path for row, yes in zip(dataset.rows, coherence.supported.tolist(), strict=True) if yes}


def _of_group(group: Sequence[Row], supported: set[str]) -> list[Change]:
    """Changes for rows of one photo, in order."""
    names = {person_key(row.identity) for row in group if row.identity}
    if len(names) < 2:
        first = next((row for row in group if row.identity), group[0])
        why = f"the same photo as {first.path}"
        return [Change(row.path, "dropped", why) for row in group if row is not first]
    right = {person_key(row.identity) for row in group if row.path in supported and row.identity}
    if len(right) != 1:
        shown = " and ".join(sorted({row.identity for row in group if row.identity}))
        return [Change(row.path, "dropped", f"one photo with the names {shown}; nothing says which") for row in group]
    first = next(row for row in group if person_key(row.identity) in right)
    why = f"the same photo as {first.path}, whose name other photos support"
    return [Change(row.path, "dropped", why) for row in group if row is not first]


def _of_suspects(suspects: Sequence[Suspect], relabel: bool) -> list[Change]:
    sure_of_two = {person_key(each.row.identity) for each in suspects if each.alone and each.sure}
    changes = []
    for each in suspects:
        if each.sure and relabel:
            why = f"like {each.nearest} ({each.other:.3f}), unlike {each.row.identity} ({each.own:.3f})"
            changes.append(Change(each.row.path, "moved", why, each.nearest))
        elif each.sure or not (each.alone and person_key(each.row.identity) in sure_of_two):
            why = f"unlike the other photos of {each.row.identity} (similarity {each.own:.3f})"
            changes.append(Change(each.row.path, "dropped", why))
    return changes
