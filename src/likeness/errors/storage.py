"""Places where galleries and files are kept, and fail."""

from __future__ import annotations

from likeness.errors.base import LikenessError


class StorageError(LikenessError):
    """The place where a gallery or a file is kept failed."""

    code, exit_code, http_status = "storage_failed", 7, 500


class GalleryCorrupt(StorageError):
    """The gallery's file is damaged or is not a gallery."""

    code = "gallery_corrupt"


class GalleryBusy(StorageError):
    """Another process held the gallery for longer than the time limit."""

    code, http_status = "gallery_busy", 503


class GalleryUnreachable(StorageError):
    """The server that keeps the gallery does not answer, or not in time; the same may succeed later."""

    code, http_status = "gallery_unreachable", 503


class GalleryKeyMissing(StorageError):
    """The gallery is encrypted, and no key is set."""

    code = "gallery_key_missing"


class GalleryKeyWrong(StorageError):
    """The gallery is encrypted with another key than the one that is set."""

    code = "gallery_key_wrong"


class SealBroken(StorageError):
    """What is stored encrypted was changed, or belongs elsewhere: it does not open."""

    code = "seal_broken"


class SpoolDamaged(StorageError):
    """A file that lies between two steps of the pipeline is not whole."""

    code = "spool_damaged"


class StorageFull(StorageError):
    """No space is left on the device."""

    code, http_status = "storage_full", 507


class StorageUnreachable(StorageError):
    """Where photos are kept nobody answers, or not in time; the same may succeed later."""

    code, http_status = "storage_unreachable", 503


class StorageRefused(StorageError):
    """Where photos are kept we are not let in, or may not do this."""

    code = "storage_refused"
