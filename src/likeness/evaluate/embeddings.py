"""Embeddings of a data set's photos, one face each, kept in parts so that a run that was stopped goes on."""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from likeness import vision
from likeness.errors import PhotoError, StorageError, StorageFull
from likeness.recognizer import Recognizer
from likeness.types import Face, Vector

PART = 500


@dataclass(frozen=True, slots=True, eq=False)
class Embedded:
    """What was found in `n` photos.

    Attributes:
        vectors: `(n, d)` float32 of unit length; zeros where no face was found.
        faces: `(n,)` how many faces were found.
    """

    vectors: Vector
    faces: NDArray[np.intp]

    @property
    def found(self) -> NDArray[np.bool_]:
        """`(n,)`: whether there was a face."""
        return self.faces > 0


def embed_central_faces(
    recognizer: Recognizer, photos: Sequence[Path], cache: Path, *, progress: Callable[[int, int], None]
) -> Embedded:
    """The embedding of the face nearest to each photo's middle.

    Parts are kept under `cache`, named by the models, the code that runs them, and the photos' names and sizes, and
    read again instead of made.
    """
    folder = cache / _tag(recognizer, photos)
    folder.mkdir(parents=True, exist_ok=True)
    parts = []
    for start in range(0, len(photos), PART):
        path = folder / f"{start:07d}.npz"
        if not path.exists():
            done = start
            rows = []
            for row in recognizer.map(lambda photo: _central(recognizer, photo), photos[start : start + PART]):
                rows.append(row)
                done += 1
                progress(done, len(photos))
            write_part(path, rows, recognizer.dimension)
        parts.append(read_part(path))
        progress(min(start + PART, len(photos)), len(photos))
    return Embedded(np.concatenate([part[0] for part in parts]), np.concatenate([part[1] for part in parts]))


def _central(recognizer: Recognizer, path: Path) -> tuple[Vector | None, int]:
    try:
        photo = recognizer.photo(path)
    except PhotoError:
        return None, 0
    faces = recognizer.faces(photo, embed=False, attributes=False)
    if not faces:
        return None, 0
    middle = np.array(photo.size_px) / 2
    nearest = min(faces, key=lambda face: _distance(face, middle))
    assert nearest.crop is not None
    return recognizer.embedder.embed(nearest.crop[None])[0], len(faces)


def _distance(face: Face, middle: NDArray[np.float64]) -> float:
    x1, y1, x2, y2 = face.box_xyxy_px
    return float(np.hypot((x1 + x2) / 2 - middle[0], (y1 + y2) / 2 - middle[1]))


def write_part(path: Path, rows: Sequence[tuple[Vector | None, int]], dimension: int) -> None:
    """Keep a part's embeddings (None where no face was found) and numbers of faces, in one step."""
    vectors = np.stack([np.zeros(dimension, np.float32) if row[0] is None else row[0] for row in rows])
    aside = path.with_suffix(f".{os.getpid()}.part.npz")
    try:
        np.savez(aside, vectors=vectors, faces=np.array([row[1] for row in rows]))
        aside.replace(path)
    except OSError as error:
        kind = StorageFull if error.errno == errno.ENOSPC else StorageError
        raise kind(
            f"embeddings cannot be kept in {str(path.parent)!r}: {error.strerror}",
            hint="let the setting cache name a folder that can be written",
        ) from error
    finally:
        aside.unlink(missing_ok=True)


def read_part(path: Path) -> tuple[Vector, NDArray[np.intp]]:
    """The embeddings `(n, d)` and numbers of faces `(n,)` of a part that was kept."""
    with np.load(path, allow_pickle=False) as data:
        return data["vectors"], data["faces"]


def _tag(recognizer: Recognizer, photos: Sequence[Path]) -> str:
    return tag_of((*recognizer.fingerprint, *_lines(photos)))


def tag_of(lines: Iterable[str]) -> str:
    """Name of the folder that keeps the embeddings made of what the lines say, by the code as it is now."""
    digest = hashlib.sha256()
    # What the code does to pixels counts as much as the models do.
    for module in sorted(Path(vision.__path__[0]).glob("*.py")):
        digest.update(module.read_bytes())
    for line in lines:
        digest.update(line.encode() + b"\n")
    return digest.hexdigest()[:20]


def _lines(photos: Sequence[Path]) -> Iterator[str]:
    return (f"{path.parent.name}/{path.name} {path.stat().st_size}" for path in photos)
