"""How one gallery's contents come into another, ids and all: for `likeness gallery migrate` and for snapshots.

An engine that implements `Transferable` beside `Gallery` can be migrated from and to. The contents are six parts (see
`Part`), each in the order of a key of its own, which they keep: so the last key that has arrived says where to go on.
Nothing here knows an engine.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from likeness.errors import Conflict, GalleryBusy
from likeness.gallery.base import StoredFace
from likeness.gallery.trail import Line
from likeness.types import Person

Part = Literal["people", "faces", "merged", "notes", "snapshots", "events"]
Key = int | str

PARTS: tuple[Part, ...] = ("people", "faces", "merged", "notes", "snapshots", "events")
"""In the order in which they are taken in: faces after the people whose they are, the audit trail last."""

FIRST: dict[Part, Key] = {"people": "", "faces": 0, "merged": "", "notes": 0, "snapshots": "", "events": 0}
"""For each part a key before all others."""


@dataclass(frozen=True, slots=True)
class Outline:
    """What a gallery is besides its contents; a copy takes it on before the first of them.

    Attributes:
        maker: digest of the network that made the vectors, where it is known; see `Gallery.reembed`.
        salt: the key of the hashes that notes and indexes hold; secret.
        changes: as in `GalleryInfo.details`; another one means other contents.
        last_face_id: the highest number that a face ever had, so that none is used again.
        unfinished: whether an erasure has still to reach some place.
    """

    space: str
    dimension: int
    maker: str
    salt: bytes = field(repr=False)
    changes: int
    last_face_id: int
    unfinished: bool = False

    def token(self) -> str:
        """Stands for this gallery in this state; says nothing about it."""
        told = f"{self.space}\n{self.dimension}\n{self.changes}\n{self.last_face_id}".encode()
        return hashlib.blake2b(told, key=self.salt, digest_size=16).hexdigest()


class KeptNote(NamedTuple):
    """A note as it is kept, by keyed hashes of name, photo and settings; `number` is its key."""

    number: int
    name_hash: bytes
    photo_hash: bytes
    tag_hash: bytes
    outcome: str
    detail: str


class KeptSnapshot(NamedTuple):
    """A snapshot that erasing must reach; `path` is its key.

    Attributes:
        mount: mount point of the file system that it is on.
        created_at: ISO time.
        host: the machine it lies on; empty where the gallery itself lies there.
    """

    path: str
    mount: str
    created_at: str
    host: str = ""


class Merged(NamedTuple):
    """Somebody's id that ended when they were merged into another; `source_id` is the key."""

    source_id: str
    into_id: str


class Sealed(NamedTuple):
    """A line of the audit trail and its hash; the line's number is the key."""

    line: Line
    seal: str


@dataclass(frozen=True, slots=True, eq=False)
class Rows:
    """Some of a gallery's contents: of one part, in the order of its key.

    People are ordered by id, faces by id; `Person.faces` is not taken in, it follows from the faces.
    """

    people: Sequence[Person] = ()
    faces: Sequence[StoredFace] = ()
    merged: Sequence[Merged] = ()
    notes: Sequence[KeptNote] = ()
    snapshots: Sequence[KeptSnapshot] = ()
    events: Sequence[Sealed] = ()

    def __len__(self) -> int:
        return sum(map(len, (self.people, self.faces, self.merged, self.notes, self.snapshots, self.events)))

    def last(self) -> Key:
        """The key of the last row.

        Raises:
            ValueError: there is none.
        """
        for people in (self.people, self.faces):
            if people:
                return people[-1].id
        if self.events:
            return self.events[-1].line.number
        for kept in (self.merged, self.notes, self.snapshots):
            if kept:
                return kept[-1][0]
        raise ValueError("expected rows, got none")


def owners_of(faces: Sequence[StoredFace], keys: Mapping[str, int]) -> list[int]:
    """An engine's own key of whose each face is, by the keys of people's ids.

    Raises:
        Conflict: somebody has not come.
    """
    lacking = next((face for face in faces if face.person_id not in keys), None)
    if lacking is not None:
        raise Conflict(
            f"face {lacking.id} came without its person: the gallery was changed while it was copied",
            hint="end whatever enrols or changes people there, then migrate again",
        )
    return [keys[face.person_id] for face in faces]


def still_coming(shown: str) -> GalleryBusy:
    """The contents of another gallery have not all come into the one at an address (as it may be shown) yet."""
    return GalleryBusy(
        f"the contents of another gallery have not all come into {shown} yet",
        hint="let `likeness gallery migrate` end, or run it again: it goes on where it stopped",
    )


class Held(NamedTuple):
    """How many rows of a part there are, and the key of the last one (that of `FIRST` where there is none)."""

    rows: int
    last: Key


@runtime_checkable
class Transferable(Protocol):
    """What an engine offers beside `Gallery` so that galleries can be migrated from and to it."""

    def outline(self) -> Outline:
        """What a copy must take on first."""
        ...

    def held(self, part: Part) -> Held:
        """How much there is of a part."""
        ...

    def export(self, part: Part, *, after: Key, limit: int) -> Rows:
        """The next rows of a part after a key; empty at the end."""
        ...

    def importing(self) -> str | None:
        """The token of the gallery whose contents are coming in and are not all here; None where none are."""
        ...

    def begin_import(self, outline: Outline) -> None:
        """Take on what another gallery is, or go on with its import. Contents of another unfinished import are dropped.

        Until `end_import` the gallery opens for nobody but who imports (`open_gallery` refuses it).

        Raises:
            Conflict: it holds people, faces, notes or an audit trail of its own.
            SpaceMismatch: its vectors are of another space or dimension.
        """
        ...

    def take_in(self, rows: Rows) -> None:
        """Write rows with their keys, durable on return; rows that are there already stay as they are.

        Raises:
            Conflict: nothing is being imported.
        """
        ...

    def end_import(self) -> None:
        """All is here: the gallery is one like any other from now on."""
        ...
