"""Moving a gallery to another engine: all that it holds, ids and audit trail included, and proof that it has come.

Only the contract of both galleries is used (`Gallery`, `Transferable`). Nobody may write to the source meanwhile: what
changed there would be missing. A run that was killed goes on after the last rows that came.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness.addresses import masked
from likeness.errors import Conflict, GalleryBusy, GalleryCorrupt, SettingsError
from likeness.gallery import open_gallery
from likeness.gallery.base import Finding, Gallery, Hit, StoredFace, ignore_progress
from likeness.gallery.keys import OwnerKey
from likeness.gallery.sealing import Sealable
from likeness.gallery.transfer import FIRST, PARTS, Outline, Part, Rows, Transferable

_PAGE = 500
_PAGES: dict[Part, int] = {"faces": 200}  # each has a picture
_PEOPLE = 5
_OF_THE_COPY = ("file", "record", "vectors", "search", "audit trail")
"""What of a check speaks of what was copied."""
_SAME = 1e-5
"""How far two engines' float32 sums of products of unit vectors may lie apart."""


@dataclass(frozen=True, slots=True)
class Migrated:
    """What has come, and how it was verified.

    Attributes:
        found_there: faces that an earlier run had brought already.
        compared_faces, compared_answers: how many faces were read back whole, and searched for on both.
        seal: of the audit trail as it came.
        findings: what the check of the new gallery saw that is not well but no fault of the copy, such as an index
            that is still to be built.
    """

    people: int
    faces: int
    notes: int
    events: int
    snapshots: int
    found_there: int
    compared_faces: int
    compared_answers: int
    seal: str
    findings: tuple[Finding, ...] = ()


def migrate(
    source_uri: str,
    target_uri: str,
    *,
    actor: str,
    sample: int = 200,
    key: OwnerKey | None = None,
    plain: bool = False,
    progress: Callable[[int, int], None] = ignore_progress,
) -> Migrated:
    """Copy a gallery with all that is its, and compare; `progress` is told (rows there, rows in all).

    With the owner's `key` a source that is encrypted opens, and a target that is new is encrypted; one of an engine
    that leaves this to its server is taken only if it may be `plain`.

    Raises:
        GalleryMissing: there is no source.
        SettingsError: an engine cannot give or take galleries.
        GalleryBusy: an erasure of the source has still to reach some place.
        Conflict: the target has contents of its own, or the source changed meanwhile.
        GalleryCorrupt: the source's audit trail is not whole, or what came is not what was sent.
    """
    with ExitStack() as stack:
        source = stack.enter_context(open_gallery(source_uri, create=False, key=key))
        giver = _transferable(source, source_uri)
        outline = giver.outline()
        _expect_well(source, outline, source_uri)
        target = stack.enter_context(
            open_gallery(target_uri, space=outline.space, dimension=outline.dimension, unfinished=True, key=key)
        )
        _expect_fit(source, target, target_uri, sealed=key is not None and not plain)
        taker = _transferable(target, target_uri)
        there = taker.importing() is None and taker.outline().salt == outline.salt
        if not there:
            taker.begin_import(outline)
        found_there = taker.held("faces").rows
        if there:  # it came in an earlier run, which was stopped on its last steps, or is repeated
            _expect_same_rows(giver, taker, target_uri)
        else:
            _copy(giver, taker, outline, progress)
        compared = _verify(source, target, giver, taker, sample)
        seal = _sealed_alike(source, target)
        taker.end_import()
        counts = {part: taker.held(part).rows for part in PARTS}
        if counts["events"] == giver.held("events").rows:  # not told yet
            engine = source.info().engine
            target.record("migrate", actor=actor, faces=counts["faces"], people=counts["people"], engine=engine)
        findings = _unwell(target, sample)
    return Migrated(
        people=counts["people"],
        faces=counts["faces"],
        notes=counts["notes"],
        events=counts["events"],
        snapshots=counts["snapshots"],
        found_there=found_there,
        compared_faces=compared,
        compared_answers=compared,
        seal=seal,
        findings=findings,
    )


_AGAIN = "nothing was switched; delete the target and migrate again"


def _transferable(gallery: Any, uri: str) -> Transferable:
    if not isinstance(gallery, Transferable):
        raise SettingsError(f"galleries cannot be migrated from or to {uri.partition('://')[0]}://")
    return gallery


def _expect_fit(source: Gallery, target: Gallery, uri: str, *, sealed: bool) -> None:
    """Let a target pass that is another gallery, and of an engine that seals what must stay sealed."""
    if source.extent().uri == target.extent().uri:
        raise Conflict(f"{masked(uri)} is this very gallery already", hint="name another place")
    if sealed and not isinstance(target, Sealable):
        raise Conflict(
            f"a key is set, but galleries at {masked(uri)} are not encrypted with it",
            hint="where the server's disks are encrypted, or nothing need be: --plain",
        )


def _sealed_alike(source: Gallery, target: Gallery) -> str:
    """The seal of the audit trail, from which that of the target goes on."""
    seal = source.check_events().seal
    if not target.check_events(sealed=seal).finding.ok:
        raise GalleryCorrupt("the audit trail that came is not the one that was sent", hint=_AGAIN)
    return seal


def _expect_same_rows(giver: Transferable, taker: Transferable, uri: str) -> None:
    """Let a gallery that came earlier pass if neither has changed since, but for the line that tells of its coming."""
    for part in PARTS:
        sent, came = giver.held(part), taker.held(part)
        if sent != came and not (part == "events" and came.rows == sent.rows + 1):
            raise Conflict(
                f"{masked(uri)} holds this very gallery already, and one of the two has changed since: "
                f"{sent.rows:,} and {came.rows:,} {part}",
                hint="set the setting `gallery` to use it, or delete it and migrate again",
            )


def _unwell(target: Gallery, sample: int) -> tuple[Finding, ...]:
    """What the check of the new gallery, now open to all, does not find well.

    Raises:
        GalleryCorrupt: what came is not whole, or is not found as it was.
    """
    found = tuple(finding for finding in target.check(sample=sample) if not finding.ok)
    faults = [finding for finding in found if finding.name in _OF_THE_COPY]
    if faults:
        words = "; ".join(f"{finding.name}: {finding.message}" for finding in faults)
        raise GalleryCorrupt(f"all has come, but the new gallery is not well: {words}", hint=_AGAIN)
    return found


def _expect_well(source: Gallery, outline: Outline, uri: str) -> None:
    if outline.unfinished:
        raise GalleryBusy(
            f"{masked(uri)} has erasures that have not reached all places yet",
            hint="run `likeness gallery check`, which finishes them, then migrate",
        )
    trail = source.check_events().finding
    if not trail.ok:
        raise GalleryCorrupt(f"the audit trail of {masked(uri)} is not whole: {trail.message}")


def _copy(giver: Transferable, taker: Transferable, outline: Outline, progress: Callable[[int, int], None]) -> None:
    total = sum(giver.held(part).rows for part in PARTS)
    before = 0
    progress(sum(taker.held(part).rows for part in PARTS), total)
    for part in PARTS:
        here = taker.held(part)
        after, done = here.last if here.rows else FIRST[part], here.rows
        while rows := giver.export(part, after=after, limit=_PAGES.get(part, _PAGE)):
            taker.take_in(rows)
            after, done = rows.last(), done + len(rows)
            progress(before + done, total)
        _expect_unchanged(giver, outline)
        before += done
    for part in PARTS:
        sent, came = giver.held(part), taker.held(part)
        if sent != came:
            raise Conflict(
                f"{came.rows:,} of {sent.rows:,} {part} came: the gallery was written to while it was copied",
                hint="end whatever enrols, changes or looks at photos there, then migrate again",
            )


def _expect_unchanged(giver: Transferable, outline: Outline) -> None:
    if giver.outline().token() != outline.token():
        raise Conflict(
            "the gallery was changed while it was copied",
            hint="end whatever enrols or changes people there, then migrate again",
        )


def _verify(source: Gallery, target: Gallery, giver: Transferable, taker: Transferable, sample: int) -> int:
    """Compare people, merges, notes, and a sample of faces with the answers to them; returns how many faces it was."""
    _compare(giver, taker, "people", lambda rows: rows.people)
    _compare(giver, taker, "merged", lambda rows: rows.merged)
    _compare(giver, taker, "notes", lambda rows: rows.notes)
    faces = _sample(giver, sample)
    for face in faces:
        [came] = taker.export("faces", after=face.id - 1, limit=1).faces
        if not _same_face(face, came):
            raise GalleryCorrupt(f"face {face.id} that came is not the one that was sent", hint=_AGAIN)
    if faces:
        probes = np.stack([face.embedding for face in faces])
        exact = source.info().index == "exact"
        for face, wanted, got in zip(
            faces, source.search(probes, _PEOPLE), target.search(probes, _PEOPLE), strict=True
        ):
            if not _same_answer(wanted, got, exact=exact):
                raise GalleryCorrupt(f"a search for face {face.id} finds other people than before", hint=_AGAIN)
    return len(faces)


def _compare(giver: Transferable, taker: Transferable, part: Part, of: Callable[[Rows], Sequence[object]]) -> None:
    after = FIRST[part]
    while rows := giver.export(part, after=after, limit=_PAGE):
        if list(of(taker.export(part, after=after, limit=_PAGE))) != list(of(rows)):
            raise GalleryCorrupt(f"the {part} that came are not those that were sent", hint=_AGAIN)
        after = rows.last()


def _sample(giver: Transferable, count: int) -> list[StoredFace]:
    """About so many faces, spread over all."""
    _, last = giver.held("faces")
    found: dict[int, StoredFace] = {}
    for place in range(count):
        for face in giver.export("faces", after=place * int(last) // count, limit=1).faces:
            found[face.id] = face
    return [found[number] for number in sorted(found)]


def _same_face(sent: StoredFace, came: StoredFace) -> bool:
    fields = [name for name in StoredFace.__dataclass_fields__ if name != "embedding"]
    return np.array_equal(sent.embedding, came.embedding) and all(
        getattr(sent, name) == getattr(came, name) for name in fields
    )


def _same_answer(wanted: Sequence[Hit], got: Sequence[Hit], *, exact: bool) -> bool:
    """Whether both name the same people, equally similar; of equally similar ones the order does not matter.

    A source that searches through an index may have missed somebody: then the new answer may be better.
    """
    if len(wanted) != len(got):
        return False
    if not exact:
        return all(new.similarity >= old.similarity - _SAME for old, new in zip(wanted, got, strict=True))
    near = all(abs(new.similarity - old.similarity) <= _SAME for old, new in zip(wanted, got, strict=True))
    last = wanted[-1].similarity + 2 * _SAME if wanted else 0.0
    named = [{hit.person_id for hit in hits if hit.similarity > last} for hits in (wanted, got)]
    return near and named[0] == named[1]
