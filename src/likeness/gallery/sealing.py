"""Encryption at rest: what identifies somebody is stored sealed, under a key that is not stored with it.

AES-256 in Galois/counter mode (NIST SP 800-38D), by the package `cryptography`. Each gallery has a data key of its own,
which seals its cells; the owner's key wraps the data key, and the envelope with the wrapped key is stored in the
gallery. So an owner's key is replaced by wrapping 32 bytes anew, and a copy of the gallery opens with the key alone.

A cell is nonce (12 random bytes) ‖ ciphertext ‖ tag (16 bytes). What it belongs to (gallery, kind, row, owner) goes
into the tag as associated data: a cell that is put into another place, another row or another gallery does not open.
Nothing here knows an engine.
"""

from __future__ import annotations

import os
import secrets
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

from likeness.errors import ExtraMissing, GalleryKeyMissing, GalleryKeyWrong, SealBroken
from likeness.gallery.base import ignore_progress
from likeness.gallery.keys import OwnerKey

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

OVERHEAD = 28
"""By how many bytes a sealed cell is longer than what it holds."""

CIPHER = "AES-256-GCM"
_NONCE = 12
_CHUNK = 16 * 2**20
_MAGIC = b"LKSEALED"


def _cipher(key: bytes) -> AESGCM:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise ExtraMissing(
            "a sealed gallery needs the package cryptography", hint="pip install 'likeness[encryption]'"
        ) from error
    return AESGCM(key)


@dataclass(frozen=True, slots=True)
class Envelope:
    """What a sealed gallery stores about its sealing; of use to nobody without the owner's key.

    Attributes:
        gallery: random id of this sealing, hex; part of every cell's associated data.
        owner: fingerprint of the owner's key that wraps the data key.
        wrapped: the data key, sealed with the owner's key, hex.
    """

    gallery: str
    owner: str
    wrapped: str = field(repr=False)
    cipher: str = CIPHER

    def as_dict(self) -> dict[str, str]:
        """For storing as JSON."""
        return asdict(self)

    def rewrapped(self, key: OwnerKey, new: OwnerKey) -> Envelope:
        """The same data key, wrapped by another owner's key.

        Raises:
            GalleryKeyWrong: `key` is not the one that wraps it now.
        """
        return _wrap(self.gallery, _unwrap(self, key), new)


class Sealer:
    """Seals and opens the cells of one gallery. Thread-safe."""

    def __init__(self, gallery: str, data_key: bytes) -> None:
        self._gallery = bytes.fromhex(gallery)
        self._cipher = _cipher(data_key)

    def seal(self, place: str, data: bytes) -> bytes:
        """`data`, to be stored at a place: kind, row and owner in words, unique in the gallery."""
        nonce = os.urandom(_NONCE)
        return nonce + self._cipher.encrypt(nonce, data, self._gallery + place.encode())

    def open(self, place: str, cell: Any) -> bytes:
        """What a cell at a place holds.

        Raises:
            SealBroken: it is no cell of this gallery, not of this place, or was changed.
        """
        from cryptography.exceptions import InvalidTag

        try:
            if not isinstance(cell, bytes) or len(cell) < OVERHEAD:
                raise InvalidTag
            return self._cipher.decrypt(cell[:_NONCE], cell[_NONCE:], self._gallery + place.encode())
        except InvalidTag as error:
            raise SealBroken(
                f"the sealed {place} does not open: its bytes were changed, or belong elsewhere",
                hint="restore a snapshot of the gallery",
            ) from error

    def seal_file(self, place: str, data: memoryview) -> Iterator[bytes]:
        """A large file, sealed in parts that cannot be left out, swapped or joined with others."""
        parts = max(1, -(-len(data) // _CHUNK))
        yield _MAGIC + parts.to_bytes(4, "little")
        for part in range(parts):
            cell = self.seal(f"{place}, part {part + 1} of {parts}", bytes(data[part * _CHUNK : (part + 1) * _CHUNK]))
            yield len(cell).to_bytes(4, "little") + cell

    def open_file(self, place: str, sealed: memoryview) -> bytes:
        """What `seal_file` sealed.

        Raises:
            SealBroken: it was changed, or is no sealed file of this gallery's.
        """
        at = len(_MAGIC) + 4
        if bytes(sealed[: len(_MAGIC)]) != _MAGIC:
            raise SealBroken(f"{place} is not sealed, though the gallery is", hint="make it anew")
        parts = int.from_bytes(sealed[len(_MAGIC) : at], "little")
        found: list[bytes] = []
        for part in range(parts):
            size = int.from_bytes(sealed[at : at + 4], "little")
            found.append(self.open(f"{place}, part {part + 1} of {parts}", bytes(sealed[at + 4 : at + 4 + size])))
            at += 4 + size
        if at != len(sealed) or not found:
            raise SealBroken(f"{place} does not end where it should", hint="make it anew")
        return b"".join(found)


@dataclass(slots=True)
class Changed:
    """What was given its new form.

    Attributes:
        rows: how many rows of the gallery.
        snapshots: paths of the snapshots that were changed too.
        not_found: paths where a snapshot was made and is none now: one that was moved is as it was.
    """

    rows: int = 0
    snapshots: list[str] = field(default_factory=list)
    not_found: list[str] = field(default_factory=list)


@runtime_checkable
class Sealable(Protocol):
    """What an engine offers beside `Gallery` whose galleries can be encrypted; opened with the owner's key."""

    def encrypt(self, *, progress: Callable[[int, int], None] = ignore_progress) -> Changed:
        """Seal what is plain, under the key that the gallery was opened with; goes on with a run that was killed.

        Raises:
            Conflict: no key was given, or the gallery is being re-embedded or decrypted.
            StorageError: a snapshot cannot be changed; the message names it.
        """
        ...

    def decrypt(self, *, progress: Callable[[int, int], None] = ignore_progress) -> Changed:
        """Open what is sealed for good; goes on with a run that was killed.

        Raises:
            Conflict: the gallery is being re-embedded or encrypted.
            StorageError: a snapshot cannot be changed; the message names it.
        """
        ...

    def rotate_key(
        self, new: OwnerKey, *, data_key: bool = False, progress: Callable[[int, int], None] = ignore_progress
    ) -> Changed:
        """Let another owner's key open the gallery; with `data_key` all is sealed anew under a new data key.

        Raises:
            Conflict: the gallery is not encrypted, or is being changed in another way.
            StorageError: a snapshot cannot be changed; the message names it.
        """
        ...


def new_envelope(key: OwnerKey) -> tuple[Envelope, Sealer]:
    """A fresh data key, wrapped by the owner's."""
    gallery, data_key = secrets.token_hex(16), secrets.token_bytes(32)
    return _wrap(gallery, data_key, key), Sealer(gallery, data_key)


def open_envelope(envelope: Envelope, key: OwnerKey | None, *, of: str) -> Sealer:
    """The sealer of the gallery `of` (as it is to be called in errors).

    Raises:
        GalleryKeyMissing: there is no key.
        GalleryKeyWrong: it is another one than the gallery was sealed with, or the envelope was changed.
    """
    if key is None:
        raise GalleryKeyMissing(
            f"{of} is encrypted, and no key is set",
            hint="name the key's file in the setting gallery_key_file, or give the key as LIKENESS_GALLERY_KEY",
        )
    return Sealer(envelope.gallery, _unwrap(envelope, key, of=of))


def _wrap(gallery: str, data_key: bytes, key: OwnerKey) -> Envelope:
    wrapped = Sealer(gallery, key.secret).seal("data key", data_key)
    return Envelope(gallery, key.fingerprint, wrapped.hex())


def _unwrap(envelope: Envelope, key: OwnerKey, *, of: str = "the gallery") -> bytes:
    hint = "set the key that it was encrypted with; `likeness gallery info` with that key shows its fingerprint"
    if envelope.cipher != CIPHER:
        raise GalleryKeyWrong(f"{of} is encrypted with {envelope.cipher!r}, not known here", hint="upgrade Likeness")
    if envelope.owner != key.fingerprint:
        raise GalleryKeyWrong(
            f"{of} is encrypted with the key {envelope.owner}, the key that is set is {key.fingerprint}", hint=hint
        )
    try:
        return Sealer(envelope.gallery, key.secret).open("data key", bytes.fromhex(envelope.wrapped))
    except (SealBroken, ValueError) as error:
        raise GalleryKeyWrong(f"the key does not open {of}: what is stored of it was changed", hint=hint) from error
