"""The bytes of a photo's file, and every way in which there are none.

Sizes are looked at before anything is read, and what is not a plain file (a pipe, a device) is never opened,
so a queue's worker cannot be made to wait or to fill its memory by what somebody put into a folder.
"""

from __future__ import annotations

import os
import stat

from likeness.errors import PhotoEmpty, PhotoError, PhotoMissing, PhotoTooLarge, PhotoUnsupported

_SPECIAL = (
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


def read_photo_bytes(source: bytes | bytearray | memoryview | str | os.PathLike[str], *, max_bytes: int) -> bytes:
    """The bytes of a photo that is given as bytes or as a path.

    Raises:
        PhotoMissing: there is no such file, it is a folder, or it may not be read.
        PhotoUnsupported: it is a pipe, a socket or a device.
        PhotoEmpty: it has no bytes.
        PhotoTooLarge: it has more than `max_bytes`.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data = bytes(source)
        _check_size(len(data), max_bytes, "the photo")
        return data
    path = os.fspath(source)
    name = repr(path)
    try:
        _check_plain(os.stat(path).st_mode, name)  # noqa: PTH116 - a path of any str type, once
        # Not blocking: somebody may have put a pipe there since the look above.
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
        with os.fdopen(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            _check_plain(facts.st_mode, name)
            _check_size(facts.st_size, max_bytes, name)
            data = file.read(max_bytes + 1)
    except OSError as error:
        raise _missing(name, error) from error
    except ValueError as error:
        raise PhotoMissing(f"{name} cannot be a file's name") from error
    _check_size(len(data), max_bytes, name)
    return data


def _check_plain(mode: int, name: str) -> None:
    if stat.S_ISDIR(mode):
        raise PhotoMissing(f"{name} is a folder, not a photo", hint="name a file in it")
    for is_kind, words in _SPECIAL:
        if is_kind(mode):
            raise PhotoUnsupported(f"{name} is {words}, not a file", hint="save the photo to a file first")


def _check_size(size_bytes: int, max_bytes: int, name: str) -> None:
    if size_bytes == 0:
        raise PhotoEmpty(f"{name} has no bytes")
    if size_bytes > max_bytes:
        raise PhotoTooLarge(
            f"{name} has {size_bytes} bytes, more than max_bytes {max_bytes}",
            hint="raise max_bytes, or save the photo smaller",
        )


def _missing(name: str, error: OSError) -> PhotoError:
    if isinstance(error, FileNotFoundError):
        return PhotoMissing(f"there is no file {name}")
    if isinstance(error, PermissionError):
        return PhotoMissing(f"{name} may not be read", hint="check the permissions of the file and its folder")
    return PhotoMissing(f"{name} cannot be read: {error.strerror or type(error).__name__}")
