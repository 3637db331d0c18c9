"""Every kind and every way of storing colours becomes the same upright RGB."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from decode_files import (
    KINDS,
    LOSSY_TOLERANCE,
    ROTATED_KINDS,
    corners,
    difference,
    encode,
    encode_rotated,
    sample,
    smooth,
    upright,
)
from PIL import Image, ImageCms

from likeness.errors import PhotoUnsupported
from likeness.vision.decode import decode_photo, photo_from_array


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_each_kind_is_decoded_and_named(kind: str) -> None:
    photo = decode_photo(sample(kind))
    assert (photo.kind, photo.size_px, photo.frames, photo.scale) == (kind, (64, 48), 1, 1.0)
    assert photo.sha256 == hashlib.sha256(sample(kind)).hexdigest()
    assert photo.pixels.flags.c_contiguous
    assert difference(photo.pixels, corners()) < LOSSY_TOLERANCE


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ROTATED_KINDS)
def test_every_orientation_comes_out_upright(kind: str, orientation: int) -> None:
    expected = upright(corners(), orientation)
    photo = decode_photo(encode_rotated(corners(), kind, orientation))
    assert photo.size_px == (expected.shape[1], expected.shape[0])
    assert photo.pixels.flags.c_contiguous
    assert difference(photo.pixels, expected) < LOSSY_TOLERANCE


@pytest.mark.parametrize("orientation", [3, 6])
@pytest.mark.parametrize("kind", ["jpeg", "png", "tiff"])
def test_a_photo_decoded_smaller_is_upright_too(kind: str, orientation: int) -> None:
    expected = Image.fromarray(upright(smooth(400, 200), orientation))
    photo = decode_photo(encode_rotated(smooth(400, 200), kind, orientation), target_side_px=100)
    assert photo.size_px == expected.size
    assert max(photo.pixels.shape) == 100
    assert difference(photo.pixels, expected.reduce(4)) < LOSSY_TOLERANCE


@pytest.mark.parametrize(
    ("value", "why"),
    [(0, "below the range"), (9, "above the range"), (65535, "far above the range")],
)
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_senseless_orientation_is_passed_over(kind: str, value: int, why: str) -> None:
    assert decode_photo(encode_rotated(corners(), kind, value)).size_px == (64, 48), why


@pytest.mark.parametrize(
    ("exif", "why"),
    [
        (b"", "no bytes"),
        (b"II*\0", "ends before the first offset"),
        (b"II*\0\xff\xff\xff\xff", "first directory past the end"),
        (b"MM\0*\0\0\0\x08\xff\xff", "more entries than bytes"),
        (b"XX*\0\x08\0\0\0", "no byte order"),
        (b"II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x02\0\0\0\x06\0\0\0", "two values where one belongs"),
    ],
)
def test_a_damaged_exif_block_leaves_the_photo_usable(exif: bytes, why: str) -> None:
    body = b"Exif\0\0" + exif
    data = sample("jpeg")
    data = data[:2] + b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body + data[2:]
    assert difference(decode_photo(data).pixels, corners()) < LOSSY_TOLERANCE, why


def test_the_kind_comes_from_the_bytes_and_not_from_the_name(tmp_path) -> None:
    path = tmp_path / "photo.jpg"
    path.write_bytes(sample("png"))
    assert decode_photo(path).kind == "png"
    assert decode_photo(str(path)).kind == "png"
    assert decode_photo(bytearray(sample("png"))).kind == "png"


COLOURS = [
    ("jpeg", "L", {}, "grey JPEG"),
    ("jpeg", "CMYK", {}, "CMYK JPEG, inverted as Adobe writes it"),
    ("jpeg", "RGB", {"progressive": True}, "progressive JPEG"),
    ("jpeg", "RGB", {"keep_rgb": True}, "JPEG that stores RGB"),
    ("jpeg", "RGB", {"subsampling": 0}, "JPEG with full colour"),
    ("jpeg", "RGB", {"restart_marker_rows": 1}, "JPEG with restart markers"),
    ("jpeg", "RGB", {"optimize": True}, "JPEG with its own Huffman tables"),
    ("png", "L", {}, "grey PNG"),
    ("png", "LA", {}, "grey PNG with transparency"),
    ("png", "RGBA", {}, "PNG with transparency"),
    ("png", "P", {}, "PNG with palette"),
    ("webp", "RGBA", {"lossless": True}, "lossless WebP with transparency"),
    ("tiff", "CMYK", {}, "CMYK TIFF"),
    ("tiff", "L", {"compression": "tiff_lzw"}, "grey LZW TIFF"),
    ("tiff", "RGB", {"compression": "tiff_adobe_deflate"}, "deflated TIFF"),
    ("tiff", "RGB", {"compression": "jpeg"}, "JPEG in TIFF"),
    ("tiff", "RGBA", {}, "TIFF with transparency"),
    ("tiff", "YCbCr", {"compression": "jpeg"}, "YCbCr TIFF"),
    ("tiff", "LAB", {}, "Lab TIFF"),
    ("gif", "L", {}, "grey GIF"),
    ("bmp", "P", {}, "bitmap with palette"),
    ("bmp", "RGBA", {}, "bitmap with four bytes per pixel"),
]


@pytest.mark.parametrize(("kind", "mode", "options", "why"), COLOURS, ids=[row[3] for row in COLOURS])
def test_every_way_to_store_colours_becomes_rgb(kind: str, mode: str, options: dict, why: str) -> None:
    if mode == "LAB":
        to_lab = ImageCms.buildTransform(ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), "RGB", "LAB")
        stored = ImageCms.applyTransform(corners(), to_lab)
    else:
        stored = corners().quantize() if mode == "P" else corners().convert(mode)
    expected = corners().convert("L").convert("RGB") if mode in ("L", "LA") else corners()
    photo = decode_photo(encode(stored, kind, **options))
    assert difference(photo.pixels, expected) < LOSSY_TOLERANCE, why


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bits_are_scaled_and_not_clipped(kind: str) -> None:
    deep = np.linspace(0, 65535, 64 * 48).reshape(48, 64).astype(np.uint16)
    photo = decode_photo(encode(Image.fromarray(deep), kind))
    assert np.abs(photo.pixels[..., 0] - deep / 257).max() <= 0.51


def test_one_bit_becomes_black_and_white() -> None:
    bits = Image.fromarray(np.indices((16, 16)).sum(0) % 2 == 0)
    photo = decode_photo(encode(bits, "png"))
    assert set(np.unique(photo.pixels)) == {0, 255}


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_samples_without_an_agreed_white_are_refused(dtype: type) -> None:
    data = encode(Image.fromarray(np.ones((16, 16), dtype)), "tiff")
    with pytest.raises(PhotoUnsupported, match="32-bit samples"):
        decode_photo(data)


def test_transparency_is_laid_on_white() -> None:
    half = Image.new("RGBA", (16, 16), (200, 0, 0, 128))
    assert tuple(decode_photo(encode(half, "png")).pixels[0, 0]) == pytest.approx((227, 127, 127), abs=1)
    palette = Image.new("P", (16, 16), 3)
    palette.putpalette([0] * 768)
    assert decode_photo(encode(palette, "png", transparency=3)).pixels.min() == 255
    grey = Image.new("L", (16, 16), 9)
    assert decode_photo(encode(grey, "png", transparency=9)).pixels.min() == 255


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "tiff", "avif"])
def test_of_several_pictures_the_first_is_used_and_all_are_counted(kind: str) -> None:
    others = [Image.new("RGB", (64, 48), colour) for colour in ("black", "white")]
    photo = decode_photo(encode(corners(), kind, save_all=True, append_images=others))
    assert photo.frames == 3
    assert difference(photo.pixels, corners()) < LOSSY_TOLERANCE


def _swapped_profile() -> bytes:
    """An invented space: sRGB with red and green changed places, so that following it swaps the channels."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    for at in range(132, 132 + 12 * int.from_bytes(profile[128:132], "big"), 12):
        name = bytes(profile[at : at + 4])
        if name in (b"rXYZ", b"gXYZ"):
            profile[at : at + 1] = b"g" if name == b"rXYZ" else b"r"
    return bytes(profile).replace("sRGB".encode("utf-16-be"), "Swap".encode("utf-16-be"))


@pytest.mark.parametrize("kind", ["jpeg", "png", "webp", "tiff", "avif", "heif"])
def test_an_embedded_profile_is_followed(kind: str) -> None:
    options = {} if kind == "heif" else {"icc_profile": _swapped_profile()}
    image = corners()
    image.info["icc_profile"] = _swapped_profile()
    photo = decode_photo(encode(image, kind, **options))
    expected = np.asarray(corners())[..., [1, 0, 2]]
    assert difference(photo.pixels, expected) < LOSSY_TOLERANCE


@pytest.mark.parametrize(
    ("profile", "why"),
    [
        (ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes(), "it is sRGB already"),
        (_swapped_profile()[:200], "it is cut off"),
        (b"\0" * 500, "it is empty"),
        (_swapped_profile()[:16] + b"GRAY" + _swapped_profile()[20:], "it is of another colour space"),
    ],
)
@pytest.mark.parametrize("kind", ["jpeg", "png"])
def test_a_profile_that_changes_nothing_or_is_broken_is_passed_over(kind: str, profile: bytes, why: str) -> None:
    photo = decode_photo(encode(corners(), kind, icc_profile=profile))
    assert difference(photo.pixels, corners()) < LOSSY_TOLERANCE, why


def test_a_cmyk_jpeg_with_a_profile_of_another_space_is_still_decoded() -> None:
    data = encode(corners().convert("CMYK"), "jpeg", icc_profile=_swapped_profile())
    assert difference(decode_photo(data).pixels, corners()) < LOSSY_TOLERANCE


REDUCED = [
    (99, 100, "one below the size: whole"),
    (51, 100, "just over half: whole"),
    (50, 50, "exactly half"),
    (26, 50, "between a half and a quarter"),
    (25, 25, "exactly a quarter"),
    (500, 100, "larger than the photo: never enlarged"),
]


@pytest.mark.parametrize(("target", "side", "why"), REDUCED)
def test_a_jpeg_is_decoded_smaller_but_never_below_the_target(target: int, side: int, why: str) -> None:
    photo = decode_photo(encode(smooth(100, 60), "jpeg"), target_side_px=target)
    assert (photo.pixels.shape[1], photo.size_px) == (side, (100, 60)), why
    assert photo.scale == 100 / side


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [(203, 101), (101, 203), (97, 97)])
def test_reduced_photos_keep_the_target_the_scale_and_the_look(kind: str, size: tuple[int, int]) -> None:
    image = smooth(*size)
    photo = decode_photo(encode(image, kind), target_side_px=40)
    height, width = photo.pixels.shape[:2]
    assert 40 <= max(width, height) < 80
    assert photo.size_px == size
    shrunk = image.resize((width, height), Image.Resampling.BOX)
    assert difference(photo.pixels, shrunk) < LOSSY_TOLERANCE


@pytest.mark.parametrize(
    ("shape", "why"),
    [((9, 7), "grey"), ((9, 7, 3), "RGB"), ((9, 7, 4), "RGBA"), ((1, 1, 3), "one pixel")],
)
def test_an_array_becomes_a_photo(shape: tuple[int, ...], why: str) -> None:
    pixels = np.full(shape, 255, np.uint8)
    photo = photo_from_array(pixels)
    assert (photo.kind, photo.size_px, photo.frames) == ("array", (shape[1], shape[0]), 1), why
    assert photo.sha256 == hashlib.sha256(photo.pixels.tobytes()).hexdigest()
    assert photo.pixels.min() == 255


def test_an_arrays_transparency_is_laid_on_white_as_a_files_is() -> None:
    layer = Image.new("RGBA", (16, 16), (200, 0, 30, 128))
    from_file = decode_photo(encode(layer, "png")).pixels
    assert np.abs(photo_from_array(np.asarray(layer)).pixels.astype(int) - from_file).max() <= 1


def test_an_array_that_is_a_view_becomes_contiguous() -> None:
    assert photo_from_array(np.asarray(corners())[::2, ::-1]).pixels.flags.c_contiguous


@pytest.mark.parametrize(
    ("pixels", "why"),
    [
        (np.zeros((9, 7, 2), np.uint8), "two channels"),
        (np.zeros((9,), np.uint8), "one dimension"),
        (np.zeros((1, 9, 7, 3), np.uint8), "a batch"),
        (np.zeros((9, 7, 3), np.float32), "floats, whose range is not known"),
        (np.zeros((9, 7, 3), np.uint16), "16 bits"),
        (np.zeros((0, 7, 3), np.uint8), "no rows"),
    ],
)
def test_other_arrays_are_refused_with_their_shape(pixels: np.ndarray, why: str) -> None:
    with pytest.raises(PhotoUnsupported, match=r"expected uint8 pixels .* got \("):
        photo_from_array(pixels)


def test_an_mpo_of_a_stereo_camera_shows_its_first_picture() -> None:
    file = io.BytesIO()
    corners().save(file, "MPO", save_all=True, append_images=[Image.new("RGB", (64, 48))], quality=92)
    photo = decode_photo(file.getvalue())
    assert photo.kind == "jpeg"
    assert difference(photo.pixels, corners()) < LOSSY_TOLERANCE
