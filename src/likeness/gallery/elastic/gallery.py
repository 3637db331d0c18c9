"""The gallery on Elasticsearch: the contract's calls, each a few requests to the cluster.

Nothing but the last head is kept in memory between calls, so that all processes see the same. This module puts the
parts together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from likeness.errors import LikenessError, PersonExists, SpaceMismatch
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
from likeness.gallery.elastic import audit, checking, erasure, layout, notes, people, reembedding, snapshots, transfer
from likeness.gallery.elastic import faces as face_rows
from likeness.gallery.elastic.address import parse
from likeness.gallery.elastic.changes import Changes, Plan
from likeness.gallery.elastic.cluster import Cluster
from likeness.gallery.elastic.head import Head
from likeness.gallery.elastic.leases import Lease
from likeness.gallery.elastic.searching import Searcher
from likeness.gallery.elastic.store import COPIES, Store
from likeness.gallery.forecast import Forecast
from likeness.gallery.identity import clean_name
from likeness.gallery.keys import OwnerKey
from likeness.gallery.snapshots import this_host
from likeness.gallery.stated import Facts, stated, with_changes
from likeness.gallery.transfer import Held, Key, Outline, Part, Rows, Transferable
from likeness.types import Consent, Person, Vector, check_unit_vectors


def open_elastic(
    uri: str | Path, *, space: str | None, dimension: int | None, create: bool, key: OwnerKey | None = None
) -> ElasticGallery:
    """Open or create the gallery at `elasticsearch://host:9200/prefix`; see `likeness.gallery.open_gallery`.

    What is on the cluster is encrypted by its disks; the owner's `key` encrypts snapshots.

    Raises:
        SettingsError: the address cannot be used, or the cluster is too old.
        ExtraMissing: the extra `elastic` is not installed.
        GalleryMissing, SpaceMismatch, StorageError.
    """
    address = parse(str(uri))
    cluster = Cluster(address)
    try:
        store = Store(address, cluster)
        head = layout.prepare(store, space=space, dimension=dimension, create=create)
        return ElasticGallery(store, head, space=space, dimension=dimension, key=key)
    except BaseException:
        cluster.close()
        raise


class ElasticGallery(Gallery, Transferable, Deletable):
    """See `likeness.gallery.base.Gallery` and `likeness.gallery.transfer.Transferable`. Made by `open_elastic`."""

    def __init__(
        self, store: Store, head: Head, *, space: str | None, dimension: int | None, key: OwnerKey | None
    ) -> None:
        self._store, self._key = store, key
        self._shown = store.address.shown
        self._space, self._dimension = head.space, head.dimension
        if space is not None and (space != head.space or dimension not in (None, head.dimension)):
            asked = f"ones of {space!r}" if dimension is None else f"{dimension}-dimensional ones of {space!r}"
            raise SpaceMismatch(
                f"{self._shown} holds {head.dimension}-dimensional vectors of {head.space!r}, not {asked}",
                hint="use the model it was made with, or re-embed it: likeness gallery re-embed",
            )
        self._extent: Extent | None = None
        self._changes = Changes(store)
        self._maintenance = Lease(store, COPIES)
        self._searcher = Searcher(store, head)
        self._finish_what_was_left()

    def _finish_what_was_left(self) -> None:
        """Take up what a killed process left; what cannot be done now, `check`, changes and removals do or report."""
        with suppress(LikenessError):
            self._changes.finish_abandoned()
            if erasure.pending(self._store):
                with self._maintenance.hold() as held:
                    erasure.finish(self._store, held)

    def info(self) -> GalleryInfo:  # noqa: D102
        return transfer.at_present(self._store, self._info)

    def _info(self, view: transfer.View) -> GalleryInfo:
        head, rows = view.head, layout.told(self._store)
        counted = {part: view.held(part).rows for part in ("people", "faces", "snapshots")}
        details: dict[str, Any] = {
            "server": f"Elasticsearch {self._store.cluster.version()}",
            "index_of_faces": head.index,
            "indexes": {row["index"]: f"{row['health']}, {row['docs']:,} documents" for row in rows},
            "snapshots": counted["snapshots"],
            "events": view.lines,
            "changes": head.committed,
            "exact_up_to": self._store.address.options.exact,
            "re-embedding": None if head.reembedding is None else head.reembedding["aim"],
        }
        return GalleryInfo(
            uri=self._shown,
            engine="elasticsearch",
            space=head.space,
            dimension=head.dimension,
            people=counted["people"],
            faces=counted["faces"],
            index=self._searcher.mode(head),
            bytes_on_disk=sum(row["bytes"] for row in rows),
            details=details,
        )

    def extent(self) -> Extent:  # noqa: D102
        head, _ = self._store.head()
        known = self._extent
        if known is None or (known.space, known.changes) != (head.space, head.committed):
            count = transfer.at_present(self._store, lambda view: view.held("people").rows)
            self._extent = known = Extent(self._shown, head.space, count, head.faces, head.committed)
        return known

    def add(self, faces: Sequence[NewFace]) -> list[Added]:  # noqa: D102
        if not faces:
            return []
        for face in faces:
            self._expect_dimension(face.embedding.shape[-1])
            clean_name(face.name)
        check_unit_vectors(np.stack([face.embedding for face in faces]), self._dimension)
        offered = {self._space} | {face.space for face in faces if face.space is not None}
        with self._changes.begin() as change:
            if others := offered - {change.head.space}:
                raise SpaceMismatch(
                    f"{self._shown} was re-embedded: it holds vectors of {change.head.space!r} now, not of "
                    f"{min(others)!r}",
                    hint="open it again with the new model",
                )
            return face_rows.add(self._store, change, faces)

    def create(self, name: str) -> Person:  # noqa: D102
        facts = Facts(clean_name(name))
        people.expect_name_fits([facts.name])
        with self._changes.begin() as change:
            other, named = people.by_names(self._store, change.head, [facts.name])[facts.name]
            if other is not None:
                raise PersonExists(f"somebody is called {other.person.name!r} already ({other.person.id})")
            plan = Plan()
            made = people.add(self._store, change, plan, facts, named)
            change.commit(plan)
            return made

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
        return people.list_people(self._store, query=query, after=after, limit=limit)

    def person(self, name_or_id: str) -> Person:  # noqa: D102
        return people.counted_now(self._store, people.find(self._store, name_or_id)[1].person)

    def faces(  # noqa: D102
        self, person_id: str | None = None, *, photo_sha256: str | None = None, face_id: int | None = None
    ) -> Iterator[StoredFace]:
        return face_rows.read(self._store, person_id=person_id, photo_sha256=photo_sha256, face_id=face_id)

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
        with self._changes.begin() as change:
            head, record = people.by_id(self._store, person_id)
            wanted = with_changes(stated(record.person), changes)
            people.expect_name_fits([wanted.name])
            plan = Plan()
            person = people.restate(self._store, change, plan, record, wanted)
            plan.old += notes.moving(self._store, head, record.person.name, wanted.name)
            change.commit(plan)
        return people.counted_now(self._store, person)

    def merge(self, source_id: str, into_id: str) -> Person:  # noqa: D102
        if source_id == into_id:
            raise ValueError(f"expected two people to merge, got {source_id} twice")
        erasure.merge(self._store, self._changes, self._maintenance, source_id, into_id)
        return self.person(into_id)

    def remove(self, person_id: str | None = None, *, face_id: int | None = None) -> Erased:  # noqa: D102
        if (person_id is None) == (face_id is None):
            raise ValueError("expected either a person's id or a face's")
        if person_id is not None:
            return erasure.erase_person(self._store, self._changes, self._maintenance, person_id)
        assert face_id is not None  # one of the two is given
        return erasure.erase_face(self._store, self._changes, self._maintenance, face_id)

    def note_photos(self, name: str, notes_: Sequence[PhotoNote], *, settings_tag: str) -> None:  # noqa: D102
        head, _ = self._store.head()
        self._changes.expect_not_importing(head)
        notes.write(self._store, head, name, notes_, settings_tag)

    def noted_photos(self, name: str, sha256s: Sequence[str], *, settings_tag: str) -> dict[str, PhotoNote]:  # noqa: D102
        return notes.read(self._store, self._store.head()[0], name, sha256s, settings_tag)

    def notes_on(self, person_id: str) -> list[PhotoNote]:  # noqa: D102
        head, record = people.by_id(self._store, person_id)
        return notes.read_all(self._store, head, record.person.name)

    def snapshot(self, target: str | Path | None = None) -> Path:  # noqa: D102
        return snapshots.make(self._store, self._changes, self._maintenance, target, key=self._key)

    def reembed(  # noqa: D102
        self,
        space: str,
        dimension: int,
        embed: Callable[[list[bytes]], Vector],
        *,
        maker: str = "",
        progress: Callable[[int, int], None] = ignore_progress,
    ) -> int:
        embedded = reembedding.run(self._store, self._changes, (space, dimension, maker), embed, progress)
        head = self._store.head()[0]
        self._space, self._dimension = space, dimension
        self._searcher.follow(head)
        return embedded

    def build_index(self, *, progress: Callable[[int, int], None] = ignore_progress) -> str:  # noqa: D102
        return self._store.at_present(self._searcher.mode)  # the cluster keeps its index itself

    def check(self, *, sample: int = 1000) -> list[Finding]:  # noqa: D102
        return checking.run(self._store, self._changes, self._maintenance, self._searcher, sample=sample)

    def forecast(self, faces: int) -> Forecast:  # noqa: D102
        return checking.forecast(self._store, faces)

    def drop_snapshot(self, path: str) -> None:  # noqa: D102
        with self._maintenance.hold() as held:
            snapshots.drop(held, path)
            erasure.drop_pending(self._store, path)

    def record(self, action: str, *, actor: str, person_id: str | None = None, **details: object) -> None:  # noqa: D102
        self._changes.expect_not_importing(self._store.head()[0])
        audit.append(self._store, action, actor, person_id, details)

    def events(self, *, after: int = 0, limit: int = 1000) -> list[Event]:  # noqa: D102
        return audit.read(self._store, after=after, limit=limit)

    def check_events(self, *, sealed: str | None = None) -> TrailCheck:  # noqa: D102
        return audit.verify(self._store, sealed=sealed)

    def outline(self) -> Outline:  # noqa: D102
        unfinished = bool(erasure.pending(self._store))
        return transfer.at_present(self._store, lambda view: view.outline(unfinished=unfinished))

    def held(self, part: Part) -> Held:  # noqa: D102
        return transfer.at_present(self._store, lambda view: view.held(part))

    def export(self, part: Part, *, after: Key, limit: int) -> Rows:  # noqa: D102
        return transfer.at_present(self._store, lambda view: view.export(part, after, limit))

    def importing(self) -> str | None:  # noqa: D102
        return self._store.head()[0].importing

    def begin_import(self, outline: Outline) -> None:  # noqa: D102
        with self._maintenance.hold() as held, self._changes.begin(importing=True) as change:
            transfer.begin(self._store, change, held, outline)

    def take_in(self, rows: Rows) -> None:  # noqa: D102
        with self._changes.begin(importing=True) as change:
            transfer.take_in(self._store, change, rows)
        if rows.snapshots:
            with self._maintenance.hold() as held:
                here = this_host()
                snapshots.remember(held, [(*kept[:3], kept.host or here) for kept in rows.snapshots])

    def end_import(self) -> None:  # noqa: D102
        with self._changes.begin(importing=True) as change:
            transfer.end(self._store, change)

    def delete(self) -> int:
        """Delete the gallery with all its indexes; returns how many there were. Nothing of it can be brought back."""
        return layout.delete_all(self._store)

    def close(self) -> None:  # noqa: D102
        self._store.cluster.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
