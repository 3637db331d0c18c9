"""What each body of a queue has of its own: clocks, servers that are away, addresses."""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

import pytest

from likeness.addresses import masked
from likeness.errors import ExtraMissing, InputError, QueueUnavailable, SettingsError, StorageError
from likeness.intake import STEPS
from likeness.intake.queues import backoff_s, open_queue, queue_file
from likeness.intake.queues.sqs_access import queue_name
from redis_server import RedisServer
from s3_server import CREDENTIALS, free_port


def test_setting_the_clock_moves_neither_leases_nor_delays(tmp_path, monkeypatch):
    path = tmp_path / "queue.db"
    with open_queue(path, "detect") as queue:
        queue.send([{"n": 1}])
        queue.send([{"n": 2}], delay_s=60)
        assert len(queue.receive(2)) == 1
        year_later = time.time() + 366 * 86400
        monkeypatch.setattr(queue_file.time, "time", lambda: year_later)
        with open_queue(path, "detect") as other:
            depth = other.depth()
            assert other.receive(2) == []
    assert (depth.ready, depth.waiting, depth.leased) == (0, 1, 1)


def test_after_a_boot_all_leases_end_and_no_delay_grows_even_where_the_clock_went_back(tmp_path, monkeypatch):
    path, boot = tmp_path / "queue.db", tmp_path / "boot_id"
    boot.write_text("one\n")
    monkeypatch.setattr(queue_file, "_BOOT", boot)
    with open_queue(path, "detect") as queue:
        queue.send([{"n": 1}])
        queue.send([{"n": 2}], delay_s=60)
        assert len(queue.receive(2)) == 1
    boot.write_text("two\n")
    clock, long_ago, added = time.monotonic, time.time() - 366 * 86400, [-1e5]  # that one begins anew, too
    monkeypatch.setattr(queue_file.time, "time", lambda: long_ago)
    monkeypatch.setattr(queue_file.time, "monotonic", lambda: clock() + added[0])
    with open_queue(path, "detect") as queue:
        depth = queue.depth()
        assert (depth.ready, depth.waiting, depth.leased) == (1, 1, 0)
        [again] = queue.receive(2, lease_s=600)
        assert (again.body, again.attempt) == ({"n": 1}, 2)
        assert queue.receive(2) == []
        added[0] += 61
        [late] = queue.receive(2)
        assert late.body == {"n": 2}


def test_where_no_boot_is_told_from_another_the_wall_clock_serves(tmp_path, monkeypatch):
    monkeypatch.setattr(queue_file, "_BOOT", tmp_path / "none")
    with open_queue(tmp_path / "queue.db", "detect") as queue:
        queue.send([{"n": 1}])
        [message] = queue.receive(lease_s=0.05)
        [again] = queue.receive(wait_s=2)
        assert (again.id, again.attempt) == (message.id, 2)


def test_an_embedded_queue_is_its_owners_alone_and_keeps_nothing_of_what_is_done(tmp_path):
    path = tmp_path / "deeper" / "queue.db"
    with open_queue(f"file://{path}", "detect") as queue:
        assert path.stat().st_mode & 0o777 == 0o600
        queue.send([{"name": "Someone Rememberable"}])
        [message] = queue.receive()
        queue.acknowledge(message)
    assert b"Rememberable" not in path.read_bytes()
    with pytest.raises(StorageError, match="has been closed"):
        queue.depth()


def test_a_file_of_something_else_is_left_alone(tmp_path):
    foreign, text, later = tmp_path / "people.gallery", tmp_path / "notes.txt", tmp_path / "later.db"
    with sqlite3.connect(foreign) as connection:
        connection.execute("CREATE TABLE people (name TEXT)")
    connection.close()
    text.write_text("no database at all, but a text of some length " * 40)
    before = [path.read_bytes() for path in (foreign, text)]
    with pytest.raises(SettingsError, match="something else"):
        open_queue(foreign, "detect")
    with pytest.raises(StorageError, match="damaged or is none"):
        open_queue(text, "detect")
    with pytest.raises(StorageError):
        open_queue(tmp_path, "detect")
    assert before == [path.read_bytes() for path in (foreign, text)]
    open_queue(later, "detect").close()
    with sqlite3.connect(later) as connection:
        connection.execute(f"PRAGMA user_version={queue_file.VERSION + 1}")
    connection.close()
    with pytest.raises(SettingsError, match="later version"):
        open_queue(later, "detect")


def test_a_queue_file_that_another_process_holds_is_unavailable_and_then_there_again(tmp_path):
    path = tmp_path / "queue.db"
    with open_queue(path, "detect") as queue:
        queue._durable.execute("PRAGMA busy_timeout=50")
        holder = sqlite3.connect(path, isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(QueueUnavailable, match="held by another process"):
            queue.send([{"n": 1}])
        holder.execute("ROLLBACK")
        holder.close()
        assert len(queue.send([{"n": 1}])) == 1


def test_what_redis_kept_survives_its_death_and_the_queue_finds_it_again(tmp_path):
    server = RedisServer(tmp_path)
    try:
        with open_queue(f"{server.uri}?prefix=ours", "detect") as queue:
            ids = queue.send([{"n": 1}, {"n": 2}, {"n": 3}])
            [held] = queue.receive()
            server.kill()
            with pytest.raises(QueueUnavailable, match="cannot be used"):
                queue.depth()
            server.start()
            assert queue.acknowledge(held)
            assert [message.id for message in queue.receive(3)] == ids[1:]
    finally:
        server.kill()


def test_a_redis_that_wants_a_password_is_told_from_one_that_is_away(tmp_path):
    server = RedisServer(tmp_path, "--requirepass", "right")
    try:
        address = f"redis://:{{}}@127.0.0.1:{server.port}/0"
        with pytest.raises(QueueUnavailable, match="refuses this account") as caught:
            open_queue(address.format("wrong"), "detect")
        assert "wrong" not in str(caught.value)
        open_queue(address.format("right"), "detect").close()
    finally:
        server.kill()


@pytest.mark.parametrize(
    "uri", ["redis://:hush@127.0.0.1:{port}/0", "sqs://us-east-1/t?endpoint=http://127.0.0.1:{port}"]
)
def test_a_server_that_is_away_is_a_clear_error(uri, monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    began = time.monotonic()
    with pytest.raises(QueueUnavailable, match="cannot be used") as caught:
        open_queue(uri.format(port=free_port()), "detect")
    assert time.monotonic() - began < 20
    assert "hush" not in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize(
    ("uri", "words"),
    [
        ("amqp://me:hush@host/vhost", "no queue speaks amqp://"),
        ("sqs://AKIA:hush@eu-central-1/p", "credentials do not belong"),
        ("sqs://eu-central-1/p?endpont=http://x", "no option 'endpont'"),
        ("sqs://eu-central-1/my.prefix", "no queue called 'my.prefix-detect'"),
        ("redis://127.0.0.1:port/0", "cannot be used"),
        ("redis://127.0.0.1/0?colour=red", "cannot be used"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_its_secrets(uri, words):
    with pytest.raises(SettingsError, match=words) as caught:
        open_queue(uri, "detect")
    assert "hush" not in str(caught.value)


def test_a_queue_of_another_name_on_sqs_is_the_one_of_events_and_each_other_step_keeps_its_own():
    names = [queue_name("sqs://eu-west-1/photos?queue=bucket-events", step) for step in STEPS]
    assert names == ["bucket-events", "photos-identify", "photos-enrol", "photos-tell"]


@pytest.mark.parametrize("name", ["", "Detect", "a b", "x" * 41, "../etc"])
def test_a_name_that_some_body_could_not_have_is_refused_by_all(tmp_path, name):
    with pytest.raises(InputError, match="no name of a queue"):
        open_queue(tmp_path / "queue.db", name)


@pytest.mark.parametrize(("uri", "library", "extra"), [("redis://h", "redis", "redis"), ("sqs://r/p", "boto3", "sqs")])
def test_a_missing_library_names_its_extra(monkeypatch, uri, library, extra):
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(ExtraMissing) as caught:
        open_queue(uri, "detect")
    assert caught.value.hint == f"pip install 'likeness[{extra}]'"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("redis://:pa/s@s@h:1/0", "redis://:***@h:1/0"),
        ("redis://h/0?password=x&db=1", "redis://h/0?password=***&db=1"),
        ("postgresql+psycopg://me:x@h/db?sslpassword=y", "postgresql+psycopg://me:***@h/db?sslpassword=***"),
        ("sqs://eu/p?endpoint=http://u:x@h:1", "sqs://eu/p?endpoint=http://u:***@h:1"),
        (str(Path("/home/me@work/a:b.db")), "/home/me@work/a:b.db"),
    ],
)
def test_an_address_is_shown_without_its_secrets(address, shown):
    assert masked(address) == shown


def test_the_wait_before_the_next_try_doubles_up_to_a_cap_with_chance_in_it():
    waits = [backoff_s(attempt, first_s=1, longest_s=30, chance=lambda: 0.0) for attempt in range(1, 8)]
    assert waits == [1, 2, 4, 8, 16, 30, 30]
    assert backoff_s(10_000, longest_s=600, chance=lambda: 0.0) == 600
    tried = [backoff_s(3, first_s=1) for _ in range(200)]
    assert all(2 < each <= 4 for each in tried)
    assert max(tried) - min(tried) > 1
