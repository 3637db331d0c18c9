"""What a gallery is, in one document, so that all of it changes at once."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any

from likeness.errors import GalleryCorrupt, GalleryMissing, StorageError

FORMAT = 1
"""Of what the indexes hold; a later one is not opened by this version."""


@dataclass(frozen=True, slots=True)
class Head:
    """What a gallery is, in one document: so all of it changes at once.

    Attributes:
        maker: digest of the network that made the vectors, where it is known.
        generation: grows when the vectors are replaced.
        index: the index of faces in use; `made` is the number of the last one that was made.
        salt: the key of the hashes, in hex.
        change: number of the last change that was begun.
        committed: number of the last change that counts; what later ones have written is passed over.
        last_face: the highest number that a face ever had.
        faces: how many there are.
        reembedding: towards which aim, in which index, up to which face; None where nobody does it.
        importing: token of the gallery whose contents are coming in.
        came: for each part of these contents the key up to which all rows are here, whatever was sent after it.
        writer: who changes it now: `token`, `at` (ISO time), and `left` where they gave up half-way.
        write: another random text with every writing of it.
        state: `making` until all indexes are there, `deleting` from when it counts as gone until they are.
        token: stands in each index that is this gallery's, and tells them from those of an earlier one.
    """

    space: str
    dimension: int
    index: str
    salt: str = field(repr=False)
    maker: str = ""
    generation: int = 1
    made: int = 1
    change: int = 0
    committed: int = 0
    last_face: int = 0
    faces: int = 0
    reembedding: dict[str, Any] | None = None
    importing: str | None = None
    came: dict[str, Any] = field(default_factory=dict)
    writer: dict[str, Any] | None = None
    write: str = ""
    state: str = "whole"
    token: str = ""
    format: int = FORMAT

    @property
    def key(self) -> bytes:
        """The salt as the hashes take it."""
        return bytes.fromhex(self.salt)

    @property
    def indexes(self) -> list[str]:
        """Where faces are: the index in use, and the one that re-embedding fills."""
        return [self.index, *([self.reembedding["index"]] if self.reembedding else [])]


def as_head(body: dict[str, Any], shown: str, *, half: bool = False) -> Head:
    """A document as the head of a gallery; with `half` also of one that is not all there yet, or any more.

    Raises:
        GalleryMissing: it is being made or deleted.
        StorageError: a later version wrote it.
        GalleryCorrupt: it is none.
    """
    if int(body.get("format", 0)) > FORMAT:
        raise StorageError(f"the gallery at {shown} was made by a later version", hint="upgrade Likeness")
    try:
        head = Head(**body)
    except TypeError as error:
        raise GalleryCorrupt(f"what stands at {shown} is no gallery") from error
    if head.state != "whole" and not half:
        raise GalleryMissing(
            f"the gallery at {shown} is being {'made' if head.state == 'making' else 'deleted'}",
            hint="whoever opens it finishes that",
        )
    return head


def as_body(head: Head) -> dict[str, Any]:
    """A head as it is written."""
    return asdict(head)
