"""Contact sheets: photos with their boxes beside the crops, suspects beside their people, and triplets."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from likeness.data.coherence import Suspect
from likeness.data.dataset import Dataset
from likeness.data.manifest import FoundFace, Row
from likeness.data.splits import person_key
from likeness.data.triplets import Triplet
from likeness.errors import PhotoError
from likeness.types import Pixels
from likeness.vision.decode import decode_photo

PAPER, INK, GREY, GREEN, YELLOW, RED = (
    (250, 250, 250),
    (20, 20, 20),
    (120, 120, 120),
    (40, 200, 90),
    (255, 230, 0),
    (200, 40, 40),
)
Colour = tuple[int, int, int]
CELL_PX, GAP_PX, LINE_PX, HEAD_PX = 168, 6, 17, 30
_LEAST_SURE = 6
_AROUND = 4.0
"""Side of the part of a photo that is shown, in sides of the face's box."""


@dataclass(frozen=True, slots=True)
class Tile:
    """Pictures side by side with coloured lines: one under each picture (`under_each`), or below each other."""

    pictures: tuple[Image.Image, ...]
    lines: tuple[tuple[str, Colour], ...]
    under_each: bool = False


def crop_sheet(
    dataset: Dataset, photos: Path, count: int = 48, *, seed: int = 0, columns: int = 6
) -> tuple[Pixels, int]:
    """Photos (below the folder `photos`) with box and landmarks, each beside its crop; and how many are on the sheet.

    First those of which the detector was least sure, then others, drawn with the seed.
    """
    found = sorted((row for row in dataset.rows if row.face is not None), key=lambda row: (_score(row), row.path))
    least = found[: min(_LEAST_SURE // columns * columns or columns, count)]
    rest = found[len(least) :]
    drawn = random.Random(seed).sample(rest, min(count - len(least), len(rest)))  # noqa: S311 - for people's eyes
    drawn.sort(key=lambda row: row.path)
    parts = [("Least sure of the detector", least), (f"Drawn at random, seed {seed}", drawn)]
    tiles = [(title, [_crop_tile(dataset, photos, row) for row in rows]) for title, rows in parts if rows]
    title = f"{dataset.facts.name}: {len(least) + len(drawn)} of {len(found)} crops"
    return _sheet(title, tiles, columns), len(least) + len(drawn)


def suspect_sheet(dataset: Dataset, suspects: Sequence[Suspect], count: int = 36, *, columns: int = 3) -> Pixels:
    """Photos whose label is doubted, each beside two others of the person, and one of the most similar other."""
    by_person: dict[str, list[Row]] = {}
    for row in dataset.rows:
        by_person.setdefault(person_key(row.identity), []).append(row)
    tiles = []
    for each in suspects[:count]:
        own = [row for row in by_person[person_key(each.row.identity)] if row.path != each.row.path][:2]
        other = by_person.get(person_key(each.nearest), [])[:1] if each.nearest else []
        pictures = [_opened(dataset.path(row)) for row in (each.row, *own, *other)]
        pictures[1 + len(own) : 1 + len(own)] = [_blank()] * (2 - len(own))
        pictures += [_blank()] * (4 - len(pictures))
        label = f"{each.row.path.rpartition('/')[2]}: {each.own:.3f} to its label"
        verdict = f"{'like' if each.sure else 'nearest'} {each.nearest}: {each.other:.3f}"
        tiles.append(Tile(tuple(pictures), ((label, RED), (verdict, GREEN if each.sure else GREY))))
    title = f"{dataset.facts.name}: {len(tiles)} of {len(suspects)} photos whose label is doubted"
    return _sheet(title, [("Photo, two others under its label, the most similar other person", tiles)], columns)


def triplet_sheet(
    dataset: Dataset, triplets: Sequence[Triplet], count: int = 24, *, seed: int = 0, columns: int = 4
) -> Pixels:
    """Some triplets, drawn with the seed: anchor, positive, negative."""
    chosen = random.Random(seed).sample(range(len(triplets)), min(count, len(triplets)))  # noqa: S311
    people = {row.path: row.identity for row in dataset.rows}
    tiles = []
    for at in sorted(chosen):
        each = triplets[at]
        paths = (each.anchor, each.positive, each.negative)
        pictures = tuple(_opened(dataset.folder / path) for path in paths)
        one, _, other = (people.get(path, "") for path in paths)
        tiles.append(Tile(pictures, ((f"{at + 1}: {one}", INK), ("", INK), (other, RED)), under_each=True))
    title = f"{dataset.facts.name}: {len(tiles)} of {len(triplets)} triplets"
    return _sheet(title, [("Anchor, positive, negative", tiles)], columns)


def _score(row: Row) -> float:
    return row.face.score if row.face is not None else 0.0


def _crop_tile(dataset: Dataset, photos: Path, row: Row) -> Tile:
    assert row.face is not None
    x1, y1, x2, y2 = row.face.box_xyxy_px
    size = f"{row.face.score:.3f}, {x2 - x1:.0f} x {y2 - y1:.0f} px"
    pictures = (_marked(photos / row.photo, row.face), _opened(dataset.path(row)))
    return Tile(pictures, ((row.identity or "(no name)", INK), (size, GREY)))


def _marked(path: Path, face: FoundFace) -> Image.Image:
    """The photo's part around the face, fitted into a cell, with box and landmarks; of small photos the whole."""
    try:
        photo = decode_photo(path, target_side_px=1024)
    except PhotoError as error:
        return _blank(error.code)
    box = np.array(face.box_xyxy_px) / photo.scale
    middle, half = (box[:2] + box[2:]) / 2, float((box[2:] - box[:2]).max()) * _AROUND / 2
    size = np.array(photo.pixels.shape[1::-1])
    low = np.clip(np.minimum(middle - half, size - 2 * half), 0, None).astype(int)
    high = np.minimum(np.maximum(low + 2 * half, low + 1), size).astype(int)
    part = Image.fromarray(photo.pixels[low[1] : high[1], low[0] : high[0]])
    image = _fitted(part)
    scale = image.width / part.width
    pen = ImageDraw.Draw(image)
    pen.rectangle(((box - np.tile(low, 2)) * scale).tolist(), outline=GREEN, width=2)
    for point in face.landmarks_px:
        x, y = (np.array(point) / photo.scale - low) * scale
        pen.ellipse((x - 2, y - 2, x + 2, y + 2), fill=YELLOW, outline=INK)
    return image


def _opened(path: Path) -> Image.Image:
    try:
        return Image.fromarray(decode_photo(path).pixels)
    except PhotoError as error:
        return _blank(error.code)


def _blank(word: str = "") -> Image.Image:
    image = Image.new("RGB", (CELL_PX, CELL_PX), (225, 225, 225))
    if word:
        ImageDraw.Draw(image).text((8, CELL_PX // 2), word, font=_font(13), fill=INK)
    return image


def _sheet(title: str, parts: Sequence[tuple[str, Sequence[Tile]]], columns: int) -> Pixels:
    """Parts below each other, each with its heading and its tiles in rows."""
    every = [tile for _, tiles in parts for tile in tiles]
    step_x = max((len(tile.pictures) for tile in every), default=1) * (CELL_PX + GAP_PX) + 3 * GAP_PX
    lines = max((1 if tile.under_each else len(tile.lines) for tile in every), default=1)
    step_y = CELL_PX + lines * LINE_PX + 2 * GAP_PX
    rows = sum(-(-len(tiles) // columns) for _, tiles in parts)
    height = HEAD_PX * (1 + len(parts)) + rows * step_y + GAP_PX
    sheet = Image.new("RGB", (columns * step_x + GAP_PX, height), PAPER)
    pen = ImageDraw.Draw(sheet)
    _write(pen, (2 * GAP_PX, 5), title, 18, INK, sheet.width)
    y = HEAD_PX
    for heading, tiles in parts:
        _write(pen, (2 * GAP_PX, y + 6), heading, 15, GREY, sheet.width)
        y += HEAD_PX
        for at, tile in enumerate(tiles):
            _place(sheet, pen, tile, (2 * GAP_PX + at % columns * step_x, y + at // columns * step_y))
        y += -(-len(tiles) // columns) * step_y
    return np.asarray(sheet)


def _place(sheet: Image.Image, pen: ImageDraw.ImageDraw, tile: Tile, place: tuple[int, int]) -> None:
    x, y = place
    step, count = CELL_PX + GAP_PX, len(tile.pictures)
    for at, picture in enumerate(tile.pictures):
        fitted = _fitted(picture)
        sheet.paste(fitted, (x + at * step + (CELL_PX - fitted.width) // 2, y + (CELL_PX - fitted.height) // 2))
    for at, (line, colour) in enumerate(tile.lines):
        if tile.under_each:
            # A line may run on under pictures that have none.
            free = next((more for more in range(at + 1, len(tile.lines)) if tile.lines[more][0]), count) - at
            _write(pen, (x + at * step, y + CELL_PX + 1), line, 13, colour, free * step - GAP_PX)
        else:
            _write(pen, (x, y + CELL_PX + 1 + at * LINE_PX), line, 13, colour, count * step - GAP_PX)


def _fitted(picture: Image.Image) -> Image.Image:
    scale = CELL_PX / max(picture.size)
    if scale == 1:
        return picture
    size = (max(round(picture.width * scale), 1), max(round(picture.height * scale), 1))
    return picture.resize(size, Image.Resampling.LANCZOS)


def _write(
    pen: ImageDraw.ImageDraw,
    place: tuple[int, int],
    text: str,
    size: float,
    colour: tuple[int, int, int],
    room_px: int,
) -> None:
    """A line of text, cut where it would be wider than `room_px`."""
    font = _font(size)
    text = "".join(letter if letter.isprintable() else " " for letter in text)
    measure: Callable[[str], float] = lambda words: pen.textlength(words, font=font)  # noqa: E731
    if measure(text) > room_px:
        while text and measure(text + "…") > room_px:
            text = text[:-1]
        text += "…"
    pen.text(place, text, font=font, fill=colour)


def _font(size: float) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
