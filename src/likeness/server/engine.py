"""One engine per process: photos of all clients, looked at, searched and enrolled together.

Four lanes with bounded queues: **look** (one thread a core) decodes photos, finds their faces, embeds the faces of
all photos in hand together and searches for them together; **enrol** (one thread, which spreads photos over the cores)
writes what waits in one transaction and answers when it is durable; **call** does small things with the gallery;
**elsewhere** asks other servers, which may let themselves be waited for.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from itertools import islice
from typing import Any, TypeVar

from starlette.requests import ClientDisconnect, Request

from likeness.errors import LikenessError
from likeness.recognizer import Recognizer
from likeness.server.lanes import Lane, Task
from likeness.server.metrics import Metrics
from likeness.server.work import Enrol, Looked, Work
from likeness.service import Outcome, People
from likeness.service.looking import load_models
from likeness.types import Photo
from likeness.vision.session import available_cores

R = TypeVar("R")

TOGETHER = 8
"""Photos in one thread's hands at most: more would only wait for each other, and take memory."""
ENROLLED_TOGETHER = 64
CALLS = 4
CALLS_WAITING = 256
ELSEWHERE = 4
ELSEWHERE_WAITING = 32


class Engine:
    """Does the work of all requests. Made once its models are loaded; `close` finishes what waits.

    Args:
        people: the gallery, opened for the use cases; its recognizer runs each network on one core.
        queue: photos that may wait, to be looked at and to be enrolled each.
        metrics: where time and numbers are written.
    """

    def __init__(self, people: People, *, queue: int = 128, metrics: Metrics | None = None) -> None:
        self.people, self.metrics = people, metrics or Metrics()
        load_models(people.recognizer)
        _ = people.recognizer.calibration
        cores = people.recognizer.settings.threads or available_cores()
        self._look: Lane[Work] = Lane("look", self._look_at, workers=cores, room=queue, most=TOGETHER)
        self._enrol: Lane[Enrol] = Lane("enrol", self._enrol_all, workers=1, room=queue, most=ENROLLED_TOGETHER)
        self._call: Lane[Callable[[], Any]] = Lane("call", _call_each, workers=CALLS, room=CALLS_WAITING, of="requests")
        self._elsewhere: Lane[Callable[[], Any]] = Lane(
            "elsewhere", _call_each, workers=ELSEWHERE, room=ELSEWHERE_WAITING, of="look-ups"
        )
        self._closed = threading.Event()

    def ask(self, work: Work, actor: str) -> Future[Any]:
        """Begin work about photos.

        Raises:
            Overloaded, ShuttingDown: it is not taken.
        """
        return self._put(self._look, Task(work, actor, len(work.photos)))

    def enrol(self, work: Enrol, actor: str) -> Future[list[Outcome]]:
        """Begin to enrol photos; the outcomes come when all of them are durable. Raises as `ask`."""
        return self._put(self._enrol, Task(work, actor, len(work.photos)))

    def call(self, function: Callable[[], R]) -> Future[R]:
        """Begin something small that asks or changes the gallery. Raises as `ask`."""
        return self._put(self._call, Task(function, ""))

    def ask_elsewhere(self, function: Callable[[], R]) -> Future[R]:
        """Begin something that asks another server: slow ones keep nobody else waiting. Raises as `ask`."""
        return self._put(self._elsewhere, Task(function, ""))

    def switch(self, people: People) -> None:
        """Go on with the same gallery and another recognizer, after its embeddings were made anew for that."""
        load_models(people.recognizer)
        people.elsewhere = self.people.elsewhere
        self.people = people

    @property
    def waiting(self) -> int:
        """Photos that wait."""
        return self._look.waiting + self._enrol.waiting

    @property
    def closed(self) -> bool:
        """Whether no more work is taken."""
        return self._closed.is_set()

    def close(self) -> None:
        """Take no more, finish what waits, and let the gallery go."""
        if not self._closed.is_set():
            self._closed.set()
            for lane in (self._look, self._enrol, self._call, self._elsewhere):
                lane.close()
            self.people.close()

    def _put(self, lane: Lane[Any], task: Task[Any]) -> Future[Any]:
        try:
            return lane.put(task).outcome
        except LikenessError as error:
            self.metrics.refused.labels(error.code).inc()
            raise

    def _note_waits(self, lane: str, tasks: Sequence[Task[Any]]) -> None:
        now = time.perf_counter()
        for task in tasks:
            self.metrics.stage_seconds.labels("wait").observe(now - task.since)
        self.metrics.batch_photos.labels(lane).observe(sum(task.size for task in tasks))

    def _look_at(self, tasks: list[Task[Work]]) -> None:
        """One thread's batch: decode, look at all photos together, then finish each kind of work together."""
        self._note_waits("look", tasks)
        people = self.people  # one and the same to the end: faces are searched for with the model that embedded them
        with self.metrics.stage("look"):
            looked = self._looked_at(people.recognizer, tasks)
        kinds: dict[type[Work], list[Task[Work]]] = {}
        for task in tasks:
            result = looked[id(task)]
            if isinstance(result, BaseException):
                task.end(result)
            else:
                kinds.setdefault(type(task.work), []).append(task)
        for kind, alike in kinds.items():
            with self.metrics.stage("search"):
                answers = kind.finish_all(people, [(t.actor, t.work, _of(looked[id(t)])) for t in alike])
            for task, answer in zip(alike, answers, strict=True):
                task.end(answer)

    def _looked_at(
        self, recognizer: Recognizer, tasks: Sequence[Task[Work]]
    ) -> dict[int, list[Looked] | BaseException]:
        """By the task's `id`: its photos with their faces, or why there are none."""
        found: dict[int, list[Looked] | BaseException] = {}
        alike: dict[tuple[bool, bool], list[tuple[Task[Work], list[Photo]]]] = {}
        for task in tasks:
            try:
                photos = [recognizer.photo(data) for data in task.work.photos]
            except (LikenessError, MemoryError) as error:
                found[id(task)] = error
            else:
                alike.setdefault((task.work.embed, task.work.attributes), []).append((task, photos))
        for group in alike.values():
            try:
                self._look_together(recognizer, group, found)
            except Exception:  # one odd photo spoils only what is its own
                for each in group:
                    try:
                        self._look_together(recognizer, [each], found)
                    except Exception as error:
                        found[id(each[0])] = error
        return found

    def _look_together(
        self,
        recognizer: Recognizer,
        group: Sequence[tuple[Task[Work], list[Photo]]],
        found: dict[int, list[Looked] | BaseException],
    ) -> None:
        """Look at the photos of tasks that want the same of them, and put the faces into `found`."""
        work = group[0][0].work
        every = [photo for _, photos in group for photo in photos]
        faces = iter(recognizer.faces_of(every, embed=work.embed, attributes=work.attributes))
        for task, photos in group:
            looked = [(photo, next(faces)) for photo in photos]
            found[id(task)] = looked
            self.metrics.faces.inc(sum(len(each) for _, each in looked))

    def _enrol_all(self, tasks: list[Task[Enrol]]) -> None:
        """Enrol what waits: who asks alike, with the same options, shares transactions."""
        self._note_waits("enrol", tasks)
        alike: dict[Any, list[Task[Enrol]]] = {}
        for task in tasks:
            alike.setdefault((task.actor, task.work.options), []).append(task)
        for (actor, options), group in alike.items():
            photos = [photo for task in group for photo in task.work.photos]
            try:
                with self.metrics.stage("enrol"):
                    outcomes = iter(list(self.people.acting_as(actor).enroll(photos, options)))
            except Exception as error:
                for task in group:
                    task.end(error)
                continue
            for task in group:
                own = list(islice(outcomes, task.size))
                for outcome in own:
                    self.metrics.enrolled.labels(outcome.status).inc()
                task.end(own)


def _of(looked: list[Looked] | BaseException) -> list[Looked]:
    assert not isinstance(looked, BaseException)  # errors were told before
    return looked


def _call_each(tasks: list[Task[Callable[[], Any]]]) -> None:
    for task in tasks:
        try:
            task.end(task.work())
        except Exception as error:
            task.end(error)


async def outcome(future: Future[R], request: Request) -> R:
    """Wait for an answer; when the client leaves first, what has not begun is not done.

    Raises:
        ClientDisconnect: the client left.
    """
    answer = asyncio.wrap_future(future)
    gone = asyncio.ensure_future(_left(request))
    either: set[asyncio.Future[Any]] = {answer, gone}
    try:
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            raise ClientDisconnect
        return answer.result()
    finally:
        gone.cancel()
        answer.cancel()


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
