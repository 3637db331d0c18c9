"""The contract of a storage: objects under keys, below one folder or prefix that no key leads out of.

A key is a path with forward slashes, relative to the storage. A write is whole or does not happen: who reads meanwhile
gets the old bytes or the new ones, never a part.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Self

from likeness.errors import InputError, StorageMissing

MOST_KEY_BYTES = 1024
"""As S3 allows; folders allow less for each part of a path."""


@dataclass(frozen=True, slots=True)
class StoredObject:
    """What a storage tells about an object without reading it.

    Attributes:
        changed_at: when its bytes were last written, in UTC.
        etag: another text after any change of the bytes; means nothing else.
    """

    key: str
    size_bytes: int
    changed_at: datetime
    etag: str


class Storage(ABC):
    """Objects below one place. Thread-safe.

    Every method but those that only turn keys and URIs into each other raises `StorageUnreachable` where nobody
    answers, `StorageRefused` where the storage does not let us in, and `InputError` for a key that cannot be one.
    """

    whole_at_once: ClassVar[bool] = True
    """Whether an object shows itself only when all its bytes are there; a folder's file is seen while it grows."""
    uri: str
    """The storage's own, without what is secret; `open_storage` opens it again."""

    @abstractmethod
    def __init__(self, uri: str) -> None: ...

    @classmethod
    @abstractmethod
    def split(cls, uri: str) -> tuple[str, str]:
        """See `likeness.storage.locate`."""

    @abstractmethod
    def list(self, prefix: str = "", *, after: str = "") -> Iterator[StoredObject]:
        """The objects whose keys begin with `prefix` and come behind `after`, by key (as UTF-8), a page at a time.

        Raises:
            StorageMissing: there is no such folder or bucket.
        """

    @abstractmethod
    def info(self, key: str) -> StoredObject:
        """What is known of an object.

        Raises:
            StorageMissing: there is none.
        """

    @abstractmethod
    def read(self, key: str, *, most_bytes: int | None = None) -> bytes:
        """An object's bytes.

        Raises:
            StorageMissing: there is none.
            ObjectTooLarge: it has more than `most_bytes`; they are not fetched.
        """

    @abstractmethod
    def write(self, key: str, data: bytes) -> None:
        """Put an object there, in place of one that is; durable on return.

        Raises:
            StorageMissing: there is no such bucket. A folder is made.
            StorageFull: no space is left.
        """

    @abstractmethod
    def delete(self, key: str) -> None:
        """Let an object be gone; one that is not there is.

        Raises:
            StorageMissing: there is no such folder or bucket, or it is not where it was.
        """

    @abstractmethod
    def uri_of(self, key: str) -> str:
        """The URI of an object: the storage's own and the key, percent-encoded."""

    def exists(self, key: str) -> bool:
        """Whether there is an object of that key."""
        try:
            self.info(key)
        except StorageMissing:
            return False
        return True

    def close(self) -> None:
        """Let go of connections."""
        return

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def expect_key(key: str, *, what: str = "key") -> str:
    """Let a key pass that stays below its storage.

    Raises:
        InputError: it is empty, absolute, too long, or has a part `.` or `..` or a zero character.
    """
    parts = key.split("/")
    if not key or parts[0] == "" or parts[-1] == "" or "\0" in key or {".", ".."} & set(parts):
        raise InputError(
            f"{key[:200]!r} is no {what} of an object in a storage", hint="give a path below it, without `.` and `..`"
        )
    if len(key.encode("utf-8", "surrogateescape")) > MOST_KEY_BYTES:
        raise InputError(f"a {what} of {len(key)} letters is too long", hint=f"at most {MOST_KEY_BYTES} bytes of UTF-8")
    return key
