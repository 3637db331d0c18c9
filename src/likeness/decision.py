"""From similarities to an answer: `match`, `unsure` or `unknown`, each with its reason in words.

A **match** needs two things: so few strangers score this high that naming them all would be wrong at most at the rate
that was set, and the probability speaks for the person. An answer for which only one of the two holds is **unsure**.
"""

from __future__ import annotations

from collections.abc import Sequence

from likeness.calibration import Calibration
from likeness.gallery.base import Hit
from likeness.settings import Settings
from likeness.types import Answer, Comparison, Decision, Face, Match

LIKELY = 0.5
VERIFICATION_FMR = 1e-3


def decide_search(
    face: Face, hits: Sequence[Hit], people: int, faces: int, calibration: Calibration, settings: Settings
) -> Answer:
    """The answer of a search among `people` with `faces` pictures; `hits` are the nearest people, best first."""
    if not hits:
        return Answer(face, "unknown", "the gallery is empty")
    similarities = [hit.similarity for hit in hits]
    probabilities = calibration.search_probabilities(similarities, people, prior=settings.prior)
    rates, spread = calibration.fmr(similarities), calibration.fpir(similarities, faces)
    matches = [
        Match(
            person_id=hit.person_id,
            name=hit.name,
            face_id=hit.face_id,
            similarity=hit.similarity,
            probability=float(probability),
            fmr=float(rate),
            fpir=float(wide),
        )
        for hit, probability, rate, wide in zip(hits, probabilities, rates, spread, strict=True)
    ]
    decision, reason = _judge_search(matches, faces, calibration, settings)
    return Answer(face, decision, reason, matches[0], tuple(matches[1:]))


def _judge_search(
    matches: Sequence[Match], faces: int, calibration: Calibration, settings: Settings
) -> tuple[Decision, str]:
    best = matches[0]
    if settings.fmr is None:
        threshold, rate = calibration.search_threshold(settings.fpir, faces)
        limit = f"at most {_percent(rate)} of strangers reach it among {faces:,} faces"
    else:
        threshold = calibration.threshold(settings.fmr)
        limit = f"{_percent(settings.fmr)} of comparisons with strangers reach it"
    rare, likely = best.similarity >= threshold, best.probability >= LIKELY
    if rare and likely:
        return "match", f"similarity {best.similarity:.3f} is above the threshold {threshold:.3f}: {limit}"
    if rare:
        return "unsure", f"{_doubt(matches, threshold)} (probability {best.probability:.2f})"
    below = f"similarity {best.similarity:.3f} is below the threshold {threshold:.3f}: {limit}"
    return (
        ("unsure", f"probably {best.name}, but {below}") if likely else ("unknown", f"nobody is near enough: {below}")
    )


def _doubt(matches: Sequence[Match], threshold: float) -> str:
    """Why a similarity that few strangers reach does not make the best match likely."""
    best = matches[0]
    if len(matches) > 1 and best.probability + matches[1].probability >= LIKELY:
        return f"both {best.name} and {matches[1].name} fit, {best.name} no better than the other"
    return (
        f"similarity {best.similarity:.3f} is above the threshold {threshold:.3f}, but {best.name} is still not likely"
    )


def _percent(rate: float) -> str:
    return f"{100 * rate:.2g}%"


def decide_pair(first: Face, second: Face, calibration: Calibration, settings: Settings) -> Comparison:
    """Whether two faces, both with embeddings, show one person."""
    if first.embedding is None or second.embedding is None:
        raise ValueError("expected two faces with embeddings")
    similarity = float(first.embedding @ second.embedding)
    probability = float(calibration.probability(similarity, prior=settings.prior))
    fmr = settings.fmr or VERIFICATION_FMR
    threshold = calibration.threshold(fmr)
    rare, likely = similarity >= threshold, probability >= LIKELY
    decision: Decision = "match" if rare and likely else "unsure" if rare or likely else "unknown"
    side = "above" if rare else "below"
    reason = (
        f"similarity {similarity:.3f} is {side} {threshold:.3f}, the threshold at a false-match rate of {_percent(fmr)}"
    )
    return Comparison(first, second, decision, reason, similarity, probability, float(calibration.fmr(similarity)))
