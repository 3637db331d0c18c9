"""What the engine does when many ask at once, when too many do, and when they leave."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from copy import copy

import httpx2
import pytest

from likeness.errors import Overloaded, PhotoError, ShuttingDown
from likeness.gallery import open_gallery
from likeness.server.app import create_app
from likeness.server.engine import Engine
from likeness.server.lanes import Lane, Task
from likeness.server.work import Describe, Identify, Work
from likeness.service import People
from running_server import client, running


def probe_of(samples, name) -> bytes:
    return (samples / "probes" / f"{name.replace(' ', '_')}_new.jpg").read_bytes()


def wait_until(holds) -> None:
    limit = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.005)


class Held(Work):
    """Looks at its photos, then waits until it is let go."""

    __slots__ = ()
    begun, let_go = threading.Event(), threading.Event()

    def finish(self, people, looked):
        Held.begun.set()
        assert Held.let_go.wait(20)
        return "held"


@pytest.fixture
def held():
    Held.begun.clear()
    Held.let_go.clear()
    yield Held
    Held.let_go.set()


@pytest.fixture
def engine(people):
    made = Engine(people, queue=32)
    yield made
    Held.let_go.set()
    made.close()


def test_each_of_many_who_ask_at_once_gets_their_own_answer_and_photos_are_looked_at_together(api, samples, names):
    def ask(name):
        return api.post("/v1/identify", files={"photo": probe_of(samples, name)}).json()

    asked = names * 2
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(ask, asked))
    assert [answer["answers"][0]["candidates"][0]["name"] for answer in answers] == asked
    lines = [line.rsplit(" ", 1) for line in api.get("/metrics").text.splitlines() if not line.startswith("#")]
    value = {name: float(number) for name, number in lines}
    batches, photos = (value[f'likeness_batch_photos_{kind}{{lane="look"}}'] for kind in ("count", "sum"))
    assert photos == len(asked)
    assert batches < photos


def test_answers_of_a_batch_are_those_of_each_alone(engine, samples, names):
    photos = [probe_of(samples, name) for name in names[:5]] + [(samples / "group.jpg").read_bytes()]
    alone = [engine.ask(Identify((photo,)), "a").result(60) for photo in photos]
    together = [each.result(60) for each in [engine.ask(Identify((photo,)), "a") for photo in photos]]
    for one, other in zip(alone, together, strict=True):
        assert [a.match.name for a in one.answers] == [a.match.name for a in other.answers]
        assert [a.match.similarity for a in one.answers] == pytest.approx(
            [a.match.similarity for a in other.answers], abs=2e-3
        )


def test_a_photo_that_is_none_spoils_no_other_of_its_batch(engine, samples, names, held):
    first = engine.ask(held((probe_of(samples, names[0]),)), "a")
    bad = engine.ask(Describe((b"not a photo",)), "a")
    good = engine.ask(Describe((probe_of(samples, names[1]),)), "a")
    Held.let_go.set()
    assert first.result(20) == "held"
    assert len(good.result(20).faces) == 1
    with pytest.raises(PhotoError):
        bad.result(20)


def test_who_looked_somebody_up_is_written_down_for_each_who_asked(engine, samples, names):
    before = len(engine.people.gallery.events())
    asked = [engine.ask(Identify((probe_of(samples, names[0]),)), actor) for actor in ("key:1", "key:2", "key:1")]
    [each.result(60) for each in asked]
    events = engine.people.gallery.events()[before:]
    assert {event.actor for event in events} == {"key:1", "key:2"}
    assert sum(event.details["photos"] for event in events if event.actor == "key:1") == 2


def test_when_too_much_waits_clients_are_told_to_come_again_and_others_still_get_their_answers(
    serve_settings, samples, names
):
    photo = probe_of(samples, names[0])
    app = create_app(serve_settings(serve_queue=1, threads=1), open_access=True)
    with running(app) as address, client(address) as api:
        Held.let_go.clear(), Held.begun.clear()
        try:
            engine = app.state.engine
            engine.ask(Held((photo,)), "a")
            assert Held.begun.wait(20)
            waiting = engine.ask(Describe((photo,)), "a")
            answer = api.post("/v1/identify", files={"photo": photo})
            assert answer.status_code == 503
            assert answer.json()["error"]["code"] == "overloaded"
            assert int(answer.headers["retry-after"]) >= 1
            assert api.get("/v1/ready").status_code == 503
        finally:
            Held.let_go.set()
        assert len(waiting.result(20).faces) == 1
        assert api.post("/v1/identify", files={"photo": photo}).status_code == 200


def test_the_photo_of_a_client_who_left_is_not_looked_at(serve_settings, samples, names):
    photo = probe_of(samples, names[0])
    app = create_app(serve_settings(threads=1), open_access=True)
    with running(app) as address:
        Held.let_go.clear(), Held.begun.clear()
        try:
            engine = app.state.engine
            engine.ask(Held((photo,)), "a")
            assert Held.begun.wait(20)
            before = engine.people.gallery.info().details["events"]
            with client(address) as api, pytest.raises(httpx2.ReadTimeout):
                api.post("/v1/identify", files={"photo": photo}, timeout=0.5)
            wait_until(lambda: engine.waiting == 0)
        finally:
            Held.let_go.set()
        # Nobody was identified for them: the queue is worked off, and the trail has no line of it.
        engine.ask(Describe((photo,)), "a").result(20)
        assert engine.people.gallery.info().details["events"] == before


def test_what_waits_is_finished_before_the_engine_ends_and_nothing_more_is_taken(
    gallery_path, recognizer, samples, names
):
    gallery = open_gallery(gallery_path, space=recognizer.space, dimension=recognizer.dimension)
    engine = Engine(People(gallery, recognizer), queue=32)
    asked = [engine.ask(Describe((probe_of(samples, name),)), "a") for name in names[:6]]
    engine.close()
    assert all(len(each.result(0).faces) == 1 for each in asked)
    with pytest.raises(ShuttingDown):
        engine.ask(Describe((b"",)), "a")


class Changing(Describe):
    """A photo while whose faces are looked at the server takes another model; the answer is who finished it."""

    __slots__ = ("engine", "other")

    def change_with(self, engine, other):
        object.__setattr__(self, "engine", engine)
        object.__setattr__(self, "other", other)
        return self

    @property
    def embed(self):
        self.engine.switch(self.other)
        return True

    def finish(self, people, looked):
        return people


def test_faces_are_searched_for_with_the_model_that_embedded_them_also_where_another_takes_over(engine, samples, names):
    before, after = engine.people, engine.people.acting_as("api")
    after.recognizer = copy(before.recognizer)
    work = Changing((probe_of(samples, names[0]),)).change_with(engine, after)
    assert engine.ask(work, "a").result(20).recognizer is before.recognizer
    assert engine.people is after


def test_servers_elsewhere_that_do_not_answer_keep_nobody_else_waiting(engine):
    go = threading.Event()
    slow = [engine.ask_elsewhere(lambda: go.wait(20)) for _ in range(12)]
    assert engine.call(engine.people.gallery.info).result(5).people > 0
    go.set()
    assert all(each.result(20) for each in slow)


def test_a_gallery_is_asked_once_a_second_whether_it_answers_however_often_others_ask(
    serve_settings, names, monkeypatch
):
    app = create_app(serve_settings(), open_access=True)
    with running(app) as address, client(address) as api:
        gallery, asked = app.state.engine.people.gallery, []
        ask = gallery.info
        monkeypatch.setattr(gallery, "info", lambda: asked.append(1) or ask())
        began = time.monotonic()
        with ThreadPoolExecutor(8) as pool:
            told = list(pool.map(lambda _: api.get("/v1/ready").status_code, range(60)))
        took_s = time.monotonic() - began
        counted = api.get("/metrics").text
    assert set(told) == {200}
    assert len(asked) <= took_s + 2
    assert "/v1/ready" not in counted
    assert "/v1/health" not in counted


def test_threads_share_what_waits():
    taken, go = [], threading.Event()

    def do(batch):
        go.wait(5)
        taken.append(len(batch))
        for task in batch:
            task.end(None)

    lane = Lane("test", do, workers=2, room=100, most=8)
    tasks = [lane.put(Task(n, "a")) for n in range(18)]
    go.set()
    [task.outcome.result(5) for task in tasks]
    lane.close()
    assert sum(taken) == 18
    assert max(taken) <= 8


def test_a_task_larger_than_the_room_is_taken_where_nothing_waits():
    go = threading.Event()
    lane = Lane("test", lambda batch: (go.wait(5), [task.end(None) for task in batch]), workers=1, room=4)
    lane.put(Task("a", "a", size=9))
    wait_until(lambda: lane.waiting == 0)
    waiting = lane.put(Task("b", "a", size=9))
    with pytest.raises(Overloaded):
        lane.put(Task("c", "a"))
    go.set()
    waiting.outcome.result(5)
    lane.close()


def test_what_nobody_waits_for_any_more_is_let_go_of_at_once():
    go, begun = threading.Event(), threading.Event()
    lane = Lane("test", lambda batch: (begun.set(), go.wait(5), [task.end(None) for task in batch]), workers=1, room=2)
    lane.put(Task("a", "a"))
    assert begun.wait(5)
    wanted = lane.put(Task("b", "a"))
    for _ in range(50):  # who sends photos and leaves, again and again, behind somebody who waits
        assert lane.put(Task(bytes(1000), "a")).outcome.cancel()
    assert lane.waiting == 1
    assert len(lane._waiting) == 1
    go.set()
    wanted.outcome.result(5)
    lane.close()


def test_what_fails_in_a_thread_fails_its_tasks_and_not_the_thread():
    def do(batch):
        raise RuntimeError("odd")

    lane = Lane("test", do, workers=1, room=4)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="odd"):
            lane.put(Task("a", "a")).outcome.result(5)
    lane.close()
