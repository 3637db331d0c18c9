"""Choosing, among many mixtures, one for each invented person so that all stand well apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from blend import Ingredients, choose_rows, gather, own_shape, vary_weights
from likeness.bundle import Bundle
from likeness.types import Pixels, Vector
from likeness.vision.embed import Embedder
from people import Sketch
from portrait import as_pixels
from sources import Sources

INGREDIENTS = 10
LEAST_INGREDIENTS = 8
LARGEST_WEIGHT = 0.2
MOST_ALIKE = 0.92
"""Two ingredients of one person are less alike than this, so that they are not photos of one real person."""

_NEAR_SOURCE = 0.955
"""Mixtures that come nearer than this to any source face are avoided."""


@dataclass(frozen=True, slots=True, eq=False)
class Candidate:
    """A mixture that may become a person: which faces, how much of each, its embedding, its nearest source."""

    rows: tuple[int, ...]
    weights: Vector
    embedding: Vector
    nearest_source: float


def plain_embedder(bundle: Bundle) -> Embedder:
    """The bundle's embedder without flip-averaging, even where the bundle asks for it."""
    parameters = bundle.manifest.parameters | {"flip": False}
    embedder: Embedder = Bundle(bundle.folder, bundle.manifest.model_copy(update={"parameters": parameters})).load(
        threads=1
    )
    return embedder


def embed_both(embedder: Embedder, crops: Pixels) -> Vector:
    """Plain and flip-averaged embeddings of crops: `(n, 2, d)`."""
    plain, mirrored = embedder.embed(crops), embedder.embed(np.ascontiguousarray(crops[:, :, ::-1]))
    mean = plain + mirrored
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    return np.stack([plain, mean], axis=1).astype(np.float32)


def draw_candidates(sketch: Sketch, count: int, sources: Sources, rng: np.random.Generator) -> list[Candidate]:
    """Mixtures of faces that fit a sketch, with the mean of the faces' embeddings for a guess at the mixture's."""
    pool = sources.pool(sketch.ages, sketch.gender, sketch.group)
    drawn = []
    for _ in range(count):
        rows = choose_rows(sources, pool, INGREDIENTS, rng, MOST_ALIKE)
        if len(rows) < LEAST_INGREDIENTS:
            continue
        even = np.full(len(rows), 1 / len(rows), np.float32)
        weights = vary_weights(even, rng, 0.4, LARGEST_WEIGHT * 0.9)
        guess = weights @ sources.embeddings[list(rows)]
        drawn.append(_candidate(rows, weights, guess / np.linalg.norm(guess), sources))
    return drawn


def shortlist(drawn: Sequence[Sequence[Candidate]], keep: int) -> list[list[Candidate]]:
    """Of each sketch's candidates, the few that stand farthest from the best cast of the others."""
    cast = choose_cast(drawn)
    kept = []
    for k, row in enumerate(drawn):
        others = np.stack([member.embedding for j, member in enumerate(cast) if j != k])
        kept.append(sorted(row, key=lambda candidate: _badness(candidate, others))[:keep])
    return kept


def try_out(candidate: Candidate, sources: Sources, folder: Path, embedder: Embedder) -> Candidate:
    """A candidate with the embedding of its face as really mixed, in place of the guess."""
    made = gather(sources, folder, candidate.rows, candidate.weights)
    embedding = embed_mixture(made, candidate.weights, sources, embedder)
    return _candidate(candidate.rows, candidate.weights, embedding, sources)


def _candidate(rows: tuple[int, ...], weights: Vector, embedding: Vector, sources: Sources) -> Candidate:
    return Candidate(rows, weights, embedding, float((sources.embeddings @ embedding).max()))


def embed_mixture(made: Ingredients, weights: Vector, sources: Sources, embedder: Embedder) -> Vector:
    """Embedding of a composite face as it lies on the canvas."""
    face, _ = made.mix(weights)
    landmarks = own_shape(sources, made.rows, made.weights)
    vector: Vector = embedder.embed(embedder.crop(as_pixels(face), landmarks)[None])[0]
    return vector


def choose_cast(drawn: Sequence[Sequence[Candidate]]) -> list[Candidate]:
    """One candidate per sketch, so that the two most alike are as little alike as can be (coordinate descent)."""
    cast = [min(row, key=lambda candidate: candidate.nearest_source) for row in drawn]
    for _ in range(5):
        for k, row in enumerate(drawn):
            others = np.stack([member.embedding for j, member in enumerate(cast) if j != k])
            cast[k] = min(row, key=lambda candidate: _badness(candidate, others))
    return cast


def next_candidates(
    drawn: Sequence[Sequence[Candidate]], tried: Sequence[Sequence[Candidate]], cast: Sequence[Candidate]
) -> list[tuple[int, Candidate]]:
    """For each of the two members of the cast who are most alike, the most promising candidate not yet tried."""
    embeddings = np.stack([member.embedding for member in cast])
    alike = embeddings @ embeddings.T - 2 * np.eye(len(cast))
    promising = []
    for k in map(int, np.unravel_index(alike.argmax(), alike.shape)):
        others = np.delete(embeddings, k, axis=0)
        seen = {candidate.rows for candidate in tried[k]}
        fresh = [candidate for candidate in drawn[k] if candidate.rows not in seen]
        # Guesses lie nearer to everything than faces do, so they are compared by likeness to the others alone.
        nearness = (np.stack([candidate.embedding for candidate in fresh]) @ others.T).max(axis=1)
        promising.append((k, fresh[int(nearness.argmin())]))
    return promising


def _badness(candidate: Candidate, others: Vector) -> float:
    """How near the nearest other person is, and how near the nearest source, more so where it is very near."""
    near = candidate.nearest_source
    return float((others @ candidate.embedding).max()) + 0.5 * near + 4 * max(0.0, near - _NEAR_SOURCE)
