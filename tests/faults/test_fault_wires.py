"""Databases that are slow, cut off half-way, or keep everybody waiting: an error in time, and nothing half done."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from uuid import uuid4

import pytest
import sqlalchemy as sa
from fault_places import face
from wire_proxy import wired

from likeness.database import Timeouts
from likeness.errors import GalleryUnreachable, QueueUnavailable
from likeness.gallery import open_gallery
from likeness.gallery.postgres import open_postgres
from likeness.intake.queues import open_queue, redis
from redis_server import RedisServer

SPACE = {"space": "s", "dimension": 16}


@pytest.fixture
def far_postgres(postgres_database, tmp_path_factory):
    """A wire to the tests' PostgreSQL, and the address of a gallery behind it."""
    url = sa.make_url(postgres_database)
    front = tmp_path_factory.mktemp("w")  # a socket's path may be no longer than 107 bytes
    with wired(str(Path(str(url.query["host"])) / ".s.PGSQL.5432"), front / ".s.PGSQL.5432") as (wire, _):
        address = url.update_query_dict({"host": str(front), "gallery": uuid4().hex})
        yield wire, address.render_as_string(hide_password=False)


def test_a_slow_postgres_answers_late_and_right(far_postgres):
    wire, uri = far_postgres
    with open_gallery(uri, **SPACE) as gallery:
        wire.delay_s = 0.03
        began = time.monotonic()
        gallery.add([face(number) for number in range(20)])
        [hits] = gallery.search(face(7).embedding[None], 1)
        assert (gallery.extent().faces, hits[0].name) == (20, face(7).name)
        assert time.monotonic() - began > 0.1, "it was slow"


@pytest.mark.parametrize("bytes_on", [1, 200, 2_000])
def test_a_connection_to_postgres_that_breaks_half_way_loses_nothing_that_was_taken(far_postgres, bytes_on):
    wire, uri = far_postgres
    with open_gallery(uri, **SPACE) as gallery:
        gallery.add([face(number) for number in range(5)])
        wire.cut_after = bytes_on
        more = [face(number) for number in range(5, 10)]
        while wire.cut_after is not None:
            with suppress(GalleryUnreachable):  # none where the cut met only the question whether somebody is there
                gallery.add(more)
        gallery.add(more)
        assert gallery.extent().faces == 10, "whole, and once"
        assert all(finding.ok for finding in gallery.check())


def test_a_statement_that_takes_too_long_is_ended_by_the_server_and_told(postgres_database):
    uri, engine = f"{postgres_database}&gallery={uuid4().hex}", None
    with open_postgres(uri, **SPACE, create=True, timeouts=Timeouts(statement_s=0.3, lock_s=20)) as gallery:
        gallery.add([face(1)])
        engine = sa.create_engine(postgres_database.replace("postgresql:", "postgresql+psycopg:"))
        with engine.begin() as holder:
            holder.execute(sa.text("LOCK TABLE gallery_people IN ACCESS EXCLUSIVE MODE"))
            with pytest.raises(GalleryUnreachable, match="took longer than"):
                gallery.add([face(2)])
        engine.dispose()
        gallery.add([face(2)])
        assert gallery.extent().faces == 2


def test_a_redis_that_keeps_everybody_waiting_is_given_up_in_time_and_used_again(tmp_path, monkeypatch):
    monkeypatch.setattr(redis, "_TIMEOUT_S", 0.3)
    server = RedisServer(tmp_path)
    with (
        wired(("127.0.0.1", server.port)) as (wire, port),
        open_queue(f"redis://127.0.0.1:{port}/0", "detect") as queue,
    ):
        queue.send([{"uri": "file:///before.jpg"}])
        wire.stalled.set()
        began = time.monotonic()
        with pytest.raises(QueueUnavailable):
            queue.send([{"uri": "file:///meanwhile.jpg"}])
        assert time.monotonic() - began < 10
        wire.stalled.clear()
        queue.send([{"uri": "file:///after.jpg"}])
        sent = {message.body["uri"] for message in queue.receive(100)}
        assert {"file:///before.jpg", "file:///after.jpg"} <= sent
        wire.cut()
        assert queue.send([{"uri": "file:///again.jpg"}]), "a connection that rests is made anew"
    server.kill()
