"""How often somebody may ask: a token bucket for each caller, in the memory of one process."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

MOST_CALLERS = 10_000
"""So many callers are remembered; whoever has not asked for longest is forgotten first, and starts afresh."""


@dataclass(frozen=True, slots=True)
class Standing:
    """Where a caller stands after asking: requests left at once, and seconds until one is (0: it was allowed)."""

    left: int
    wait_s: float
    full_in_s: float


class Buckets:
    """A token bucket for each caller: `burst` requests at once, refilled at `per_minute` (Turner 1986)."""

    def __init__(self, per_minute: float, burst: int, *, clock: Callable[[], float] = time.monotonic) -> None:
        if per_minute <= 0 or burst < 1:
            raise ValueError(f"expected a rate above 0 and a burst of at least 1, got {per_minute} and {burst}")
        self._per_s, self._burst, self._clock = per_minute / 60, burst, clock
        self._held: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def take(self, caller: str) -> Standing:
        """Take one token of a caller, if there is one."""
        now = self._clock()
        tokens, at = self._held.pop(caller, (float(self._burst), now))
        tokens = min(self._burst, tokens + (now - at) * self._per_s)
        allowed = tokens >= 1
        if allowed:
            tokens -= 1
        self._held[caller] = (tokens, now)
        if len(self._held) > MOST_CALLERS:
            self._held.popitem(last=False)
        wait = 0.0 if allowed else (1 - tokens) / self._per_s
        return Standing(int(tokens), wait, (self._burst - tokens) / self._per_s)
