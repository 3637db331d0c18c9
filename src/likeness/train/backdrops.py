"""What stands behind and beside faces in composed scenes: real pictures without faces, and made textures."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from likeness.data.photofiles import photos_below
from likeness.errors import DatasetError, PhotoError, PhotoMissing
from likeness.train.same_work import Facts, digest_of, digest_of_file, expect_same_work, facts_as_text
from likeness.types import Pixels, Vector
from likeness.vision.decode import decode_photo
from likeness.vision.detect import Detector

KEPT_SIDE_PX = 512
"""Longer side that pictures are kept at; scenes show parts of them."""
LEAST_SIDE_PX = 96
_SURE = 0.9
_SAME = 4.0
"""Grey levels that an eighth of a picture may differ by in another size of it."""
_LEAST_CUT_PX = 40
_WORDS = "the of and to in is that it was for on are as with his they at be this from have or by one had not"


class Backdrops:
    """Pictures without faces `(h, w, 3)`, and parts of them."""

    def __init__(self, pictures: Sequence[Pixels], work: str = "{}") -> None:
        self._pictures, self._work = [Image.fromarray(pixels) for pixels in pictures], work

    def __len__(self) -> int:
        return len(self._pictures)

    @property
    def work(self) -> str:
        """What they were chosen from and by whom, as `facts_as_text`."""
        return self._work

    def digests(self) -> list[str]:
        """What each picture is told from others by."""
        return [digest_of([str(each.size), each.tobytes()]) for each in self._pictures]

    def chosen(self, numbers: Sequence[int]) -> Backdrops:
        """Some of the pictures."""
        return Backdrops([np.asarray(self._pictures[number]) for number in numbers], self._work)

    def write(self, target: Path) -> None:
        """Write the pictures into a file of numpy's."""
        arrays: dict[str, Any] = {f"{index:05d}": np.asarray(each) for index, each in enumerate(self._pictures)}
        part = target.with_name(f".{target.name}.part.npz")
        np.savez(part, **arrays, work=np.array(self._work))
        part.replace(target)

    @classmethod
    def read(cls, source: Path) -> Backdrops:
        """Read a file of `write`.

        Raises:
            DatasetError: it is damaged.
        """
        try:
            with source.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                work = str(kept["work"])
                json.loads(work)
                return cls([kept[name] for name in sorted(kept.files) if name != "work"], work)
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DatasetError(f"the pictures in {str(source)!r} cannot be read", hint="delete it") from error

    def part(self, rng: np.random.Generator, width: int, height: int) -> Image.Image:
        """A part of a picture, or a made texture, at this size in pixels."""
        if not self._pictures or rng.random() < 0.12:
            return made_texture(rng, width, height)
        picture = self._pictures[rng.integers(len(self._pictures))]
        largest = min(picture.width / width, picture.height / height)
        # Parts are enlarged at most twice: beyond that they show nothing.
        zoom = largest * (max(min(1.0, 0.5 / largest), _LEAST_CUT_PX / KEPT_SIDE_PX) ** rng.random())
        cut_width, cut_height = width * zoom, height * zoom
        left, top = rng.random() * (picture.width - cut_width), rng.random() * (picture.height - cut_height)
        box = (left, top, left + cut_width, top + cut_height)
        part = picture.resize((width, height), Image.Resampling.BILINEAR, box=box, reducing_gap=1.5)
        if rng.random() < 0.5:
            part = part.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
        if width == height and rng.random() < 0.15:
            part = part.transpose(Image.Transpose.ROTATE_90)
        return part


def load_backdrops(
    folders: Sequence[Path],
    teacher: Detector,
    cache: Path,
    *,
    asked: Facts = MappingProxyType({}),
    say: Callable[[str], None] = lambda text: None,
) -> Backdrops:
    """All pictures below some folders in which the teacher is sure of no face; from the file `cache` if it is there.

    Small pictures, and those that are there in several sizes, are left out. `asked` says which teacher it is.

    Raises:
        PhotoMissing: a folder is not there. RunDiffers: `cache` holds those of other folders, or of another teacher.
    """
    files = [folder / name for folder in folders for name in _names(folder)]
    work = {"pictures": digest_of(digest_of_file(file) for file in files),
            "choice": [KEPT_SIDE_PX, LEAST_SIDE_PX, _SURE, _SAME], **asked}  # fmt: skip
    if cache.is_file():
        known = Backdrops.read(cache)
        expect_same_work(known.work, work, cache)
        return known
    kept: list[Pixels] = []
    seen: list[Vector] = []
    faces = 0
    for file in files:
        pixels = _small(file)
        if pixels is None:
            continue
        look = np.asarray(Image.fromarray(pixels).convert("L").resize((8, 8), Image.Resampling.BOX), np.float32)
        if any(np.abs(look - other).max() < _SAME for other in seen):
            continue
        seen.append(look)
        if (teacher.detect(pixels).scores > _SURE).any():
            faces += 1
        else:
            kept.append(pixels)
    say(f"{len(kept)} pictures without faces; {faces} with faces left out")
    backdrops = Backdrops(kept, facts_as_text(work))
    cache.parent.mkdir(parents=True, exist_ok=True)
    backdrops.write(cache)
    return backdrops


def _names(folder: Path) -> list[str]:
    """The pictures below a folder; a link that leads nowhere is none.

    Raises:
        PhotoMissing: there is no such folder.
    """
    if not folder.is_dir():
        raise PhotoMissing(f"there is no folder {str(folder)!r}")
    return [name for name in photos_below(folder) if (folder / name).is_file()]


def _small(path: Path) -> Pixels | None:
    try:
        pixels = decode_photo(path, target_side_px=KEPT_SIDE_PX).pixels
    except PhotoError:
        return None
    if min(pixels.shape[:2]) < LEAST_SIDE_PX:
        return None
    image = Image.fromarray(pixels)
    image.thumbnail((KEPT_SIDE_PX, KEPT_SIDE_PX), Image.Resampling.BOX)
    return np.asarray(image)


def made_texture(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    """Clouds of colour, a slope of colour, stripes, checks, shapes or words."""
    kind = _KINDS[rng.integers(len(_KINDS))]
    return kind(rng, width, height)


def _colour(rng: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = rng.integers(0, 256, 3).tolist()
    return red, green, blue


def _clouds(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    cells = int(rng.integers(2, 24))
    coarse = rng.normal(rng.integers(0, 256, 3), rng.uniform(4, 70), (cells, cells, 3)).clip(0, 255).astype(np.uint8)
    return Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC)


def _slope(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    corners = rng.integers(0, 256, (2, 2, 3)).astype(np.uint8)
    return Image.fromarray(corners).resize((width, height), Image.Resampling.BILINEAR, box=(0.5, 0.5, 1.5, 1.5))


def _stripes(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    y, x = np.mgrid[:height, :width]
    turn = rng.uniform(0, np.pi)
    wave = np.sin((x * np.cos(turn) + y * np.sin(turn)) * 2 * np.pi / rng.uniform(3, 40))
    if rng.random() < 0.4:
        wave = wave * np.sin((y * np.cos(turn) - x * np.sin(turn)) * 2 * np.pi / rng.uniform(3, 40))
    share = np.clip(0.5 + wave * rng.uniform(0.5, 4), 0, 1)[..., None]
    mixed = share * np.array(_colour(rng)) + (1 - share) * np.array(_colour(rng))
    return Image.fromarray(mixed.astype(np.uint8))


def _shapes(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), _colour(rng))
    draw = ImageDraw.Draw(image)
    for _ in range(rng.integers(3, 25)):
        middle, size = rng.uniform(0, 1, 2) * (width, height), rng.uniform(0.02, 0.4) * max(width, height)
        box = (middle[0], middle[1], middle[0] + size * rng.uniform(0.2, 1), middle[1] + size * rng.uniform(0.2, 1))
        if rng.random() < 0.5:
            draw.ellipse(box, fill=_colour(rng))
        else:
            draw.rectangle(box, fill=_colour(rng))
    return image


def _text(rng: np.random.Generator, width: int, height: int) -> Image.Image:
    image = Image.new("RGB", (width, height), _colour(rng))
    draw, words, ink = ImageDraw.Draw(image), _WORDS.split(), _colour(rng)
    size = float(rng.uniform(6, 48))
    font = ImageFont.load_default(size)
    for row in range(int(height / size) + 1):
        line = " ".join(rng.choice(words, 12))
        draw.text((-rng.uniform(0, 30), row * size), line.upper() if rng.random() < 0.3 else line, ink, font=font)
    return image


_KINDS: tuple[Callable[[np.random.Generator, int, int], Image.Image], ...] = (
    _clouds, _clouds, _slope, _stripes, _shapes, _text,
)  # fmt: skip
