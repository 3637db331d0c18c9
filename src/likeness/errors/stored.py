"""What is not there, or contradicts what is stored."""

from __future__ import annotations

from likeness.errors.base import LikenessError


class NotFound(LikenessError):
    """What was named does not exist."""

    code, exit_code, http_status = "not_found", 4, 404


class PersonNotFound(NotFound):
    """No person in the gallery has that id or name."""

    code = "person_not_found"


class PictureNotFound(NotFound):
    """The person has no enrolled picture of that number."""

    code = "picture_not_found"


class GalleryMissing(NotFound):
    """There is no gallery at that place."""

    code = "gallery_missing"


class ModelNotFound(NotFound):
    """No model bundle has that name."""

    code = "model_not_found"


class KeyNotFound(NotFound):
    """No API key has that id."""

    code = "key_not_found"


class ArrivalsOff(NotFound):
    """The server takes no photos for workers, so it has none of their jobs."""

    code = "arrivals_off"


class JobNotFound(NotFound):
    """The server knows no job of that id; it remembers the latest ones until it ends."""

    code = "job_not_found"


class StorageMissing(NotFound):
    """Where photos are kept there is no such folder, bucket or object."""

    code = "storage_missing"


class StorageGone(StorageMissing):
    """The folder or bucket itself, in which photos are kept, is not there: it may be away for a while only."""

    code = "storage_gone"


class RemoteNotFound(NotFound):
    """A server elsewhere has no such file, repository or version."""

    code = "remote_not_found"


class Conflict(LikenessError):
    """What was asked contradicts what is stored."""

    code, exit_code, http_status = "conflict", 5, 409


class PersonExists(Conflict):
    """Another person already has that name."""

    code = "person_exists"


class FaceOfAnother(Conflict):
    """The very same face of the same photo is enrolled under another person."""

    code = "face_of_another"


class SpaceMismatch(Conflict):
    """The vectors belong to another embedding space than the gallery's."""

    code = "embedding_space_mismatch"


class RequestDiffers(Conflict):
    """The idempotency key was used before, for a request that was another one."""

    code = "idempotency_key_reused"


class RunDiffers(Conflict):
    """A training's folder holds a training of another recipe or on other data."""

    code = "run_differs"
