"""Where photos are kept: folders and buckets behind one contract, chosen by URI."""

from __future__ import annotations

from os import PathLike

from likeness import plugins
from likeness.errors import SettingsError
from likeness.storage.base import Storage, StoredObject

__all__ = ["Storage", "StoredObject", "locate", "open_storage"]


def open_storage(uri: str | PathLike[str]) -> Storage:
    """Open the storage at `uri`: a folder's path, `file:///…`, or `s3://bucket/prefix`.

    Nothing is asked of it yet: a folder or bucket that is missing, or refuses, says so when it is used.

    Raises:
        SettingsError: it is no URI of a storage.
        ExtraMissing: the library that speaks to it is not installed.
    """
    storage: Storage = _factory(str(uri))(str(uri))
    return storage


def locate(uri: str) -> tuple[str, str]:
    """The storage that holds one object, and the object's key there: what `Storage.uri_of` gave, taken apart.

    All objects of a bucket are found in one storage, those of a folder in that folder.

    Raises:
        SettingsError: it is no URI of an object.
    """
    base, key = _factory(uri).split(uri)
    return str(base), str(key)


def _factory(uri: str) -> type[Storage]:
    scheme, separator, _ = uri.partition("://")
    name = scheme.lower() if separator else "file"
    if name not in plugins.targets("storage"):
        known = ", ".join(f"{each}://" for each in sorted(plugins.targets("storage")))
        raise SettingsError(f"no storage for {scheme[:40]}://", hint=f"a folder's path, or one of {known}")
    kind: type[Storage] = plugins.load("storage", name)
    return kind
