"""Who a face is, in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

from likeness.cli.apparent import apparent_line
from likeness.cli.output import bounded, chance

if TYPE_CHECKING:
    from likeness.types import Answer


def answer_lines(answer: Answer, floor: float) -> list[str]:
    """An answer in words: decision, numbers, reason, apparent age, what is wrong with the picture, who else it may be.

    At the calibration's `floor` a rate is a bound.
    """
    from likeness.service.choosing import explain

    quality = answer.face.quality
    looks = [f"  {line}"] if (line := apparent_line(answer.face)) else []
    poor = [] if quality.passes else [f"  below the quality gate: {explain(quality)}"]
    best = answer.match
    if best is None:
        return [f"unknown: {answer.reason}", *looks, *poor]
    said = {
        "match": best.name,
        "unsure": f"unsure, perhaps {best.name}",
        "unknown": f"unknown (nearest: {best.name})",
    }[answer.decision]
    lines = [
        said,
        f"  probability {chance(best.probability)}, "
        f"false-positive rate {bounded(best.fpir, best.fmr, floor)}, similarity {best.similarity:.3f}",
        f"  because {answer.reason}",
        *looks,
        *poor,
    ]
    others = [f"{match.name} {match.similarity:.3f}" for match in answer.runners_up[:2]]
    if others:
        lines.append(f"  next: {', '.join(others)}")
    return lines
