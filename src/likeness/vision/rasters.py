"""Every kind but JPEG, by Pillow (and pillow-heif for HEIC), with its oddities kept inside.

The plugin is chosen by the sniffed kind and called directly. That way Pillow neither guesses again, nor loads
its forty other plugins, nor applies its own fixed pixel limit instead of ours.
"""

from __future__ import annotations

import io
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import numpy as np

from likeness.errors import PhotoUnsupported
from likeness.types import Pixels
from likeness.vision.colour import to_srgb

if TYPE_CHECKING:
    from PIL import ImageFile

_PLUGINS: Final[dict[str, tuple[str, str]]] = {
    "jpeg": ("PIL.JpegImagePlugin", "JpegImageFile"),
    "png": ("PIL.PngImagePlugin", "PngImageFile"),
    "gif": ("PIL.GifImagePlugin", "GifImageFile"),
    "tiff": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "bmp": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "webp": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "avif": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "heif": ("pillow_heif.as_plugin", "HeifImageFile"),
}
_ORIENTATION: Final = 0x0112
_SUBFILE_TYPE: Final = 254


def open_raster(data: bytes, kind: str) -> ImageFile.ImageFile:
    """Read the header of a picture of `kind`; pixels are not decoded yet.

    Raises:
        PhotoUnsupported: a TIFF whose first picture is only a preview, as in camera raw files.
        Exception: of any type, as Pillow pleases, where the data are damaged.
    """
    from importlib import import_module

    from PIL import features

    if kind in ("webp", "avif") and not features.check(kind):
        raise ImportError(f"Pillow was built without {kind}")
    module, name = _PLUGINS[kind]
    plugin: Callable[[io.BytesIO], ImageFile.ImageFile] = getattr(import_module(module), name)
    image = plugin(io.BytesIO(data))
    if kind == "tiff" and int(getattr(image, "tag_v2", {}).get(_SUBFILE_TYPE, 0)) & 1:
        raise PhotoUnsupported(
            "the TIFF starts with a preview, not with the photo, as camera raw files do",
            hint="convert it to JPEG or PNG",
        )
    return image


def raster_pixels(image: ImageFile.ImageFile, factor: int = 1) -> Pixels:
    """Decode an opened picture and bring it to sRGB, as stored, before the EXIF rotation.

    Args:
        factor: sides of the result are the picture's divided by it, rounded up; neighbours are averaged.

    Returns:
        `(h, w, 3)` uint8 RGB.
    """
    image.load()
    if factor > 1 and image.mode in ("RGB", "L"):
        # Before the colours are converted, so that only the pixels that stay are.
        small = image.reduce(factor)
        small.info = image.info
        return np.array(to_srgb(small))
    rgb = to_srgb(image)
    return np.array(rgb.reduce(factor) if factor > 1 else rgb)


def raster_orientation(image: ImageFile.ImageFile, kind: str) -> int:
    """The EXIF orientation (1 to 8) that is still to be applied to a decoded picture.

    1 for HEIC: its rotation is part of the picture, which the decoder applies; the EXIF value beside it is
    only told for information. Pillow turns TIFFs upright itself and then reports none.
    """
    if kind == "heif":
        return 1
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except Exception:  # a damaged EXIF block fails in many ways, and none makes the photo unusable
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


class _Own:
    """How many threads are inside Pillow, and what to bring back when the last one leaves."""

    lock = threading.Lock()
    inside = 0
    filters = warnings.catch_warnings()
    truncated = False


@contextmanager
def own_pillow() -> Iterator[None]:
    """Have Pillow as we want it: its warnings (oddities of metadata, large sizes) kept from the caller, and strict.

    Some libraries, face_recognition among them, tell Pillow for the whole process to take half a photo for a whole
    one; here a truncated photo is an error whoever else is there. `warnings.catch_warnings` alone is not safe with
    threads: whoever leaves last brings back what it found, which may be another's silence. So the first thread in
    sets both and the last one out takes them away.
    """
    from PIL import ImageFile

    with _Own.lock:
        if _Own.inside == 0:
            _Own.filters = warnings.catch_warnings()
            _Own.filters.__enter__()
            warnings.filterwarnings("ignore", module=r"PIL|pillow_heif|likeness\.vision")
            _Own.truncated, ImageFile.LOAD_TRUNCATED_IMAGES = ImageFile.LOAD_TRUNCATED_IMAGES, False
        _Own.inside += 1
    try:
        yield
    finally:
        with _Own.lock:
            _Own.inside -= 1
            if _Own.inside == 0:
                _Own.filters.__exit__(None, None, None)
                ImageFile.LOAD_TRUNCATED_IMAGES = _Own.truncated
