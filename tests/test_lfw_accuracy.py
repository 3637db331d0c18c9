"""Accuracy on real photos: one fold of LFW, where the photos are at hand (`LIKENESS_DATA`)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from likeness.errors import DatasetError
from likeness.evaluate.embeddings import embed_central_faces
from likeness.evaluate.lfw import Lfw
from likeness.evaluate.protocols import similarities
from likeness.recognizer import Recognizer

pytestmark = [pytest.mark.data, pytest.mark.slow]


@pytest.fixture(scope="module")
def lfw() -> Lfw:
    try:
        return Lfw.find()
    except DatasetError as error:
        pytest.skip(str(error))


def test_a_fold_of_lfw_is_told_apart_at_the_calibrated_threshold(
    lfw: Lfw, recognizer: Recognizer, tmp_path: Path
) -> None:
    chosen = lfw.pairs.fold == 0
    first, second, genuine = lfw.pairs.first[chosen], lfw.pairs.second[chosen], lfw.pairs.genuine[chosen]
    places, back = np.unique(np.concatenate([first, second]), return_inverse=True)
    photos = [lfw.photos[place] for place in places]
    seen: list[int] = []
    embedded = embed_central_faces(recognizer, photos, tmp_path, progress=lambda done, total: seen.append(done))
    scores = similarities(embedded, back[: len(first)], back[len(first) :])
    # 98.3% is what the whole protocol gives at this threshold; a fold of 600 pairs may lie 1.5 points off.
    assert ((scores >= recognizer.calibration.threshold(0.01)) == genuine).mean() > 0.968
    assert seen[-1] == len(photos)

    def never(done: int, total: int) -> None:
        assert done % 500 == 0 or done == total, "a photo was embedded again"

    again = embed_central_faces(recognizer, photos, tmp_path, progress=never)
    np.testing.assert_array_equal(again.vectors, embedded.vectors)
