"""How long to wait before the next try: twice as long each time, with chance in it, and never longer than said."""

from __future__ import annotations

import random
from collections.abc import Callable

FIRST_S = 2.0
LONGEST_S = 600.0
_MOST_DOUBLINGS = 60  # what is doubled more often than that is above any cap


def backoff_s(
    attempt: int,
    *,
    first_s: float = FIRST_S,
    longest_s: float = LONGEST_S,
    chance: Callable[[], float] = random.random,
) -> float:
    """Seconds to wait after a failed attempt: `min(longest, first · 2^(attempt-1))`, less up to half of it by chance.

    The chance keeps workers that failed together, because a server was away, from all coming back at one moment.

    Args:
        attempt: 1 after the first.
        chance: gives numbers in [0, 1).
    """
    whole = min(longest_s, first_s * 2.0 ** min(max(attempt, 1) - 1, _MOST_DOUBLINGS))
    return whole * (1.0 - 0.5 * chance())
