"""Pictures of answers: the photo with numbered boxes, and the faces beside those whom they look like."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import simplejpeg
from PIL import Image, ImageDraw, ImageFont

from likeness.service.portraits import GOOD, INK, NO_PICTURE, PAPER, Tile, contact_sheet
from likeness.types import Photo, Pixels
from likeness.vision.decode import DecodeLimits, decode_photo

SIDE_PX = 1600
"""Photos are drawn on no larger than about this."""
_MOST_RATIO = 15.0
"""Telegram takes no photo that is more than 20 times as long as it is wide."""
_MARGIN = 0.35
_QUALITY = 88


@dataclass(frozen=True, slots=True)
class Nearest:
    """Somebody whom a face may show: the name, how probably, and the picture (JPEG) where there is one."""

    name: str
    chance: str
    picture: bytes | None


def draw_answer(
    data: bytes, limits: DecodeLimits, boxes: Sequence[Sequence[float]], nearest: Sequence[Sequence[Nearest]]
) -> list[bytes]:
    """The pictures that go with an answer, as JPEG; none where there is nothing to show.

    Of one face: it beside those whom it looks like. Of several: the photo with a number at each face, then whom each
    looks like most. `boxes` are `(x1, y1, x2, y2)` in pixels of the full-size photo.

    Raises:
        PhotoError: the photo cannot be decoded.
    """
    photo = decode_photo(data, limits=limits, target_side_px=SIDE_PX)
    if len(boxes) == 1:
        tiles = [Tile(_pixels(each.picture), (each.name, each.chance)) for each in nearest[0]]
        return [_jpeg(contact_sheet(Tile(_cut(photo, boxes[0]), ("your photo",)), tiles))] if tiles else []
    marked = _marked(photo, boxes)
    tiles = [
        Tile(_pixels(found[0].picture), (f"{number}. {found[0].name}", found[0].chance))
        for number, found in enumerate(nearest, start=1)
        if found
    ]
    sheets = [contact_sheet(Tile(_square(marked), ("your photo",)), tiles)] if tiles else []
    return [_jpeg(_stretched(marked)), *(_jpeg(sheet) for sheet in sheets)]


def _marked(photo: Photo, boxes: Sequence[Sequence[float]]) -> Image.Image:
    """The photo, no larger than it is shown, with a numbered box at each face."""
    image = Image.fromarray(photo.pixels)
    image.thumbnail((SIDE_PX, SIDE_PX))
    scale = image.width / photo.size_px[0]
    pen = ImageDraw.Draw(image)
    line = max(2, round(max(image.size) / 400))
    for number, box in enumerate(boxes, start=1):
        x1, y1, x2, y2 = (side * scale for side in box)
        pen.rectangle((x1, y1, x2, y2), outline=GOOD, width=line)
        font = ImageFont.load_default(float(np.clip((x2 - x1) / 4, 14, 48)))
        left, top, right, bottom = pen.textbbox((0, 0), str(number), font=font)
        width, height = right - left + 8, bottom - top + 8
        place_x = min(max(x1, 0), image.width - width)
        place_y = min(max(y1 - height, 0), image.height - height)
        pen.rectangle((place_x, place_y, place_x + width, place_y + height), fill=GOOD)
        pen.text((place_x + 4 - left, place_y + 4 - top), str(number), font=font, fill=INK)
    return image


def _cut(photo: Photo, box: Sequence[float]) -> Pixels:
    """A face with some margin, square; paper where the photo ends."""
    x1, y1, x2, y2 = (side / photo.scale for side in box)
    half = max(x2 - x1, y2 - y1) * (0.5 + _MARGIN)
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    left, top = round(middle_x - half), round(middle_y - half)
    right, bottom = round(middle_x + half), round(middle_y + half)
    page = Image.new("RGB", (max(right - left, 1), max(bottom - top, 1)), PAPER)
    height, width = photo.pixels.shape[:2]
    inside = (max(left, 0), max(top, 0), min(right, width), min(bottom, height))
    if inside[0] < inside[2] and inside[1] < inside[3]:
        page.paste(Image.fromarray(photo.pixels).crop(inside), (inside[0] - left, inside[1] - top))
    return np.asarray(page)


def _square(image: Image.Image) -> Pixels:
    side = max(image.size)
    page = Image.new("RGB", (side, side), PAPER)
    page.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return np.asarray(page)


def _stretched(image: Image.Image) -> Pixels:
    """The picture, with paper beside it where it is too narrow to be sent."""
    width, height = image.size
    size = max(width, round(height / _MOST_RATIO)), max(height, round(width / _MOST_RATIO))
    if size == image.size:
        return np.asarray(image)
    page = Image.new("RGB", size, PAPER)
    page.paste(image, ((size[0] - width) // 2, (size[1] - height) // 2))
    return np.asarray(page)


def _pixels(picture: bytes | None) -> Pixels:
    return NO_PICTURE if picture is None else np.asarray(Image.open(io.BytesIO(picture)).convert("RGB"))


def _jpeg(pixels: Pixels) -> bytes:
    data: Any = simplejpeg.encode_jpeg(np.ascontiguousarray(pixels), quality=_QUALITY, colorspace="RGB")
    return bytes(data)
