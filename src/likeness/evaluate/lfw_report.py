"""The report on LFW: the official pairs, and the other protocols on all its photos."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from likeness import __version__
from likeness.bundle import Bundle
from likeness.data.manifest import Row
from likeness.evaluate.bootstrap import ROUNDS
from likeness.evaluate.dataset import calibration_of, model_facts
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.lfw import Lfw
from likeness.evaluate.measure import Extras, measure
from likeness.evaluate.pairs import PairSet
from likeness.evaluate.sample import Sample
from likeness.settings import Settings


def lfw_report(
    figures: Mapping[str, Any],
    lfw: Lfw,
    embedded: Embedded,
    bundle: Bundle,
    settings: Settings,
    *,
    rounds: int = ROUNDS,
    seed: int = 0,
) -> dict[str, Any]:
    """The report on what `evaluate_lfw` measured; `figures` are its own, which stand under `lfw`."""
    paths = [f"{photo.parent.name}/{photo.name}" for photo in lfw.photos]
    sample = Sample(lfw.people, embedded, paths)
    official = lfw.pairs
    pairs = PairSet(
        official.first,
        official.second,
        official.genuine,
        official.fold,
        np.ones(len(official.first)),
        balanced=False,
        protocol=f"the official {len(official.first):,} pairs in {len(np.unique(official.fold))} folds",
    )
    rows = [Row(path=path, identity=str(person)) for path, person in zip(paths, lfw.people, strict=True)]
    photos = np.bincount(sample.codes)
    report = {
        "kind": "lfw",
        "likeness": __version__,
        "date": figures["date"],
        "model": model_facts(bundle),
        "data": {
            "name": figures["data"],
            "split": "",
            "photos": figures["photos"],
            "people": figures["people"],
            "people_with_two_photos": int((photos > 1).sum()),
            "most_photos_of_one_person": int(photos.max()),
            "unreadable": figures["photos_without_a_face"],
            "detector": settings.detector,
        },
        "seed": seed,
        "rounds": rounds,
    }
    extras = Extras(calibration_of(bundle), rows=rows)
    return report | measure(sample, pairs, extras, settings, rounds=rounds, seed=seed) | {"lfw": dict(figures)}
