"""Who is in a gallery: to find, show, describe, rename, merge, take out and erase people; all of it in the trail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from copy import copy
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from likeness.errors import InputError, LikenessError, PictureNotFound, StorageError
from likeness.gallery import Gallery
from likeness.gallery.base import StoredFace, TrailCheck
from likeness.gallery.keys import key_of
from likeness.gallery.sealing import Sealable
from likeness.profiles import Profile, open_lookup
from likeness.profiles.lookup import cache_of
from likeness.recognizer import Recognizer
from likeness.service.cards import changed
from likeness.service.elsewhere import Elsewhere
from likeness.service.exporting import export_person
from likeness.service.media import open_media
from likeness.service.strips import apart
from likeness.service.twins import everybody
from likeness.types import Person


@dataclass(frozen=True, slots=True)
class Forgotten:
    """A proof of erasure, and its bounds: copies that were moved, or made by hand, are out of reach.

    Attributes:
        person_id: who.
        faces: how many faces were erased.
        snapshots_purged: paths of the snapshots that they were erased from too.
        snapshots_not_found: paths where a snapshot was made and is none now; one that was moved still holds them.
    """

    person_id: str
    faces: int
    snapshots_purged: tuple[str, ...] = ()
    snapshots_not_found: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "person_id": self.person_id,
            "faces_erased": self.faces,
            "snapshots_purged": len(self.snapshots_purged),
            "snapshots_purged_paths": list(self.snapshots_purged),
            "snapshots_not_found": list(self.snapshots_not_found),
        }


class Roster(AbstractContextManager["Roster"]):
    """A gallery's people, and the one who asks (`actor`, as written into the audit trail)."""

    def __init__(
        self,
        gallery: Gallery,
        recognizer: Recognizer,
        *,
        actor: str = "library",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.gallery, self.recognizer, self.actor = gallery, recognizer, actor
        self.elsewhere = Elsewhere()
        self.media = open_media(recognizer.settings.storage)
        details = gallery.info().details
        self._readonly = bool(details.get("readonly", False))
        if key_of(recognizer.settings) is not None and not details.get("encrypted", False):
            of_file = "is not encrypted: `likeness gallery encrypt` does that."
            of_server = "on a server is encrypted by its disks: the key is for its snapshots."
            say(f"A key is set, but the gallery {of_file if isinstance(gallery, Sealable) else of_server}")
        if self._readonly:
            say("The gallery is read-only: what is asked of it is not written into its audit trail.")

    def acting_as(self, actor: str) -> Self:
        """The same, opened once, for somebody else who asks; close either, and both are."""
        other = copy(self)
        other.actor = actor
        return other

    def find(self, query: str = "") -> Iterator[Person]:
        """All people whose name contains `query`, by name."""
        return everybody(self.gallery, query)

    def show(self, name_or_id: str) -> dict[str, Any]:
        """A person with the facts of their pictures, as plain data.

        Raises:
            PersonNotFound: nobody has that id or name.
        """
        person = self.gallery.person(name_or_id)
        pictures = [
            {
                "id": face.id,
                "source": face.source,
                "quality": round(face.quality, 4),
                "photo_sha256": face.photo_sha256,
                "created_at": face.created_at.isoformat(),
            }
            for face in self.gallery.faces(person.id)
        ]
        self._record("show", person.id)
        return person.as_dict() | {"pictures": pictures}

    def picture(self, person_id: str, face_id: int) -> bytes:
        """An enrolled picture (aligned crop, JPEG).

        Raises:
            PersonNotFound: nobody has that id.
            PictureNotFound: the person has no such picture, or a face that came without one.
        """
        for face in self.gallery.faces(person_id):
            if face.id == face_id:
                if not face.crop_jpeg:
                    raise PictureNotFound(f"face {face_id} of {person_id} was imported as numbers, without a picture")
                return apart(face.crop_jpeg)[0]
        raise PictureNotFound(f"{person_id} has no picture {face_id}")

    def find_picture(self, face_id: int) -> StoredFace:
        """The enrolled picture with that number, whoever's it is.

        Raises:
            PictureNotFound: there is none.
        """
        found = next(self.gallery.faces(face_id=face_id), None)
        if found is None:
            raise PictureNotFound(f"there is no picture {face_id}")
        return found

    def profile(self, name_or_id: str) -> Person:
        """A person, to read their profile card.

        Raises:
            PersonNotFound: nobody has that id or name.
        """
        person = self.gallery.person(name_or_id)
        self._record("show", person.id)
        return person

    def change_profile(
        self,
        name_or_id: str,
        *,
        put: Mapping[str, Any] | None = None,
        remove: Sequence[str] = (),
        whole: Mapping[str, Any] | None = None,
    ) -> Person:
        """Change a person's profile card: take `whole` in its place, then `remove` keys, then `put` others.

        Raises:
            PersonNotFound: nobody has that id or name.
            ProfileInvalid: a key to remove is not there, or a value is no plain JSON.
        """

        def change(card: Mapping[str, Any]) -> Mapping[str, Any]:
            return changed(card, put=put or {}, remove=remove, whole=whole)

        person = self.gallery.update(self.gallery.person(name_or_id).id, profile=change)
        self._record("profile", person.id)
        return person

    def look_up(self, name_or_id: str, *, sources: Sequence[str] | None = None) -> Profile | None:
        """What the sources of the settings, or those named, know of somebody in the gallery; None if nobody does.

        Sources other than `gallery` are told the person's name.

        Raises:
            PersonNotFound: nobody has that id or name.
            SettingsError: no source is switched on, or one lacks its key.
            RemoteError: a source could not be asked, and no other knows the person.
        """
        person = self.gallery.person(name_or_id)
        lookup = open_lookup(self.recognizer.settings, lambda name: person.profile, sources=sources)
        self._record("look-up", person.id, sources=list(lookup.names))  # before anything is sent
        return lookup.find(person.name)

    def create(self, name: str) -> Person:
        """Somebody new, without a picture yet.

        Raises:
            PersonExists: somebody has that name.
            InputError: it is no name.
        """
        person = self.gallery.create(name)
        self._record("create", person.id)
        return person

    def rename(self, name_or_id: str, new_name: str) -> Person:
        """Give a person another name.

        Raises:
            PersonNotFound: nobody has that id or name.
            PersonExists: another person has the new name.
            StorageError, RemoteError: renamed, but not all pictures in the storage, or answers, followed.
        """
        before = self.gallery.person(name_or_id)
        person = self.gallery.update(before.id, name=new_name)
        cache_of(self.recognizer.settings).forget(before.name)
        self._record("rename", person.id)
        self.elsewhere.rename(before, person)
        if self.media is not None:
            self.media.move(before.name, person.name, list(self.gallery.faces(person.id)))
        return person

    def merge(self, source: str, into: str) -> Person:
        """Give all faces of `source` to `into`, whose name stays.

        Raises:
            PersonNotFound: nobody has one of the ids or names.
            InputError: both are the same person.
            StorageError, RemoteError: merged, but not all pictures in the storage, or answers, followed.
        """
        first, second = self.gallery.person(source), self.gallery.person(into)
        if first.id == second.id:
            raise InputError(f"{source!r} and {into!r} are the same person")
        faces = [] if self.media is None else list(self.gallery.faces(first.id))
        person = self.gallery.merge(first.id, second.id)
        cache_of(self.recognizer.settings).forget(first.name)
        self._record("merge", person.id, merged=first.id)
        self.elsewhere.merge(first, person)
        if self.media is not None:
            self.media.move(first.name, person.name, faces)
        return person

    def forget(self, name_or_id: str) -> Forgotten:
        """Erase a person from record, index and snapshots, and make sure of it; says which snapshots it reached.

        Raises:
            PersonNotFound: nobody has that id or name.
            StorageError: something of theirs is left; the message says where, and the audit trail that it is so.
        """
        person = self.gallery.person(name_or_id)
        faces = list(self.gallery.faces(person.id))
        vectors = [face.embedding for face in faces]
        try:
            self.elsewhere.erase(person)
            cache_of(self.recognizer.settings).forget(person.name)  # what was looked up about them
            left = None if self.media is None else self.media.erase(person.name, faces, all_of_theirs=True)
            erased = self.gallery.remove(person.id)
            self.elsewhere.erase(person)  # again: until now others found the person, and may have written that down
            for start in range(0, len(vectors), 256):
                found = self.gallery.search(np.stack(vectors[start : start + 256]), 1)
                if any(hit.person_id == person.id for hits in found for hit in hits):
                    raise StorageError(
                        f"{person.id} was erased but is still found", hint="run `likeness gallery check`"
                    )
            if left is not None:
                raise left
        except BaseException as error:
            # Whoever reads the trail must see that it was tried. Should that fail too, the first failure is told.
            reason = error.code if isinstance(error, LikenessError) else type(error).__name__
            with suppress(LikenessError):
                self._record("forget", person.id, faces=len(vectors), complete=False, error=reason)
            raise
        self._record(
            "forget",
            person.id,
            faces=erased.faces,
            complete=True,
            snapshots_purged=len(erased.snapshots_purged),
            snapshots_not_found=len(erased.snapshots_not_found),
        )
        return Forgotten(person.id, erased.faces, erased.snapshots_purged, erased.snapshots_not_found)

    def forget_picture(self, name_or_id: str, face_id: int) -> Forgotten:
        """Erase one picture of a person, who stays, from record, index and snapshots.

        Raises:
            PersonNotFound: nobody has that id or name.
            PictureNotFound: the person has no such picture.
            StorageError: it is left in a snapshot, or in the storage.
        """
        person = self.gallery.person(name_or_id)
        faces = [face for face in self.gallery.faces(person.id) if face.id == face_id]
        if not faces:
            raise PictureNotFound(f"{person.id} has no picture {face_id}", hint="show the person to see their pictures")
        left = None if self.media is None else self.media.erase(person.name, faces, all_of_theirs=False)
        erased = self.gallery.remove(face_id=face_id)
        self._record("forget-picture", person.id, face=face_id, complete=left is None)
        if left is not None:
            raise left
        return Forgotten(person.id, erased.faces, erased.snapshots_purged, erased.snapshots_not_found)

    def expired(self, today: date) -> Iterator[Person]:
        """People whose retention date has passed."""
        return (person for person in self.find() if person.retain_until is not None and person.retain_until < today)

    def export(self, name_or_id: str, target: Path) -> Path:
        """All that is held about a person, as a new folder or, where `target` ends in `.zip`, an archive.

        Raises:
            PersonNotFound: nobody has that id or name.
            Conflict: there is something at the target.
            NotFound: there is no folder for it.
            StorageError: it cannot be written.
        """
        person = self.gallery.person(name_or_id)
        self._record("export", person.id)
        return export_person(self.gallery, person, target)

    def note_refused(self, counts: Mapping[str, object]) -> None:
        """Write down how many requests a door refused, by reason; holds ids of keys, and nothing about who asked."""
        self._record("refused", None, **counts)

    def note(self, action: str, *, person_id: str | None = None, **details: object) -> None:
        """Write into the trail what was done by one of the other use cases; the details name nobody."""
        self._record(action, person_id, **details)

    def check_trail(self, *, sealed: str | None = None) -> TrailCheck:
        """Whether the audit trail is whole, and goes on from an earlier seal.

        Raises:
            InputError: `sealed` is no seal.
        """
        return self.gallery.check_events(sealed=sealed)

    def close(self) -> None:
        """Close the gallery."""
        if self.media is not None:
            self.media.close()
        self.gallery.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _record(self, action: str, person_id: str | None = None, **details: object) -> None:
        if not self._readonly:
            self.gallery.record(action, actor=self.actor, person_id=person_id, **details)
