"""The folder of uploads: what may be read of it, and how much it may hold."""

from __future__ import annotations

from pathlib import Path

from gradio.utils import get_upload_folder

from likeness.errors import Overloaded

MOST_BYTES = 4 << 30
"""All uploads together, which lie there for some minutes each: more would let one visitor fill the disk."""
COME_AGAIN_S = 60.0


def read_upload(path: str) -> bytes:
    """The bytes of an upload: the path comes from the browser, which may write what it likes.

    Raises:
        OSError, ValueError: it lies elsewhere, or is no file.
    """
    found = Path(path).resolve(strict=True)
    if not found.is_relative_to(Path(get_upload_folder()).resolve()):
        raise PermissionError("not an upload")
    return found.read_bytes()


def expect_room(*, most_bytes: int = MOST_BYTES) -> None:
    """Refuse more where there is much already.

    Raises:
        Overloaded: until older uploads are gone.
    """
    held = 0
    for path in Path(get_upload_folder()).rglob("*"):
        try:
            held += path.lstat().st_size
        except FileNotFoundError:
            continue  # gone meanwhile
    if held > most_bytes:
        error = Overloaded("too many uploads are here at the moment", hint="they are kept for some minutes each")
        error.retry_after_s = COME_AGAIN_S
        raise error
