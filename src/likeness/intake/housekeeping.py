"""What a worker does beside its steps, now and then: it writes down who is dead, and ends and erases what is old."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from likeness.intake.queues import Body, Message, Queue
from likeness.intake.steps import Step, Workshop
from likeness.intake.steps.base import fail

MOST_LETTERS = 10_000
LOOK_AGAIN_S = 3600.0
"""How long the dead letters of a queue are believed to be the same while there are as many: looking at them hides them
from others for a while, on SQS."""


@dataclass(slots=True, eq=False)
class House:
    """The records, spool and dead letters behind some steps; `send` puts messages into queues by the step's name."""

    shop: Workshop
    queues: Mapping[str, Queue]
    steps: Sequence[Step]
    send: Callable[[Sequence[tuple[str, Body]]], None]
    _noted: dict[str, None] = field(default_factory=dict)
    """Ids of dead letters that were written down, the oldest first."""
    _seen: dict[str, tuple[int, float]] = field(default_factory=dict)
    """By step how many dead letters there were, and until when that is believed."""

    def tidy(self) -> None:
        """Write down arrivals whose messages died without a word; end and erase what was kept long enough.

        Raises:
            RecordsUnavailable, QueueUnavailable, StorageError, RemoteError: not all of it was done.
        """
        days = self.shop.settings.arrivals_keep_days
        before = datetime.now(UTC) - timedelta(days=days)
        for step in self.steps:
            self._look_at_dead(step, before)
        if overdue := self.shop.records.overdue(before):
            self.send(fail(self.shop, overdue, "expired", f"no worker answered it within {days:g} days"))
        self.shop.records.forget_before(before)

    def _look_at_dead(self, step: Step, before: datetime) -> None:
        """Write down new dead letters, and drop the old ones, which say which photos came and of whom."""
        queue, now = self.queues[step.name], time.monotonic()
        count = queue.depth().dead
        believed = self._seen.get(step.name, (-1, 0.0))
        if count == believed[0] and now < believed[1]:
            return
        letters = queue.dead(MOST_LETTERS)
        for letter in letters:
            if letter.id not in self._noted:
                dead = Message(letter.id, letter.body, letter.attempts, "")
                self.send(step.give_up(dead, letter.reason))
                self._noted[letter.id] = None
        old = [letter.id for letter in letters if letter.died_at < before]
        if old:
            queue.drop(old)
        for letter_id in list(self._noted)[: max(0, len(self._noted) - 2 * MOST_LETTERS)]:
            del self._noted[letter_id]
        self._seen[step.name] = count - len(old), now + LOOK_AGAIN_S
