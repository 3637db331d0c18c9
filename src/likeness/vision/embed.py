"""Aligned crops to unit-length embeddings."""

from __future__ import annotations

import numpy as np

from likeness.bundle import Bundle
from likeness.errors import BundleCorrupt
from likeness.types import Pixels, Vector
from likeness.vision.align import align
from likeness.vision.session import Session

BATCH = 16
"""Faces in one run of the network; more take memory and gain nothing."""


class Embedder:
    """The network of a bundle with the file `model`; thread-safe.

    With the bundle's parameter `flip` an embedding is the mean over the crop and its mirror image.

    Attributes:
        space: the embedding space; vectors of another cannot be compared.
        dimension: numbers in an embedding.
        side_px: side of the crops it takes.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        manifest = bundle.manifest
        if manifest.embedding is None or manifest.alignment is None or manifest.input is None:
            raise BundleCorrupt(f"the bundle {manifest.name} lacks embedding, alignment or input in its manifest")
        self.name = manifest.name
        self.space = manifest.embedding.space
        self.dimension = manifest.embedding.dimension
        self.side_px = manifest.input.side_px
        self._input = manifest.input
        self._flip = bool(manifest.parameters.get("flip", False))
        self._template = np.array(manifest.alignment.template_px, np.float32)
        self._session = Session(bundle.path("model"), threads=threads)

    def crop(self, pixels: Pixels, landmarks_px: Vector) -> Pixels:
        """The face with these landmarks `(5, 2)`, as `embed` takes it: `(side_px, side_px, 3)`."""
        return align(pixels, landmarks_px, self._template, self.side_px)

    def embed(self, crops: Pixels) -> Vector:
        """`(n, side_px, side_px, 3)` crops to `(n, dimension)` float32 of unit length.

        Raises:
            ValueError: the crops have another shape or type.
        """
        expected = (self.side_px, self.side_px, 3)
        if crops.ndim != 4 or crops.shape[1:] != expected or crops.dtype != np.uint8:
            raise ValueError(f"expected crops of shape (n, {expected}) uint8, got {crops.shape} {crops.dtype}")
        if not len(crops):
            return np.empty((0, self.dimension), np.float32)
        parts = [self._embed(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        return np.concatenate(parts)

    def _embed(self, crops: Pixels) -> Vector:
        views = np.concatenate([crops, crops[:, :, ::-1]]) if self._flip else crops
        raw: Vector = self._session.run(faces=self._input.prepare(views))[0]
        if self._flip:
            raw = raw[: len(crops)] + raw[len(crops) :]
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        unit: Vector = (raw / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit
