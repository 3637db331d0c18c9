"""People of a dump of CompreFace's database (PostgreSQL, `pg_dump` in its plain format): subjects and their images.

The tables are those of CompreFace 0.6 to 1.2: `subject` (id, api_key, subject_name), `embedding` (id, subject_id,
embedding, calculator, img_id), `img` (id, content), and `model`, which names the service behind an api_key. The dump is
read once for who is in it; the images stay in the file and are read one by one. Its embeddings are of CompreFace's own
networks and are not taken.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from likeness.errors import ImportRefused, InputError, PhotoCorrupt, PhotoError, PhotoTooLarge
from likeness.service.compreface import no_picture
from likeness.service.photos import FoundPhoto

_COPY = re.compile(rb'COPY (?:"?\w+"?\.)?"?(subject|embedding|img|model)"? \(([^)]*)\) FROM stdin;\r?\n')
_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{1,2}|[0-7]{1,3}|.)", re.DOTALL)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}
_LONGEST_LINE = 1 << 20
"""Bytes of a line of any table but `img`."""
_LONGEST_IMAGE = 1 << 30
"""Bytes of a line of `img`, which has two for each byte of the image."""
_SPARE = 256

Row = dict[str, bytes | None]


@dataclass(frozen=True, slots=True)
class DumpedFace:
    """One row of `embedding`: its id, whose it is, which network made it, and its image's id, if there is one."""

    id: str
    subject_id: str
    calculator: str
    image_id: str | None


@dataclass
class Dump:
    """Who is in a dump, and where in the file each image stands (offset and length of its line)."""

    path: Path
    subjects: dict[str, tuple[str, str]] = field(default_factory=dict)
    faces: list[DumpedFace] = field(default_factory=list)
    images: dict[str, tuple[int, int]] = field(default_factory=dict)
    services: dict[str, str] = field(default_factory=dict)
    tables: set[str] = field(default_factory=set)
    image_columns: tuple[str, ...] = ()

    def of_service(self, service: str | None) -> list[DumpedFace]:
        """The faces of one recognition service, by its name (or key); of the only one, if none is named.

        Raises:
            InputError: there are several and none was named, or none has that name.
        """
        keys = Counter(self.subjects[face.subject_id][0] for face in self.faces if face.subject_id in self.subjects)
        if service is None and len(keys) < 2:
            return self.faces
        wanted = {key for key in keys if service in (key, self.services.get(key))}
        if not wanted:
            names = ", ".join(f"{self.services.get(key, 'unnamed')} ({count} faces)" for key, count in keys.items())
            what = f"no service {service!r} with faces" if service else "faces of several services"
            raise InputError(f"{str(self.path)!r} has {what}: {names}", hint="say which one with --service NAME")
        return [face for face in self.faces if self.subjects.get(face.subject_id, ("", ""))[0] in wanted]

    def photos(self, faces: list[DumpedFace], *, most_bytes: int) -> Iterator[FoundPhoto]:
        """The images, each read when its turn comes; a face without one comes with its error."""
        with self.path.open("rb") as file:
            for face in faces:
                name = self.subjects.get(face.subject_id, ("", ""))[1] or None
                place = f"compreface:{face.image_id or face.id}"
                try:
                    yield FoundPhoto(place, name, data=self._image(file, face, most_bytes))
                except PhotoError as error:
                    yield FoundPhoto(place, name, error)

    def _image(self, file: IO[bytes], face: DumpedFace, most_bytes: int) -> bytes:
        place = self.images.get(face.image_id or "")
        if place is None:
            raise no_picture(f"the face {face.id}", face.calculator)
        offset, length = place
        if length > 2 * most_bytes + _SPARE:
            raise PhotoTooLarge(f"the image {face.image_id} has more than max_photo_bytes {most_bytes}")
        file.seek(offset)
        content = _row(file.read(length), self.image_columns).get("content") or b""
        if not content.startswith(b"\\x"):
            raise PhotoCorrupt(f"the image {face.image_id} is not written as PostgreSQL writes bytes")
        try:
            return bytes.fromhex(content[2:].decode("ascii"))
        except ValueError:
            raise PhotoCorrupt(f"the image {face.image_id} is not written as PostgreSQL writes bytes") from None


def read_dump(path: Path) -> Dump:
    """Who is in a dump.

    Raises:
        ImportRefused: it cannot be read, is packed, ends too early, or is no dump of CompreFace's database.
    """
    dump = Dump(path)
    try:
        with path.open("rb") as file:
            _expect_plain(file, path)
            while line := file.readline(_LONGEST_LINE):
                if found := _COPY.fullmatch(line):
                    columns = tuple(
                        name.strip().strip('"') for name in found[2].decode("utf-8", "backslashreplace").split(",")
                    )
                    _read_table(dump, file, found[1].decode(), columns)
    except OSError as error:
        raise ImportRefused(f"{str(path)!r} cannot be read: {error.strerror}") from error
    if missing := {"subject", "embedding"} - dump.tables:
        raise ImportRefused(
            f"{str(path)!r} has no table {' nor '.join(sorted(missing))} as CompreFace keeps them",
            hint="dump its whole database: pg_dump compreface > dump.sql (plain format, with COPY)",
        )
    return dump


def _read_table(dump: Dump, file: IO[bytes], table: str, columns: tuple[str, ...]) -> None:
    dump.tables.add(table)
    if table == "img":
        dump.image_columns = columns
    while True:
        offset = file.tell()
        line = file.readline(_LONGEST_IMAGE if table == "img" else _LONGEST_LINE)
        if len(line) == (_LONGEST_IMAGE if table == "img" else _LONGEST_LINE):
            raise ImportRefused(f"{str(dump.path)!r} has a line in its table {table} that is too long")
        if not line.endswith(b"\n"):
            raise ImportRefused(f"{str(dump.path)!r} ends within its table {table}", hint="make the dump again")
        if line.rstrip(b"\r\n") == b"\\.":
            return
        if table == "img":
            dump.images[_text(_row(line, columns, only="id"), "id")] = offset, len(line)
            continue
        row = _row(line, columns)
        if table == "subject":
            dump.subjects[_text(row, "id")] = _text(row, "api_key"), _text(row, "subject_name")
        elif table == "embedding":
            image_id = _text(row, "img_id") or None
            dump.faces.append(
                DumpedFace(_text(row, "id"), _text(row, "subject_id"), _text(row, "calculator"), image_id)
            )
        else:
            dump.services[_text(row, "api_key")] = _text(row, "name")


def _row(line: bytes, columns: tuple[str, ...], *, only: str = "") -> Row:
    """A line of COPY's text format; None for what is null."""
    values = line.rstrip(b"\r\n").split(b"\t")
    if len(values) != len(columns):
        return {}
    wanted = [(name, value) for name, value in zip(columns, values, strict=True) if not only or name == only]
    return {name: None if value == b"\\N" else _ESCAPE.sub(_plain, value) for name, value in wanted}


def _plain(found: re.Match[bytes]) -> bytes:
    what = found[1]
    if what[:1] == b"x" and len(what) > 1:
        return bytes([int(what[1:], 16)])
    return bytes([int(what, 8) & 255]) if what[:1] in b"01234567" else _LETTERS.get(what, what)


def _text(row: Row, column: str) -> str:
    return (row.get(column) or b"").decode("utf-8", "replace")


def _expect_plain(file: IO[bytes], path: Path) -> None:
    start = file.read(5)
    file.seek(0)
    if start == b"PGDMP":
        raise ImportRefused(
            f"{str(path)!r} is a dump in PostgreSQL's own format", hint=f"make it plain: pg_restore -f plain.sql {path}"
        )
    if start[:2] == b"\x1f\x8b":
        raise ImportRefused(f"{str(path)!r} is packed", hint="unpack it with gunzip first")
