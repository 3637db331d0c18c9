"""The owner's key of encrypted galleries: read from a file or the environment, made, and told by its fingerprint."""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
import stat
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from likeness.errors import Conflict, SettingsError, StorageError

if TYPE_CHECKING:
    from likeness.settings import Settings

_BYTES = 32
_MOST_BYTES = 4096
_FORM = "a key is 32 bytes in base64 (44 characters) or hex (64); `likeness gallery new-key FILE` makes one"


@dataclass(frozen=True, slots=True)
class OwnerKey:
    """32 random bytes that open a gallery's data key; `origin` says where they were read."""

    secret: bytes = field(repr=False)
    origin: str = ""

    def __post_init__(self) -> None:
        if len(self.secret) != _BYTES:
            raise SettingsError(f"the gallery's key from {self.origin} has {len(self.secret)} bytes", hint=_FORM)

    @property
    def fingerprint(self) -> str:
        """Tells keys apart and says nothing else about them: 16 hex digits."""
        return hashlib.sha256(b"likeness gallery key\0" + self.secret).hexdigest()[:16]


def parse_key(text: str, origin: str) -> OwnerKey:
    """A key from base64 or hex.

    Raises:
        SettingsError: it is no key.
    """
    given = "".join(text.split())
    try:
        secret = bytes.fromhex(given) if len(given) == 2 * _BYTES else base64.b64decode(given, validate=True)
    except (ValueError, binascii.Error):
        raise SettingsError(f"the gallery's key from {origin} is neither base64 nor hex", hint=_FORM) from None
    return OwnerKey(secret, origin)


def read_key(path: Path) -> OwnerKey:
    """The key in a file that nobody but its owner (and its group, where another user owns it) may read.

    Secrets that Kubernetes mounts belong to root and are readable to the pod's group: those are taken.

    Raises:
        SettingsError: it cannot be read, others may read it, or it holds no key.
    """
    path = path.expanduser()
    try:
        with path.open("rb") as file:
            status = os.fstat(file.fileno())
            data = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"the gallery's key file {path} cannot be read: {error.strerror}", hint=_FORM) from None
    foreign = hasattr(os, "getuid") and status.st_uid != os.getuid()
    open_to = stat.S_IRWXO if foreign else stat.S_IRWXO | stat.S_IRWXG
    if os.name == "posix" and status.st_mode & open_to:
        raise SettingsError(
            f"the gallery's key file {path} may be read or changed by others ({stat.S_IMODE(status.st_mode):04o})",
            hint=f"chmod 600 {path}",
        )
    if len(data) > _MOST_BYTES:
        raise SettingsError(f"the gallery's key file {path} has over {_MOST_BYTES} bytes", hint=_FORM)
    return parse_key(data.decode("ascii", "replace"), str(path))


def make_key(path: Path) -> OwnerKey:
    """Write a new key into a new file that is its owner's alone.

    Raises:
        Conflict: there is a file already: what was encrypted with a key is lost without it.
        StorageError: it cannot be written.
    """
    path = path.expanduser()
    key = OwnerKey(secrets.token_bytes(_BYTES), str(path))
    try:
        handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as file:
            file.write(base64.b64encode(key.secret) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    except FileExistsError:
        hint = "name a new file: what was encrypted with a key is lost without it"
        raise Conflict(f"there is a file at {path} already", hint=hint) from None
    except OSError as error:
        raise StorageError(f"the key file {path} cannot be written: {error.strerror}") from error
    return key


def key_of(settings: Settings) -> OwnerKey | None:
    """The owner's key that the settings state; None where they state none.

    Raises:
        SettingsError: they state two, or it cannot be used.
    """
    stated = settings.gallery_key.get_secret_value()
    if stated and settings.gallery_key_file:
        raise SettingsError(
            "gallery_key and gallery_key_file are both set",
            hint="set one, so that it is clear which key is used",
        )
    if settings.gallery_key_file:
        return read_key(Path(settings.gallery_key_file))
    return parse_key(stated, settings.origin("gallery_key")) if stated else None
