"""What a file's structure tells without decoding it: whether it is whole, how many pictures it holds.

Decoders report damage in many words; whether the file is cut off is better read from its structure. Counting
here rather than in Pillow also bounds the time that a file made of a million empty frames can take.
"""

from __future__ import annotations

import struct
import zlib
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from likeness.errors import PhotoCorrupt
from likeness.vision import jpeg

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX_FRAMES: Final = 10_000
"""Frames are counted up to here."""

_CHECKED_CHUNKS: Final = (b"IHDR", b"PLTE", b"IDAT", b"tRNS")
_TIFF_BYTES = {1: 1, 2: 1, 3: 2, 4: 4, 5: 8, 6: 1, 7: 1, 8: 2, 9: 4, 10: 8, 11: 4, 12: 8, 13: 4, 16: 8, 17: 8, 18: 8}
"""Bytes of a value, by its type."""


def is_cut_off(data: bytes, kind: str) -> bool:
    """Whether the file ends earlier than its own structure says."""
    if kind == "jpeg":
        return not jpeg.reaches_end(data)
    if kind == "png":
        return not any(name == b"IEND" for name, _, _ in _png_chunks(data))
    if kind == "gif":
        return not any(block == 0x3B for block in _gif_blocks(data))
    if kind == "webp":
        return len(data) < 12 or len(data) < 8 + int.from_bytes(data[4:8], "little")
    if kind == "bmp":
        return len(data) < max(26, int.from_bytes(data[2:6], "little"))
    if kind in ("heif", "avif"):
        return _boxes_reach_past(data)
    return _tiff_reaches_past(data)


def count_frames(data: bytes, kind: str) -> int:
    """How many pictures a GIF or TIFF holds, at least 1 and at most `MAX_FRAMES`."""
    walker = {"gif": _gif_pictures, "tiff": _tiff_directories}[kind]
    count = 0
    for _ in walker(data):
        count += 1
        if count == MAX_FRAMES:
            break
    return max(count, 1)


def check_png_sums(data: bytes) -> None:
    """Raise PhotoCorrupt where a chunk that carries the picture is not what its checksum says.

    Pillow leaves the pixels' checksums out; a flipped bit would otherwise be decoded into a wrong picture.
    """
    view = memoryview(data)
    for name, start, end in _png_chunks(data):
        if name in _CHECKED_CHUNKS and zlib.crc32(view[start - 4 : end]) != int.from_bytes(data[end : end + 4], "big"):
            raise PhotoCorrupt(f"the PNG is damaged: checksum of its {name.decode()} chunk does not fit")


def _png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Name, start and end of the body of each chunk that is there with its checksum."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        name = data[at + 4 : at + 8]
        yield name, at + 8, end
        if name == b"IEND":
            return
        at = end + 4


def _gif_blocks(data: bytes) -> Iterator[int]:
    """The introducer of each block of a GIF: 0x21 extension, 0x2C picture, 0x3B end."""
    if len(data) < 13:
        return
    at = 13 + _gif_table_bytes(data[10])
    while at < len(data):
        block = data[at]
        if block == 0x3B:
            yield block
            return
        if block == 0x21:
            at += 2
        elif block == 0x2C and at + 10 < len(data):
            at += 11 + _gif_table_bytes(data[at + 9])
        else:
            return
        while at < len(data) and data[at]:
            at += 1 + data[at]
        if at >= len(data):
            return
        at += 1
        yield block


def _gif_pictures(data: bytes) -> Iterator[int]:
    return (block for block in _gif_blocks(data) if block == 0x2C)


def _gif_table_bytes(flags: int) -> int:
    return 3 << ((flags & 7) + 1) if flags & 0x80 else 0


def _boxes_reach_past(data: bytes) -> bool:
    at = 0
    while at + 8 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        if size == 1:
            size = int.from_bytes(data[at + 8 : at + 16], "big")
        if size == 0:
            return False
        at += max(size, 8)
    return at != len(data)


def _tiff_order(data: bytes) -> str | None:
    """The byte order of a classic TIFF; None for a BigTIFF, which is not walked."""
    return {b"II*\0": "<", b"MM\0*": ">"}.get(data[:4])


def _tiff_directories(data: bytes) -> Iterator[tuple[int, int]]:
    """Offset and number of entries of each directory."""
    order = _tiff_order(data)
    if order is None or len(data) < 8:
        return
    seen: set[int] = set()
    (at,) = struct.unpack_from(order + "I", data, 4)
    while at and at not in seen and at + 2 <= len(data):
        seen.add(at)
        (entries,) = struct.unpack_from(order + "H", data, at)
        after = at + 2 + 12 * entries
        yield at, entries
        if after + 4 > len(data):
            return
        (at,) = struct.unpack_from(order + "I", data, after)


def check_tiff_directory(data: bytes) -> None:
    """Raise PhotoCorrupt where the first directory of a TIFF or BigTIFF names far more values than the file holds.

    Pillow before 13 reads each mention of an array anew: naming one again and again, a small file could ask for hours
    of work.
    """
    named = 0
    for kind, count in _tiff_values(data):
        named += _TIFF_BYTES.get(kind, 1) * count
        if named > 4 * len(data) + 65_536:
            raise PhotoCorrupt("the TIFF is damaged: its directory names more values than the file holds")


def _tiff_values(data: bytes) -> Iterator[tuple[int, int]]:
    """Type and number of the values of each entry of the first directory, as far as it is there."""
    order, big = {b"II": "<", b"MM": ">"}.get(data[:2], "<"), data[2:4] in (b"+\0", b"\0+")
    if len(data) < 16:
        return
    (at,) = struct.unpack_from(order + ("Q" if big else "I"), data, 8 if big else 4)
    wide, entry = (8, 20) if big else (2, 12)
    if at + wide > len(data):
        return
    (entries,) = struct.unpack_from(order + ("Q" if big else "H"), data, at)
    first = at + wide
    for place in range(first, min(first + entry * entries, len(data) - entry + 1), entry):
        _, kind, count = struct.unpack_from(order + ("HHQ" if big else "HHI"), data, place)
        yield kind, count


def _tiff_reaches_past(data: bytes) -> bool:
    order = _tiff_order(data)
    if order is None:
        return False
    if len(data) < 8:
        return True
    first = next(_tiff_directories(data), None)
    if first is None or first[0] + 2 + 12 * first[1] > len(data):
        return True
    arrays: dict[int, NDArray[np.uint64]] = {}
    for at in range(first[0] + 2, first[0] + 2 + 12 * first[1], 12):
        tag, kind, count = struct.unpack_from(order + "HHI", data, at)
        # A tag stands once in a directory. Reading each mention would let a small file ask for hours of work.
        if tag in (273, 279, 324, 325) and kind in (3, 4) and tag not in arrays:
            width = 2 if kind == 3 else 4
            start = at + 8 if width * count <= 4 else struct.unpack_from(order + "I", data, at + 8)[0]
            if start + width * count > len(data):
                return True
            arrays[tag] = np.frombuffer(data, f"{order}u{width}", count, start).astype(np.uint64)
    none = np.empty(0, np.uint64)
    offsets, sizes = arrays.get(273, arrays.get(324, none)), arrays.get(279, arrays.get(325, none))
    shared = min(len(offsets), len(sizes))
    return bool((offsets[:shared] + sizes[:shared] > len(data)).any())
