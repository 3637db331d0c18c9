"""People of a running CompreFace server: its subjects and their pictures, through its own REST API.

What is asked: `GET /api/v1/recognition/faces` page by page, `…/subjects`, and each `…/faces/{id}/img`, with the key of
the recognition service in the header `x-api-key`. CompreFace's embeddings are of its own networks and are not taken:
the pictures are enrolled as any photo is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from likeness.errors import AccessRefused, ImportRefused, PhotoMissing, RemoteError, RemoteNotFound, Unreachable
from likeness.service.photos import FoundPhoto
from likeness.web import Site

PAGE = 100
MOST_PAGES = 100_000
_ROOT = "/api/v1/recognition"
_ID = re.compile(r"[0-9A-Za-z_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Held:
    """A face that CompreFace holds: the id of its image (None: of a subject without faces), and the subject."""

    image_id: str | None
    subject: str


class CompreFaceServer:
    """A server, asked with the key of one recognition service."""

    def __init__(self, url: str, key: str, *, most_bytes: int, timeout_s: float = 60.0) -> None:
        base = url.rstrip("/").removesuffix("/api/v1")
        self._site = Site("CompreFace", base, {"x-api-key": key}, timeout_s=timeout_s, most_bytes=most_bytes)

    def holds(self) -> list[Held]:
        """All faces, in the server's order, then the subjects that have none.

        Raises:
            Unreachable, AccessRefused, RemoteError: the server did not tell.
            ImportRefused: it is no CompreFace server.
        """
        found: dict[str, Held] = {}
        for page in range(MOST_PAGES):
            answer = self._plain(f"{_ROOT}/faces", {"page": str(page), "size": str(PAGE)})
            faces = answer.get("faces")
            if not isinstance(faces, list):
                raise _stranger()
            for face in faces:
                held = _held(face)
                found.setdefault(held.image_id or "", held)
            if not faces or page + 1 >= _count(answer.get("total_pages")):
                break
        subjects = self._plain(f"{_ROOT}/subjects").get("subjects") or []
        having = {held.subject for held in found.values()}
        without = [Held(None, name) for name in subjects if isinstance(name, str) and name not in having]
        return [*found.values(), *without]

    def photos(self, holds: list[Held]) -> Iterator[FoundPhoto]:
        """The pictures, each fetched when its turn comes; one that the server does not give comes with its error.

        Raises:
            Unreachable, AccessRefused: the server has gone, or takes the key no longer.
        """
        for held in holds:
            place = f"compreface:{held.image_id or held.subject}"
            try:
                yield FoundPhoto(place, held.subject, data=self._picture(held))
            except PhotoMissing as error:
                yield FoundPhoto(place, held.subject, error)

    def _picture(self, held: Held) -> bytes:
        if held.image_id is None:
            raise PhotoMissing(f"CompreFace has no face of {held.subject!r}")
        try:
            data = self._site.bytes_at(f"{_ROOT}/faces/{quote(held.image_id, safe='')}/img")
        except RemoteNotFound:
            data = b""
        except (Unreachable, AccessRefused):
            raise
        except RemoteError as error:
            raise PhotoMissing(f"CompreFace did not give the picture {held.image_id}: {error.message}") from error
        if not data:
            raise no_picture(f"the face {held.image_id}", "")
        return data

    def _plain(self, path: str, query: dict[str, str] | None = None) -> dict[str, Any]:
        try:
            answer = self._site.json_at(path, query)
        except RemoteNotFound as error:
            raise _stranger() from error
        if not isinstance(answer, dict):
            raise _stranger()
        return answer


def no_picture(what: str, calculator: str) -> PhotoMissing:
    """The error for a face of which CompreFace kept the numbers alone."""
    maker = repr(calculator) if calculator else "another model"
    return PhotoMissing(
        f"CompreFace keeps no picture of {what}; its numbers were made by {maker} and cannot be compared with ours",
        hint="enrol this person from photos; CompreFace was set not to save images (save_images_to_db=false)",
    )


def _held(face: Any) -> Held:
    subject, image_id = (face.get("subject"), face.get("image_id")) if isinstance(face, dict) else (None, None)
    if not isinstance(subject, str) or not isinstance(image_id, str) or not _ID.fullmatch(image_id):
        raise _stranger()
    return Held(image_id, subject)


def _count(value: Any) -> int:
    if not isinstance(value, int):
        raise _stranger()
    return value


def _stranger() -> ImportRefused:
    return ImportRefused(
        "what answers there does not speak CompreFace's REST API",
        hint="give the address of its web page, such as http://localhost:8000, and a recognition service's key",
    )
