"""What does not become a photo says why, as one of the house's own errors."""

from __future__ import annotations

import io
import os
import socket
import struct
import subprocess
import sys
import threading
import warnings
import zipfile

import numpy as np
import pytest
from decode_files import KINDS, LOSSY_TOLERANCE, corners, difference, encode, sample, smooth
from PIL import Image

from likeness.errors import (
    PhotoCorrupt,
    PhotoEmpty,
    PhotoError,
    PhotoMissing,
    PhotoTooLarge,
    PhotoTruncated,
    PhotoUnsupported,
)
from likeness.vision.decode import DecodeLimits, decode_photo


def _zip() -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("photo.jpg", b"x")
    return file.getvalue()


OTHER_FILES = [
    (b"%PDF-1.7\n", "a PDF"),
    (_zip(), "a ZIP archive"),
    (b"\x1f\x8b\x08\0", "a gzip archive"),
    (b"\0\0\0\x18ftypisom\0\0\2\0isomiso2", "an MP4 video"),
    (b"\0\0\0\x14ftypqt  \0\0\2\0qt  ", "a QuickTime video"),
    (b"\x1aE\xdf\xa3\x01", "a Matroska or WebM video"),
    (b"RIFF\x24\0\0\0AVI LIST", "an AVI video"),
    (b"RIFF\x24\0\0\0WAVEfmt ", "a WAV sound"),
    (b'<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>', "an SVG drawing"),
    (b"<!DOCTYPE html><html><body>404</body></html>", "an HTML page"),
    (b"  \n<HTML><head></head>", "an HTML page"),
    (b"<?xml version='1.0'?><a/>", "an XML document"),
    (b'{"error": "not found"}', "a JSON text"),
    (b"BM is how this letter starts", "a text"),
    ("naïve".encode(), "a text"),
    ("text".encode("utf-16"), "a text"),
    ("é".encode() * 4000, "a text"),
    (b"8BPS\0\1", "a Photoshop document"),
    (b"\0\0\0\x0cjP  \r\n\x87\n", "a JPEG 2000 picture"),
    (b"\xff\x0a\0\0", "a JPEG XL picture"),
    (b"II*\0\x10\0\0\0CR\2\0", "a camera raw file"),
    (b"\0\0\0\x18ftypcrx \0\0\0\1crx ", "a camera raw file"),
    (b"\0" * 257 + b"ustar", "a tar archive"),
    (b"\0\1\2\3\4\5", "no kind of picture known here"),
    (b"\0", "no kind of picture known here"),
]


@pytest.mark.parametrize(("data", "words"), OTHER_FILES, ids=[f"{row[1]} {n}" for n, row in enumerate(OTHER_FILES)])
def test_other_files_are_refused_by_what_they_look_like(data: bytes, words: str) -> None:
    with pytest.raises(PhotoUnsupported, match=words) as caught:
        decode_photo(data)
    assert caught.value.hint


def test_no_bytes_is_an_empty_photo(tmp_path) -> None:
    path = tmp_path / "nothing.jpg"
    path.touch()
    for source in (b"", path):
        with pytest.raises(PhotoEmpty):
            decode_photo(source)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("missing.jpg", "no such file"),
        (".", "a folder"),
        ("file.jpg/inside", "a file where a folder belongs"),
        ("nul\0byte.jpg", "a name that no file can have"),
        ("x" * 5000, "a name that is too long"),
        ("loop", "a link to itself"),
    ],
)
def test_a_path_without_a_file_is_a_missing_photo(tmp_path, name: str, why: str) -> None:
    (tmp_path / "file.jpg").write_bytes(sample("jpeg"))
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(PhotoMissing):
        decode_photo(f"{tmp_path}/{name}")


@pytest.mark.skipif(os.geteuid() == 0, reason="permissions do not bind root")
def test_a_file_that_may_not_be_read_is_a_missing_photo(tmp_path) -> None:
    path = tmp_path / "secret.jpg"
    path.write_bytes(sample("jpeg"))
    path.chmod(0)
    with pytest.raises(PhotoMissing, match="may not be read"):
        decode_photo(path)


@pytest.mark.timeout(20)
def test_pipes_sockets_and_devices_are_refused_without_waiting(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)  # names of sockets must be short
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind("socket")
        for path, words in (("pipe", "a pipe"), ("socket", "a socket"), ("/dev/zero", "a device")):
            with pytest.raises(PhotoUnsupported, match=words):
                decode_photo(path)


def test_a_link_to_a_photo_is_followed(tmp_path) -> None:
    (tmp_path / "photo").write_bytes(sample("png"))
    (tmp_path / "link").symlink_to("photo")
    assert decode_photo(tmp_path / "link").kind == "png"


def test_more_bytes_than_allowed_are_refused_with_both_numbers(tmp_path) -> None:
    path = tmp_path / "large.jpg"
    with path.open("wb") as file:
        file.truncate(10**12)  # a terabyte of nothing: reading it would not end
    with pytest.raises(PhotoTooLarge, match=r"1000000000000 bytes, more than max_bytes 5000"):
        decode_photo(path, limits=DecodeLimits(max_bytes=5000))
    with pytest.raises(PhotoTooLarge, match="max_bytes"):
        decode_photo(sample("bmp"), limits=DecodeLimits(max_bytes=len(sample("bmp")) - 1))
    assert decode_photo(sample("bmp"), limits=DecodeLimits(max_bytes=len(sample("bmp"))))


@pytest.mark.parametrize("kind", KINDS)
def test_more_pixels_than_allowed_are_refused_and_just_as_many_are_not(kind: str) -> None:
    with pytest.raises(PhotoTooLarge, match="64x48 pixels, more than max_pixels 3071"):
        decode_photo(sample(kind), limits=DecodeLimits(max_pixels=64 * 48 - 1))
    assert decode_photo(sample(kind), limits=DecodeLimits(max_pixels=64 * 48))


@pytest.mark.parametrize("kind", ["png", "bmp", "tiff", "gif"])
def test_a_small_picture_is_refused_with_the_setting_it_breaks(kind: str) -> None:
    data = encode(Image.new("RGB", (100, 7)), kind)
    with pytest.raises(PhotoUnsupported, match="100x7 pixels, its shorter side below min_side_px 8"):
        decode_photo(data)
    assert decode_photo(data, limits=DecodeLimits(min_side_px=7)).size_px == (100, 7)


def _png_that_claims(width: int, height: int) -> bytes:
    import zlib

    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    data = sample("png")
    return data[:12] + header + zlib.crc32(header).to_bytes(4, "big") + data[33:]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (_png_that_claims(11_000, 11_000), "where Pillow only warns"),
        (_png_that_claims(60_000, 60_000), "where Pillow raises"),
        (b"GIF89a\xff\xff\xff\xff\0\0\0,\0\0\0\0\xff\xff\xff\xff\0\2\0;", "a GIF of 27 bytes"),
        (sample("jpeg").replace(b"\x08\0\x30\0\x40\x03", b"\x08\xff\xff\xff\xff\x03"), "a JPEG's frame"),
        (sample("bmp")[:18] + struct.pack("<ii", 30_000, 30_000) + sample("bmp")[26:], "a bitmap's header"),
    ],
)
def test_a_bomb_is_refused_by_its_header(data: bytes, why: str) -> None:
    with pytest.raises(PhotoTooLarge):
        decode_photo(data)


def test_limits_and_targets_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        DecodeLimits(max_pixels=0)
    with pytest.raises(ValueError, match="target_side_px"):
        decode_photo(sample("png"), target_side_px=0)


@pytest.mark.parametrize("kind", KINDS)
def test_half_a_file_is_a_truncated_photo(kind: str) -> None:
    data = sample(kind)
    with pytest.raises(PhotoTruncated):
        decode_photo(data[: len(data) // 2])


CUT_FILES = [
    ("jpeg", {}),
    ("jpeg", {"progressive": True}),
    ("jpeg", {"restart_marker_blocks": 1}),
    ("png", {}),
    ("webp", {}),
    ("webp", {"lossless": True}),
    ("gif", {}),
    ("bmp", {}),
    ("tiff", {}),
    ("tiff", {"compression": "tiff_lzw"}),
    ("avif", {}),
    ("heif", {}),
]


@pytest.mark.parametrize(("kind", "options"), CUT_FILES)
@pytest.mark.parametrize("target", [None, 8])
def test_a_file_cut_anywhere_gives_the_whole_picture_or_an_error(kind: str, options: dict, target: int | None) -> None:
    data = encode(smooth(24, 16), kind, **options)
    whole = decode_photo(data, target_side_px=target).pixels
    survivors = []
    for end in range(1, len(data), 1 if len(data) < 1500 else 3):
        try:
            photo = decode_photo(data[:end], target_side_px=target)
        except PhotoError:
            continue
        assert np.array_equal(photo.pixels, whole), f"cut at {end} of {len(data)}"
        survivors.append(end)
    # What may go without loss are checksums and closing marks, no more.
    assert all(end >= len(data) - 24 for end in survivors)


@pytest.mark.parametrize(
    ("tail", "why"),
    [
        (b"\0" * 100, "padding of a recovered file"),
        (b"garbage", "garbage"),
        (sample("png"), "another picture"),
        (b"\0\0\0\x18ftypmp42" + bytes(500), "the video of a motion photo"),
        (sample("jpeg")[:300], "the start of another JPEG"),
    ],
)
@pytest.mark.parametrize("kind", ["jpeg", "png", "gif", "bmp", "tiff"])
def test_what_follows_a_whole_picture_is_passed_over(kind: str, tail: bytes, why: str) -> None:
    assert np.array_equal(decode_photo(sample(kind) + tail).pixels, decode_photo(sample(kind)).pixels), why


@pytest.mark.parametrize("lost", [1, 2])
def test_a_jpeg_that_lacks_only_its_end_marker_is_whole(lost: int) -> None:
    assert np.array_equal(decode_photo(sample("jpeg")[:-lost]).pixels, decode_photo(sample("jpeg")).pixels)


def test_a_progressive_jpeg_without_its_end_is_not_taken_for_whole() -> None:
    data = encode(smooth(64, 48), "jpeg", progressive=True)
    between_scans = data.rindex(b"\xff\xda")
    for end in (between_scans, len(data) - 2):
        with pytest.raises(PhotoTruncated):
            decode_photo(data[:end])


def _frame_at(data: bytes) -> int:
    return data.index(b"\xff\xc0")


def _edited(at: int, new: bytes) -> bytes:
    data = sample("jpeg")
    start = _frame_at(data) + at
    return data[:start] + new + data[start + len(new) :]


ODD_JPEGS = [
    (_edited(4, b"\x0c"), PhotoUnsupported, "12 bits"),
    (_edited(1, b"\xc3"), PhotoUnsupported, "lossless"),
    (_edited(1, b"\xc5"), PhotoUnsupported, "hierarchical"),
    (_edited(1, b"\xca"), PhotoCorrupt, "says progressive and arithmetic, is neither"),
    (_edited(1, b"\xc9"), PhotoCorrupt, "says arithmetic coding, is Huffman"),
    (_edited(9, b"\x02"), PhotoUnsupported, "two channels"),
    (_edited(5, b"\0\0"), PhotoCorrupt, "no height"),
    (_edited(2, b"\0\x03"), PhotoCorrupt, "frame header too short"),
    (b"\xff\xd8\xff\xd9", PhotoCorrupt, "start and end only"),
    (b"\xff\xd8\xff", PhotoTruncated, "start only"),
    (sample("jpeg")[: _frame_at(sample("jpeg"))] + b"\xff\xda\0\x08\1\1\0\0\x3f\0", PhotoCorrupt, "no frame"),
    (sample("jpeg")[:-60] + b"\xff\xd9", PhotoCorrupt, "pixels missing, end marker there"),
]


@pytest.mark.parametrize(("data", "error", "why"), ODD_JPEGS, ids=[row[2] for row in ODD_JPEGS])
def test_odd_jpegs_are_told_apart(data: bytes, error: type[PhotoError], why: str) -> None:
    with pytest.raises(error):
        decode_photo(data)


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (sample("jpeg")[:11] + b"\x09" + sample("jpeg")[12:], "a JFIF version from the future"),
        (
            sample("jpeg")[: _frame_at(sample("jpeg"))] + b"\0\0\0" + sample("jpeg")[_frame_at(sample("jpeg")) :],
            "gap",
        ),
    ],
)
@pytest.mark.parametrize("target", [None, 16])
def test_a_jpeg_with_a_harmless_oddity_is_decoded(data: bytes, why: str, target: int | None) -> None:
    photo, plain = (decode_photo(source, target_side_px=target) for source in (data, sample("jpeg")))
    assert difference(photo.pixels, plain.pixels) < LOSSY_TOLERANCE, why


def test_a_jpeg_of_endless_scans_is_refused_before_they_are_decoded() -> None:
    data = encode(smooth(64, 48), "jpeg", progressive=True)
    at = data.rindex(b"\xff\xda")
    with pytest.raises(PhotoCorrupt, match="scans"):
        decode_photo(data[:at] + data[at:-2] * 2000 + data[-2:])


def test_a_flipped_bit_in_a_pngs_pixels_is_found() -> None:
    data = bytearray(encode(smooth(64, 48), "png", compress_level=0))
    data[data.index(b"IDAT") + 500] ^= 1
    with pytest.raises(PhotoCorrupt, match="checksum of its IDAT chunk"):
        decode_photo(bytes(data))


def test_a_raw_files_preview_is_not_taken_for_the_photo() -> None:
    with pytest.raises(PhotoUnsupported, match="preview"):
        decode_photo(encode(corners(), "tiff", tiffinfo={254: 1}))


@pytest.mark.timeout(20)
def test_a_tiff_whose_pages_go_in_a_circle_is_counted_once() -> None:
    data = bytearray(sample("tiff"))
    (start,) = struct.unpack_from("<I", data, 4)
    (entries,) = struct.unpack_from("<H", data, start)
    struct.pack_into("<I", data, start + 2 + 12 * entries, start)
    assert decode_photo(bytes(data)).frames == 1


@pytest.mark.timeout(30)
def test_frames_of_an_endless_animation_are_counted_to_a_bound() -> None:
    data = sample("gif")
    frame = b"!\xf9\4\0\0\0\0\0,\0\0\0\0\1\0\1\0\0\2\2D\1\0"
    assert decode_photo(data[:-1] + frame * 200_000 + data[-1:]).frames == 10_000


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_one_line_without_a_traceback(kind: str) -> None:
    damaged = sample(kind)[:12] + bytes(range(48)) + sample(kind)[60:]
    with pytest.raises(PhotoError) as caught:
        decode_photo(damaged)
    assert "\n" not in str(caught.value)
    assert "Traceback" not in str(caught.value)


def test_threads_leave_the_warnings_filters_as_they_were() -> None:
    data = encode(corners(), "png")
    before = list(warnings.filters)
    threads = [
        threading.Thread(target=lambda: [decode_photo(data) for _ in range(30)], name=f"decoder-{n}") for n in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert list(warnings.filters) == before


def test_importing_the_decoder_loads_no_codec() -> None:
    code = (
        "import sys, likeness.vision.decode;"
        "print([name for name in ('PIL', 'simplejpeg', 'pillow_heif') if name in sys.modules])"
    )
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == "[]"


def _crowded_tiff(entries: int, values: int) -> bytes:
    """A TIFF whose directory names the same large array over and over."""
    array = 8 + 2 + 12 * entries + 4
    directory = struct.pack("<HHII", 273, 4, values, array) * entries
    return struct.pack("<4sIH", b"II*\0", 8, entries) + directory + bytes(4 + 4 * values)


def _crowded_big_tiff(entries: int, values: int) -> bytes:
    """The same as a BigTIFF."""
    array = 16 + 8 + 20 * entries + 8
    directory = struct.pack("<HHQQ", 273, 4, values, array) * entries
    return struct.pack("<4sHHQQ", b"II+\0", 8, 0, 16, entries) + directory + bytes(8 + 4 * values)


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (
            b"\xff\xd8" + b"\xff" * 4_000_000,
            "a JPEG of fill bytes: looking for a marker took the square of their number",
        ),
        (_crowded_tiff(60_000, 500_000), "a TIFF that names one array 60,000 times: each was read"),
        (_crowded_big_tiff(60_000, 500_000), "a BigTIFF that does so"),
    ],
    ids=["jpeg", "tiff", "bigtiff"],
)
def test_a_small_file_cannot_ask_for_hours_of_work(data: bytes, reason: str) -> None:
    with pytest.raises(PhotoError):
        decode_photo(data)


def test_half_a_photo_is_an_error_also_where_another_library_told_pillow_to_take_it(monkeypatch) -> None:
    from PIL import ImageFile

    monkeypatch.setattr(ImageFile, "LOAD_TRUNCATED_IMAGES", True)
    whole = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)).save(whole, "PNG")
    with pytest.raises(PhotoTruncated):
        decode_photo(whole.getvalue()[: len(whole.getvalue()) // 2])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is True
