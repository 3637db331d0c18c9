"""A folder as a storage. Links in it are not followed, so that nobody who may write there can point out of it."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from likeness.errors import (
    InputError,
    LikenessError,
    ObjectTooLarge,
    SettingsError,
    StorageError,
    StorageFull,
    StorageGone,
    StorageMissing,
    StorageRefused,
)
from likeness.storage.base import Storage, StoredObject, expect_key

_PART = re.compile(r"\.[0-9a-f]{16}-[0-9a-f]{8}\.part")
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
_TRIES = 5
"""A folder may be emptied and removed by one process while another one writes the next object into it."""


class FolderStorage(Storage):
    """Objects as files; what is made is its owner's alone, as a gallery is."""

    whole_at_once = False

    def __init__(self, uri: str) -> None:
        self.root = _path_of(uri).resolve()
        self.uri = "file://" + quote(os.fsencode(self.root))

    @classmethod
    def split(cls, uri: str) -> tuple[str, str]:
        """See `likeness.storage.locate`."""
        path = _path_of(uri)
        if path.name in ("", ".."):
            raise SettingsError("a folder is no object of a storage", hint="name a file in it")
        return "file://" + quote(os.fsencode(path.parent.resolve())), path.name

    def uri_of(self, key: str) -> str:
        """See `Storage.uri_of`."""
        root = self.uri if self.uri.endswith("/") else f"{self.uri}/"
        return root + quote(os.fsencode(self._key(key)))

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[StoredObject]:
        """See `Storage.list`; links, and what is no file, are passed over."""
        folder, _, _ = prefix.rpartition("/")
        try:
            with self._folder(folder.split("/") if folder else []):
                pass
        except StorageGone:
            raise
        except StorageMissing:
            return
        yield from self._below(f"{folder}/" if folder else "", prefix, os.fsencode(after))

    def _below(self, folder: str, prefix: str, after: bytes) -> Iterator[StoredObject]:
        """Objects of one folder (its key with a slash, or empty) and those below; a folder is read when it is due."""
        try:
            with self._folder(folder.rstrip("/").split("/") if folder else []) as place:
                found = [(name, _stat(name, place)) for name in _names(place) if not _PART.fullmatch(name)]
        except StorageGone:
            raise  # half a list would look like a whole one
        except StorageMissing:
            return  # removed since it was listed
        # A folder's objects come where its name with a slash does, a file where its name alone does.
        rows = [(f"{folder}{name}{_slash(facts)}", facts) for name, facts in found if facts is not None]
        for key, facts in sorted(rows, key=lambda row: os.fsencode(row[0])):
            if stat.S_ISDIR(facts.st_mode):
                behind = os.fsencode(key) > after or after.startswith(os.fsencode(key))
                if behind and (key.startswith(prefix) or prefix.startswith(key)):
                    yield from self._below(key, prefix, after)
            elif stat.S_ISREG(facts.st_mode) and key.startswith(prefix) and os.fsencode(key) > after:
                yield _described(key, facts)

    def info(self, key: str) -> StoredObject:
        """See `Storage.info`."""
        with self._place(key) as (place, name):
            return _described(key, self._file(key, name, place))

    def read(self, key: str, *, most_bytes: int | None = None) -> bytes:
        """See `Storage.read`."""
        with self._place(key) as (place, name):
            handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=place)
            with open(handle, "rb") as file:
                facts = os.fstat(handle)
                if not stat.S_ISREG(facts.st_mode):
                    raise _missing(key)
                data = file.read(-1 if most_bytes is None else most_bytes + 1)
        if most_bytes is not None and len(data) > most_bytes:
            raise ObjectTooLarge(f"{key!r} has more than {most_bytes:,} bytes ({facts.st_size:,})")
        return data

    def write(self, key: str, data: bytes) -> None:
        """See `Storage.write`: into a file beside it, which then takes its name."""
        self._key(key)
        for attempt in range(_TRIES):
            try:
                with self._place(key, make=True) as (place, name):
                    self._put(place, name, data)
                return
            except StorageMissing:
                if attempt == _TRIES - 1:
                    raise

    def delete(self, key: str) -> None:
        """See `Storage.delete`; folders that hold nothing any more go too, as a bucket has none."""
        try:
            with self._place(key) as (place, name):
                left = f".{_digest(name)}-"  # of writers that were killed
                for each in (name, *(other for other in _names(place) if other.startswith(left))):
                    with suppress(FileNotFoundError):
                        os.unlink(each, dir_fd=place)
                os.fsync(place)
        except StorageGone:
            raise  # it may be away, with the object in it
        except StorageMissing:
            return
        folders = key.split("/")[:-1]
        while folders:
            try:
                with self._folder(folders[:-1]) as place:
                    os.rmdir(folders[-1], dir_fd=place)
            except LikenessError:
                return  # in use, or gone
            folders.pop()

    def _put(self, place: int, name: str, data: bytes) -> None:
        part = f".{_digest(name)}-{secrets.token_hex(4)}.part"
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        handle = os.open(part, flags, 0o600, dir_fd=place)
        try:
            with open(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(handle)
            os.replace(part, name, src_dir_fd=place, dst_dir_fd=place)
        except BaseException:
            with suppress(FileNotFoundError):
                os.unlink(part, dir_fd=place)
            raise
        os.fsync(place)

    def _file(self, key: str, name: str, place: int) -> os.stat_result:
        facts = _stat(name, place)
        if facts is None or not stat.S_ISREG(facts.st_mode):
            raise _missing(key)
        return facts

    def _key(self, key: str) -> str:
        if "//" in key:
            raise InputError(f"{key[:200]!r} is no key of a file: two slashes follow each other")
        return expect_key(key)

    @contextmanager
    def _place(self, key: str, *, make: bool = False) -> Iterator[tuple[int, str]]:
        """The folder of a key, open, and the file's name in it."""
        *folders, name = self._key(key).split("/")
        with self._folder(folders, make=make, about=key) as place:
            try:
                yield place, name
            except OSError as error:
                raise _translated(error, key) from error

    @contextmanager
    def _folder(self, folders: Sequence[str], *, make: bool = False, about: str = "") -> Iterator[int]:
        """A folder below the root, open; no link is followed on the way."""
        key = about or "/".join(folders)
        try:
            if make:
                self.root.mkdir(0o700, parents=True, exist_ok=True)
            place = os.open(self.root, _DIRECTORY)
        except OSError as error:
            if error.errno in _ABSENT:
                raise StorageGone(
                    f"there is no folder {str(self.root)!r}", hint="is the disk that it is on mounted?"
                ) from error
            raise _translated(error, str(self.root)) from error
        try:
            for folder in folders:
                try:
                    if make:
                        with suppress(FileExistsError):
                            os.mkdir(folder, 0o700, dir_fd=place)
                            os.fsync(place)  # what is put into it is not durable unless it is
                    deeper = os.open(folder, _DIRECTORY | os.O_NOFOLLOW, dir_fd=place)
                except OSError as error:
                    raise _translated(error, key) from error
                os.close(place)
                place = deeper
            try:
                yield place
            except OSError as error:
                raise _translated(error, key) from error
        finally:
            os.close(place)


def _path_of(uri: str) -> Path:
    if "://" not in uri:
        if not uri:
            raise SettingsError("the path of a storage is empty", hint="`.` is the folder you are in")
        return Path(uri).expanduser()
    parts = urlsplit(uri)
    path = unquote(parts.path, errors="surrogateescape")
    if parts.netloc not in ("", "localhost") or not path.startswith("/") or "\0" in path or parts.query:
        raise SettingsError("a folder's URI is file:/// and its path", hint="percent-encode `?`, `#` and `%` in it")
    return Path(path)


def _digest(name: str) -> str:
    return hashlib.blake2b(os.fsencode(name), digest_size=8).hexdigest()


def _names(place: int) -> Sequence[str]:
    with os.scandir(place) as entries:
        return [entry.name for entry in entries]


def _slash(facts: os.stat_result) -> str:
    return "/" if stat.S_ISDIR(facts.st_mode) else ""


def _stat(name: str, place: int) -> os.stat_result | None:
    try:
        return os.stat(name, dir_fd=place, follow_symlinks=False)
    except FileNotFoundError:
        return None


def _described(key: str, facts: os.stat_result) -> StoredObject:
    changed_at = datetime.fromtimestamp(facts.st_mtime, UTC)
    return StoredObject(key, facts.st_size, changed_at, f"{facts.st_mtime_ns:x}-{facts.st_size:x}-{facts.st_ino:x}")


def _missing(key: str) -> StorageMissing:
    return StorageMissing(f"there is no file {key!r} in the storage", hint="links are not followed")


def _translated(error: OSError, key: str) -> LikenessError:
    """The error of an operation on a key, in our words."""
    if error.errno in _ABSENT:
        return _missing(key)
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return StorageRefused(f"{key!r} may not be used: {error.strerror}", hint="check the folder's permissions")
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"no space is left for {key!r}", hint="free some, and do it again")
    if error.errno == errno.ENAMETOOLONG:
        return InputError(f"{key[:80]!r}… is too long for a file's name")
    return StorageError(f"{key!r}: {error.strerror or type(error).__name__}")
