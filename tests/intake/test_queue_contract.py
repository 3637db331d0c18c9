"""The contract of a queue, held against its three bodies: SQLite, a real Redis server, and moto's SQS over HTTP."""

from __future__ import annotations

import itertools
import json
import secrets
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from likeness.errors import InputError
from likeness.intake.queues import Message, Queue, open_queue, sqs
from likeness.intake.queues.base import MOST_ATTEMPTS, MOST_BYTES
from redis_server import RedisServer
from s3_server import CREDENTIALS, moto_running

S3_EVENT = {
    "Records": [
        {
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put",
            "s3": {"bucket": {"name": "inbox"}, "object": {"key": "Jane+Doe/1%2B1.png", "size": 3}},
        }
    ]
}

names = (f"q{number}" for number in itertools.count())


@dataclass(frozen=True)
class Place:
    """Where queues are, and the shortest time that is counted there."""

    kind: str
    uri: str
    short_s: float


@pytest.fixture(scope="module")
def sqs_endpoint() -> Iterator[str]:
    with moto_running() as address, pytest.MonkeyPatch.context() as patch:
        for name, value in CREDENTIALS.items():
            patch.setenv(name, value)
        yield address


@pytest.fixture(scope="module")
def redis_running(tmp_path_factory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture(params=["embedded", "redis", "sqs"])
def place(request, tmp_path) -> Place:
    match request.param:
        case "embedded":
            return Place("embedded", str(tmp_path / "queue.db"), 0.25)
        case "redis":
            return Place("redis", request.getfixturevalue("redis_running").uri, 0.25)
        case _:
            endpoint = request.getfixturevalue("sqs_endpoint")
            return Place("sqs", f"sqs://us-east-1/tests?endpoint={endpoint}", 1.0)


@pytest.fixture
def name() -> str:
    """A queue that no test used before."""
    return next(names)


@pytest.fixture
def opened(place, name) -> Iterator[Callable[[], Queue]]:
    """Opens the test's queue, as often as one likes."""
    queues: list[Queue] = []

    def again() -> Queue:
        queues.append(open_queue(place.uri, name))
        return queues[-1]

    yield again
    for queue in queues:
        queue.close()


@pytest.fixture
def queue(opened) -> Queue:
    return opened()


def take(queue: Queue, **options) -> Message:
    """The one message that is there."""
    [message] = queue.receive(2, **options)
    return message


def test_what_was_sent_arrives_and_is_gone_once_acknowledged(queue):
    body = {"uri": "s3://b/Zoë \udcff\U0001f600.png", "name": None, "deep": [1, 2.5, {"a": True}]}
    [id_] = queue.send([body])
    assert queue.depth().ready == 1
    message = take(queue)
    assert (message.id, message.body, message.attempt) == (id_, body, 1)
    assert (queue.depth().ready, queue.depth().leased) == (0, 1)
    assert "Zo" not in repr(message), "a body may name people: it is not for logs"
    assert queue.acknowledge(message)
    assert not queue.acknowledge(message)
    assert queue.receive() == []
    depth = queue.depth()
    assert (depth.ready, depth.waiting, depth.leased, depth.dead) == (0, 0, 0, 0)


def test_many_are_acknowledged_at_once_and_it_is_told_when_one_was_not_held_any_more(queue):
    queue.send([{"number": number} for number in range(3)])
    messages = queue.receive(3)
    assert queue.acknowledge(*messages[:2])
    assert not queue.acknowledge(*messages[1:]), "the second was done with before"
    assert queue.receive(3) == []
    assert queue.depth().leased == 0


def test_two_receivers_never_share_a_message(opened):
    first, second = opened(), opened()
    sent = first.send([{"n": n} for n in range(23)])
    assert len(set(sent)) == 23
    got = [[message.id for message in queue.receive(12)] for queue in (first, second)]
    assert sorted(got[0] + got[1]) == sorted(sent)
    assert len(got[0]) == 12


def test_queues_of_other_names_see_nothing_of_it(place, queue):
    queue.send([{"n": 1}])
    with open_queue(place.uri, next(names)) as other:
        assert other.receive() == []
        assert other.depth().ready == 0


def test_a_lease_that_ends_without_a_word_makes_the_message_come_again(opened, place):
    first, second = opened(), opened()
    first.send([{"n": 1}])
    lost = take(first, lease_s=place.short_s)
    assert second.receive() == []
    again = take(second, wait_s=5)
    assert (again.id, again.attempt) == (lost.id, 2)
    assert not first.extend(lost)
    assert not first.retry(lost, after_s=0, reason="late")
    assert not first.bury(lost, "late")
    assert second.depth().dead == 0
    assert second.acknowledge(again)
    assert not first.acknowledge(lost)


def test_an_extended_lease_lasts(queue, place):
    queue.send([{"n": 1}])
    message = take(queue, lease_s=place.short_s * 2)
    assert queue.extend(message, lease_s=60)
    time.sleep(place.short_s * 2.2)
    assert queue.receive() == []
    assert queue.acknowledge(message)


def test_a_message_given_back_comes_when_its_time_has_come(queue, place):
    queue.send([{"n": 1}])
    message = take(queue)
    assert queue.retry(message, after_s=place.short_s, reason="the model was busy")
    assert not queue.acknowledge(message), "it was given back"
    assert not queue.extend(message)
    assert queue.receive() == []
    depth = queue.depth()
    assert (depth.ready, depth.waiting + depth.leased) == (0, 1)
    again = take(queue, wait_s=5)
    assert (again.id, again.attempt) == (message.id, 2)


def test_a_delayed_message_waits(queue):
    began = time.monotonic()
    delay_s = 2.0  # long enough for what is asked meanwhile, also on a busy machine
    queue.send([{"n": 1}], delay_s=delay_s)
    assert (queue.depth().ready, queue.depth().waiting) == (0, 1)
    assert queue.receive() == []
    take(queue, wait_s=10)
    assert time.monotonic() - began > delay_s * 0.9


def test_who_waits_is_woken_by_what_arrives(opened):
    waiting, sending = opened(), opened()
    timer = threading.Timer(0.3, sending.send, [[{"n": 1}]])
    timer.start()
    began = time.monotonic()
    assert take(waiting, wait_s=10).body == {"n": 1}
    assert time.monotonic() - began < 5
    timer.join()


def test_who_waits_in_vain_waits_no_longer_than_said(queue):
    began = time.monotonic()
    assert queue.receive(wait_s=0.3) == []
    assert 0.25 < time.monotonic() - began < 10


def test_the_last_attempt_that_is_given_back_is_dead_with_its_reason_and_may_be_revived(queue):
    [id_] = queue.send([{"n": 1}])
    for attempt in range(1, MOST_ATTEMPTS + 1):
        message = take(queue, wait_s=2)
        assert message.attempt == attempt
        assert queue.retry(message, after_s=0, reason=f"failed\nfor the {attempt}. time \x1b[31m")
    assert queue.receive() == []
    [letter] = queue.dead()
    assert (letter.id, letter.body, letter.attempts) == (id_, {"n": 1}, MOST_ATTEMPTS)
    assert letter.reason == f"failed for the {MOST_ATTEMPTS}. time  [31m"
    assert abs(letter.died_at.timestamp() - time.time()) < 60
    assert queue.depth().dead == 1
    assert queue.revive() == 1
    again = take(queue, wait_s=2)
    assert (again.id, again.body, again.attempt) == (id_, {"n": 1}, 1)
    assert queue.acknowledge(again)
    assert queue.depth().dead == 0


def test_a_message_that_kills_whoever_takes_it_is_dead_in_the_end(queue):
    queue.send([{"n": 1}, {"n": 2}])
    for _ in range(MOST_ATTEMPTS):
        assert len(queue.receive(2, lease_s=0)) == 2
        time.sleep(0.01)
    assert queue.receive(2) == []
    assert {letter.attempts for letter in queue.dead()} == {MOST_ATTEMPTS}
    assert all("without a word" in letter.reason for letter in queue.dead())


def test_dead_letters_are_listed_the_newest_first_revived_and_dropped_by_id(queue):
    queue.send([{"n": n} for n in range(4)])
    for message in sorted(queue.receive(4), key=lambda message: message.body["n"]):
        assert queue.bury(message, f"no face in {message.body['n']}")
        assert not queue.acknowledge(message), "it is dead"
        time.sleep(0.002)
    letters = queue.dead()
    assert [letter.reason for letter in letters] == [f"no face in {n}" for n in (3, 2, 1, 0)]
    assert [letter.id for letter in queue.dead(most=2)] == [letter.id for letter in letters[:2]]
    assert queue.receive() == []
    assert queue.drop([letters[0].id, "unknown"]) == 1
    assert queue.revive([letters[1].id]) == 1
    assert take(queue, wait_s=2).body == {"n": 2}
    assert {letter.body["n"] for letter in queue.dead()} == {0, 1}
    assert queue.drop() == 2
    assert queue.depth().dead == 0


def test_bodies_that_are_large_or_no_plain_data_are_refused_before_anything_is_sent(queue):
    with pytest.raises(InputError, match="above the limit"):
        queue.send([{"n": 1}, {"text": "x" * MOST_BYTES}])
    for strange in ({"photo": b"\xff"}, {"n": float("nan")}):
        with pytest.raises(InputError, match="plain data"):
            queue.send([strange])
    assert queue.receive() == []
    largest = {"text": "x" * (MOST_BYTES - len('{"text":""}'))}
    queue.send([largest, largest, largest])
    assert {len(message.body["text"]) for message in queue.receive(3)} == {len(largest["text"])}


def test_several_processes_do_each_message_once(place, queue, name):
    sent = queue.send([{"n": n} for n in range(60)])
    program = (
        "import sys\nfrom likeness.intake.queues import open_queue\n"
        "with open_queue(sys.argv[1], sys.argv[2]) as queue:\n"
        "    while messages := queue.receive(3, wait_s=0.5):\n"
        "        for message in messages:\n"
        "            assert queue.acknowledge(message)\n"
        "            print(message.id, flush=True)\n"
    )
    command = [sys.executable, "-c", program, place.uri, name]
    workers = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    done = [line for worker in workers for line in worker.communicate(timeout=60)[0].splitlines()]
    assert [worker.returncode for worker in workers] == [0, 0]
    assert sorted(done) == sorted(sent)


def test_a_killed_process_loses_nothing_that_it_held_or_sent(place, queue, name):
    sent = set(queue.send([{"n": n} for n in range(3)]))
    program = (
        "import sys\nfrom likeness.intake.queues import open_queue\n"
        "queue = open_queue(sys.argv[1], sys.argv[2])\n"
        "assert len(queue.receive(3, lease_s=1)) == 3\n"
        "for n in range(100_000):\n"
        "    print(*queue.send([{'n': n}], delay_s=1), flush=True)\n"
    )
    child = subprocess.Popen([sys.executable, "-c", program, place.uri, name], stdout=subprocess.PIPE, text=True)
    sent |= {child.stdout.readline().strip() for _ in range(5)}
    child.send_signal(signal.SIGKILL)
    sent |= {line.strip() for line in child.communicate(timeout=20)[0].splitlines() if line.endswith(line.strip())}
    got: dict[str, Message] = {}
    deadline = time.monotonic() + 20
    while not sent <= got.keys() and time.monotonic() < deadline:
        got |= {message.id: message for message in queue.receive(200, wait_s=2)}
    assert sent <= got.keys()
    assert len(got) <= len(sent) + 1, "one may have been sent and not told"
    assert sorted(message.attempt for message in got.values())[-3:] == [2, 2, 2]


def test_threads_may_share_a_queue(queue):
    queue.send([{"n": n} for n in range(20)])
    done: list[str] = []

    def work() -> None:
        while messages := queue.receive(2):
            done.extend(message.id for message in messages if queue.extend(message) and queue.acknowledge(message))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    assert len(set(done)) == len(done) == 20


def test_what_is_remembered_of_messages_that_are_done_does_not_grow_on_sqs(sqs_endpoint, monkeypatch):
    monkeypatch.setattr(sqs, "MOST_DONE", 5)
    with open_queue(f"sqs://us-east-1/{secrets.token_hex(4)}?endpoint={sqs_endpoint}", "detect") as queue:
        queue.send([{"n": n} for n in range(24)])
        for _ in range(2):
            *done, back, bad = queue.receive(12)
            assert queue.acknowledge(*done)
            assert queue.retry(back, after_s=60, reason="later")
            assert queue.bury(bad, "never")
            assert not queue.acknowledge(bad)
            assert not queue.extend(back)
        assert queue._ends == {}
        assert len(queue._done_with) == 5


def test_messages_of_strangers_on_sqs_arrive_as_they_are(sqs_endpoint):
    import boto3

    client = boto3.client("sqs", endpoint_url=sqs_endpoint)
    url = client.create_queue(QueueName="of-a-bucket")["QueueUrl"]
    texts = [json.dumps(S3_EVENT), "hello, who is there?", "[1, 2]"]
    given = [client.send_message(QueueUrl=url, MessageBody=text)["MessageId"] for text in texts]
    client.close()
    with open_queue(f"sqs://us-east-1/?endpoint={sqs_endpoint}&queue=of-a-bucket", "detect") as queue:
        got = {message.id: message for message in queue.receive(10)}
        assert [got[id_].body for id_ in given] == [S3_EVENT, {"text": texts[1]}, {"text": texts[2]}]
        for message in got.values():
            queue.bury(message, "not understood")
        assert queue.revive(given[:2]) == 2
        again = {message.id: message.body for message in queue.receive(10)}
        assert again == {given[0]: S3_EVENT, given[1]: {"text": texts[1]}}
        with pytest.raises(InputError, match="900 s at most"):
            queue.send([{"n": 1}], delay_s=901)
