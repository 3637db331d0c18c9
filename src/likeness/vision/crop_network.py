"""A network that takes aligned crops: cutting them, running it in batches, averaging over mirror images."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from likeness.bundle import Bundle
from likeness.errors import BundleCorrupt
from likeness.types import Pixels, Vector
from likeness.vision.align import align
from likeness.vision.session import Session

BATCH = 16
"""Faces in one run of the network; more take memory and gain nothing."""
Outputs = dict[str, NDArray[np.float32]]


class CropNetwork:
    """The network of a bundle with the file `model`; thread-safe.

    With the bundle's parameter `flip` each output is the mean over the crop and its mirror image.

    Attributes:
        side_px: side of the crops it takes.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        manifest = bundle.manifest
        if manifest.alignment is None or manifest.input is None:
            raise BundleCorrupt(f"the bundle {manifest.name} lacks alignment or input in its manifest")
        self.name = manifest.name
        self.side_px = manifest.input.side_px
        self._input = manifest.input
        self._flip = bool(manifest.parameters.get("flip", False))
        self._template = np.array(manifest.alignment.template_px, np.float32)
        self._session = Session.of(bundle, "model", threads=threads)

    def crop(self, pixels: Pixels, landmarks_px: Vector) -> Pixels:
        """The face with these landmarks `(5, 2)`, as the network takes it: `(side_px, side_px, 3)`."""
        return align(pixels, landmarks_px, self._template, self.side_px)

    def crops_like(self, other: CropNetwork) -> bool:
        """Whether the other's crops can be taken as they are."""
        return self.side_px == other.side_px and bool(np.array_equal(self._template, other._template))

    def outputs(self, crops: Pixels) -> Outputs:
        """Each output `(n, …)` by name, in the file's order, of at least one crop `(n, side_px, side_px, 3)`.

        Raises:
            ValueError: the crops have another shape or type, or there are none.
        """
        expected = (self.side_px, self.side_px, 3)
        if crops.ndim != 4 or crops.shape[1:] != expected or crops.dtype != np.uint8 or not len(crops):
            raise ValueError(f"expected crops of shape (n, {expected}) uint8, got {crops.shape} {crops.dtype}")
        parts = [self._outputs(crops[start : start + BATCH]) for start in range(0, len(crops), BATCH)]
        return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}

    def _outputs(self, crops: Pixels) -> Outputs:
        views = np.concatenate([crops, crops[:, :, ::-1]]) if self._flip else crops
        found = self._session.run_named(faces=self._input.prepare(views))
        if not found or any(values.ndim < 1 or len(values) != len(views) for values in found.values()):
            raise BundleCorrupt(f"the network of the bundle {self.name} does not give one row for each crop")
        if self._flip:
            half = np.float32(0.5)
            found = {name: half * (values[: len(crops)] + values[len(crops) :]) for name, values in found.items()}
        return found
