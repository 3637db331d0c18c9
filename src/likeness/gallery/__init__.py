"""Vectors in, candidates out: galleries behind one contract, chosen by URI."""

from __future__ import annotations

import re
from inspect import signature
from pathlib import Path

from likeness import plugins
from likeness.addresses import masked
from likeness.errors import SettingsError
from likeness.gallery.base import Gallery
from likeness.gallery.keys import OwnerKey
from likeness.gallery.transfer import Transferable, still_coming

__all__ = ["Gallery", "open_gallery"]

_ALMOST = re.compile(r"[a-z][a-z0-9+.-]+:/")
"""A server's address that lacks a slash: taken for a path, its password would become a folder's name."""


def open_gallery(
    uri: str | Path,
    *,
    space: str | None = None,
    dimension: int | None = None,
    create: bool = True,
    unfinished: bool = False,
    key: OwnerKey | None = None,
) -> Gallery:
    """Open the gallery at `uri`: a path for the embedded one, `scheme://…` for a server's.

    `space` and `dimension` state the embeddings that the caller will bring: a new gallery takes them on, an
    existing one refuses others. Without them an existing gallery opens for reading and managing people.
    One into which another gallery's contents have not all come yet opens only with `unfinished`. With the owner's
    `key` (`likeness.gallery.keys`) an encrypted gallery opens, and a new one is encrypted.

    Raises:
        GalleryMissing: it does not exist, and `create` is false or the space was not stated.
        SpaceMismatch: it holds vectors of another embedding space.
        GalleryKeyMissing, GalleryKeyWrong: it is encrypted, with a key that was not given.
        GalleryBusy: the contents of another gallery are still coming into it.
    """
    scheme, separator, _ = str(uri).partition("://")
    name = scheme if separator else "file"
    known = plugins.targets("gallery")
    if name not in known or (not separator and _ALMOST.match(str(uri))):
        shown = f"{scheme}://" if separator else f"{str(uri).partition(':')[0]}:/"
        servers = ", ".join(f"{each}://" for each in sorted(known) if each != "file")
        raise SettingsError(
            f"no gallery engine for {shown}", hint=f"a path is a gallery in a file; a server's: {servers}"
        )
    factory = plugins.load("gallery", name)
    more = {"key": key} if key is not None and "key" in signature(factory).parameters else {}
    gallery: Gallery = factory(uri, space=space, dimension=dimension, create=create, **more)
    if not unfinished and isinstance(gallery, Transferable) and gallery.importing() is not None:
        gallery.close()
        raise still_coming(masked(str(uri)))
    return gallery
