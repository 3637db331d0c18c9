"""Work on many photos, several at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def spread(work: Callable[[T], R], items: Iterable[T], workers: int) -> Iterator[R]:
    """The work's results in order of the items; few are begun before they are asked for, so memory stays small."""
    remaining = iter(items)
    with ThreadPoolExecutor(workers, thread_name_prefix="likeness") as pool:
        waiting: list[Future[R]] = [pool.submit(work, item) for item in islice(remaining, workers * 4)]
        try:
            while waiting:
                result = waiting.pop(0).result()
                waiting.extend(pool.submit(work, item) for item in islice(remaining, 1))
                yield result
        finally:
            for future in waiting:
                future.cancel()
