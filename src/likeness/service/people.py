"""The use cases of a gallery behind one face: who is there, who is this, who looks alike, and who must go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from copy import copy
from dataclasses import dataclass
from datetime import date
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from likeness.errors import InputError, LikenessError, PictureNotFound, SettingsError, StorageError
from likeness.gallery import Gallery, open_gallery
from likeness.gallery.base import Finding, StoredFace, TrailCheck, ignore_progress
from likeness.profiles import Profile, open_lookup
from likeness.profiles.lookup import cache_of
from likeness.recognizer import CANDIDATES, Recognizer, Source
from likeness.service.cards import changed
from likeness.service.choosing import Pick
from likeness.service.enrolled import face_of
from likeness.service.enrolment import Enrolment, EnrolOptions, Outcome
from likeness.service.exporting import export_person
from likeness.service.looking import Described, chosen_face, describe
from likeness.service.media import Compared, open_media
from likeness.service.photos import FoundPhoto
from likeness.service.reembedding import crop_embedder, expect_pictures
from likeness.service.strips import apart
from likeness.service.twins import Rarity, everybody, find_twins
from likeness.settings import Settings
from likeness.types import Answer, Comparison, Face, Person, TwinAnswer

IDENTIFY_BATCH = 64
"""Photos identified per line of the audit trail."""


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


@dataclass(frozen=True, slots=True, eq=False)
class Identified:
    """Who the faces of one photo are."""

    photo: Described
    answers: tuple[Answer, ...] = ()

    def as_dict(self, *, embeddings: bool = False) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {
            "path": self.photo.path,
            "answers": [answer.as_dict(embedding=embeddings) for answer in self.answers],
        }
        if self.photo.error is not None:
            data["error"] = self.photo.error.as_dict()
        return data


def open_people(
    settings: Settings | None = None,
    *,
    recognizer: Recognizer | None = None,
    create: bool = False,
    with_model: bool = True,
    actor: str = "library",
    say: Callable[[str], None] = lambda text: None,
) -> People:
    """Open the gallery of the settings for the use cases.

    Without `with_model` no network is loaded and a gallery of any embedding space opens: for managing people.

    Raises:
        GalleryMissing: it does not exist, and `create` is false.
        SpaceMismatch: it holds vectors of another model; the hint names the command that re-embeds it.
    """
    recognizer = recognizer or Recognizer(settings, say=say)
    uri = recognizer.settings.gallery
    if with_model:
        gallery = open_gallery(uri, space=recognizer.space, dimension=recognizer.dimension, create=create)
    else:
        gallery = open_gallery(uri, create=False)
    return People(gallery, recognizer, actor=actor, say=say)


class People(AbstractContextManager["People"]):
    """A gallery, a recognizer, and the one who asks (`actor`, as written into the audit trail)."""

    def __init__(
        self,
        gallery: Gallery,
        recognizer: Recognizer,
        *,
        actor: str = "library",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        self.gallery, self.recognizer, self.actor = gallery, recognizer, actor
        self.also_erase: Callable[[str], object] = lambda person_id: None
        """Erases what is kept of a person elsewhere, such as answers that name them; called before they are erased."""
        self.media = open_media(recognizer.settings.storage)
        self._rarity = Rarity(gallery)
        self._readonly = bool(gallery.info().details.get("readonly", False))
        if self._readonly:
            say("The gallery is read-only: what is asked of it is not written into its audit trail.")

    def acting_as(self, actor: str) -> People:
        """The same, opened once, for somebody else who asks; close either, and both are."""
        other = copy(self)
        other.actor = actor
        return other

    def enroll(
        self,
        photos: Iterable[FoundPhoto],
        options: EnrolOptions | None = None,
        *,
        stop: Callable[[], bool] = lambda: False,
        on_frame: Callable[[], None] = lambda: None,
    ) -> Iterator[Outcome]:
        """Enrol photos and videos (with names); outcomes in order, each once it is durable.

        `stop` ends it after a batch; `on_frame` is called for each frame of a video that was looked at.

        Raises:
            StorageError: a batch could not be written; those before it are safe.
        """
        options = options or EnrolOptions()
        run = Enrolment(
            self.recognizer, self.gallery, self.actor, options, stop=stop, on_frame=on_frame, media=self.media
        )
        return run.run(photos)

    def identify(self, photos: Iterable[FoundPhoto]) -> Iterator[Identified]:
        """Who the faces of each photo are, in order; a photo that fails comes with its error."""
        asked = faces = 0
        matched: set[str] = set()
        _ = self.recognizer.calibration  # a model without one is told before the first photo, not after it
        try:
            for photo in describe(self.recognizer, photos):
                answers = tuple(self.recognizer.name(photo.faces, self.gallery))
                asked, faces = asked + 1, faces + len(answers)
                matched |= _matched(answers)
                if asked >= IDENTIFY_BATCH:
                    self._record("identify", photos=asked, faces=faces, matched=sorted(matched))
                    asked, faces, matched = 0, 0, set()
                yield Identified(photo, answers)
        finally:
            if asked:
                self._record("identify", photos=asked, faces=faces, matched=sorted(matched))

    def compare(
        self, source: Source | Face, name_or_id: str, *, face_id: int | None = None, pick: Pick = "largest"
    ) -> Comparison:
        """Whether a face shows somebody who is enrolled: against one picture, the best unless `face_id` names it.

        One picture, because the rates of the answer are those of one comparison.

        Raises:
            PersonNotFound: nobody has that id or name.
            PictureNotFound: the person has no such picture, or none.
            PhotoError, NoFace, SeveralFaces: the photo does not give one face.
            SpaceMismatch: the gallery holds vectors of another model.
        """
        person = self.gallery.person(name_or_id)
        self.recognizer.expect_space(self.gallery.info())
        pictures = [each for each in self.gallery.faces(person.id) if face_id in (None, each.id)]
        if not pictures:
            which = "" if face_id is None else f" {face_id}"
            raise PictureNotFound(f"{person.id} has no picture{which}", hint="show the person to see their pictures")
        best = max(pictures, key=lambda each: each.quality)
        face = source if isinstance(source, Face) else chosen_face(self.recognizer, source, pick, attributes=False)
        compared = self.recognizer.verify(face, face_of(best))
        self._record("verify", person.id, face=best.id, decision=compared.decision)
        return compared

    def identify_together(
        self, asked: Sequence[tuple[str, Described]], *, candidates: int = CANDIDATES
    ) -> list[Identified]:
        """Who the faces are on photos that were looked at, each asked about by an actor: one search for all of them.

        Each actor has one line in the audit trail.
        """
        faces = [face for _, photo in asked for face in photo.faces]
        answers = iter(self.recognizer.name(faces, self.gallery, candidates=candidates))
        found = [(actor, Identified(photo, tuple(islice(answers, len(photo.faces))))) for actor, photo in asked]
        for actor in dict.fromkeys(actor for actor, _ in asked):
            given = [each.answers for who, each in found if who == actor]
            matched = _matched(answer for each in given for answer in each)
            self.acting_as(actor)._record(
                "identify", photos=len(given), faces=sum(map(len, given)), matched=sorted(matched)
            )
        return [identified for _, identified in found]

    def twins(
        self,
        source: Source | Face,
        *,
        k: int = 5,
        pick: Pick = "largest",
        exclude: Sequence[str] = (),
        others: bool = False,
    ) -> TwinAnswer:
        """The `k` people most like the face of a photo; `exclude` names people (or ids) that are passed over.

        With `others` the person whose face it is is left out too: so somebody enrolled finds a double.

        Raises:
            PhotoError: the photo cannot be decoded.
            NoFace, SeveralFaces: it does not give one face.
            PersonNotFound: nobody is called as `exclude` says.
        """
        if k < 1:
            raise InputError(f"expected at least 1 twin to look for, got {k}")
        without = [self.gallery.person(name).id for name in exclude]
        face = source if isinstance(source, Face) else chosen_face(self.recognizer, source, pick)
        answer = find_twins(
            face,
            self.gallery,
            self.recognizer.calibration,
            self.recognizer.settings,
            self._rarity,
            k=k,
            exclude=without,
            others=others,
        )
        self._record("twins", found=[twin.match.person_id for twin in answer.twins])
        return answer

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

    def find_picture(self, face_id: int) -> StoredFace:
        """The enrolled picture with that number, whoever's it is.

        Raises:
            PictureNotFound: there is none.
        """
        found = next(self.gallery.faces(face_id=face_id), None)
        if found is None:
            raise PictureNotFound(f"there is no picture {face_id}")
        return found

    def rename(self, name_or_id: str, new_name: str) -> Person:
        """Give a person another name.

        Raises:
            PersonNotFound: nobody has that id or name.
            PersonExists: another person has the new name.
            StorageError: renamed, but not all of their pictures in the storage followed.
        """
        before = self.gallery.person(name_or_id)
        person = self.gallery.update(before.id, name=new_name)
        cache_of(self.recognizer.settings).forget(before.name)
        self._record("rename", person.id)
        if self.media is not None:
            self.media.move(before.name, person.name, list(self.gallery.faces(person.id)))
        return person

    def merge(self, source: str, into: str) -> Person:
        """Give all faces of `source` to `into`, whose name stays.

        Raises:
            PersonNotFound: nobody has one of the ids or names.
            InputError: both are the same person.
            StorageError: merged, but not all pictures in the storage followed.
        """
        first, second = self.gallery.person(source), self.gallery.person(into)
        if first.id == second.id:
            raise InputError(f"{source!r} and {into!r} are the same person")
        faces = [] if self.media is None else list(self.gallery.faces(first.id))
        person = self.gallery.merge(first.id, second.id)
        cache_of(self.recognizer.settings).forget(first.name)
        self._record("merge", person.id, merged=first.id)
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
            self.also_erase(person.id)
            cache_of(self.recognizer.settings).forget(person.name)  # what was looked up about them
            left = None if self.media is None else self.media.erase(person.name, faces, all_of_theirs=True)
            erased = self.gallery.remove(person.id)
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

    def reembed(self, *, maker: str = "", progress: Callable[[int, int], None] = ignore_progress) -> int:
        """Replace every vector by the present model's, from the crops that are stored. Returns how many.

        Vectors of the present model's space stay, unless a `maker` (a digest of its network) is named that did not
        make them.

        Raises:
            Conflict: faces came without a picture, and cannot be embedded anew.
            ModelNotFound: it is not known how the stored crops were aligned.
        """
        space = self.gallery.info().space
        if maker or space != self.recognizer.space:
            expect_pictures(self.gallery)
        embed = crop_embedder(self.recognizer, space)
        count = self.gallery.reembed(
            self.recognizer.space, self.recognizer.dimension, embed, maker=maker, progress=progress
        )
        self._record("reembed", faces=count, space=self.recognizer.space)
        return count

    def snapshot(self, target: Path | None = None) -> Path:
        """A whole copy of the gallery; erasing a person reaches it too."""
        path = self.gallery.snapshot(target)
        self._record("snapshot")
        return path

    def build_index(self, *, progress: Callable[[int, int], None] = ignore_progress) -> str:
        """Build or catch up the approximate index; returns what searches use then."""
        used = self.gallery.build_index(progress=progress)
        self._record("build-index", index=used)
        return used

    def check(self) -> list[Finding]:
        """Whether record, index and audit trail are whole."""
        return self.gallery.check()

    def compare_media(self, *, mend: bool = False) -> Compared:
        """How the pictures in the storage (setting `storage`) differ from the gallery's; with `mend` they do no more.

        Raises:
            SettingsError: no storage is set.
            StorageError: it cannot be read, or changed.
        """
        if self.media is None:
            raise SettingsError("no storage is set, so that no pictures are kept but the gallery's", hint="`storage`")
        compared = self.media.compare(self.gallery)
        if mend and (compared.missing or compared.left_over):
            self.media.mend(self.gallery, compared)
            self._record("mend-media", written=len(compared.missing), deleted=len(compared.left_over))
        return compared

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

    def check_trail(self, *, sealed: str | None = None) -> TrailCheck:
        """Whether the audit trail is whole, and goes on from an earlier seal.

        Raises:
            InputError: `sealed` is no seal.
        """
        return self.gallery.check_events(sealed=sealed)

    def note_refused(self, counts: Mapping[str, object]) -> None:
        """Write down how many requests a door refused, by reason; holds ids of keys, and nothing about who asked."""
        self._record("refused", None, **counts)

    def _record(self, action: str, person_id: str | None = None, **details: object) -> None:
        if not self._readonly:
            self.gallery.record(action, actor=self.actor, person_id=person_id, **details)


def _matched(answers: Iterable[Answer]) -> set[str]:
    """Ids of the people who were named, for the audit trail."""
    return {answer.match.person_id for answer in answers if answer.match and answer.decision == "match"}
