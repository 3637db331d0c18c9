"""Everything that is held about one person, for them to read and take along: JSON, pictures, trail."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from likeness.errors import Conflict, NotFound, StorageError, StorageFull
from likeness.gallery.base import Gallery
from likeness.service.strips import apart
from likeness.types import Person

_README = """This folder holds everything that the gallery keeps about one person.

person.json   who, since when, profile, consent and retention, and for each picture: the file it came from (as its
              owner named it), the sha256 of that file, where on it the face was found (box and landmarks, in
              pixels), the quality, and the embedding: the numbers that faces are compared by; last, the notes on
              photos and files looked at under this name, such as why one was refused
pictures/     the enrolled pictures, named by their number in person.json
trail.json    what was done with this person's data, when, and by whom
"""


def export_person(gallery: Gallery, person: Person, target: Path) -> Path:
    """Write a new folder, or an archive where `target` ends in `.zip`; only its owner may read it.

    Raises:
        Conflict: there is something at the target.
        NotFound: there is no folder for it.
        StorageError: it cannot be written.
    """
    if target.exists():
        raise Conflict(f"there is something at {str(target)!r} already", hint="name a new folder or .zip file")
    if not target.parent.is_dir():
        raise NotFound(f"there is no folder {str(target.parent)!r}", hint="make it first, or name another place")
    try:
        aside = Path(tempfile.mkdtemp(prefix=".export.", dir=target.parent))  # mkdtemp: for its owner only
        try:
            folder = aside / target.stem
            _fill(folder, gallery, person)
            if target.suffix.lower() == ".zip":
                packed = aside / "packed.zip"
                _pack(folder, packed)
                packed.rename(target)
            else:
                folder.rename(target)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
    except OSError as error:
        kind = StorageFull if error.errno == 28 else StorageError
        raise kind(f"{str(target)!r} cannot be written: {error.strerror}") from error
    return target


def _fill(folder: Path, gallery: Gallery, person: Person) -> None:
    pictures = folder / "pictures"
    pictures.mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    faces: list[dict[str, Any]] = []
    for face in gallery.faces(person.id):
        name = f"{face.id}.jpg"
        if face.crop_jpeg:  # what was imported as numbers has none
            first, *others = apart(face.crop_jpeg)
            (pictures / name).write_bytes(first)
            for number, other in enumerate(others, start=2):  # of a video
                (pictures / f"{face.id}-{number}.jpg").write_bytes(other)
        faces.append(
            {
                "id": face.id,
                "picture": f"pictures/{name}" if face.crop_jpeg else None,
                "source": face.source,
                "photo_sha256": face.photo_sha256,
                "face_index": face.face_index,
                "box_xyxy_px": list(face.box_xyxy_px),
                "landmarks_px": list(face.landmarks_px),
                "quality": face.quality,
                "created_at": face.created_at.isoformat(),
                "embedding": [float(value) for value in face.embedding],
            }
        )
    notes = [{"outcome": note.outcome, "detail": note.detail} for note in gallery.notes_on(person.id)]
    held = {"space": gallery.info().space, "pictures": faces, "notes": notes}
    _write(folder / "person.json", person.as_dict() | held)
    _write(folder / "trail.json", list(_trail(gallery, person.id)))
    (folder / "README.txt").write_text(_README, "utf-8")


def _trail(gallery: Gallery, person_id: str) -> Iterator[dict[str, Any]]:
    """The lines of the audit trail that are about the person, others' ids left out."""
    after = 0
    while events := gallery.events(after=after):
        for event in events:
            if event.person_id == person_id or _mentions(event.details, person_id):
                yield {"at": event.at.isoformat(), "actor": event.actor, "action": event.action}
        after = events[-1].id


def _mentions(value: object, person_id: str) -> bool:
    if isinstance(value, dict):
        return person_id in value or any(_mentions(item, person_id) for item in value.values())
    if isinstance(value, list):
        return any(_mentions(item, person_id) for item in value)
    return value == person_id


def _write(path: Path, data: object) -> None:
    path.write_text(json.dumps(data, indent=2, ensure_ascii=False) + "\n", "utf-8")


def _pack(folder: Path, target: Path) -> None:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                archive.write(path, path.relative_to(folder.parent))
