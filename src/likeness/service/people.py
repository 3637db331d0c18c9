"""The use cases of a gallery behind one face: who is there, who is this, who looks alike, and who must go."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from likeness.errors import InputError, PictureNotFound, SettingsError
from likeness.gallery import Gallery, open_gallery
from likeness.gallery.base import Finding, ignore_progress
from likeness.gallery.keys import key_of
from likeness.gallery.transfer import KeptSnapshot, Transferable
from likeness.recognizer import CANDIDATES, Recognizer, Source
from likeness.service.choosing import Pick
from likeness.service.enrolled import face_of
from likeness.service.enrolment import Enrolment, EnrolOptions, Outcome
from likeness.service.looking import Described, chosen_face, describe
from likeness.service.media import Compared
from likeness.service.photos import FoundPhoto
from likeness.service.reembedding import crop_embedder, expect_pictures
from likeness.service.roster import Forgotten, Roster
from likeness.service.twins import Rarity, find_twins
from likeness.settings import Settings
from likeness.types import Answer, Comparison, Face, TwinAnswer

__all__ = ["IDENTIFY_BATCH", "Forgotten", "Identified", "People", "open_people"]

_PAGE = 500
IDENTIFY_BATCH = 64
"""Photos identified per line of the audit trail."""


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
        GalleryKeyMissing, GalleryKeyWrong: it is encrypted, with another key than the settings name.
    """
    recognizer = recognizer or Recognizer(settings, say=say)
    uri, key = recognizer.settings.gallery, key_of(recognizer.settings)
    if with_model:
        gallery = open_gallery(uri, space=recognizer.space, dimension=recognizer.dimension, create=create, key=key)
    else:
        gallery = open_gallery(uri, create=False, key=key)
    return People(gallery, recognizer, actor=actor, say=say)


class People(Roster):
    """A gallery, a recognizer, and the one who asks (`actor`, as written into the audit trail)."""

    def __init__(
        self,
        gallery: Gallery,
        recognizer: Recognizer,
        *,
        actor: str = "library",
        say: Callable[[str], None] = lambda text: None,
    ) -> None:
        super().__init__(gallery, recognizer, actor=actor, say=say)
        self._rarity = Rarity(gallery)

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
        self.recognizer.expect_space(self.gallery.extent())
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

    def reembed(self, *, maker: str = "", progress: Callable[[int, int], None] = ignore_progress) -> int:
        """Replace every vector by the present model's, from the crops that are stored. Returns how many.

        Vectors of the present model's space stay, unless a `maker` (a digest of its network) is named that did not
        make them.

        Raises:
            Conflict: faces came without a picture, and cannot be embedded anew.
            ModelNotFound: it is not known how the stored crops were aligned.
        """
        space = self.gallery.extent().space
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

    def snapshots(self) -> list[KeptSnapshot]:
        """The copies that are remembered, so that erasing reaches them."""
        gallery, kept = self.gallery, list[KeptSnapshot]()
        if isinstance(gallery, Transferable):
            while more := gallery.export("snapshots", after=kept[-1].path if kept else "", limit=_PAGE).snapshots:
                kept += more
        return kept

    def drop_snapshot(self, path: str) -> None:
        """Look for a copy no more that is gone, with its machine for example.

        Raises:
            NotFound: none is remembered there.
        """
        self.gallery.drop_snapshot(path)
        self._record("drop-snapshot")

    def build_index(self, *, progress: Callable[[int, int], None] = ignore_progress) -> str:
        """Build or catch up the approximate index; returns what searches use then."""
        used = self.gallery.build_index(progress=progress)
        self._record("build-index", index=used)
        return used

    def check(self, *, sample: int = 1000) -> list[Finding]:
        """Whether record, index and audit trail are whole, looking at a sample of the faces."""
        return self.gallery.check(sample=sample)

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


def _matched(answers: Iterable[Answer]) -> set[str]:
    """Ids of the people who were named, for the audit trail."""
    return {answer.match.person_id for answer in answers if answer.match and answer.decision == "match"}
