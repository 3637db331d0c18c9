"""JPEG by the fast road: header and EXIF by hand, pixels by libjpeg-turbo.

What libjpeg only warns about decides here. It fills what is missing with grey and goes on; a half-grey photo
of a person would be enrolled without a word, so every warning is an error, except those known to leave the
picture whole.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import PhotoCorrupt, PhotoError, PhotoTruncated, PhotoUnsupported
from likeness.types import Pixels
from likeness.vision.colour import apply_profile, needs_profile
from likeness.vision.orientation import read_orientation

if TYPE_CHECKING:
    from collections.abc import Iterator

# The last 0xFF before a marker's code; those that fill the room before it are passed over, each looked at once.
_MARKER: Final = re.compile(rb"\xff([\x01-\xcf\xd8-\xfe])")
_FRAMES: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_READ_FRAMES: Final = frozenset((0xC0, 0xC1, 0xC2, 0xC9, 0xCA))
_SEQUENTIAL_FRAMES: Final = frozenset((0xC0, 0xC1, 0xC9))
_SOI, _EOI, _SOS, _APP1, _APP2 = 0xD8, 0xD9, 0xDA, 0xE1, 0xE2
_EXIF, _ICC = b"Exif\0\0", b"ICC_PROFILE\0"
_MAX_SCANS: Final = 500
_HARMLESS: Final = re.compile(
    r"extraneous bytes before marker 0x(?!d[0-9])|unknown JFIF|Unknown Adobe"
    r"|Invalid SOS parameters for sequential"
)


@dataclass(frozen=True, slots=True)
class JpegHeader:
    """What a JPEG says before its pixels.

    Attributes:
        size_px: `(width, height)` as stored, before the EXIF rotation.
        channels: 1 grey, 3 colour, 4 CMYK or YCCK.
        frame: the marker of its frame (`0xC0` baseline, `0xC2` progressive …).
        whole_scan: whether its first scan holds all channels.
        orientation: 1 to 8.
        profile: the embedded ICC profile; empty where there is none.
    """

    size_px: tuple[int, int]
    channels: int
    frame: int
    whole_scan: bool
    orientation: int = 1
    profile: bytes = b""


def read_jpeg_header(data: bytes) -> JpegHeader:
    """Read a JPEG up to its first scan.

    Raises:
        PhotoTruncated: it ends before.
        PhotoUnsupported: it is of a kind that is not read (12-bit, lossless, hierarchical).
        PhotoCorrupt: its header makes no sense.
    """
    frame: tuple[int, bytes] | None = None
    orientation, chunks = 1, []
    for marker, body in _segments(data):
        if marker in _FRAMES:
            frame = frame or (marker, body)
        elif marker == _APP1 and body.startswith(_EXIF):
            orientation = read_orientation(body[len(_EXIF) :])
        elif marker == _APP2 and body.startswith(_ICC):
            chunks.append(body)
        elif marker == _EOI:
            raise PhotoCorrupt("the JPEG ends without a picture")
        elif marker == _SOS:
            if frame is None or not body:
                raise PhotoCorrupt("the JPEG's pixels come before their size")
            return _checked_header(*frame, body, orientation, _join_profile(chunks))
    raise PhotoTruncated("the JPEG ends inside its header")


def decode_jpeg(data: bytes, header: JpegHeader, factor: int = 1) -> Pixels:
    """The pixels of a JPEG as stored, before the EXIF rotation.

    Args:
        factor: 1, 2, 4 or 8: sides of the result are the picture's divided by it, rounded up.

    Returns:
        `(h, w, 3)` uint8 RGB.

    Raises:
        PhotoTruncated, PhotoCorrupt, PhotoUnsupported.
    """
    if header.frame not in _SEQUENTIAL_FRAMES:
        _check_scans(data)
    by_profile = header.channels > 1 and needs_profile(header.profile)
    space = "CMYK" if by_profile and header.channels == 4 else "RGB"
    try:
        pixels = _decode(data, header, space, factor)
    except ValueError as error:
        pixels = _decode_again(data, header, space, factor, str(error))
    return _through_profile(pixels, header.profile) if by_profile else pixels


def reaches_end(data: bytes) -> bool:
    """Whether the JPEG's end marker is there, whatever may follow it."""
    return any(marker == _EOI for marker, _ in _segments(data))


def _decode(data: bytes, header: JpegHeader, space: str, factor: int) -> Pixels:
    import simplejpeg

    width, height = (-(-side // factor) for side in header.size_px)
    sides = {"min_width": width, "min_height": height} if factor > 1 else {}
    pixels: Pixels = simplejpeg.decode_jpeg(data, space, **sides)
    return pixels


def _decode_again(data: bytes, header: JpegHeader, space: str, factor: int, complaint: str) -> Pixels:
    """What can be done about libjpeg's first `complaint`; raises where the picture is not whole."""
    if reaches_end(data):
        if _HARMLESS.search(complaint):
            return _decode_leniently(data, factor)
        raise _judge(complaint)
    # The picture may be whole and only the end marker lost. With it put back, a sequential JPEG that lacks
    # anything else still fails; a progressive one may lack whole scans without a word, so it is not tried.
    if header.frame in _SEQUENTIAL_FRAMES and header.whole_scan:
        try:
            return _decode(data + b"\xff\xd9", header, space, factor)
        except ValueError:
            pass
    raise PhotoTruncated("the JPEG ends before its picture does")


def _judge(complaint: str) -> PhotoError:
    if "Unsupported" in complaint or "Could not determine subsampling" in complaint:
        return PhotoUnsupported(f"the JPEG is of a rare kind: {complaint}", hint="save it as a plain JPEG or PNG")
    return PhotoCorrupt(f"the JPEG is damaged: {complaint}")


def _decode_leniently(data: bytes, factor: int) -> Pixels:
    """Decode with Pillow, which forgives oddities in the header that simplejpeg has no way to pass over."""
    from likeness.vision.rasters import open_raster, raster_pixels

    return raster_pixels(open_raster(data, "jpeg"), factor)


def _through_profile(pixels: Pixels, profile: bytes) -> Pixels:
    from PIL import Image

    height, width, channels = pixels.shape
    if channels == 3:
        image = Image.frombuffer("RGB", (width, height), pixels, "raw", "RGB", 0, 1)
    else:
        # As Photoshop writes them and every reader takes them: 255 is no ink.
        image = Image.frombuffer("CMYK", (width, height), pixels, "raw", "CMYK;I", 0, 1)
    return np.asarray(apply_profile(image, profile))


def _segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG with their bodies, up to its end; stops quietly where the data stop."""
    at = 2
    while found := _MARKER.search(data, at):
        marker, at = found[1][0], found.end()
        if marker in (_EOI, _SOI, 0x01):
            yield marker, b""
            if marker == _EOI:
                return
            continue
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            return
        yield marker, data[at + 2 : at + length]
        at += length


def _checked_header(frame: int, body: bytes, scan: bytes, orientation: int, profile: bytes) -> JpegHeader:
    if len(body) < 6 or len(body) < 6 + 3 * body[5]:
        raise PhotoCorrupt("the JPEG's frame header is too short")
    bits, channels = body[0], body[5]
    height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
    if frame not in _READ_FRAMES or bits != 8 or channels not in (1, 3, 4):
        raise PhotoUnsupported(
            f"the JPEG is of a rare kind: frame type 0x{frame:02x}, {bits} bits, {channels} channels",
            hint="save it as a plain JPEG or PNG",
        )
    if width == 0 or height == 0:
        raise PhotoCorrupt(f"the JPEG says that it is {width}x{height} pixels")
    return JpegHeader((width, height), channels, frame, scan[0] == channels, orientation, profile)


def _join_profile(chunks: list[bytes]) -> bytes:
    start = len(_ICC)
    numbered = sorted((chunk[start], chunk[start + 2 :]) for chunk in chunks if len(chunk) > start + 2)
    return b"".join(body for _, body in numbered)


def _check_scans(data: bytes) -> None:
    # Each scan of a progressive JPEG costs a pass over the whole picture: a small file can keep a core busy
    # for hours.
    if data.count(b"\xff\xda") <= _MAX_SCANS:
        return
    scans = sum(marker == _SOS for marker, _ in _segments(data))
    if scans > _MAX_SCANS:
        raise PhotoCorrupt(f"the JPEG has {scans} scans, more than any camera or program writes ({_MAX_SCANS})")
