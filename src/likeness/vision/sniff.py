"""What a file is, from its first bytes; its name is never asked.

`sniff_kind` gives one of the kinds that `likeness.vision.decode` reads. Everything else is refused with a
name that its owner recognises ("a PDF", "an MP4 video") and, where there is one, a way out.
"""

from __future__ import annotations

import codecs
import re
from typing import Final

from likeness.errors import PhotoUnsupported

HEAD_BYTES: Final = 4096
"""How many bytes from the start are looked at."""

_CONVERT: Final = "convert it to JPEG or PNG"
_FRAME: Final = "photos are read here; take a frame of it, or enrol from video"
_UNPACK: Final = "unpack it and pass the photos inside"

_PICTURES: Final[tuple[tuple[bytes, str], ...]] = (
    (b"\xff\xd8\xff", "jpeg"),
    (b"\x89PNG\r\n\x1a\n", "png"),
    (b"GIF87a", "gif"),
    (b"GIF89a", "gif"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
)

_OTHERS: Final[tuple[tuple[bytes, str, str], ...]] = (
    (b"%PDF-", "a PDF", "export its page as JPEG or PNG"),
    (b"%!PS", "a PostScript file", _CONVERT),
    (b"PK\x03\x04", "a ZIP archive or an office document", _UNPACK),
    (b"PK\x05\x06", "an empty ZIP archive", _UNPACK),
    (b"\x1f\x8b", "a gzip archive", _UNPACK),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (b"Rar!\x1a\x07", "a RAR archive", _UNPACK),
    (b"BZh", "a bzip2 archive", _UNPACK),
    (b"\xfd7zXZ\0", "an xz archive", _UNPACK),
    (b"\x28\xb5\x2f\xfd", "a Zstandard archive", _UNPACK),
    (b"\x1aE\xdf\xa3", "a Matroska or WebM video", _FRAME),
    (b"\0\0\x01\xba", "an MPEG video", _FRAME),
    (b"\0\0\x01\xb3", "an MPEG video", _FRAME),
    (b"FLV\x01", "a Flash video", _FRAME),
    (b"\x30\x26\xb2\x75\x8e\x66\xcf\x11", "a Windows Media file", _FRAME),
    (b"OggS", "an Ogg sound or video", _FRAME),
    (b"ID3", "an MP3 sound", ""),
    (b"fLaC", "a FLAC sound", ""),
    (b"8BPS", "a Photoshop document", _CONVERT),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture", _CONVERT),
    (b"\xff\x4f\xff\x51", "a JPEG 2000 picture", _CONVERT),
    (b"\0\0\0\x0cJXL \r\n\x87\n", "a JPEG XL picture", _CONVERT),
    (b"\xff\x0a", "a JPEG XL picture", _CONVERT),
    (b"\0\0\x01\0", "a Windows icon", _CONVERT),
    (b"FUJIFILMCCD-RAW", "a camera raw file", _CONVERT),
    (b"IIU\0", "a camera raw file", _CONVERT),
    (b"IIRO", "a camera raw file", _CONVERT),
    (b"IIRS", "a camera raw file", _CONVERT),
    (b"\x7fELF", "a program", ""),
    (b"MZ", "a Windows program", ""),
    (b"\x93NUMPY", "a NumPy array", "load it and pass the array to photo_from_array"),
    (b"SQLite format 3\0", "an SQLite database", ""),
    (b"\x89HDF\r\n", "an HDF5 file", ""),
)

_VIDEO_BRANDS: Final[dict[bytes, str]] = {b"qt  ": "a QuickTime video", b"M4A ": "an MPEG-4 sound"}
_HEIF_BRANDS: Final = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_NO_PICTURES_MOVE: Final = frozenset((b"M4A ", b"M4B ", b"crx "))
"""Sounds and camera raws in the boxes of MP4."""
_AVIF_BRANDS: Final = frozenset((b"avif", b"avis"))
_MARKUP: Final[tuple[tuple[str, str, str], ...]] = (
    (r"<svg[\s>]", "an SVG drawing", "export it as PNG"),
    (
        r"<!doctype html|<html[\s>]|<head[\s>]|<body[\s>]",
        "an HTML page",
        "download the photo itself, not its page",
    ),
    (r"^\s*<(\?xml|!--|[a-z])", "an XML document", ""),
    (r"^\s*[{\[]\s*[\"{\[\]}\d-]", "a JSON text", ""),
)


def sniff_kind(data: bytes) -> str:
    """The kind of picture that `data` starts: `jpeg`, `png`, `gif`, `tiff`, `bmp`, `webp`, `heif` or `avif`.

    Raises:
        PhotoUnsupported: it is something else; the message names what it looks like.
    """
    head = data[:HEAD_BYTES]
    for magic, kind in _PICTURES:
        if head.startswith(magic):
            return _refuse_raw(head, kind)
    if head[4:8] == b"ftyp":
        return _sniff_boxes(head)
    if head.startswith(b"RIFF"):
        return _sniff_riff(head)
    if head.startswith(b"BM") and _is_bitmap(head):
        return "bmp"
    raise _unsupported(*_describe(head))


def sniff_video(head: bytes) -> str | None:
    """FFmpeg's name for the kind of video whose file begins so; None for a photo, and for all else that is not read."""
    if head.startswith(b"\x1a\x45\xdf\xa3"):
        return "matroska"
    if head.startswith(b"RIFF") and head[8:12] == b"AVI ":
        return "avi"
    if head[4:8] in (b"moov", b"mdat", b"wide", b"free"):
        return "mp4"
    if head[4:8] != b"ftyp" or head[8:12] in _NO_PICTURES_MOVE:
        return None
    try:
        _sniff_boxes(head)
    except PhotoUnsupported:
        return "mp4"
    return None


def _refuse_raw(head: bytes, kind: str) -> str:
    # Canon's raw files are TIFFs whose first picture is a preview: reading that as the photo would be a quiet
    # lie.
    if kind == "tiff" and head[8:10] == b"CR":
        raise _unsupported("a camera raw file", _CONVERT)
    return kind


def _sniff_boxes(head: bytes) -> str:
    size = int.from_bytes(head[:4], "big")
    brand = head[8:12]
    brands = {brand} | {head[at : at + 4] for at in range(16, min(size, len(head)), 4)}
    if brand in _AVIF_BRANDS or (brand in (b"mif1", b"msf1") and brands & _AVIF_BRANDS):
        return "avif"
    if brand in _HEIF_BRANDS or (brand not in _VIDEO_BRANDS and brands & {b"heic", b"heix"}):
        return "heif"
    if brand == b"crx ":
        raise _unsupported("a camera raw file", _CONVERT)
    raise _unsupported(_VIDEO_BRANDS.get(brand, "an MP4 video"), _FRAME)


def _sniff_riff(head: bytes) -> str:
    form = head[8:12]
    if form == b"WEBP" or len(head) < 12:
        return "webp"
    words = {b"AVI ": "an AVI video", b"WAVE": "a WAV sound"}.get(form, "a RIFF file")
    raise _unsupported(words, _FRAME if form == b"AVI " else "")


def _is_bitmap(head: bytes) -> bool:
    """Whether what follows "BM" is a bitmap's header rather than any text that starts with these letters."""
    if len(head) < 18:
        return head[2:].find(b"\0") >= 0
    return int.from_bytes(head[14:18], "little") in (12, 16, 40, 52, 56, 64, 108, 124)


def _describe(head: bytes) -> tuple[str, str]:
    """What `head` looks like in words, and what could be done about it."""
    for magic, words, hint in _OTHERS:
        if head.startswith(magic):
            return words, hint
    if head[257:262] == b"ustar":
        return "a tar archive", _UNPACK
    text = _as_text(head)
    if text is None:
        return "no kind of picture known here", ""
    for pattern, words, hint in _MARKUP:
        if re.search(pattern, text, re.IGNORECASE):
            return words, hint
    return "a text", ""


def _as_text(head: bytes) -> str | None:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return head.decode("utf-16", errors="replace")
    if any(byte < 9 or 13 < byte < 27 for byte in head):
        return None
    try:
        # Not final: the head may end inside a character.
        return codecs.getincrementaldecoder("utf-8")().decode(head)
    except UnicodeDecodeError:
        return None


def _unsupported(words: str, hint: str) -> PhotoUnsupported:
    advice = hint or "pass a JPEG, PNG, WebP, HEIC, AVIF, TIFF, GIF or BMP photo"
    return PhotoUnsupported(f"expected a photo, got what looks like {words}", hint=advice)
