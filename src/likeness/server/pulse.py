"""Whether the gallery answers, for those who look after the server: asked once a second, however often they ask.

They need no key and have no limit of rate, so what they ask must cost nothing.
"""

from __future__ import annotations

import asyncio
import time

from likeness.errors import LikenessError
from likeness.server.engine import Engine

EVERY_S = 1.0
PATIENCE_S = 10.0
"""A gallery that has not answered by then does not answer."""


class Pulse:
    """The last answer of an engine's gallery, and whether it is fresh."""

    def __init__(self, engine: Engine, *, every_s: float = EVERY_S) -> None:
        self._engine, self._every_s = engine, every_s
        self._turn = asyncio.Lock()
        self._felt, self._at = False, -every_s

    async def beats(self) -> bool:
        """Whether the gallery answers, or did within the last second; all who ask meanwhile wait for one answer."""
        async with self._turn:
            if time.monotonic() - self._at >= self._every_s:
                self._felt = await self._feel()
                self._at = time.monotonic()
            return self._felt

    async def _feel(self) -> bool:
        try:
            asked = self._engine.call(self._engine.people.gallery.info)
            await asyncio.wait_for(asyncio.wrap_future(asked), PATIENCE_S)
        except (LikenessError, TimeoutError):
            return False
        return True
