"""The gallery on PostgreSQL: the contract's calls, each one or a few transactions on the server.

Nothing is kept in memory between calls, so that all processes see the same. This module puts the parts together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from sqlalchemy import Connection

from likeness.database import Timeouts, without_gallery
from likeness.errors import LikenessError, PersonExists, PersonNotFound, SettingsError, SpaceMismatch
from likeness.gallery.base import (
    UNSET,
    Added,
    Erased,
    Event,
    Extent,
    Finding,
    Gallery,
    GalleryInfo,
    Hit,
    NewFace,
    PhotoNote,
    ProfileChange,
    StoredFace,
    TrailCheck,
    ignore_progress,
)
from likeness.gallery.deleting import Deletable
from likeness.gallery.forecast import Forecast
from likeness.gallery.identity import clean_name
from likeness.gallery.keys import OwnerKey
from likeness.gallery.postgres import (
    audit,
    checking,
    erasure,
    index,
    opening,
    people,
    reembedding,
    searching,
    snapshots,
)
from likeness.gallery.postgres import faces as face_rows
from likeness.gallery.postgres import notes as note_rows
from likeness.gallery.postgres.facts import describe
from likeness.gallery.postgres.moving import Moving
from likeness.gallery.postgres.server import Server, State
from likeness.gallery.stated import Facts, stated, with_changes
from likeness.types import Consent, Person, Vector, check_unit_vectors

APPROXIMATE_ABOVE = 50_000
"""From how many faces on an index is used, where one was built. At 100,000 x 128 numbers exact search takes 60 ms on a
busy core, and through the index 25."""

DEFAULT_NAME = "default"


def open_postgres(
    uri: str | Path,
    *,
    space: str | None,
    dimension: int | None,
    create: bool,
    approximate_above: int = APPROXIMATE_ABOVE,
    timeouts: Timeouts | None = None,
    key: OwnerKey | None = None,
) -> PostgresGallery:
    """Open or create the gallery at `postgresql://user:password@host/database?gallery=name`; see `open_gallery`.

    What is on the server is encrypted by the server, or by its disks; the owner's `key` encrypts snapshots.

    Raises:
        SettingsError: it is no address of a database, or no name of a gallery.
        GalleryMissing, SpaceMismatch, StorageError.
    """
    _, named = without_gallery(str(uri))
    name = DEFAULT_NAME if named is None else named.strip()
    if not name or len(name) > 100 or not name.isprintable():
        raise SettingsError(f"{name!r} is no name of a gallery", hint="1 to 100 printable characters after ?gallery=")
    server = Server(str(uri), name, timeouts=timeouts)
    try:
        state = opening.prepare(server, space=space, dimension=dimension, create=create)
        return PostgresGallery(
            server, state, space=space, dimension=dimension, approximate_above=approximate_above, key=key
        )
    except BaseException:
        server.close()
        raise


class PostgresGallery(Gallery, Moving, Deletable):
    """See `likeness.gallery.base.Gallery` and `likeness.gallery.transfer.Transferable`. Made by `open_postgres`."""

    def __init__(
        self,
        server: Server,
        state: State,
        *,
        space: str | None,
        dimension: int | None,
        approximate_above: int,
        key: OwnerKey | None,
    ) -> None:
        self._server, self._key = server, key
        self._extent: Extent | None = None
        self._approximate_above = approximate_above
        self._id, self._space, self._dimension = state.id, state.space, state.dimension
        if space is not None and (space != state.space or dimension not in (None, state.dimension)):
            asked = f"ones of {space!r}" if dimension is None else f"{dimension}-dimensional ones of {space!r}"
            raise SpaceMismatch(
                f"{server.address} holds {state.dimension}-dimensional vectors of {state.space!r}, not {asked}",
                hint="use the model it was made with, or re-embed it: likeness gallery re-embed",
            )
        if server.read(erasure.tasks):
            self._finish_erasures()

    def _finish_erasures(self) -> None:
        """Take up what a killed process left; what cannot be done now, `check` and removals report."""
        with suppress(LikenessError), self._server.maintenance(self._id):
            erasure.finish(self._server)

    def info(self) -> GalleryInfo:  # noqa: D102
        return self._server.read(
            lambda connection, state: describe(self._server, connection, state, self._approximate_above),
            consistent=True,
        )

    def extent(self) -> Extent:  # noqa: D102
        def work(connection: Connection, state: State) -> Extent:
            known = self._extent
            if known is None or (known.space, known.changes) != (state.space, state.changes):
                count = people.count(connection, state)
                self._extent = known = Extent(self._server.address, state.space, count, state.faces, state.changes)
            return known

        return self._server.read(work, consistent=True)

    def add(self, faces: Sequence[NewFace]) -> list[Added]:  # noqa: D102
        if not faces:
            return []
        for face in faces:
            self._expect_dimension(face.embedding.shape[-1])
            clean_name(face.name)
        check_unit_vectors(np.stack([face.embedding for face in faces]), self._dimension)
        offered = {self._space} | {face.space for face in faces if face.space is not None}

        def work(connection: Connection, state: State) -> list[Added]:
            if others := offered - {state.space}:
                raise self._reembedded(state, min(others))
            return face_rows.add(connection, state, faces)

        return self._server.write(work)

    def create(self, name: str) -> Person:  # noqa: D102
        facts = Facts(clean_name(name))

        def work(connection: Connection, state: State) -> Person:
            other = people.find_by_name(connection, state, facts.name)
            if other is not None:
                raise PersonExists(f"somebody is called {other.person.name!r} already ({other.person.id})")
            people.insert(connection, state, [facts])
            made = people.find_by_name(connection, state, facts.name)
            assert made is not None  # in the same transaction
            return made.person

        return self._server.write(work)

    def _expect_dimension(self, dimension: int) -> None:
        if dimension != self._dimension:
            raise SpaceMismatch(
                f"expected vectors of dimension {self._dimension} ({self._space!r}), got {dimension}",
                hint="use the model that the gallery was made with, or re-embed it",
            )

    def _reembedded(self, state: State, offered: str) -> SpaceMismatch:
        return SpaceMismatch(
            f"{self._server.address} was re-embedded: it holds vectors of {state.space!r} now, not of {offered!r}",
            hint="open it again with the new model",
        )

    def search(self, probes: Vector, k: int, *, exclude: Sequence[str] = ()) -> list[list[Hit]]:  # noqa: D102
        if k < 1:
            raise ValueError(f"expected k of at least 1, got {k}")
        if probes.ndim == 2:
            self._expect_dimension(probes.shape[1])
        check_unit_vectors(probes, self._dimension)
        asked = searching.Question(probes, k, exclude)

        def work(connection: Connection, state: State) -> list[list[Hit]]:
            if (state.space, state.dimension) != (self._space, self._dimension):
                raise self._reembedded(state, self._space)
            indexed = index.is_used(connection, state, self._approximate_above)
            return searching.search(connection, state, asked, indexed=indexed)

        return self._server.read(work)

    def people(self, *, query: str = "", after: Person | str | None = None, limit: int = 100) -> list[Person]:  # noqa: D102
        return self._server.read(
            lambda connection, state: people.list_people(connection, state, query=query, after=after, limit=limit)
        )

    def person(self, name_or_id: str) -> Person:  # noqa: D102
        def work(connection: Connection, state: State) -> Person:
            with suppress(PersonNotFound):
                return people.find_by_id(connection, state, name_or_id).person
            found = people.find_by_name(connection, state, name_or_id)
            if found is None:
                raise PersonNotFound(f"nobody in the gallery has the id or name {name_or_id!r}")
            return found.person

        return self._server.read(work)

    def faces(  # noqa: D102
        self, person_id: str | None = None, *, photo_sha256: str | None = None, face_id: int | None = None
    ) -> Iterator[StoredFace]:
        after = 0
        while True:
            last = after

            def work(connection: Connection, state: State, after: int = last) -> list[StoredFace]:
                return face_rows.read_page(
                    connection, state, person_id=person_id, photo_sha256=photo_sha256, face_id=face_id, after=after
                )

            page = self._server.read(work)
            yield from page
            if not page:
                return
            after = page[-1].id

    def update(  # noqa: D102
        self,
        person_id: str,
        *,
        name: str = UNSET,
        profile: Mapping[str, Any] | ProfileChange = UNSET,
        consent: Consent | None = UNSET,
        retain_until: date | None = UNSET,
    ) -> Person:
        given = {"name": name, "profile": profile, "consent": consent, "retain_until": retain_until}
        changes = {field: value for field, value in given.items() if value is not UNSET}

        def work(connection: Connection, state: State) -> Person:
            record = people.find_by_id(connection, state, person_id)
            before = stated(record.person)
            wanted = with_changes(before, changes)
            people.change(connection, state, record, wanted)
            note_rows.move(connection, state, before.name, wanted.name)
            return people.find_by_id(connection, state, person_id).person

        return self._server.write(work)

    def merge(self, source_id: str, into_id: str) -> Person:  # noqa: D102
        if source_id == into_id:
            raise ValueError(f"expected two people to merge, got {source_id} twice")
        erasure.merge(self._server, self._id, source_id, into_id)
        return self.person(into_id)

    def remove(self, person_id: str | None = None, *, face_id: int | None = None) -> Erased:  # noqa: D102
        if (person_id is None) == (face_id is None):
            raise ValueError("expected either a person's id or a face's")
        if person_id is not None:
            return erasure.erase_person(self._server, self._id, person_id)
        assert face_id is not None  # one of the two is given
        return erasure.erase_face(self._server, self._id, face_id)

    def note_photos(self, name: str, notes: Sequence[PhotoNote], *, settings_tag: str) -> None:  # noqa: D102
        self._server.append(lambda connection, state: note_rows.write(connection, state, name, notes, settings_tag))

    def noted_photos(self, name: str, sha256s: Sequence[str], *, settings_tag: str) -> dict[str, PhotoNote]:  # noqa: D102
        return self._server.read(
            lambda connection, state: note_rows.read(connection, state, name, sha256s, settings_tag)
        )

    def notes_on(self, person_id: str) -> list[PhotoNote]:  # noqa: D102
        return self._server.read(
            lambda connection, state: note_rows.read_all(
                connection, state, people.find_by_id(connection, state, person_id).person.name
            )
        )

    def snapshot(self, target: str | Path | None = None) -> Path:  # noqa: D102
        return snapshots.make(self._server, self._id, target, key=self._key)

    def reembed(  # noqa: D102
        self,
        space: str,
        dimension: int,
        embed: Callable[[list[bytes]], Vector],
        *,
        maker: str = "",
        progress: Callable[[int, int], None] = ignore_progress,
    ) -> int:
        embedded = reembedding.run(self._server, space, dimension, embed, progress, maker=maker)
        self._space, self._dimension = space, dimension
        with suppress(LikenessError):  # all is done; what cannot be tidied up now, `check` does
            opening.drop_left_over(self._server)
        return embedded

    def build_index(self, *, progress: Callable[[int, int], None] = ignore_progress) -> str:  # noqa: D102
        index.build(self._server, progress)
        return self.info().index

    def check(self, *, sample: int = 1000) -> list[Finding]:  # noqa: D102
        return checking.run(self._server, self._id, sample=sample, approximate_above=self._approximate_above)

    def forecast(self, faces: int) -> Forecast:  # noqa: D102
        return self._server.read(
            lambda connection, state: checking.forecast(
                connection, state, faces, approximate_above=self._approximate_above
            )
        )

    def drop_snapshot(self, path: str) -> None:  # noqa: D102
        with self._server.maintenance(self._id):
            self._server.append(lambda connection, state: snapshots.drop(connection, state, path))

    def record(self, action: str, *, actor: str, person_id: str | None = None, **details: object) -> None:  # noqa: D102
        self._server.append(
            lambda connection, state: audit.append(connection, state, action, actor, person_id, details)
        )

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Event]:  # noqa: D102
        return self._server.read(lambda connection, state: audit.read(connection, state, after=after, limit=limit))

    def check_events(self, *, sealed: str | None = None) -> TrailCheck:  # noqa: D102
        return self._server.read(
            lambda connection, state: audit.verify(connection, state, sealed=sealed), consistent=True
        )

    def delete(self) -> int:  # noqa: D102
        return self._server.write(opening.delete, importing=True)

    def close(self) -> None:  # noqa: D102
        self._server.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
