"""What a teacher says of faces: any embedder's bundle, asked once for each view and remembered."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from likeness.bundle import Bundle
from likeness.data.dataset import replace_file
from likeness.errors import DatasetError
from likeness.evaluate.classes import Classes
from likeness.train.views import Views
from likeness.types import Vector
from likeness.vision.embed import Embedder

_BATCH = 32


class Teacher:
    """A bundle as a teacher.

    Attributes:
        bundle: where it came from. space, dimension: of its embeddings, which become the student's.
        side_px: side of the crops that it takes.
        classes: its classifier's rows `(people, d)`, or None.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        self._embedder: Embedder = bundle.load(threads=threads)
        self.bundle, self.space, self.dimension = bundle, self._embedder.space, self._embedder.dimension
        self.side_px = self._embedder.side_px
        classes = Classes.of(bundle)
        self.classes = None if classes is None else torch.from_numpy(classes.weights.astype(np.float32))

    def embed(self, faces: Tensor) -> Vector:
        """Unit embeddings `(n, d)` of faces `(n, 3, s, s)` uint8."""
        return self._embedder.embed(resized(faces, self.side_px).permute(0, 2, 3, 1).contiguous().numpy())


class Answers:
    """A teacher's answers about all views of a round, kept in a folder."""

    def __init__(self, teacher: Teacher, views: Views, folder: Path, *, key: str) -> None:
        self._teacher, self._views, self._folder = teacher, views, folder
        facts = json.dumps([teacher.bundle.fingerprint, key, repr(views.plan), views.seed])
        self._key = hashlib.sha256(facts.encode()).hexdigest()[:16]

    def of(self, round_: int, progress: Callable[[int, int], None] = lambda done, total: None) -> Tensor:
        """Unit embeddings `(n, d)` of the round's views, one a photo; asked for now, or when it was before.

        Raises:
            DatasetError: what was kept cannot be read.
        """
        path, count = self._folder / f"{self._key}-{round_}.npy", len(self._views.crops)
        if not path.is_file():
            self._keep(path, self._ask(round_, progress))
        try:
            kept: Vector = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise DatasetError(f"the answers kept in {str(path)!r} cannot be read", hint="delete the file") from error
        if kept.shape != (count, self._teacher.dimension):
            raise DatasetError(f"the teacher's answers in {str(path)!r} are of other photos", hint="delete the file")
        return torch.from_numpy(kept)

    def _ask(self, round_: int, progress: Callable[[int, int], None]) -> Vector:
        count = len(self._views.crops)
        parts = []
        for start in range(0, count, _BATCH):
            places = torch.arange(start, min(start + _BATCH, count))
            parts.append(self._teacher.embed(self._views.shared(round_, places)))
            progress(int(places[-1]) + 1, count)
        return np.concatenate(parts)

    def _keep(self, path: Path, answers: Vector) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        data = io.BytesIO()
        np.save(data, answers)
        replace_file(path, data.getvalue())


def resized(faces: Tensor, side_px: int) -> Tensor:
    """Faces `(n, 3, s, s)` uint8 at another side."""
    if faces.shape[2] == side_px:
        return faces
    sides = (side_px, side_px)
    smooth = functional.interpolate(faces.float(), sides, mode="bilinear", antialias=True, align_corners=False)
    return smooth.round().clamp(0, 255).to(torch.uint8)
