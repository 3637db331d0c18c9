"""Faces cut anew out of their photos, with what lies past a photo's edge mirrored from inside it.

Photos that show little more than the face leave black corners in its crop, which would be learnt as part of what a
face looks like.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.errors import DatasetError, PhotoError
from likeness.spread import spread
from likeness.types import Pixels
from likeness.vision.align import align
from likeness.vision.decode import decode_photo
from likeness.vision.session import available_cores

MARGIN = 0.6
"""How much is mirrored at each side, in sides of the photo."""


def recut_crops(
    dataset: Dataset,
    rows: Sequence[Row],
    photos: Path,
    side_px: int,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Pixels:
    """The crops of `rows` as `(n, side_px, side_px, 3)` uint8, from the photos below the folder `photos`.

    Raises:
        DatasetError: a row does not say where its face is, or its photo is not there or cannot be decoded.
    """
    assert dataset.facts.crops is not None
    template = np.array(dataset.facts.crops.template_for(side_px), np.float32)

    def cut(row: Row) -> Pixels:
        if row.face is None or not row.face.landmarks_px:
            raise DatasetError(f"the data set does not say where the face of {row.path!r} is in its photo")
        try:
            pixels = decode_photo(photos / row.photo).pixels
        except (OSError, PhotoError) as error:
            raise DatasetError(
                f"the photo of the crop {row.path!r} cannot be read: {error}",
                hint="name the folder that the crops were cut from with --photos, or leave it out",
            ) from None
        margin = [round(MARGIN * side) for side in pixels.shape[:2]]
        wide = np.pad(pixels, [(margin[0],) * 2, (margin[1],) * 2, (0, 0)], mode="reflect")
        points = np.array(row.face.landmarks_px, np.float32) + np.array(margin[::-1], np.float32)
        return align(wide, points, template, side_px)

    crops = np.empty((len(rows), side_px, side_px, 3), np.uint8)
    for at, crop in enumerate(spread(cut, rows, available_cores())):
        crops[at] = crop
        progress(at + 1, len(rows))
    return crops
