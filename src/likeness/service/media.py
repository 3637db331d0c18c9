"""Enrolled pictures, kept in a storage as well: a folder for each person, named after them, a PNG for each picture.

A picture's key follows from the person's name and from what the gallery knows of the face, so that nothing about it has
to be remembered: `anna_lee/0b7c….png`. It shows what the gallery holds, the aligned face (of a video several): nobody
else who was on the photo, and nothing that was written into the photo's file. It can be made anew from the gallery at
any time.

One storage is one gallery's: what no face of it accounts for is taken to be left over.
"""

from __future__ import annotations

import hashlib
import io
import re
import threading
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from PIL import Image

from likeness.errors import LikenessError, StorageError, StorageMissing
from likeness.gallery.base import Gallery, NewFace, StoredFace
from likeness.gallery.identity import name_key
from likeness.service.strips import apart
from likeness.storage import Storage, StoredObject, open_storage
from likeness.vision.decode import decode_photo

AT_ONCE = 8
"""Pictures written or deleted at the same time: servers answer after a while, however small the picture."""
YOUNG = timedelta(minutes=15)
"""A picture is written before its face is added: one as young as this may have its face yet to come."""
MEND = "`likeness gallery media --mend` finishes it once the storage answers"
_SLUG_BYTES = 100
_OURS = re.compile(r"[^/]+/[0-9a-f]{32}\.png")


def folder_of(name: str) -> str:
    """The folder of a person's pictures: `Anna Lee` → `anna_lee`, the same for all spellings that are one person.

    Letters and digits of any script stay. Where anything else was in the name, or it is long, a digest of it follows a
    dot: two people never share a folder.
    """
    plain = name_key(name)
    letters = ["_" if letter == " " else letter if _is_plain(letter) else "-" for letter in plain]
    slug = re.sub("-+", "-", "".join(letters)).strip("-_")
    slug = slug.encode()[:_SLUG_BYTES].decode("utf-8", "ignore")
    if slug and slug.replace("_", " ") == plain:
        return slug
    return f"{slug or 'person'}.{hashlib.blake2b(plain.encode(), digest_size=12).hexdigest()}"


def pictures_of(name: str, face: NewFace | StoredFace) -> list[tuple[str, bytes]]:
    """Where the pictures of a face of somebody called `name` are kept, and what the gallery holds of each (JPEG).

    It is one for a face from a photo, several for one from a video, none for a face that came without.
    """
    place = f"{face.photo_sha256}:{face.face_index}"
    crops = apart(face.crop_jpeg) if face.crop_jpeg else []
    return [(_key(name, place if number == 0 else f"{place}:{number}"), crop) for number, crop in enumerate(crops)]


def png_of(crop_jpeg: bytes) -> bytes:
    """An enrolled crop as PNG."""
    target = io.BytesIO()
    Image.fromarray(decode_photo(crop_jpeg).pixels).save(target, "PNG")
    return target.getvalue()


@dataclass(slots=True)
class Compared:
    """What differs between a gallery and the pictures kept of it.

    Attributes:
        kept: pictures that are where they should be.
        missing: keys of pictures that are not there.
        left_over: keys of pictures that no face accounts for.
    """

    kept: int = 0
    missing: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)


class Media:
    """The pictures of one gallery in one storage. Thread-safe."""

    def __init__(self, uri: str) -> None:
        self._uri, self._lock = uri, threading.Lock()
        self._opened: Storage | None = None

    def keep(self, faces: Sequence[NewFace]) -> list[LikenessError | None]:
        """Write the pictures of faces that are about to be added; for each face what went wrong, or None.

        Nothing that fails here is remembered: the same photos may be enrolled again.

        Raises:
            SettingsError, ExtraMissing: the storage cannot be opened.
        """

        def put(face: NewFace) -> LikenessError | None:
            try:
                self._put(face.name, face)
            except LikenessError as error:
                return error
            return None

        _ = self._storage  # one that cannot be opened is told once, not for each face
        with ThreadPoolExecutor(AT_ONCE) as threads:
            return list(threads.map(put, faces))

    def move(self, old_name: str, new_name: str, faces: Sequence[StoredFace]) -> None:
        """Let the pictures of faces follow to another name, which the gallery knows already.

        Raises:
            StorageError: not all did; nothing is lost, and the hint says what finishes it.
        """
        if folder_of(old_name) == folder_of(new_name):
            return
        try:
            with ThreadPoolExecutor(AT_ONCE) as threads:
                list(threads.map(lambda face: self._put(new_name, face), faces))
            self._erase_all(old_name, faces)
        except LikenessError as error:
            raise StorageError(
                f"the gallery is changed, but not all pictures in the storage followed: {error.message}", hint=MEND
            ) from error

    def erase(self, name: str, faces: Sequence[StoredFace], *, all_of_theirs: bool) -> StorageError | None:
        """Erase the pictures of faces; with `all_of_theirs` also what a killed run left in the person's folder.

        What goes wrong is given back, not raised: a storage that is away does not keep the gallery from erasing.
        """
        try:
            if all_of_theirs:
                self._erase_all(name, faces)
            else:
                self._delete(_keys(name, faces))
        except StorageMissing as error:
            if not any(face.crop_jpeg for face in faces):
                return None  # nothing was kept
            return StorageError(
                f"erased from the gallery, but the storage of their pictures is not there: {error.message}",
                hint=f"if it is only away, {MEND}; if nothing was ever kept in it, all is erased",
            )
        except LikenessError as error:
            return StorageError(
                f"erased from the gallery, but not all pictures from the storage: {error.message}", hint=MEND
            )
        return None

    def left(self, name: str) -> int:
        """How many pictures lie in the folder of a name; 0 where there is no storage any more.

        Raises:
            StorageError, RemoteError: it cannot be asked.
        """
        try:
            return sum(1 for _ in self._listed(f"{folder_of(name)}/"))
        except StorageMissing:
            return 0

    def compare(self, gallery: Gallery) -> Compared:
        """What of a gallery's pictures is not there, and what is there that should not be."""
        wanted = {key for key, _ in _pictures(gallery)}
        compared, young = Compared(), datetime.now(UTC) - YOUNG
        try:
            for each in self._listed(""):
                if each.key in wanted:
                    wanted.discard(each.key)
                    compared.kept += 1
                elif each.changed_at < young:
                    compared.left_over.append(each.key)
        except StorageMissing:
            if compared.kept:
                raise
        compared.missing = sorted(wanted)
        return compared

    def mend(self, gallery: Gallery, compared: Compared) -> None:
        """Write what is missing and delete what is left over, as far as that is still so."""
        missing = set(compared.missing)
        for key, crop in _pictures(gallery):
            if key in missing:
                self._storage.write(key, png_of(crop))
        if compared.left_over:
            wanted = {key for key, _ in _pictures(gallery)}
            self._delete([key for key in compared.left_over if key not in wanted])

    def close(self) -> None:
        """Let go of connections."""
        with self._lock:
            opened, self._opened = self._opened, None
        if opened is not None:
            opened.close()

    @property
    def _storage(self) -> Storage:
        """Opened on first use: few of those who ask a gallery enrol or erase."""
        with self._lock:
            if self._opened is None:
                self._opened = open_storage(self._uri)
            return self._opened

    def _put(self, name: str, face: NewFace | StoredFace) -> None:
        for key, crop in pictures_of(name, face):
            self._storage.write(key, png_of(crop))

    def _erase_all(self, name: str, faces: Sequence[StoredFace]) -> None:
        self._delete(_keys(name, faces) | {each.key for each in self._listed(f"{folder_of(name)}/")})

    def _delete(self, keys: Iterable[str]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as threads:
            list(threads.map(self._storage.delete, keys))

    def _listed(self, prefix: str) -> Iterator[StoredObject]:
        """The pictures that are ours, by the look of their keys: other files in the same place are not touched."""
        return (each for each in self._storage.list(prefix) if _OURS.fullmatch(each.key))


def open_media(uri: str) -> Media | None:
    """The pictures kept at a storage's URI (the setting `storage`); None where it is empty."""
    return Media(uri) if uri else None


def _pictures(gallery: Gallery) -> Iterator[tuple[str, bytes]]:
    """Each picture of a gallery, with the key that it is kept under."""
    names: dict[str, str] = {}
    for face in gallery.faces():
        if face.person_id not in names:
            names[face.person_id] = gallery.person(face.person_id).name
        yield from pictures_of(names[face.person_id], face)


def _keys(name: str, faces: Iterable[StoredFace]) -> set[str]:
    return {key for face in faces for key, _ in pictures_of(name, face)}


def _key(name: str, place: str) -> str:
    return f"{folder_of(name)}/{hashlib.blake2b(place.encode(), digest_size=16).hexdigest()}.png"


def _is_plain(letter: str) -> bool:
    return letter == "-" or letter.isalnum() or unicodedata.category(letter).startswith("M")
