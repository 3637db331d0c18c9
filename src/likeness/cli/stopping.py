"""Ending in order: the first Ctrl-C (or SIGTERM) asks for it, and another one ends at once."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType


@contextmanager
def told_to_end(
    tell: Callable[[], None],
    signals: Sequence[signal.Signals] = (signal.SIGINT,),
    *,
    insists: Sequence[signal.Signals] | None = None,
) -> Iterator[None]:
    """Call `tell` at the first of these signals; at another one of those that insist, all unless said, end at once.

    Raises:
        KeyboardInterrupt: in the block, at such another one.
    """
    told, insistent = False, signals if insists is None else insists

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal told
        if told and number in insistent:
            raise KeyboardInterrupt
        told = True
        tell()

    before = [(number, signal.signal(number, ask)) for number in signals]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)


@contextmanager
def stopping() -> Iterator[Callable[[], bool]]:
    """Ctrl-C asks to stop after the batch in hand, which what is given tells; a second one stops at once."""
    asked: list[bool] = []
    with told_to_end(lambda: asked.append(True)):
        yield lambda: bool(asked)
