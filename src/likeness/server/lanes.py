"""Lanes: bounded queues with threads that take what waits in batches."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from likeness.errors import Overloaded, ShuttingDown

W = TypeVar("W")


@dataclass(slots=True, eq=False)
class Task(Generic[W]):
    """Work that waits: `work` says what, `actor` who asks, `outcome` takes the answer, `size` is how much it counts."""

    work: W
    actor: str
    size: int = 1
    outcome: Future[Any] = field(default_factory=Future)
    since: float = field(default_factory=time.perf_counter)

    def begin(self) -> bool:
        """Whether it is still wanted; once begun it cannot be cancelled any more."""
        return self.outcome.set_running_or_notify_cancel()

    def end(self, result: Any) -> None:
        """Give the answer: a value, or an exception."""
        if isinstance(result, BaseException):
            self.outcome.set_exception(result)
        else:
            self.outcome.set_result(result)


class Lane(Generic[W]):
    """A queue that holds tasks up to a size, and the threads that do them.

    An idle thread takes a share of what waits: alone, a task is begun at once; where many wait, each thread takes
    several and does together what can be done together. So batches form by themselves, and nobody waits for one.

    Args:
        do: does a batch of tasks that were begun, and ends each of them; tasks it left open end with its exception.
        workers: threads.
        room: sum of the sizes that may wait; a task that does not fit is refused, one that is larger than all of it
            fits where nothing else waits.
        most: sum of the sizes taken at once, at least one task.
        of: what is counted, in words.
    """

    def __init__(
        self,
        name: str,
        do: Callable[[list[Task[W]]], None],
        *,
        workers: int,
        room: int,
        most: int = 1,
        of: str = "photos",
    ) -> None:
        self.name, self._do, self._workers, self._room, self._most, self._of = name, do, workers, room, most, of
        self._waiting: deque[Task[W]] = deque()
        self._changed = threading.Condition()
        self._closing = False
        self._pace_s = 0.05
        """Seconds a unit of size takes one thread, as of late."""
        self._threads = [
            threading.Thread(target=self._work, name=f"likeness-{name}-{number}", daemon=True)
            for number in range(workers)
        ]
        for thread in self._threads:
            thread.start()

    def put(self, task: Task[W]) -> Task[W]:
        """Let a task wait for its turn.

        Raises:
            Overloaded: too much waits already; the error says when to come again.
            ShuttingDown: no more work is taken.
        """
        with self._changed:
            if self._closing:
                raise ShuttingDown("the server is about to end and takes no more work")
            waiting = self._size()
            if waiting and waiting + task.size > self._room:
                error = Overloaded(f"{waiting} {self._of} wait already, of {self._room} that may")
                error.retry_after_s = waiting * self._pace_s / self._workers
                raise error
            self._waiting.append(task)
            self._changed.notify()
        return task

    @property
    def waiting(self) -> int:
        """Sum of the sizes that wait."""
        with self._changed:
            return self._size()

    def close(self) -> None:
        """Take no more, do what waits, and end."""
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _size(self) -> int:
        """What waits and is still wanted; what is not, photos and all, is let go of."""
        if any(task.outcome.cancelled() for task in self._waiting):
            self._waiting = deque(task for task in self._waiting if not task.outcome.cancelled())
        return sum(task.size for task in self._waiting)

    def _work(self) -> None:
        while batch := self._take():
            began, size = time.perf_counter(), sum(task.size for task in batch)
            try:
                self._do(batch)
            except BaseException as error:  # a thread that ended would let everybody wait for ever
                for task in batch:
                    if not task.outcome.done():
                        task.end(error)
            self._pace_s += 0.1 * ((time.perf_counter() - began) / size - self._pace_s)

    def _take(self) -> list[Task[W]]:
        """This thread's share of what waits, once something does; empty when all is done and the lane closes."""
        with self._changed:
            while True:
                share = min(self._most, -(-self._size() // self._workers))
                batch: list[Task[W]] = []
                while self._waiting and (not batch or sum(t.size for t in batch) + self._waiting[0].size <= share):
                    task = self._waiting.popleft()
                    if task.begin():
                        batch.append(task)
                if batch:
                    return batch
                if self._closing:
                    return []
                self._changed.wait()
