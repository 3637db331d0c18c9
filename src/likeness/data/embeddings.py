"""Embeddings of a data set's crops, kept beside them so that each crop is embedded once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.data.kept import FOLDER, Kept, digests_of
from likeness.errors import DatasetError, ModelError, PhotoError
from likeness.spread import spread
from likeness.types import Pixels, Vector
from likeness.vision.decode import decode_photo
from likeness.vision.embed import Embedder
from likeness.vision.session import available_cores

_LARGEST_SHIFT = 0.02


def embed_crops(
    dataset: Dataset,
    bundle: Bundle,
    *,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Vector:
    """Embeddings `(n, d)` of the rows' crops, in order; those of the file beside the crops are not made again.

    Crops of another size than the model's are scaled to it.

    Raises:
        DatasetError: the crops are aligned otherwise than the model takes them, or one cannot be read.
        ModelError: the bundle is no embedder.
        StorageError: the embeddings cannot be kept.
    """
    expect_alignment(dataset, bundle)
    embedder: Embedder = bundle.load(threads=1)
    digests = digests_of(dataset)
    tag = hashlib.sha256(bundle.fingerprint.encode()).hexdigest()[:12]
    path = dataset.folder / FOLDER / f"{bundle.manifest.name}-{tag}.f32"
    vectors = Kept(path, np.dtype("<f4"), (embedder.dimension,)).complete(
        {digest: dataset.path(row) for digest, row in zip(digests, dataset.rows, strict=True)},
        lambda paths: list(embedder.embed(np.stack([load_crop(path, embedder.side_px) for path in paths]))),
        lambda work, batches: spread(work, batches, workers or available_cores()),
        progress,
    )
    if not digests:
        return np.empty((0, embedder.dimension), np.float32)
    return np.stack([vectors[digest] for digest in digests])


def expect_alignment(dataset: Dataset, bundle: Bundle) -> None:
    """Let a data set pass whose crops are aligned as the model takes them, whatever their size.

    Raises:
        DatasetError: they are not. ModelError: the bundle is no embedder.
    """
    manifest, crops = bundle.manifest, dataset.facts.crops
    if manifest.role != "embedder" or manifest.input is None or manifest.alignment is None:
        raise ModelError(f"{manifest.name} is no embedder", hint="name one with --model")
    if crops is None:
        raise DatasetError(
            f"the data set {str(dataset.folder)!r} holds no aligned crops", hint="make them: likeness data crop"
        )
    apart = np.abs(np.array(crops.template_for(manifest.input.side_px)) - np.array(manifest.alignment.template_px))
    if apart.max() > _LARGEST_SHIFT * manifest.input.side_px:
        raise DatasetError(
            f"the crops of {str(dataset.folder)!r} are aligned otherwise than {manifest.name} takes them, "
            f"by up to {apart.max():.1f} of {manifest.input.side_px} pixels",
            hint=f"crop again, into another folder, with --model {manifest.name}",
        )


def load_crop(path: Path, side_px: int) -> Pixels:
    """One crop `(side_px, side_px, 3)`, scaled where it has another size.

    Raises:
        DatasetError: it cannot be read.
    """
    try:
        pixels = decode_photo(path).pixels
    except PhotoError as error:
        raise DatasetError(
            f"the crop {str(path)!r} cannot be read: {error.message}", hint="`likeness data crop` makes it again"
        ) from error
    if pixels.shape[:2] == (side_px, side_px):
        return pixels
    return np.asarray(Image.fromarray(pixels).resize((side_px, side_px), Image.Resampling.LANCZOS))
