"""Arguments, photos, faces and requests that cannot be used."""

from __future__ import annotations

from collections.abc import Mapping

from likeness.errors.base import LikenessError


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


class ConsentMissing(InputError):
    """Nobody said why this person's data may be kept, and the settings want that said."""

    code, exit_code = "consent_missing", 3


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


class NothingToLearn(DatasetError):
    """All photos that came are known already."""

    code = "nothing_to_learn"


class RecipeInvalid(InputError):
    """A training recipe, or a change to it, cannot be used."""

    code = "recipe_invalid"
