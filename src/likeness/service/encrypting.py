"""Encrypting a gallery, and giving it other keys; with a line in its audit trail."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from likeness.errors import Conflict
from likeness.gallery.base import ignore_progress
from likeness.gallery.keys import OwnerKey
from likeness.gallery.sealing import Changed, Sealable
from likeness.service.roster import Roster

Told = Callable[[int, int], None]


def encrypt(people: Roster, *, progress: Told = ignore_progress) -> Changed:
    """Seal the gallery and its snapshots under the key that it was opened with; goes on with a run that was killed.

    Raises:
        Conflict: no key is set, the engine seals nothing, or the gallery is being changed in another way.
        StorageError: a snapshot cannot be changed.
    """
    return _noted(people, "encrypt", sealable(people).encrypt(progress=progress))


def decrypt(people: Roster, *, progress: Told = ignore_progress) -> Changed:
    """Open the gallery and its snapshots for good; goes on with a run that was killed.

    Raises:
        Conflict: the engine seals nothing, or the gallery is being changed in another way.
        StorageError: a snapshot cannot be changed.
    """
    return _noted(people, "decrypt", sealable(people).decrypt(progress=progress))


def rotate_key(people: Roster, new: OwnerKey, *, data_key: bool = False, progress: Told = ignore_progress) -> Changed:
    """Let another owner's key open the gallery and its snapshots; with `data_key` all is sealed anew, too.

    Raises:
        Conflict: the gallery is not encrypted, or is being changed in another way.
        StorageError: a snapshot cannot be changed.
    """
    changed = sealable(people).rotate_key(new, data_key=data_key, progress=progress)
    return _noted(people, "rotate-key", changed, key=new.fingerprint, data_key=data_key)


def sealable(people: Roster) -> Sealable:
    """The gallery, as one that can be encrypted.

    Raises:
        Conflict: its engine seals nothing.
    """
    gallery = people.gallery
    if not isinstance(gallery, Sealable):
        raise Conflict(
            f"galleries of the engine {gallery.info().engine} are not encrypted by Likeness",
            hint="let the server encrypt its disk, and the connection",
        )
    return gallery


def _noted(people: Roster, action: str, changed: Changed, **details: Any) -> Changed:
    people.note(
        action,
        rows=changed.rows,
        snapshots=len(changed.snapshots),
        snapshots_not_found=len(changed.not_found),
        **details,
    )
    return changed
