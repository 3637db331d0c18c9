"""Photos into the gallery: look, choose the face, judge it, write in batches; resumable and idempotent.

A photo is known by the sha256 of its bytes. One that is enrolled already is skipped without being decoded; so is one
that was refused before under the same models and settings (the gallery keeps a note), unless asked to look again. A
killed run loses at most the batch that was not yet acknowledged, and the next run takes it up.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import simplejpeg

from likeness.errors import (
    ConsentMissing,
    ExtraMissing,
    FaceOfAnother,
    InputError,
    LikenessError,
    PersonNotFound,
    VideoUnusable,
)
from likeness.gallery.base import Gallery, NewFace, PhotoNote
from likeness.gallery.identity import clean_name
from likeness.recognizer import Recognizer
from likeness.service.cards import CardTaker
from likeness.service.choosing import DOMINANT, choose, expect_quality
from likeness.service.clips import ChosenClip, look_at_clip
from likeness.service.consent import expect_consent
from likeness.service.looking import digest, digest_of_file, load_models
from likeness.service.media import Media
from likeness.service.outcomes import EnrolOptions, Outcome
from likeness.service.photos import FoundPhoto
from likeness.service.strips import joined
from likeness.types import Face, Pixels
from likeness.vision.files import read_photo_bytes
from likeness.vision.video import is_video

__all__ = ["BATCH", "EnrolOptions", "Enrolment", "Outcome", "encode_crop", "settings_tag"]

BATCH = 64
"""Photos in one transaction."""
FLUSH_S = 5.0
"""A batch is written after this many seconds even if it is not full."""
CROP_QUALITY = 92


@dataclass(frozen=True, slots=True)
class _Look:
    """A photo or video that was looked at: its outcome so far, digest, face to add, the note to keep, the card beside.

    `tag` is what the refusal depends on besides the file, `clip` what was chosen of a video.
    """

    outcome: Outcome
    sha256: str | None = None
    face: NewFace | None = None
    refusal: LikenessError | None = None
    card: str | None = None
    tag: str = ""
    clip: ChosenClip | None = None


class _Stopped(Exception):
    """The run is to stop, in the middle of a video."""


class Enrolment:
    """One run over many photos."""

    def __init__(
        self,
        recognizer: Recognizer,
        gallery: Gallery,
        actor: str,
        options: EnrolOptions,
        *,
        stop: Callable[[], bool] = lambda: False,
        on_frame: Callable[[], None] = lambda: None,
        media: Media | None = None,
    ) -> None:
        self._recognizer, self._gallery, self._actor, self._options = recognizer, gallery, actor, options
        self._stop, self._on_frame, self._media = stop, on_frame, media
        load_models(recognizer, attributes=False)
        self._tag = settings_tag(recognizer, options)
        self._clip_tag = settings_tag(recognizer, options, clip=True)
        self._one_clip = threading.Lock()
        self._cards = CardTaker(gallery, again=options.again)
        self._claimed: dict[tuple[str, int], str] = {}
        self._restated: set[str] = set()

    def run(self, photos: Iterable[FoundPhoto]) -> Iterator[Outcome]:
        """Outcomes in order, each after it is durable; ends early, with the batch written, once `stop` says so.

        Where looking at a photo fails unexpectedly, those finished before it are written and told first.
        """
        looks: list[_Look] = []
        since = time.monotonic()
        try:
            for look in self._recognizer.map(self._look, photos):
                if look is not None:
                    looks.append(look)
                stopping = self._stop()
                if stopping or len(looks) >= BATCH or time.monotonic() - since >= FLUSH_S:
                    batch, looks, since = looks, [], time.monotonic()
                    yield from self._write(batch)
                if stopping:
                    return
        except BaseException:
            # A batch that failed to be written, or was written, is no longer in hand here.
            if looks:
                yield from self._write(looks)
            raise
        if looks:
            yield from self._write(looks)

    def _look(self, photo: FoundPhoto) -> _Look | None:
        """Everything that can be done about one photo without writing; runs on several threads. None: stopped."""
        try:
            return replace(self._examine(photo), card=photo.card)
        except _Stopped:
            return None

    def _examine(self, photo: FoundPhoto) -> _Look:
        if photo.error is not None:
            return replace(_refused(photo, photo.error, None, ""), refusal=None)
        sha256: str | None = None
        if photo.clip is not None or (photo.data is None and is_video(photo.path)):
            return self._examine_clip(photo)
        try:
            name = clean_name(photo.name or "")
            self._expect_consent(name)
            data = read_photo_bytes(
                photo.path if photo.data is None else photo.data, max_bytes=self._recognizer.settings.max_photo_bytes
            )
            sha256 = digest(data)
            if not self._options.again and (known := self._known(photo, name, sha256, self._tag)) is not None:
                return known
            return self._prepare(photo, name, data)
        except (InputError, FaceOfAnother) as error:
            return _refused(photo, error, sha256, self._tag)

    def _expect_consent(self, name: str) -> None:
        if self._recognizer.settings.require_consent and self._options.consent is None:
            expect_consent(self._gallery, name)

    def _examine_clip(self, photo: FoundPhoto) -> _Look:
        sha256 = None if photo.clip is None else photo.clip.sha256
        try:
            name = clean_name(photo.name or "")
            self._expect_consent(name)
            sha256 = sha256 or digest_of_file(photo.path)
            if not self._options.again and (known := self._known(photo, name, sha256, self._clip_tag)) is not None:
                return known
            return self._prepare_clip(photo, name, photo.clip or self._chosen(photo.path, sha256))
        except (InputError, FaceOfAnother, ExtraMissing) as error:
            return _refused(photo, error, sha256, self._clip_tag)

    def _chosen(self, path: str, sha256: str) -> ChosenClip:
        """What is to be enrolled of a video, looked at frame by frame."""

        def each() -> None:
            if self._stop():
                raise _Stopped
            self._on_frame()

        options = self._options
        with self._one_clip:  # its frames are spread over all cores, and take memory
            return look_at_clip(
                self._recognizer,
                path,
                sha256,
                pick=options.pick,
                gate=options.gate,
                keep=options.keep,
                every_s=options.every_s,
                each=each,
            )

    def _known(self, photo: FoundPhoto, name: str, sha256: str, tag: str) -> _Look | None:
        """What an earlier run found out about the photo."""
        stored = list(self._gallery.faces(photo_sha256=sha256))
        if stored:
            person_id = self._person_id(name)
            for face in stored:
                if face.person_id == person_id:
                    return _Look(
                        Outcome(photo.path, name, "duplicate", person_id, face.id, quality=face.quality, earlier=True)
                    )
        note = self._gallery.noted_photos(name, [sha256], settings_tag=tag).get(sha256)
        if note is None:
            return None
        error = {"code": note.outcome, "message": note.detail}
        return _Look(Outcome(photo.path, name, "refused", error=error, earlier=True))

    def _person_id(self, name: str) -> str | None:
        try:
            return self._gallery.person(name).id
        except PersonNotFound:
            return None

    def _prepare(self, photo: FoundPhoto, name: str, data: bytes) -> _Look:
        decoded = self._recognizer.photo(data)
        found = self._recognizer.faces(decoded, embed=False, attributes=False)
        places = [place for place, face in enumerate(found) if face.score >= self._options.least_score]
        if not places:
            raise self._recognizer.no_face(decoded)
        chosen, note = choose([found[place] for place in places], self._options.pick, decoded.size_px)
        index = places[chosen]  # among all of them: whoever else is on the photo has a number of their own
        face = found[index]
        if self._options.gate:
            expect_quality(face.quality)
        self._expect_nobody_elses(name, decoded.sha256, index)
        new = self._new(name, face, decoded.sha256, index, photo.path)
        outcome = Outcome(photo.path, name, "added", quality=face.quality.score, note=note)
        return _Look(outcome, decoded.sha256, new)

    def _prepare_clip(self, photo: FoundPhoto, name: str, clip: ChosenClip) -> _Look:
        self._expect_nobody_elses(name, clip.sha256, *clip.own)
        best = clip.kept[0]
        source = f"{photo.path}#t={clip.times_s[best.frame]:.2f}"
        new = replace(
            self._new(name, best.face, clip.sha256, clip.number(best), source),
            embedding=clip.centre,
            crop_jpeg=joined([encode_crop(crop) for crop in clip.crops]),
        )
        outcome = Outcome(photo.path, name, "added", quality=new.quality, note=clip.note, clip=clip.as_dict())
        return _Look(outcome, clip.sha256, new, clip=clip)

    def _new(self, name: str, face: Face, sha256: str, index: int, source: str) -> NewFace:
        assert face.crop is not None  # the recognizer always cuts them
        vector = face.embedding
        return NewFace(
            name=name,
            embedding=self._recognizer.embedder.embed(face.crop[None])[0] if vector is None else vector,
            crop_jpeg=encode_crop(face.crop),
            photo_sha256=sha256,
            face_index=index,
            source=_storable(source) if self._options.source is None else self._options.source,
            quality=face.quality.score,
            box_xyxy_px=face.box_xyxy_px,
            landmarks_px=tuple(float(value) for value in face.landmarks_px.ravel()),
            consent=self._options.consent,
            retain_until=self._options.retain_until,
            space=self._recognizer.space,
        )

    def _expect_nobody_elses(self, name: str, sha256: str, *indices: int) -> None:
        held = [face.person_id for face in self._gallery.faces(photo_sha256=sha256) if face.face_index in indices]
        if held and self._person_id(name) not in held:
            raise FaceOfAnother(
                f"this very face is enrolled as another person already ({held[0]})",
                hint="one of the names is wrong: merge the two, or forget one of them",
            )

    def _write(self, looks: Sequence[_Look]) -> list[Outcome]:
        """Write a batch: faces in one transaction, notes on refusals, one line of the audit trail."""
        looks = self._keep_media([self._claim(look) for look in looks])
        added = iter(self._gallery.add([look.face for look in looks if look.face is not None]))
        outcomes: list[Outcome] = []
        grown: dict[str, list[int]] = {}
        for look in looks:
            if look.face is None:
                self._restate(look.outcome.person_id)
                outcomes.append(look.outcome)
                continue
            result = next(added)
            if result.status == "added":
                grown.setdefault(result.person_id, []).append(result.face_id)
            outcomes.append(
                replace(look.outcome, status=result.status, person_id=result.person_id, face_id=result.face_id)
            )
        self._note_refusals(looks)
        outcomes, profiles = self._take_cards(looks, outcomes)
        if grown or profiles:
            # Where profiles were taken from cards, their owners' ids.
            details: dict[str, Any] = {"faces": grown} | ({"profiles": profiles} if profiles else {})
            self._gallery.record("enroll", actor=self._actor, **details)
        return outcomes

    def _keep_media(self, looks: Sequence[_Look]) -> list[_Look]:
        """Put pictures into the storage, where one is set; what it did not take is refused, and not noted as looked at.

        Before they are added: a run that is killed in between leaves a picture without a face, which the next one
        needs, and not a face without its picture, which nobody would miss.
        """
        if self._media is None:
            return list(looks)
        failed = iter(self._media.keep([look.face for look in looks if look.face is not None]))
        kept: list[_Look] = []
        for look in looks:
            error = None if look.face is None else next(failed)
            refused = None if error is None else replace(look.outcome, status="refused", error=error.as_dict())
            kept.append(look if refused is None else _Look(refused))
        return kept

    def _take_cards(self, looks: Sequence[_Look], outcomes: Sequence[Outcome]) -> tuple[list[Outcome], list[str]]:
        """The outcomes, with warnings about cards that cannot be used, and the ids of people whose card was taken."""
        warned, profiles = list(outcomes), []
        for at, (look, outcome) in enumerate(zip(looks, outcomes, strict=True)):
            if look.card is None or outcome.person_id is None or outcome.name is None:
                continue
            taken, warning = self._cards.take(look.card, outcome.name, outcome.person_id)
            if taken:
                profiles.append(outcome.person_id)
            if warning:
                warned[at] = replace(outcome, warnings=(*outcome.warnings, warning))
        return warned, profiles

    def _restate(self, person_id: str | None) -> None:
        """Consent and retention hold for those enrolled before, too, whose photos are skipped."""
        given = {"consent": self._options.consent, "retain_until": self._options.retain_until}
        stated: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
        if stated and person_id is not None and person_id not in self._restated:
            self._gallery.update(person_id, **stated)
            self._restated.add(person_id)

    def _claim(self, look: _Look) -> _Look:
        """Refuse a face that this run enrols as somebody else too."""
        if look.face is None:
            return look
        name = look.face.name.casefold()
        indices = (look.face.face_index,) if look.clip is None else look.clip.own
        holders = {self._claimed.setdefault((look.face.photo_sha256, index), name) for index in indices}
        if holders == {name}:
            return look
        error = FaceOfAnother(
            "this very face is enrolled as another person already",
            hint="the same photo stands under two names, one of which is wrong",
        )
        return _Look(Outcome(look.outcome.path, look.outcome.name, "refused", error=error.as_dict()))

    def _note_refusals(self, looks: Sequence[_Look]) -> None:
        by_name: dict[tuple[str, str], list[PhotoNote]] = {}
        for look in looks:
            refused = look.refusal
            # Whose face it is already, and consent, depend on the gallery, not on the photo: asked anew each time.
            if (
                look.sha256 is None
                or refused is None
                or isinstance(refused, FaceOfAnother | ExtraMissing | ConsentMissing)
            ):
                continue
            note = PhotoNote(look.sha256, refused.code, refused.message)
            by_name.setdefault((look.outcome.name or "", look.tag), []).append(note)
        for (name, tag), notes in by_name.items():
            self._gallery.note_photos(name, notes, settings_tag=tag)


def _storable(path: str) -> str:
    """A path as text that can be stored: bytes of a file's name that are not UTF-8 are spelled out."""
    return path.encode("utf-8", "backslashreplace").decode("utf-8")


def _refused(photo: FoundPhoto, error: LikenessError, sha256: str | None, tag: str) -> _Look:
    clip = dict(error.clip) if isinstance(error, VideoUnusable) and error.clip is not None else None
    outcome = Outcome(photo.path, photo.name, "refused", error=error.as_dict(), clip=clip)
    return _Look(outcome, sha256, refusal=error, tag=tag)


def settings_tag(recognizer: Recognizer, options: EnrolOptions, *, clip: bool = False) -> str:
    """What a refusal depends on besides the photo or clip: the models, and the settings that choose and judge faces."""
    depends = {
        "looking": recognizer.fingerprint,
        "pick": [options.pick, DOMINANT, *([options.least_score] if options.least_score else [])],
        "gate": repr(recognizer.gate) if options.gate else None,
        "pixels": recognizer.settings.max_photo_pixels,
    } | ({"every_s": options.every_s} if clip else {})
    return json.dumps(depends, sort_keys=True)


def encode_crop(crop: Pixels) -> bytes:
    """A crop as JPEG, without colour subsampling: it is what re-embedding reads."""
    data: bytes = simplejpeg.encode_jpeg(crop, quality=CROP_QUALITY, colorspace="RGB", colorsubsampling="444")
    return data
