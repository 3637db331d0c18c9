"""The gallery contract: vectors in, candidates out, whichever engine holds them.

What every gallery promises:

- `add` returns after the data is durable: a process killed right after it loses nothing.
- A person who was removed is found by no later search, in this process or another.
- Readers and writers in several processes see each other's finished work.
- Ids are stable and never used again.
- A gallery holds vectors of one embedding space and refuses those of another.

Engines that galleries are migrated from and to implement `likeness.gallery.transfer.Transferable` too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import date, datetime
from pathlib import Path
from typing import Any, Literal, Protocol

from likeness.gallery.forecast import Forecast
from likeness.types import Consent, Person, Vector

UNSET: Any = object()
"""Marks an argument of `Gallery.update` that leaves its field as it is (None clears it)."""


ProfileChange = Callable[[Mapping[str, Any]], Mapping[str, Any]]
"""From the present profile to the new one."""


def ignore_progress(done: int, total: int) -> None:
    """Where nobody asked to be told."""


@dataclass(frozen=True, slots=True, eq=False)
class NewFace:
    """A face to enrol: whose, from which photo, and what it looks like.

    Attributes:
        name: the person's name; created where the gallery has no such person.
        embedding: `(d,)` float32 of unit length.
        crop_jpeg: the aligned crop, encoded; what re-embedding with another model reads. Empty where the embedding
            was imported without a picture.
        photo_sha256: hex digest of the photo's bytes.
        face_index: which face of that photo. The pair (photo, index) under one person is enrolled once.
        source: where the photo came from, as its owner named it.
        quality: 0 to 1.
        box_xyxy_px, landmarks_px: as in `likeness.types.Face`, ten numbers (x, y of each) for the landmarks.
        space: the embedding's; where it is stated, a gallery that has gone over to another one meanwhile refuses it.
    """

    name: str
    embedding: Vector
    crop_jpeg: bytes
    photo_sha256: str
    face_index: int = 0
    source: str = ""
    quality: float = 1.0
    box_xyxy_px: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    landmarks_px: tuple[float, ...] = ()
    consent: Consent | None = None
    retain_until: date | None = None
    space: str | None = None


@dataclass(frozen=True, slots=True)
class Added:
    """What became of one `NewFace`: `added`, or `duplicate` of a face that the person has already."""

    status: Literal["added", "duplicate"]
    face_id: int
    person_id: str


@dataclass(frozen=True, slots=True)
class Erased:
    """What an erasure reached.

    Attributes:
        faces: how many faces it was.
        snapshots_purged: paths of the snapshots that were opened and hold nothing of it any more.
        snapshots_not_found: paths where a snapshot was made and is none now. One that was deleted holds nobody; one
            that was moved still holds what was erased here, and cannot be reached.
    """

    faces: int
    snapshots_purged: tuple[str, ...] = ()
    snapshots_not_found: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """One search result: the person, and the enrolled picture of theirs that is nearest to the probe."""

    person_id: str
    name: str
    face_id: int
    similarity: float


@dataclass(frozen=True, slots=True, eq=False)
class StoredFace:
    """An enrolled picture, as the gallery keeps it."""

    id: int
    person_id: str
    embedding: Vector
    crop_jpeg: bytes
    photo_sha256: str
    face_index: int
    source: str
    quality: float
    created_at: datetime
    box_xyxy_px: tuple[float, float, float, float] = (0.0, 0.0, 0.0, 0.0)
    landmarks_px: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class PhotoNote:
    """What became of a photo when it was last looked at for enrolling, so that once is enough.

    Attributes:
        photo_sha256: hex digest of the photo; empty where only a keyed hash of it is kept.
        outcome: a short code: `added`, `duplicate`, or the `code` of the error that refused it.
        detail: the refusal in words; must not name anybody.
    """

    photo_sha256: str
    outcome: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Event:
    """One line of the audit trail: who did what to whom, when. Holds ids, never names, photos or vectors."""

    id: int
    at: datetime
    actor: str
    action: str
    person_id: str | None
    details: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class GalleryInfo:
    """What a gallery holds and how it answers.

    Attributes:
        space: embedding space of all its vectors.
        index: `exact` or the name of the approximate index in use.
        bytes_on_disk: all files together.
        details: engine-specific facts for people to read.
    """

    uri: str
    engine: str
    space: str
    dimension: int
    people: int
    faces: int
    index: str
    bytes_on_disk: int
    details: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Extent:
    """What answers depend on beside the faces that are found: asked before each of them, so it costs an engine little.

    Attributes:
        space: embedding space of all vectors.
        changes: another number after any change of people or faces, whoever made it.
    """

    uri: str
    space: str
    people: int
    faces: int
    changes: int


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `Gallery.check` looked at: its name, whether it is well, and what was seen."""

    name: str
    ok: bool
    message: str


@dataclass(frozen=True, slots=True)
class TrailCheck:
    """Whether the audit trail is whole, and what it is sealed with.

    Attributes:
        seal: `count:hash` of the last line that fits. Kept elsewhere, it shows later whether the trail up to that line
            was written anew, which whoever may write the file could do without breaking the chain.
    """

    finding: Finding
    seal: str


class Gallery(AbstractContextManager["Gallery"], Protocol):
    """People and their faces, searchable by similarity. Thread-safe; open one per process."""

    def info(self) -> GalleryInfo:
        """Counts, embedding space, index and size on disk."""
        ...

    def extent(self) -> Extent:
        """What answers depend on: of `info` only this, and at a small part of its cost."""
        ...

    def add(self, faces: Sequence[NewFace]) -> list[Added]:
        """Enrol faces in one transaction, creating people by name; durable on return; outcomes in order.

        Raises:
            SpaceMismatch: the vectors have another dimension than the gallery's.
            StorageError: nothing was added.
        """
        ...

    def create(self, name: str) -> Person:
        """Somebody without a face yet, found by no search until one is added; durable on return.

        Raises:
            PersonExists: somebody has that name.
            InputError: it is no name.
        """
        ...

    def search(self, probes: Vector, k: int, *, exclude: Sequence[str] = ()) -> list[list[Hit]]:
        """The `k` nearest people for each row of `probes` `(n, d)`, by nearest face, most similar first.

        `exclude` names person ids that are passed over. A gallery with fewer people gives fewer hits.
        """
        ...

    def people(self, *, query: str = "", after: Person | str | None = None, limit: int = 100) -> list[Person]:
        """People whose name contains `query`, by name (case folded, then id), after the person (or id) `after`.

        A person marks a place even when they were erased or renamed since they were listed; an id does not.

        Raises:
            PersonNotFound: nobody has the id `after`.
        """
        ...

    def person(self, name_or_id: str) -> Person:
        """One person by id, or by name.

        Raises:
            PersonNotFound: nobody has that id or name.
        """
        ...

    def faces(
        self, person_id: str | None = None, *, photo_sha256: str | None = None, face_id: int | None = None
    ) -> Iterator[StoredFace]:
        """Enrolled pictures, oldest first: of a person, from a photo, the one with a number, or all."""
        ...

    def update(
        self,
        person_id: str,
        *,
        name: str = UNSET,
        profile: Mapping[str, Any] | ProfileChange = UNSET,
        consent: Consent | None = UNSET,
        retain_until: date | None = UNSET,
    ) -> Person:
        """Change what is stated.

        A profile may be given as a function from the present one to the new one: reading and writing are one step
        then, so that two who put different keys both win. What it raises changes nothing. It must not ask
        the gallery, and an engine may call it more than once.

        Raises:
            PersonNotFound: nobody has that id.
            PersonExists: another person has the new name (`merge` them instead).
        """
        ...

    def merge(self, source_id: str, into_id: str) -> Person:
        """Give all faces of one person to another; the source's id ends. Duplicate faces are dropped."""
        ...

    def note_photos(self, name: str, notes: Sequence[PhotoNote], *, settings_tag: str) -> None:
        """Remember what became of photos looked at to enrol `name`; a later note replaces an earlier one.

        `settings_tag` stands for the models and settings in use: under another tag the photo is looked at
        again. Notes may be written before a person exists; they follow a rename or merge and are erased with
        the person.
        """
        ...

    def noted_photos(self, name: str, sha256s: Sequence[str], *, settings_tag: str) -> dict[str, PhotoNote]:
        """The notes on those of the photos that have one, by the photos' sha256."""
        ...

    def notes_on(self, person_id: str) -> list[PhotoNote]:
        """All notes kept under a person's name, oldest first, whatever the settings; for telling what is held.

        Raises:
            PersonNotFound: nobody has that id.
        """
        ...

    def remove(self, person_id: str | None = None, *, face_id: int | None = None) -> Erased:
        """Erase a person (or one face) from record, index and snapshots; returns what was reached.

        A person whose last face is removed by `face_id` stays, without faces. A snapshot that is not at its place
        is told once, and then no longer remembered.

        Raises:
            PersonNotFound: nobody has that id.
        """
        ...

    def build_index(self, *, progress: Callable[[int, int], None] = ignore_progress) -> str:
        """Build or catch up the approximate index; returns what searches use then, as in `GalleryInfo`.

        No other call does this silently: it can take minutes. Until it is built, searches are exact and
        slower. `progress` is told (done, total). An engine that keeps its own index does nothing here.

        Raises:
            ExtraMissing: the package that it needs is not installed.
        """
        ...

    def snapshot(self, target: str | Path | None = None) -> Path:
        """A whole, consistent copy that opens as a gallery, made while others write; remembered by path."""
        ...

    def reembed(
        self,
        space: str,
        dimension: int,
        embed: Callable[[list[bytes]], Vector],
        *,
        maker: str = "",
        progress: Callable[[int, int], None] = ignore_progress,
    ) -> int:
        """Replace every vector by `embed` of its crop (JPEG bytes in, `(n, dimension)` out); switch at last.

        Searches answer in the old space until the switch, and a run that was killed goes on where it stopped.
        Vectors of the space stay as they are, unless a `maker` (a digest of the network) is named and another one
        made them. `progress` is told (done, total). Returns how many faces were embedded.
        """
        ...

    def check(self, *, sample: int = 1000) -> list[Finding]:
        """Verify the record, the index against it, and the recall against exact search on a sample."""
        ...

    def forecast(self, faces: int) -> Forecast:
        """What so many faces would need here."""
        ...

    def drop_snapshot(self, path: str) -> None:
        """Forget a snapshot that is gone, with what was still to be erased from it: nobody looks for it any more.

        Raises:
            NotFound: none is remembered there.
        """
        ...

    def record(self, action: str, *, actor: str, person_id: str | None = None, **details: object) -> None:
        """Append to the audit trail."""
        ...

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Event]:
        """The audit trail in order, from the event after id `after`."""
        ...

    def check_events(self, *, sealed: str | None = None) -> TrailCheck:
        """Verify the audit trail alone; with an earlier `seal` also that it still begins as it did then.

        Raises:
            InputError: `sealed` is no seal.
        """
        ...

    def close(self) -> None:
        """Let go of files and memory."""
        ...
