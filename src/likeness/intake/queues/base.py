"""The contract of a queue: messages are leased, acknowledged, tried again later, or buried with a reason.

Delivery is at least once: a message whose lease ended without a word comes again, so whoever receives it must be able
to do its work twice with one result. Order is not promised.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Self

from likeness.errors import InputError

Body = Mapping[str, Any]
"""What a message says: plain data for JSON, at most `MOST_BYTES` of it. It may name people: it goes into no log."""

MOST_BYTES = 128 * 1024
"""Of a body as JSON in ASCII. What is larger belongs into storage, its address into the message."""
MOST_REASON = 1000
"""Letters of a reason that are kept."""
LEASE_S = 60.0
MOST_ATTEMPTS = 5
"""Deliveries of one message; after the last one that was neither acknowledged nor buried it is dead."""


@dataclass(frozen=True, slots=True)
class Message:
    """One delivery of a message.

    Attributes:
        id: the message's, the same at each delivery.
        attempt: 1 at the first delivery.
        receipt: this delivery's; a later delivery makes it worthless.
    """

    id: str
    body: Body = field(repr=False)
    attempt: int
    receipt: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A message that is not delivered any more, and why."""

    id: str
    body: Body = field(repr=False)
    attempts: int
    reason: str
    died_at: datetime


@dataclass(frozen=True, slots=True)
class Depth:
    """How many messages there are: `ready` to be received, `waiting` for their time, `leased`, and `dead`.

    A server that counts roughly (SQS) is believed.
    """

    ready: int
    waiting: int
    leased: int
    dead: int


class Queue(ABC):
    """A durable queue that any number of processes share.

    What is promised: `send` returns after the message is durable; a leased message is given to nobody else until its
    lease ends; an acknowledged one is never delivered again; a dead one is kept with its reason until it is revived
    or dropped. Every method raises `QueueUnavailable` where the server does not answer.

    A lease is lost when the message was delivered again, or died, or was given back. One whose time is over but which
    nobody took since may count as held still: the work is done, and to do it twice helps nobody.

    Several threads may use one queue; each process opens its own.
    """

    name: str

    @abstractmethod
    def send(self, bodies: Sequence[Body], *, delay_s: float = 0.0) -> list[str]:
        """Put messages in; their ids, in order. They are delivered after `delay_s` at the earliest.

        Raises:
            InputError: a body is no plain data, or larger than `MOST_BYTES`.
        """

    @abstractmethod
    def receive(self, most: int = 1, *, wait_s: float = 0.0, lease_s: float = LEASE_S) -> list[Message]:
        """Lease up to `most` messages; waits up to `wait_s` for the first one, then takes what is there."""

    @abstractmethod
    def extend(self, message: Message, lease_s: float = LEASE_S) -> bool:
        """Make a lease last `lease_s` from now; whether it was still held."""

    @abstractmethod
    def acknowledge(self, *messages: Message) -> bool:
        """Say that messages are done; whether their leases were all still held, else one may come again."""

    @abstractmethod
    def retry(self, message: Message, *, after_s: float, reason: str) -> bool:
        """Give a message back, to be delivered after `after_s`; after `MOST_ATTEMPTS` deliveries it is dead instead.

        Whether the lease was still held.
        """

    @abstractmethod
    def bury(self, message: Message, reason: str) -> bool:
        """Deliver a message never again, and keep it with the reason; whether its lease was still held."""

    @abstractmethod
    def depth(self) -> Depth:
        """How many messages there are."""

    @abstractmethod
    def dead(self, most: int = 100) -> list[DeadLetter]:
        """Dead letters, the newest first."""

    @abstractmethod
    def revive(self, ids: Sequence[str] | None = None) -> int:
        """Deliver dead letters again, as if new: those of `ids`, or all; how many there were."""

    @abstractmethod
    def drop(self, ids: Sequence[str] | None = None) -> int:
        """Forget dead letters: those of `ids`, or all; how many there were."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def encode(body: Body) -> str:
    """A body as it travels: JSON in ASCII, so that any file's name survives.

    Raises:
        InputError: it is no plain data, or too large.
    """
    try:
        text = json.dumps(dict(body), allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as error:
        raise InputError(f"a message must be plain data for JSON: {error}") from error
    if len(text) > MOST_BYTES:
        raise InputError(
            f"a message of {len(text):,} bytes is above the limit of {MOST_BYTES:,}",
            hint="put what is large into storage, and its address into the message",
        )
    return text


def decode(text: str) -> Body:
    """What was sent; of text that is no JSON object, as only strangers send, `{"text": text}`."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        return {"text": text}
    return body if isinstance(body, dict) else {"text": text}


def clean_reason(reason: str) -> str:
    """A reason as it is kept: one printable line of bounded length, never empty."""
    line = "".join(letter if letter.isprintable() else " " for letter in reason[:MOST_REASON]).strip()
    return line or "no reason was given"


def silence(attempts: int) -> str:
    """The reason of a message that died because its last receiver said no word."""
    return f"delivery {attempts}, the last, ended without a word: whoever received it was killed or took too long"
