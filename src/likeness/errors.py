"""Every error that Likeness raises on purpose: what happened, with which value, and what to do next.

```
LikenessError
├── SettingsError            a setting that cannot be used
├── InputError               an argument, or a photo (below), that cannot be used
│   ├── PhotoError           a file that does not become pixels
│   │   ├── PhotoMissing         there is no such file
│   │   ├── PhotoEmpty           it has no bytes
│   │   ├── PhotoTooLarge        more bytes or pixels than allowed
│   │   ├── PhotoUnsupported     not a kind of picture that is read
│   │   ├── PhotoTruncated       it ends too early
│   │   └── PhotoCorrupt         its contents contradict themselves
│   ├── FaceError            pixels that do not give the face asked for
│   │   ├── NoFace
│   │   ├── SeveralFaces
│   │   └── FaceRejected         below the quality gate
│   ├── VideoUnusable        a file that does not become frames, or of frames none serves
│   ├── NameMissing          nothing says whom a photo shows
│   ├── ProfileInvalid       not a profile card: no object of plain values
│   ├── ImportRefused        what another program saved, in a form or of a model that is not taken over
│   │   └── PickleRefused        a pickle that holds more than plain data, or is damaged
│   ├── ObjectTooLarge           an object of a storage with more bytes than are taken
│   ├── BodyTooLarge             a request with more bytes than the server takes
│   ├── BodyTooSlow              a request whose bytes did not arrive in time
│   ├── RequestInvalid       a request to the server with a field that cannot be used
│   ├── CallbackRefused      an address to be told that the settings do not allow
│   ├── UrlRefused           the address of a photo that the server does not fetch from
│   ├── DatasetError         a folder that is not the data set it is meant to be
│   └── RecipeInvalid        a training recipe with a value that cannot be used
├── NotFound
│   ├── PersonNotFound
│   ├── PictureNotFound
│   ├── GalleryMissing
│   ├── ModelNotFound
│   ├── KeyNotFound              no API key has that id
│   ├── StorageMissing           no such folder, bucket or object where photos are kept
│   ├── JobNotFound              the server knows no such job
│   ├── ArrivalsOff              the server takes no photos for workers
│   └── RemoteNotFound           a server elsewhere has no such file, repository or version
├── Conflict
│   ├── PersonExists
│   ├── FaceOfAnother            the very same face, enrolled under another person
│   ├── SpaceMismatch            vectors of another embedding space
│   ├── RequestDiffers           an idempotency key that was used for another request
│   └── RunDiffers               a training's folder holds one of another recipe or other data
├── CalibrationError
│   └── RateUnsupported          a false-match rate finer than the calibration can promise
├── ModelError
│   ├── BundleCorrupt            a file whose bytes are not the ones in its manifest
│   ├── WeightsMissing           the package that carries the weights is not installed
│   ├── ExportFailed             a network's file would not give the network's numbers
│   ├── StepRefused              a network that learnt more people forgot more than it may
│   ├── LicenceMissing           a bundle does not say under which terms it may be passed on
│   ├── LicenceForbids           a bundle's licence does not allow what the settings say is done
│   └── ExtraMissing             an optional dependency is not installed
├── StorageError
│   ├── GalleryCorrupt
│   ├── GalleryBusy
│   ├── SpoolDamaged             a file between two steps of the pipeline is not whole
│   ├── StorageFull
│   ├── StorageUnreachable       nobody answers where photos are kept, or not in time
│   └── StorageRefused           it does not let us in
├── ServiceError             the server cannot do it now; the same request may succeed later
│   ├── Overloaded               too much is waiting already
│   ├── TookTooLong              it was not done within the time limit
│   ├── TooManyRequests          one key or address asked more than its rate limit allows
│   └── ShuttingDown             the server is about to end
├── AccessError              the server does not let this be done
│   ├── KeyMissing               it wants an API key
│   ├── KeyInvalid               the API key is unknown, expired or revoked
│   ├── ScopeMissing             the API key is not good for this
│   └── OriginRefused            a web page of another site asks, or one under a foreign name
└── RemoteError              a server elsewhere did not give what was asked
    ├── Unreachable              no network, or nobody answers
    ├── AccessRefused            it wants to know who asks, or refuses them
    ├── QueueUnavailable         the queue of arrivals does not answer, or refuses
    ├── RecordsUnavailable       the database of arrivals does not answer, or refuses
    ├── DownloadCorrupt          what came is not what was promised
    └── ApiRefused               a Likeness server did not do what the bot asked of it
```

Each class knows its `code` (stable, snake case), the command's `exit_code`, and the `http_status` of the API.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar


class LikenessError(Exception):
    """Base of all errors raised on purpose.

    `message` says what happened and with which value; `hint`, where there is one, says what to do next.
    """

    code: ClassVar[str] = "error"
    exit_code: ClassVar[int] = 1
    http_status: ClassVar[int] = 500

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.message} ({self.hint})" if self.hint else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process boundaries in worker pools: keep the hint, which Exception's own pickling drops.
        return (_rebuild, (type(self), self.message, self.hint))

    def as_dict(self) -> dict[str, str]:
        """The error as plain data: `code`, `message` and, where there is one, `hint`."""
        data = {"code": self.code, "message": self.message}
        if self.hint:
            data["hint"] = self.hint
        return data


def _rebuild(kind: type[LikenessError], message: str, hint: str | None) -> LikenessError:
    return kind(message, hint=hint)


class SettingsError(LikenessError):
    """A setting has a name or value that cannot be used."""

    code, exit_code, http_status = "settings_invalid", 2, 500


class InputError(LikenessError):
    """A photo or an argument cannot be used. Of arguments exit code 2, as of wrong usage; of photos 3."""

    code, exit_code, http_status = "input_invalid", 2, 422


class PhotoError(InputError):
    """A file does not become pixels."""

    code, exit_code = "photo_unusable", 3


class PhotoMissing(PhotoError):
    """There is no file at that path, or it may not be read."""

    code, exit_code, http_status = "photo_missing", 4, 404


class PhotoEmpty(PhotoError):
    """The file has no bytes."""

    code = "photo_empty"


class PhotoTooLarge(PhotoError):
    """The file has more bytes or more pixels than the settings allow."""

    code, http_status = "photo_too_large", 413


class PhotoUnsupported(PhotoError):
    """The file is not a kind of picture that is read here."""

    code, http_status = "photo_unsupported", 415


class PhotoTruncated(PhotoError):
    """The file ends before its picture does."""

    code = "photo_truncated"


class PhotoCorrupt(PhotoError):
    """The file's contents contradict themselves or its kind."""

    code = "photo_corrupt"


class FaceError(InputError):
    """A photo does not give the face asked for."""

    code, exit_code = "face_unusable", 3


class NoFace(FaceError):
    """No face was found in the photo."""

    code = "no_face"


class SeveralFaces(FaceError):
    """The photo shows several faces where one is needed."""

    code = "several_faces"


class FaceRejected(FaceError):
    """The face is below the quality gate; the message names the reasons."""

    code = "face_rejected"


class VideoUnusable(InputError):
    """A video does not become frames, or none of its frames can be used; `clip` says what is wrong with each."""

    code, exit_code = "video_unusable", 3
    clip: Mapping[str, object] | None = None


class ObjectTooLarge(InputError):
    """An object of a storage has more bytes than are taken."""

    code, exit_code, http_status = "object_too_large", 3, 413


class BodyTooLarge(InputError):
    """The body of a request has more bytes than the server takes."""

    code, http_status = "body_too_large", 413


class BodyTooSlow(InputError):
    """The body of a request did not arrive in time."""

    code, http_status = "body_too_slow", 408


class NameMissing(InputError):
    """Nothing says whom a photo shows."""

    code, exit_code = "name_missing", 3


class ProfileInvalid(InputError):
    """A profile card is not an object of plain values, or not readable as JSON."""

    code = "profile_invalid"


class ImportRefused(InputError):
    """What another program saved cannot be taken over: its form is not known, or its numbers are another model's."""

    code, exit_code = "import_refused", 3


class PickleRefused(ImportRefused):
    """A pickle holds more than plain data, is damaged, or too long; nothing of it was run."""

    code = "pickle_refused"


class RequestInvalid(InputError):
    """A request to the server lacks a field, or has one that cannot be used; `details` says which, for machines."""

    code = "request_invalid"
    details: Mapping[str, object] = {}


class CallbackRefused(InputError):
    """An address that wants to be told of answers is none, or the settings do not allow its host."""

    code = "callback_refused"


class UrlRefused(InputError):
    """The server does not fetch photos from that address."""

    code = "url_refused"


class DatasetError(InputError):
    """A folder or file is not the data set that it is meant to be."""

    code, exit_code = "dataset_invalid", 3


class RecipeInvalid(InputError):
    """A training recipe, or a change to it, cannot be used."""

    code = "recipe_invalid"


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


class CalibrationError(LikenessError):
    """A calibration cannot be fitted, read or used."""

    code, exit_code, http_status = "calibration_invalid", 6, 422


class RateUnsupported(CalibrationError):
    """The false-match rate asked for is finer than the impostor pairs behind the calibration can promise."""

    code, exit_code = "false_match_rate_unsupported", 2


class ModelError(LikenessError):
    """A model bundle cannot be used."""

    code, exit_code, http_status = "model_unusable", 6, 500


class BundleCorrupt(ModelError):
    """A bundle's manifest is malformed, or a file's bytes are not the ones it lists."""

    code = "bundle_corrupt"


class WeightsMissing(ModelError):
    """The package that carries a model's published weights is not installed, or is another version."""

    code = "weights_missing"


class ExportFailed(ModelError):
    """A network cannot be written as a file of another format that gives the same embeddings."""

    code = "export_failed"


class StepRefused(ModelError):
    """A step of continual learning forgot more than its budget allows, and was not published."""

    code = "step_forgets"


class LicenceMissing(ModelError):
    """A bundle does not state the licence of its weights or of its training data, and is not published without."""

    code = "licence_missing"


class LicenceForbids(ModelError):
    """The settings allow commercial use only, and a bundle's licence forbids it or does not say."""

    code, http_status = "licence_forbids", 403


class ExtraMissing(ModelError):
    """An optional dependency that this work needs is not installed."""

    code = "extra_missing"


class StorageError(LikenessError):
    """The place where a gallery or a file is kept failed."""

    code, exit_code, http_status = "storage_failed", 7, 500


class GalleryCorrupt(StorageError):
    """The gallery's file is damaged or is not a gallery."""

    code = "gallery_corrupt"


class GalleryBusy(StorageError):
    """Another process held the gallery for longer than the time limit."""

    code, http_status = "gallery_busy", 503


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


class ServiceError(LikenessError):
    """The server cannot do this now; the same request may succeed later, after `retry_after_s`."""

    code, http_status = "service_unavailable", 503
    retry_after_s: float = 1.0


class Overloaded(ServiceError):
    """Too many requests are waiting already."""

    code = "overloaded"


class TookTooLong(ServiceError):
    """The request was not done within the time limit."""

    code = "took_too_long"


class TooManyRequests(ServiceError):
    """One key or address asked more often than the rate limit allows."""

    code, http_status = "too_many_requests", 429


class ShuttingDown(ServiceError):
    """The server is about to end and takes no more work."""

    code = "shutting_down"


class AccessError(LikenessError):
    """The server does not let this be done."""

    code, http_status = "access_refused", 403


class KeyMissing(AccessError):
    """The server wants an API key."""

    code, http_status = "key_missing", 401


class KeyInvalid(AccessError):
    """The API key is unknown, expired or revoked."""

    code, http_status = "key_invalid", 401


class ScopeMissing(AccessError):
    """The API key is not good for this."""

    code = "scope_missing"


class OriginRefused(AccessError):
    """A web page of another site asks, or the request came under a name that is not this server's."""

    code = "origin_refused"


class RemoteError(LikenessError):
    """A server elsewhere (a hub, a publisher's site) did not give what was asked."""

    code, exit_code, http_status = "remote_failed", 8, 502


class Unreachable(RemoteError):
    """There is no network, or nobody answers at that address."""

    code, http_status = "remote_unreachable", 503


class AccessRefused(RemoteError):
    """The server wants to know who asks, or refuses them."""

    code = "remote_access_refused"


class QueueUnavailable(RemoteError):
    """The queue of arrivals cannot be used now: its server or file does not answer, or refuses."""

    code, http_status = "queue_unavailable", 503


class RecordsUnavailable(RemoteError):
    """The database that holds the records of arrivals does not answer, or refuses."""

    code, http_status = "records_unavailable", 503


class DownloadCorrupt(RemoteError):
    """What was downloaded is not what was promised: other bytes, or an archive that must not be unpacked."""

    code = "download_corrupt"


class ApiRefused(RemoteError):
    """A Likeness server did not do what the bot asked of it; `told` is the code of its own error."""

    code = "api_refused"
    told: str = ""
