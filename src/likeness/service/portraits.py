"""Pictures for people to look at: faces marked on a photo, a probe beside its twins."""

from __future__ import annotations

import errno
import io
import math
import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from likeness.errors import InputError, StorageError, StorageFull
from likeness.types import Face, Pixels
from likeness.vision.decode import DecodeLimits, decode_photo

GOOD, POOR, POINT, PAPER, INK = (40, 200, 90), (240, 150, 20), (255, 230, 0), (250, 250, 250), (20, 20, 20)
TILE_PX = 220
MARGIN_PX = 14
KINDS = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG", ".webp": "WEBP"}
"""Ending of a name → kind of picture written."""
LINE_PX = 20
NO_PICTURE: Pixels = np.full((8, 8, 3), 225, np.uint8)
"""Stands for a face of which there is no picture."""


@dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One picture of a contact sheet with the lines under it."""

    picture: Pixels
    lines: tuple[str, ...]


def draw_faces(path: str | os.PathLike[str], faces: Sequence[Face], *, limits: DecodeLimits | None = None) -> Pixels:
    """The photo at full size with each face's box, landmarks, score, what is wrong with it, apparent age and gender.

    Raises:
        PhotoError: it cannot be decoded.
    """
    image = Image.fromarray(decode_photo(path, limits=limits or DecodeLimits()).pixels)
    pen = ImageDraw.Draw(image)
    for face in faces:
        _mark(pen, face, image.size)
    return np.asarray(image)


def contact_sheet(probe: Tile, twins: Sequence[Tile], *, columns: int = 5) -> Pixels:
    """The probe at the left, its twins beside it in rows, each with its lines."""
    columns = max(min(columns, len(twins)), 1)
    rows = max(math.ceil(len(twins) / columns), 1)
    lines = max(len(tile.lines) for tile in (probe, *twins))
    step_x, step_y = TILE_PX + MARGIN_PX, TILE_PX + MARGIN_PX + lines * LINE_PX
    sheet = Image.new("RGB", ((columns + 1) * step_x + 2 * MARGIN_PX, rows * step_y + MARGIN_PX), PAPER)
    _place(sheet, probe, (MARGIN_PX, MARGIN_PX))
    for at, tile in enumerate(twins):
        _place(sheet, tile, (2 * MARGIN_PX + (1 + at % columns) * step_x, MARGIN_PX + at // columns * step_y))
    return np.asarray(sheet)


def expect_picture_name(target: Path) -> None:
    """Let a name pass whose ending says which kind of picture to write.

    Raises:
        InputError: it does not.
    """
    if target.suffix.lower() not in KINDS:
        raise InputError(
            f"the name {str(target)!r} does not say which kind of picture to write",
            hint=f"end it in {', '.join(KINDS)}",
        )


def save_picture(pixels: Pixels, target: Path) -> None:
    """Write a picture of the kind that the name's ending says, whole or not at all, making its folder.

    Raises:
        InputError: the ending is not known.
        StorageError: it cannot be written.
    """
    expect_picture_name(target)
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, KINDS[target.suffix.lower()], quality=92)
    save_bytes(data.getvalue(), target)


def save_bytes(data: bytes, target: Path) -> None:
    """Write a file, whole or not at all, making its folder.

    Raises:
        StorageError: it cannot be written.
    """
    aside = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.write_bytes(data)
        aside.replace(target)
    except OSError as error:
        with suppress(OSError):
            aside.unlink()
        kind = StorageFull if error.errno == errno.ENOSPC else StorageError
        raise kind(f"{str(target)!r} cannot be written: {error.strerror}") from error


def expect_writable(target: Path) -> None:
    """Let a file pass that can be written, making its folder: to be asked before the work whose outcome it takes.

    Raises:
        StorageError: it cannot be written.
    """
    if target.is_dir():
        raise StorageError(f"{str(target)!r} is a folder", hint="name a file")
    aside = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        aside.touch()
        aside.unlink()
        if target.exists() and not os.access(target, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        kind = StorageFull if error.errno == errno.ENOSPC else StorageError
        raise kind(f"{str(target)!r} cannot be written: {error.strerror}") from error


def looks(face: Face) -> tuple[str, ...]:
    """Apparent age and gender in a few letters: `34 (27-43)`, `female 97%`."""
    age, gender = face.age, face.gender
    return (
        *(() if age is None else (f"{age.years:.0f} ({age.low:.0f}-{age.high:.0f})",)),
        *(() if gender is None else (f"{gender.label} {min(gender.probability, 0.99):.0%}",)),
    )


def mark_box(
    pen: ImageDraw.ImageDraw,
    box_xyxy_px: tuple[float, float, float, float],
    words: str,
    colour: tuple[int, int, int],
    size: tuple[int, int],
) -> None:
    """Draw a box with words above it, or below where the picture of `size` ends; never past its left or right edge."""
    x1, y1, x2, y2 = box_xyxy_px
    line = _line_px(size)
    pen.rectangle((x1, y1, x2, y2), outline=colour, width=line)
    font = _font(float(np.clip((x2 - x1) / 8, 11, max(max(size) / 25, 11))))
    left, top, right, bottom = pen.textbbox((0, 0), words, font=font)
    height = bottom - top + 4
    place_y = y1 - height - line if y1 > height + line else min(y2 + line, size[1] - height)
    place_x = min(max(x1, 0.0), max(size[0] - (right - left) - 4, 0))
    pen.rectangle((place_x, place_y, place_x + right - left + 4, place_y + height), fill=colour)
    pen.text((place_x + 2 - left, place_y + 2 - top), words, font=font, fill=INK)


def _mark(pen: ImageDraw.ImageDraw, face: Face, size: tuple[int, int]) -> None:
    line = _line_px(size)
    words = ", ".join((f"{face.score:.2f}", *face.quality.reasons, *looks(face)))
    mark_box(pen, face.box_xyxy_px, words, GOOD if face.quality.passes else POOR, size)
    for x, y in face.landmarks_px.tolist():
        pen.ellipse((x - line, y - line, x + line, y + line), fill=POINT)


def _line_px(size: tuple[int, int]) -> int:
    return max(2, round(max(size) / 500))


def _place(sheet: Image.Image, tile: Tile, place: tuple[int, int]) -> None:
    image = Image.fromarray(tile.picture).resize((TILE_PX, TILE_PX), Image.Resampling.LANCZOS)
    sheet.paste(image, place)
    pen = ImageDraw.Draw(sheet)
    for number, line in enumerate(tile.lines):
        font = _font(15.0 if number == 0 else 13.0)
        where = (place[0], place[1] + TILE_PX + 4 + number * LINE_PX)
        pen.text(where, _fitted(pen, line, font), font=font, fill=INK)


def _fitted(pen: ImageDraw.ImageDraw, text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    """The text, cut to the tile's width."""
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    if pen.textlength(text, font=font) <= TILE_PX:
        return text
    while text and pen.textlength(text + "…", font=font) > TILE_PX:
        text = text[:-1]
    return text + "…"


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
