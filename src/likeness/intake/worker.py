"""A worker: takes messages of the steps' queues, does the steps, and passes on what comes next.

What is cut out by a worker that also looks at faces does not lie down in between: it keeps the message of the photo
until the answer is written.

One loop looks at photos (`detect`, `identify`, `enrol`: later steps first, so that what was begun is finished), another
tells callers, whose slowness must not hold photos up. A third keeps the leases of what is in hand, a fourth the house:
see `likeness.intake.housekeeping`. More workers, on this machine or others, share the same queues.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from likeness.errors import LikenessError, RemoteError, StorageError
from likeness.intake import STEPS
from likeness.intake.housekeeping import House
from likeness.intake.queues import Body, Message, Queue, backoff_s, open_queue
from likeness.intake.queues.base import LEASE_S, MOST_ATTEMPTS
from likeness.intake.records import open_records
from likeness.intake.steps import KINDS, Bury, Done, Outcome, Retry, Step, Workshop
from likeness.service.looking import load_models
from likeness.service.people import People
from likeness.settings import Settings
from likeness.storage import open_storage

log = logging.getLogger("likeness.worker")

FIRST_IDLE_S = 0.2
LONGEST_IDLE_S = 5.0
"""How long a loop waits at its first queue when there is nothing to do: longer each time, as others are asked too."""
HOUSEKEEPING_S = 60.0
Note = Callable[[str, str, int, float], None]
"""Told of each batch: the step, what became of it (`done`, `retried`, `buried`), how many messages, and seconds."""


@dataclass(slots=True, eq=False)
class Worker:
    """Runs steps until it is told to stop, then finishes what is in its hands. Made by `open_worker`.

    Attributes:
        note: told of each batch.
        lease_s: how long what is in its hands stays with it after it was killed, before another takes it up.
    """

    shop: Workshop
    queues: Mapping[str, Queue]
    steps: tuple[Step, ...]
    note: Note = lambda step, outcome, count, seconds: None
    lease_s: float = LEASE_S
    _held: dict[tuple[str, str], Message] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _error: BaseException | None = None

    def run(self, stop: threading.Event, *, drain: bool = False) -> None:
        """Work until `stop` is set; with `drain` until nothing is left in the queues of these steps.

        Raises:
            ModelError, CalibrationError: a model cannot be used.
            Exception: what no step expects ended the loop; what was in hand comes again when its lease ends.
        """
        if any(step.name in ("detect", "identify", "enrol") for step in self.steps):
            load_models(self.shop.people.recognizer)
            _ = self.shop.people.recognizer.calibration
        ended = threading.Event()
        beside = [
            threading.Thread(target=self._guarded, args=(stop, work, ended), name=f"likeness-{name}", daemon=True)
            for name, work in (("leases", self._keep), ("house", self._look_after))
        ]
        for thread in beside:
            thread.start()
        telling = [step for step in self.steps if step.name == "tell"]
        looking = [step for step in self.steps if step.name != "tell"]
        looked = threading.Event()
        teller = threading.Thread(
            target=self._guarded,
            args=(stop, self._loop, telling, stop, drain, looked),
            name="likeness-tell",
            daemon=True,
        )
        try:
            if telling:
                teller.start()
            if looking:
                self._loop(looking, stop, drain, None)
        finally:
            looked.set()
            if telling:
                teller.join()
            ended.set()
            for thread in beside:
                thread.join()
        if self._error is not None:
            raise self._error

    def close(self) -> None:
        """Let go of the queues, the records and the gallery."""
        for queue in self.queues.values():
            queue.close()
        self.shop.close()

    def _guarded(self, stop: threading.Event, work: Callable[..., None], *given: object) -> None:
        try:
            work(*given)
        except BaseException as error:  # told by `run`, in the thread that called it
            self._error = error
            stop.set()

    def _loop(
        self, steps: Sequence[Step], stop: threading.Event, drain: bool, upstream: threading.Event | None
    ) -> None:
        idle_s, failures = FIRST_IDLE_S, 0
        while not stop.is_set():
            last_chance = upstream is None or upstream.is_set()
            try:
                busy = [self._once(step, 0.0) for step in reversed(steps)]
                if any(busy):
                    idle_s, failures = FIRST_IDLE_S, 0
                    continue
                if drain and last_chance and not any(self._left(step) for step in steps):
                    return
                if not self._once(steps[0], idle_s):
                    idle_s = min(idle_s * 2, LONGEST_IDLE_S if not drain else FIRST_IDLE_S)
            except (RemoteError, StorageError) as error:  # of a queue, or of the records when a message is given up
                failures += 1
                wait_s = backoff_s(failures, longest_s=60.0)
                log.warning("unavailable", extra={"code": error.code, "wait_s": round(wait_s, 1)})
                _rest(stop, wait_s)

    def _left(self, step: Step) -> int:
        depth = self.queues[step.name].depth()
        return depth.ready + depth.waiting + depth.leased

    def _once(self, step: Step, wait_s: float) -> bool:
        """One batch of a step; whether there was any."""
        queue = self.queues[step.name]
        messages = queue.receive(step.together, wait_s=wait_s, lease_s=self.lease_s)
        if not messages:
            return False
        began = time.perf_counter()
        with self._holding(step.name, messages):
            outcomes = self._handled(step, messages)
            took_s = time.perf_counter() - began
            self._send(self._at_once(_then(outcomes)))
            self._settle(step, queue, messages, outcomes)
        self._tell(step, outcomes, took_s)
        return True

    def _at_once(self, bodies: Sequence[tuple[str, Body]]) -> list[tuple[str, Body]]:
        """Look at the faces that this worker just cut out; what is left to send, what could not be done among it.

        Their queue and the spool are for workers that run one of the two steps alone, and for another time.
        """
        if not self.shop.hands_over:
            return list(bodies)
        step = next(step for step in self.steps if step.name == "identify")
        own = [body for name, body in bodies if name == step.name]
        left = [(name, body) for name, body in bodies if name != step.name]
        later: list[Body] = []
        for start in range(0, len(own), step.together):
            some, began = own[start : start + step.together], time.perf_counter()
            outcomes = self._handled(step, [Message("", body, 1, "") for body in some])
            later += [body for body, outcome in zip(some, outcomes, strict=True) if isinstance(outcome, Retry)]
            left += _then(outcomes)
            self._tell(step, [each for each in outcomes if isinstance(each, Done)], time.perf_counter() - began)
        self.shop.lay_down([str(body["arrival"]) for body in later])
        return left + [(step.name, body) for body in later]

    def _tell(self, step: Step, outcomes: Sequence[Outcome], seconds: float) -> None:
        for name, kind in (("done", Done), ("retried", Retry), ("buried", Bury)):
            count = sum(isinstance(outcome, kind) for outcome in outcomes)
            if count:
                self.note(step.name, name, count, seconds * count / len(outcomes))

    def _handled(self, step: Step, messages: Sequence[Message]) -> list[Outcome]:
        """What becomes of each message; where a batch fails, each is tried alone, so that one cannot spoil others."""
        try:
            return step.handle(messages)
        except Exception as error:
            if len(messages) > 1:
                return [self._handled(step, [message])[0] for message in messages]
            if isinstance(error, LikenessError):
                return [Retry(error.message)]
            # Its words may hold what is personal; the place of it does not.
            log.error("unexpected", exc_info=error, extra={"step": step.name})
            return [Retry(f"something unexpected happened: {type(error).__name__}")]

    def _settle(self, step: Step, queue: Queue, messages: Sequence[Message], outcomes: Sequence[Outcome]) -> None:
        done = [message for message, outcome in zip(messages, outcomes, strict=True) if isinstance(outcome, Done)]
        if done:
            queue.acknowledge(*done)
        for message, outcome in zip(messages, outcomes, strict=True):
            if isinstance(outcome, Bury):
                queue.bury(message, outcome.reason)
            elif isinstance(outcome, Retry) and message.attempt >= MOST_ATTEMPTS:
                self._send(step.give_up(message, outcome.reason))
                queue.bury(message, outcome.reason)
            elif isinstance(outcome, Retry):
                wait_s = backoff_s(message.attempt, first_s=step.first_wait_s)
                queue.retry(message, after_s=wait_s, reason=outcome.reason)

    def _send(self, bodies: Sequence[tuple[str, Body]]) -> None:
        by_step: dict[str, list[Body]] = {}
        for step, body in bodies:
            by_step.setdefault(step, []).append(body)
        for step, each in by_step.items():
            self.queues[step].send(each)

    @contextmanager
    def _holding(self, step: str, messages: Sequence[Message]) -> Iterator[None]:
        with self._lock:
            self._held |= {(step, message.id): message for message in messages}
        try:
            yield
        finally:
            with self._lock:
                for message in messages:
                    self._held.pop((step, message.id), None)

    def _keep(self, ended: threading.Event) -> None:
        """Keep the leases of what is in hand."""
        while not ended.wait(self.lease_s / 3):
            try:
                with self._lock:
                    held = list(self._held.items())
                for (step, _), message in held:
                    self.queues[step].extend(message, self.lease_s)
            except LikenessError as error:
                log.warning("leases", extra={"code": error.code})

    def _look_after(self, ended: threading.Event) -> None:
        """Keep the house: soon, then now and then, not all workers at once."""
        house, wait_s = House(self.shop, self.queues, self.steps, self._send), self.lease_s / 3
        while not ended.wait(wait_s):
            try:
                house.tidy()
            except LikenessError as error:
                log.warning("housekeeping", extra={"code": error.code})
            wait_s = HOUSEKEEPING_S * (0.5 + random.random())  # noqa: S311 - no secret


def _rest(stop: threading.Event, seconds: float) -> None:
    """Wait, but not past a stop: in slices, as a signal's handler that sets an event must not interrupt its wait."""
    until = time.monotonic() + seconds
    while not stop.is_set() and (left_s := until - time.monotonic()) > 0:
        time.sleep(min(left_s, 0.25))


def _then(outcomes: Sequence[Outcome]) -> list[tuple[str, Body]]:
    """The messages that a batch makes for other steps."""
    return [each for outcome in outcomes if isinstance(outcome, Done | Bury) for each in outcome.then]


def open_worker(
    people: People, settings: Settings, steps: Sequence[str], *, note: Note | None = None, lease_s: float = LEASE_S
) -> Worker:
    """A worker for some steps, with all the queues that they need.

    Raises:
        SettingsError: a URI of the settings cannot be used. ExtraMissing: what speaks to it is not installed.
        QueueUnavailable, RecordsUnavailable: nobody answers there.
    """
    shop = Workshop(people, open_records(settings.records), open_storage(settings.spool), settings)
    shop.hands_over = {"detect", "identify"} <= set(steps)
    queues = {name: open_queue(settings.queue, name) for name in STEPS}
    worker = Worker(shop, queues, tuple(KINDS[name](shop) for name in STEPS if name in steps), lease_s=lease_s)
    if note is not None:
        worker.note = note
    return worker
