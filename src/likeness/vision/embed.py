"""Aligned crops to unit-length embeddings, and with a network that tells them, to ages and genders in one pass."""

from __future__ import annotations

import numpy as np

from likeness.bundle import Bundle
from likeness.errors import BundleCorrupt
from likeness.types import Pixels, Vector
from likeness.vision.attributes import AttributeLogits
from likeness.vision.crop_network import CropNetwork, Outputs

EMBEDDINGS = "embeddings"
"""Name of the output; of a network that has none of that name it is the first."""


class Embedder(CropNetwork):
    """The network of a bundle with the file `model`; thread-safe.

    With the bundle's parameter `flip` an embedding is the mean over the crop and its mirror image.

    Attributes:
        space: the embedding space; vectors of another cannot be compared.
        dimension: numbers in an embedding.
        side_px: side of the crops it takes.
    """

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        super().__init__(bundle, threads=threads)
        manifest = bundle.manifest
        if manifest.embedding is None:
            raise BundleCorrupt(f"the bundle {manifest.name} lacks embedding in its manifest")
        self.space = manifest.embedding.space
        self.dimension = manifest.embedding.dimension
        self._bundle = bundle

    def embed(self, crops: Pixels) -> Vector:
        """`(n, side_px, side_px, 3)` crops to `(n, dimension)` float32 of unit length.

        Raises:
            ValueError: the crops have another shape or type.
            BundleCorrupt: the network gives no such embeddings.
        """
        if not len(crops):
            return np.empty((0, self.dimension), np.float32)
        return self._unit(self.outputs(crops))

    def embed_and_tell(self, crops: Pixels) -> tuple[Vector, AttributeLogits]:
        """Embeddings as `embed`, and age and gender logits of at least one crop, in one pass.

        Raises:
            ValueError: the crops have another shape or type.
            BundleCorrupt: the network gives no such embeddings, or tells no age and gender.
        """
        found = self.outputs(crops)
        return self._unit(found), AttributeLogits.of(found, self._bundle)

    def attribute_logits(self, crops: Pixels) -> AttributeLogits:
        """Age and gender logits alone; raises as `embed_and_tell`."""
        return self.embed_and_tell(crops)[1]

    def _unit(self, outputs: Outputs) -> Vector:
        raw = outputs[EMBEDDINGS] if EMBEDDINGS in outputs else next(iter(outputs.values()))
        if raw.shape[1:] != (self.dimension,) or raw.dtype.kind != "f" or not np.isfinite(raw).all():
            raise BundleCorrupt(
                f"the network of the bundle {self.name} gives no embeddings of {self.dimension} finite numbers, but "
                f"{raw.dtype} of shape {raw.shape}"
            )
        lengths = np.linalg.norm(raw, axis=1, keepdims=True)
        unit: Vector = (raw / np.maximum(lengths, 1e-12)).astype(np.float32)
        return unit
