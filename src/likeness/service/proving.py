"""Erasing a person with proof: what identified them is looked for in every file of the gallery afterwards."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from likeness.errors import PersonNotFound
from likeness.gallery.base import Gallery, StoredFace
from likeness.gallery.identity import name_key
from likeness.gallery.proof import Provable
from likeness.gallery.scanning import Scan, pieces, scan
from likeness.service.roster import Forgotten, Roster
from likeness.types import Person

OF_FILES = (
    "Files of this gallery and of its snapshots that are where they were made. Not looked at: copies that were moved "
    "or made by hand, backups, and what the disk itself may keep of blocks that files gave back; messages that still "
    "wait in a queue. The records of arrivals and the storage were asked, not read byte by byte."
)
OF_ANSWERS = (
    "What the server, the records of arrivals and the storage answer, and snapshots on this machine. Not looked at: "
    "the server's own files, logs, replicas and backups, which may hold deleted rows until they are written over "
    "(PostgreSQL: VACUUM; Elasticsearch: a merge); messages that still wait in a queue."
)


@dataclass(frozen=True, slots=True)
class Proof:
    """What was looked for after an erasure, where, and what was found.

    Attributes:
        method: `files` where the bytes of all files were looked through, `answers` where a server was asked.
        files_scanned, bytes_scanned: what was read.
        patterns: how many pieces of what identified the person were looked for, and questions asked.
        found: how many were there; 0 is the proof.
        shared: of those that were there, how many are also somebody else's who stays (such as one half of a name, or
            the same photo); these are not counted as found.
        files_found_in: where.
        covers: what the proof is about, and what not.
        audit_seal: of the audit trail with this proof's line in it; `likeness audit verify --sealed` takes it.
    """

    forgotten: Forgotten
    at: datetime
    method: Literal["files", "answers"]
    files_scanned: int
    bytes_scanned: int
    patterns: int
    found: int
    shared: int
    files_found_in: tuple[str, ...]
    covers: str
    audit_seal: str

    @property
    def proved(self) -> bool:
        """Whether nothing was found."""
        return not self.found

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data = asdict(self)
        data.pop("forgotten")
        return self.forgotten.as_dict() | {"proof": data | {"at": self.at.isoformat(), "proved": self.proved}}


def forget_with_proof(people: Roster, name_or_id: str) -> Proof:
    """Erase a person, then look for them in all files of the gallery; the audit trail tells how that came out.

    What identified them is kept in memory only, and told to the process that reads the files through a pipe.

    Raises:
        PersonNotFound: nobody has that id or name.
        StorageError: something of theirs is left, or a file could not be looked through.
        RecordsUnavailable, RemoteError: the records of arrivals or the storage cannot be asked.
    """
    gallery = people.gallery
    person = gallery.person(name_or_id)
    faces = list(gallery.faces(person.id))
    stored = gallery.traces(person.id) if isinstance(gallery, Provable) else []
    wanted = sorted({piece for value in (*stored, *_plain(person, faces)) for piece in pieces(value)})
    forgotten = people.forget(person.id)
    snapshots = [Path(path) for path in forgotten.snapshots_purged]
    files = gallery.places() if isinstance(gallery, Provable) else snapshots
    scanned = scan(files, wanted)
    there = [wanted[number] for number in scanned.found]
    shared = _shared(gallery, there)
    left = [piece for piece in there if piece not in shared]
    where = tuple(path for path in map(str, files) if left and scan([Path(path)], left).found)
    asked, answered = (0, 0) if isinstance(gallery, Provable) else _asked(gallery, person, faces)
    asked, answered = asked + 2, answered + _elsewhere(people, person)
    found = len(left) + answered
    people.note(
        "forget-proof",
        person_id=person.id,
        files=len(scanned.files),
        bytes=scanned.bytes,
        patterns=len(wanted) + asked,
        found=found,
        shared=len(shared),
    )
    return _proof(gallery, forgotten, scanned, (len(wanted) + asked, found, len(shared)), where)


def _proof(
    gallery: Gallery, forgotten: Forgotten, scanned: Scan, counts: tuple[int, int, int], where: tuple[str, ...]
) -> Proof:
    by_files = isinstance(gallery, Provable)
    patterns, found, shared = counts
    return Proof(
        forgotten=forgotten,
        at=datetime.now(UTC),
        method="files" if by_files else "answers",
        files_scanned=len(scanned.files),
        bytes_scanned=scanned.bytes,
        patterns=patterns,
        found=found,
        shared=shared,
        files_found_in=where,
        covers=OF_FILES if by_files else OF_ANSWERS,
        audit_seal=gallery.check_events().seal,
    )


def _plain(person: Person, faces: Iterable[StoredFace]) -> Iterator[bytes]:
    """What identifies somebody, in the form that it would have where nothing is sealed."""
    name, key = person.name.encode(), name_key(person.name).encode()
    yield from (name, key, name + key)  # stored side by side: a short name alone is found anywhere
    for face in faces:
        yield face.embedding.tobytes()
        yield face.crop_jpeg
        yield face.photo_sha256.encode()
        yield face.source.encode()


def _shared(gallery: Gallery, there: list[bytes]) -> set[bytes]:
    """Those of the pieces that are somebody's who is still in the gallery."""
    if not there:
        return set()
    shared: set[bytes] = set()
    after: Person | None = None
    while page := gallery.people(after=after, limit=500):
        for other in page:
            held = [*_plain(other, ()), json.dumps(other.profile, ensure_ascii=False).encode()]
            shared |= {piece for piece in there if any(piece in value for value in held)}
        after = page[-1]
    for face in gallery.faces():
        held = [face.embedding.tobytes(), face.crop_jpeg, face.photo_sha256.encode(), face.source.encode()]
        shared |= {piece for piece in there if any(piece in value for value in held)}
    return shared


def _asked(gallery: Gallery, person: Person, faces: list[StoredFace]) -> tuple[int, int]:
    """How many questions were asked about somebody of a server, and how many it could answer."""
    known = 0
    for name_or_id in (person.id, person.name):
        try:
            gallery.person(name_or_id)
            known += 1
        except PersonNotFound:
            continue
    known += sum(next(gallery.faces(face_id=face.id), None) is not None for face in faces)
    photos = sorted({face.photo_sha256 for face in faces})
    known += sum(any(f.person_id == person.id for f in gallery.faces(photo_sha256=photo)) for photo in photos)
    return 2 + len(faces) + len(photos), known


def _elsewhere(people: Roster, person: Person) -> int:
    """How much the records of arrivals and the storage still have of somebody."""
    pictures = 0 if people.media is None else people.media.left(person.name)
    return people.elsewhere.left(person) + pictures
