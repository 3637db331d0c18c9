"""Class accuracy: does the bundle's own classifier name the right identity?

A bundle may carry a file under the key `classes`: NumPy's `.npz` with `weights` `(c, d)` float32 and `identities`
`(c,)`. The scores of an embedding are `weights @ embedding`; the highest is the classifier's answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.arrays import read_arrays
from likeness.bundle import CLASSES, Bundle
from likeness.data.splits import person_key
from likeness.errors import BundleCorrupt
from likeness.evaluate.bootstrap import ROUNDS, share_interval
from likeness.evaluate.identification import NOWHERE
from likeness.evaluate.sample import Sample

CONFUSED = 12
"""Identities in the picture of who is taken for whom."""
CHUNK = 4000


@dataclass(frozen=True, slots=True, eq=False)
class Classes:
    """A classifier over embeddings: `weights` `(c, d)` float32 and the `identities` `(c,)` they stand for."""

    weights: NDArray[np.float32]
    identities: NDArray[np.str_]

    @classmethod
    def of(cls, bundle: Bundle) -> Classes | None:
        """The bundle's classifier; None where it carries none.

        Raises:
            BundleCorrupt: the file is not one, or does not fit the embeddings.
        """
        if not bundle.has(CLASSES):
            return None
        path = bundle.path(CLASSES)
        try:
            data = read_arrays(path)
            weights, identities = data["weights"].astype(np.float32), data["identities"].astype(np.str_)
        except (OSError, ValueError, TypeError, KeyError, MemoryError) as error:
            raise BundleCorrupt(f"{path.name} of the bundle {bundle.manifest.name} holds no classes: {error}") from None
        if not np.isfinite(weights).all():
            raise BundleCorrupt(f"{path.name} of the bundle {bundle.manifest.name} holds weights that are no numbers")
        dimension = bundle.manifest.embedding.dimension if bundle.manifest.embedding else 0
        if weights.shape != (len(identities), dimension) or identities.ndim != 1 or not len(identities):
            raise BundleCorrupt(
                f"expected weights of shape (classes, {dimension}) and as many identities in {path.name}, "
                f"got {weights.shape} and {identities.shape}"
            )
        return cls(weights, identities)


def classify(sample: Sample, classes: Classes, *, rounds: int = ROUNDS, seed: int = 0) -> dict[str, Any] | None:
    """Top-1 and top-5 accuracy on photos of people among the classes, and who is confused with whom.

    None where no photo shows any of them. Ties and photos without a face count as wrong.
    """
    known = {person_key(str(name)): place for place, name in enumerate(classes.identities)}
    own = np.array([known.get(person_key(str(name)), -1) for name in sample.names], np.intp)[sample.codes]
    places = np.nonzero(own >= 0)[0]
    if not len(places):
        return None
    rank, answer = _ranks(sample, classes, places, own[places])
    people = sample.codes[places]
    totals = np.bincount(people, minlength=len(sample.names))
    used = totals > 0

    def share(at: int) -> dict[str, Any]:
        hits = np.bincount(people, rank <= at, len(sample.names))
        return {
            f"top_{at}": float((rank <= at).mean()),
            f"top_{at}_interval": share_interval(hits[used], totals[used], rounds=rounds, seed=seed),
        }

    return {
        "classes": len(classes.identities),
        "photos": len(places),
        "people": int(used.sum()),
        "photos_of_others": len(sample.people) - len(places),
        "chance": 1 / len(classes.identities),
        **share(1),
        **share(5),
        "confusion": most_confused(own[places], answer, classes.identities),
    }


def most_confused(
    own: NDArray[np.intp], answer: NDArray[np.intp], identities: NDArray[np.str_]
) -> dict[str, Any] | None:
    """The table of the identities that are taken for each other most often; None where none is.

    Rows are who it is, columns what was answered; the last column is everybody else.
    """
    wrong = own != answer
    if not wrong.any():
        return None
    given = answer >= 0
    errors = np.bincount(own[wrong], minlength=len(identities)) + np.bincount(
        answer[wrong & given], minlength=len(identities)
    )
    chosen = np.argsort(-errors, kind="stable")[:CONFUSED]
    chosen = chosen[errors[chosen] > 0]
    table = [[int(((own == row) & (answer == column)).sum()) for column in chosen] for row in chosen]
    others = [int(((own == row) & ~np.isin(answer, chosen)).sum()) for row in chosen]
    return {
        "names": [str(identities[place]) for place in chosen],
        "table": [[*row, rest] for row, rest in zip(table, others, strict=True)],
    }


def _ranks(
    sample: Sample, classes: Classes, places: NDArray[np.intp], own: NDArray[np.intp]
) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rank of the right class of each photo (1 is best), and the place of the answer (−1 without a face)."""
    rank, answer = np.empty(len(places), np.intp), np.empty(len(places), np.intp)
    for start in range(0, len(places), CHUNK):
        part = slice(start, start + CHUNK)
        scores = sample.embedded.vectors[places[part]] @ classes.weights.T
        right = np.take_along_axis(scores, own[part][:, None], axis=1)
        rank[part], answer[part] = (scores >= right).sum(axis=1), scores.argmax(axis=1)
    found = sample.embedded.found[places]
    return np.where(found, rank, NOWHERE), np.where(found, answer, -1)
