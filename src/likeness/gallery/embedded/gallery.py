"""The embedded gallery: one SQLite file, exact search in memory, an index beside it when it has grown.

The file is the record; whatever else there is (the matrix in memory, `<gallery>.ann`) is derived from it.
This module puts the parts together; `schema` tells how the record is laid out and why erased bytes are gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from likeness.errors import LikenessError, PersonExists, PersonNotFound, SpaceMismatch
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
from likeness.gallery.embedded import (
    ann,
    audit,
    checking,
    compaction,
    encryption,
    erasure,
    people,
    reembedding,
    snapshots,
    traces,
)
from likeness.gallery.embedded import faces as face_rows
from likeness.gallery.embedded import notes as note_rows
from likeness.gallery.embedded import transfer as transferring
from likeness.gallery.embedded.schema import count_changes, get_dimension, get_meta, prepare
from likeness.gallery.embedded.sealed import cells_of, fresh, read_salt
from likeness.gallery.embedded.searcher import Searcher
from likeness.gallery.embedded.storage import Store
from likeness.gallery.forecast import Forecast
from likeness.gallery.identity import clean_name
from likeness.gallery.keys import OwnerKey
from likeness.gallery.proof import Provable
from likeness.gallery.sealing import Changed, Sealable
from likeness.gallery.stated import Facts, stated, with_changes
from likeness.gallery.transfer import Held, Key, Outline, Part, Rows, Transferable
from likeness.sqlite import BUSY_TIMEOUT_S
from likeness.types import Consent, Person, Vector, check_unit_vectors

APPROXIMATE_ABOVE = 100_000
"""From how many faces on an approximate index is used, where one was built."""

AT_OPENING_S = 0.5
"""How long opening a gallery waits for readers, in all, to finish what a killed process left of an erasure."""


def open_embedded(
    uri: str | Path,
    *,
    space: str | None,
    dimension: int | None,
    create: bool,
    approximate_above: int = APPROXIMATE_ABOVE,
    busy_timeout_s: float = BUSY_TIMEOUT_S,
    key: OwnerKey | None = None,
) -> EmbeddedGallery:
    """Open or create the gallery file at a path (or `file://` address); see `likeness.gallery.open_gallery`.

    Raises:
        GalleryMissing, GalleryCorrupt, SpaceMismatch, StorageError.
    """
    path = Path(str(uri).removeprefix("file://")).expanduser().absolute()
    readonly = prepare(path, space=space, dimension=dimension, create=create, secret=partial(fresh, key))
    store = Store(path, readonly=readonly, busy_timeout_s=busy_timeout_s, key=key)
    try:
        return EmbeddedGallery(store, space=space, dimension=dimension, approximate_above=approximate_above)
    except BaseException:
        store.close()
        raise


class EmbeddedGallery(Gallery, Transferable, Sealable, Provable):
    """See `likeness.gallery.base.Gallery` and `likeness.gallery.transfer.Transferable`. Made by `open_embedded`."""

    def __init__(self, store: Store, *, space: str | None, dimension: int | None, approximate_above: int) -> None:
        self._store = store
        self._approximate_above = approximate_above
        with store.read() as connection:
            self._salt = read_salt(connection)
            self._space = str(get_meta(connection, "space"))
            self._dimension = get_dimension(connection, store.path)
            unfinished = bool(erasure.tasks(connection)) or compaction.is_due(connection)
        if space is not None:
            self._expect_space(space, dimension)
        self._extent: Extent | None = None
        self._searcher = Searcher(store, space=self._space, approximate_above=approximate_above)
        if unfinished and not store.readonly:
            self._finish_erasures()

    def _expect_space(self, space: str, dimension: int | None) -> None:
        if space != self._space or dimension not in (None, self._dimension):
            asked = f"ones of {space!r}" if dimension is None else f"{dimension}-dimensional ones of {space!r}"
            raise SpaceMismatch(
                f"{self._store.path} holds {self._dimension}-dimensional vectors of {self._space!r}, not {asked}",
                hint="use the model it was made with, or re-embed it: likeness gallery re-embed",
            )

    def _finish_erasures(self) -> None:
        """Take up what a killed process left; what cannot be done now, `check` and removals report."""
        with suppress(LikenessError), self._store.maintenance(wait=False) as free:
            if free:
                erasure.finish(self._store, limit_s=AT_OPENING_S)
                with self._store.patience(0.0):
                    compaction.compact_if_worthwhile(self._store)

    def info(self) -> GalleryInfo:  # noqa: D102
        with self._store.read() as connection:
            count = {
                table: int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
                for table in ("people", "faces", "snapshots", "events")
            }
            tag, changes, cells = ann.read_tag(connection), count_changes(connection), cells_of(connection)
            space, dimension = str(get_meta(connection, "space")), get_dimension(connection, self._store.path)
        index = self._searcher.mode()
        details: dict[str, Any] = {
            "snapshots": count["snapshots"],
            "events": count["events"],
            "changes": changes,
            "readonly": self._store.readonly,
            "index_pays_above": self._approximate_above,
            "usearch_installed": ann.installed(),
            "index_built": tag is not None,
            "encrypted": cells is not None and not cells.sealing.changing and cells.sealing.new is not None,
        }
        if cells is not None and cells.sealing.new is not None:
            details["key"] = cells.sealing.new.owner
        return GalleryInfo(
            uri=str(self._store.path),
            engine="embedded",
            space=space,
            dimension=dimension,
            people=count["people"],
            faces=count["faces"],
            index=index,
            bytes_on_disk=self._bytes_on_disk(),
            details=details,
        )

    def _bytes_on_disk(self) -> int:
        files = [Path(f"{self._store.path}{ending}") for ending in ("", "-wal", "-shm", ".ann")]
        return sum(file.stat().st_size for file in files if file.exists())

    def extent(self) -> Extent:  # noqa: D102
        with self._store.read() as connection:
            space, changes = str(get_meta(connection, "space")), count_changes(connection)
            known = self._extent
            if known is None or (known.space, known.changes) != (space, changes):
                people, faces = (
                    int(connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608
                    for table in ("people", "faces")
                )
                self._extent = known = Extent(str(self._store.path), space, people, faces, changes)
        return known

    def add(self, faces: Sequence[NewFace]) -> list[Added]:  # noqa: D102
        if not faces:
            return []
        for face in faces:
            self._expect_dimension(face.embedding.shape[-1])
            clean_name(face.name)
        check_unit_vectors(np.stack([face.embedding for face in faces]), self._dimension)
        with self._store.write() as connection:
            held = get_meta(connection, "space")
            offered = {self._space} | {face.space for face in faces if face.space is not None}
            if others := offered - {held}:
                raise SpaceMismatch(
                    f"{self._store.path} was re-embedded: it holds vectors of {held!r} now, not of {min(others)!r}",
                    hint="open it again with the new model",
                )
            return face_rows.add(connection, self._salt, faces)

    def create(self, name: str) -> Person:  # noqa: D102
        facts = Facts(clean_name(name))
        with self._store.write() as connection:
            other = people.find_by_name(connection, self._salt, facts.name)
            if other is not None:
                raise PersonExists(f"somebody is called {other.person.name!r} already ({other.person.id})")
            people.insert(connection, self._salt, facts)
            made = people.find_by_name(connection, self._salt, facts.name)
            assert made is not None  # in the same transaction
            return made.person

    def _expect_dimension(self, dimension: int) -> None:
        if dimension != self._dimension:
            raise SpaceMismatch(
                f"expected vectors of dimension {self._dimension} ({self._space!r}), got {dimension}",
                hint="use the model that the gallery was made with, or re-embed it",
            )

    def search(self, probes: Vector, k: int, *, exclude: Sequence[str] = ()) -> list[list[Hit]]:  # noqa: D102
        if k < 1:
            raise ValueError(f"expected k of at least 1, got {k}")
        if probes.ndim == 2:
            self._expect_dimension(probes.shape[1])
        check_unit_vectors(probes, self._dimension)
        return self._searcher.search(probes, k, exclude)

    def people(self, *, query: str = "", after: Person | str | None = None, limit: int = 100) -> list[Person]:  # noqa: D102
        with self._store.read() as connection:
            return people.list_people(connection, query=query, after=after, limit=limit)

    def person(self, name_or_id: str) -> Person:  # noqa: D102
        with self._store.read() as connection:
            with suppress(PersonNotFound):
                return people.find_by_id(connection, name_or_id).person
            found = people.find_by_name(connection, self._salt, name_or_id)
        if found is None:
            raise PersonNotFound(f"nobody in the gallery has the id or name {name_or_id!r}")
        return found.person

    def faces(  # noqa: D102
        self, person_id: str | None = None, *, photo_sha256: str | None = None, face_id: int | None = None
    ) -> Iterator[StoredFace]:
        after = 0
        while True:
            with self._store.read() as connection:
                page = face_rows.read_page(
                    connection,
                    self._salt,
                    person_id=person_id,
                    photo_sha256=photo_sha256,
                    face_id=face_id,
                    after=after,
                )
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
        with self._store.write() as connection:
            record = people.find_by_id(connection, person_id)
            before = stated(record.person)
            wanted = with_changes(before, changes)
            people.change(connection, self._salt, record, wanted)
            people.move_notes(connection, self._salt, before.name, wanted.name)
            return people.find_by_id(connection, person_id).person

    def merge(self, source_id: str, into_id: str) -> Person:  # noqa: D102
        if source_id == into_id:
            raise ValueError(f"expected two people to merge, got {source_id} twice")
        erasure.merge(self._store, self._salt, source_id, into_id)
        return self.person(into_id)

    def remove(self, person_id: str | None = None, *, face_id: int | None = None) -> Erased:  # noqa: D102
        if (person_id is None) == (face_id is None):
            raise ValueError("expected either a person's id or a face's")
        if person_id is not None:
            return erasure.erase_person(self._store, self._salt, person_id)
        assert face_id is not None  # one of the two is given
        return erasure.erase_face(self._store, face_id)

    def note_photos(self, name: str, notes: Sequence[PhotoNote], *, settings_tag: str) -> None:  # noqa: D102
        with self._store.write() as connection:
            note_rows.write(connection, self._salt, name, notes, settings_tag)

    def noted_photos(self, name: str, sha256s: Sequence[str], *, settings_tag: str) -> dict[str, PhotoNote]:  # noqa: D102
        with self._store.read() as connection:
            return note_rows.read(connection, self._salt, name, sha256s, settings_tag)

    def notes_on(self, person_id: str) -> list[PhotoNote]:  # noqa: D102
        with self._store.read() as connection:
            return note_rows.read_all(connection, self._salt, people.find_by_id(connection, person_id).person.name)

    def snapshot(self, target: str | Path | None = None) -> Path:  # noqa: D102
        return snapshots.make(self._store, target)

    def reembed(  # noqa: D102
        self,
        space: str,
        dimension: int,
        embed: Callable[[list[bytes]], Vector],
        *,
        maker: str = "",
        progress: Callable[[int, int], None] = ignore_progress,
    ) -> int:
        embedded = reembedding.run(self._store, space, dimension, embed, progress, maker=maker)
        self._space, self._dimension = space, dimension
        self._searcher.follow(space)
        return embedded

    def build_index(self, *, progress: Callable[[int, int], None] = ignore_progress) -> str:  # noqa: D102
        ann.build(self._store, progress)
        return self._searcher.mode()

    def check(self, *, sample: int = 1000) -> list[Finding]:  # noqa: D102
        return checking.run(self._store, self._searcher, sample=sample, approximate_above=self._approximate_above)

    def forecast(self, faces: int) -> Forecast:  # noqa: D102
        with self._store.read() as connection:
            return checking.forecast(connection, faces, approximate_above=self._approximate_above)

    def drop_snapshot(self, path: str) -> None:  # noqa: D102
        with self._store.maintenance():
            snapshots.drop(self._store, path)

    def record(self, action: str, *, actor: str, person_id: str | None = None, **details: object) -> None:  # noqa: D102
        with self._store.write() as connection:
            audit.append(connection, action, actor, person_id, details)

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Event]:  # noqa: D102
        with self._store.read() as connection:
            return audit.read(connection, after=after, limit=limit)

    def check_events(self, *, sealed: str | None = None) -> TrailCheck:  # noqa: D102
        with self._store.read() as connection:
            return audit.verify(connection, sealed=sealed)

    def outline(self) -> Outline:  # noqa: D102
        with self._store.read() as connection:
            return transferring.outline(connection)

    def held(self, part: Part) -> Held:  # noqa: D102
        with self._store.read() as connection:
            return transferring.held(connection, part)

    def export(self, part: Part, *, after: Key, limit: int) -> Rows:  # noqa: D102
        with self._store.read() as connection:
            return transferring.export(connection, part, after, limit)

    def importing(self) -> str | None:  # noqa: D102
        with self._store.read() as connection:
            return transferring.importing(connection)

    def begin_import(self, outline: Outline) -> None:  # noqa: D102
        with self._store.write() as connection:
            transferring.begin(connection, outline)
        self._salt = outline.salt

    def take_in(self, rows: Rows) -> None:  # noqa: D102
        with self._store.write() as connection:
            transferring.take_in(connection, rows)

    def end_import(self) -> None:  # noqa: D102
        with self._store.write() as connection:
            transferring.end(connection)

    def traces(self, person_id: str) -> list[bytes]:  # noqa: D102
        return traces.stored_of(self._store, person_id)

    def places(self) -> list[Path]:  # noqa: D102
        return [path for path in traces.files_of(self._store) if path.exists()]

    def encrypt(self, *, progress: Callable[[int, int], None] = ignore_progress) -> Changed:  # noqa: D102
        return encryption.encrypt(self._store, progress)

    def decrypt(self, *, progress: Callable[[int, int], None] = ignore_progress) -> Changed:  # noqa: D102
        return encryption.decrypt(self._store, progress)

    def rotate_key(  # noqa: D102
        self, new: OwnerKey, *, data_key: bool = False, progress: Callable[[int, int], None] = ignore_progress
    ) -> Changed:
        return encryption.rotate(self._store, new, data_key=data_key, progress=progress)

    def close(self) -> None:  # noqa: D102
        self._store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
