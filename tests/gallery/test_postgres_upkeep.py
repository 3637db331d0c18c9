"""Long work on PostgreSQL: embedding anew, erasing, importing and deleting, beside others who read and write."""

from __future__ import annotations

import dataclasses
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import sqlalchemy as sa
from gallery_oracle import DIMENSION, SPACE, new_face, unit

from likeness.database import Timeouts
from likeness.errors import (
    GalleryBusy,
    GalleryMissing,
)
from likeness.gallery import open_gallery
from likeness.gallery.base import PhotoNote
from likeness.gallery.postgres import open_postgres
from likeness.gallery.transfer import FIRST


@pytest.fixture
def gallery(postgres_uri):
    with open_gallery(postgres_uri, space=SPACE, dimension=DIMENSION) as opened:
        yield opened


STOPS = """
import os, sys
sys.path.insert(0, sys.argv[2])
import numpy as np
from gallery_oracle import DIMENSION, SPACE, unit
from likeness.gallery import open_gallery
calls = []
def embed(crops):
    calls.append(1)
    if len(calls) == 3:
        os.kill(os.getpid(), 9)
    return np.stack([unit(5000 + len(crop), dimension=8) for crop in crops])
open_gallery(sys.argv[1], space=SPACE, dimension=DIMENSION).reembed("new", 8, embed)
"""


def test_a_reembedding_that_was_killed_goes_on_where_it_stopped(gallery, postgres_uri, sql):
    gallery.add([new_face(f"P{seed}", seed) for seed in range(300)])
    killed = subprocess.run([sys.executable, "-c", STOPS, postgres_uri, str(Path(__file__).parent)], timeout=60)
    assert killed.returncode == -signal.SIGKILL
    assert gallery.search(unit(7)[None], 1)[0][0].name == "P7", "the old space answers until the switch"
    gallery.remove(gallery.person("P1").id)
    gallery.merge(gallery.person("P2").id, gallery.person("P3").id)
    seeds = {new_face("x", seed).crop_jpeg: seed for seed in range(300)}
    embedded = []

    def embed(crops):
        embedded.extend(crops)
        return np.stack([unit(5000 + seeds[crop], dimension=8) for crop in crops])

    assert gallery.reembed("new", 8, embed) == len(embedded) == 300 - 2 * 64
    assert gallery.info().dimension == 8
    assert [finding for finding in gallery.check() if not finding.ok] == []
    assert gallery.search(unit(5299, dimension=8)[None], 1)[0][0].name == "P299"
    number = sql("SELECT max(id) FROM galleries")[0][0]
    tables = sql("SELECT tablename FROM pg_tables WHERE starts_with(tablename, :p)", p=f"gallery_vectors_{number}_")
    assert [table for (table,) in tables] == [f"gallery_vectors_{number}_2"], "the old vectors are gone"


def test_a_snapshot_on_another_machine_is_erased_from_when_somebody_is_there(gallery, sql, tmp_path):
    ann = gallery.add([new_face("Ann", 1)])[0].person_id
    gallery.add([new_face("Bea", 2)])
    here = gallery.snapshot(tmp_path / "one")
    elsewhere = tmp_path / "two"
    here.rename(elsewhere)
    sql("UPDATE gallery_snapshots SET host = 'another-machine' WHERE path = :path", path=str(here))
    assert gallery.remove(ann).snapshots_not_found == (f"another-machine:{here}",)
    told = {finding.name: finding for finding in gallery.check()}["erasures"]
    assert not told.ok
    assert "another-machine" in told.message
    elsewhere.rename(here)  # now this is that machine
    assert all(finding.ok for finding in gallery.check())
    with open_gallery(here) as copy:
        assert [person.name for person in copy.people()] == ["Bea"]
    assert b"Ann" not in here.read_bytes()


def test_a_reembedding_waits_for_nobody_who_reads_and_lets_nobody_wait(gallery, postgres_uri, postgres_database, sql):
    ann = gallery.add([new_face("Ann", 1)])[0].person_id
    gallery.add([new_face("Bea", 2)])
    number = sql("SELECT max(id) FROM galleries")[0][0]
    slowest = 0.0
    ended = threading.Event()
    reader = sa.create_engine(postgres_database.replace("postgresql:", "postgresql+psycopg:"))
    with open_gallery(f"{postgres_uri}-2", space=SPACE, dimension=DIMENSION) as neighbour, reader.connect() as dump:
        neighbour.add([new_face("Zed", 3)])
        dump.execute(sa.text(f"SELECT (SELECT count(*) FROM gallery_faces), count(*) FROM gallery_vectors_{number}_1"))

        def read_on() -> None:
            nonlocal slowest
            while not ended.wait(0.02):
                began = time.monotonic()
                assert len(list(neighbour.faces())) == 1
                slowest = max(slowest, time.monotonic() - began)

        thread = threading.Thread(target=read_on)
        thread.start()
        try:
            assert gallery.reembed("new", 8, lambda crops: np.stack([unit(5, dimension=8) for _ in crops])) == 2
        finally:
            ended.set()
            thread.join()
        assert 0 < slowest < 10
        assert gallery.search(unit(5, dimension=8)[None], 2)[0][0].similarity == pytest.approx(1)
        message = {finding.name: finding.message for finding in gallery.check()}["erasures"]
        assert "a later check drops them" in message
        gallery.remove(ann)
        assert sql(f"SELECT face FROM gallery_vectors_{number}_1") == [(2,)], "erased from what is left over too"
    reader.dispose()
    changes = gallery.extent().changes
    assert "1 tables of old vectors dropped" in {one.name: one.message for one in gallery.check()}["erasures"]
    assert sql("SELECT to_regclass(:t)", t=f"gallery_vectors_{number}_1") == [(None,)]
    assert gallery.extent().changes == changes
    assert all(finding.ok for finding in gallery.check())


def test_more_erasures_at_once_than_there_are_connections_all_get_done(gallery):
    gallery.add([new_face(f"P{seed}", seed) for seed in range(30)])
    everybody = [person.id for person in gallery.people()]
    with ThreadPoolExecutor(30) as threads:
        assert [erased.faces for erased in threads.map(gallery.remove, everybody)] == [1] * 30
    assert gallery.info().people == 0


def test_who_waits_too_long_for_another_threads_erasure_is_told_so(postgres_uri):
    with open_postgres(
        postgres_uri, space=SPACE, dimension=DIMENSION, create=True, timeouts=Timeouts(statement_s=5, lock_s=0.2)
    ) as gallery:
        ann = gallery.add([new_face("Ann", 1)])[0].person_id
        with (
            gallery._server.maintenance(gallery._id),
            ThreadPoolExecutor(1) as thread,
            pytest.raises(GalleryBusy, match="others held"),
        ):
            thread.submit(gallery.remove, ann).result()
        assert gallery.remove(ann).faces == 1


def test_a_gallery_that_was_open_before_an_import_began_holds_still_until_it_ends(gallery, postgres_uri, tmp_path):
    with open_gallery(tmp_path / "old.gallery", space=SPACE, dimension=DIMENSION) as old:
        old.add([new_face("Ann", 1)])
        with open_gallery(postgres_uri, unfinished=True) as taker:
            taker.begin_import(old.outline())
            taker.take_in(old.export("people", after="", limit=9))
            ann = taker.person("Ann").id
            for change in (
                lambda: gallery.add([new_face("Own", 2)]),
                lambda: gallery.create("Own"),
                lambda: gallery.update(ann, name="Own"),
                lambda: gallery.remove(ann),
                lambda: gallery.note_photos("Own", [PhotoNote("0" * 64, "no_face")], settings_tag="t"),
                lambda: gallery.record("look", actor="tests"),
                lambda: gallery.snapshot(tmp_path / "copy"),
                lambda: gallery.reembed("new", 8, lambda crops: np.zeros((len(crops), 8), np.float32)),
            ):
                with pytest.raises(GalleryBusy, match="have not all come"):
                    change()
            taker.take_in(old.export("faces", after=0, limit=9))
            taker.end_import()
    assert [person.name for person in gallery.people()] == ["Ann"]
    assert gallery.add([new_face("Own", 2)])[0].status == "added"
    assert [finding for finding in gallery.check() if not finding.ok] == []


@pytest.fixture
def slow_to_erase(gallery, sql):
    """The gallery of this test, whose faces take the server 10 ms each to delete."""
    number = sql("SELECT max(id) FROM galleries")[0][0]
    sql(
        "CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN PERFORM pg_sleep(0.01); RETURN OLD; END $$"
    )
    sql(
        f"CREATE TRIGGER slowly BEFORE DELETE ON gallery_faces FOR EACH ROW WHEN (OLD.gallery = {number}) "
        "EXECUTE FUNCTION slowly()"
    )
    yield gallery
    sql("DROP FUNCTION slowly CASCADE")


def test_a_gallery_is_deleted_however_long_that_takes(slow_to_erase, postgres_uri):
    slow_to_erase.add([new_face(f"P{seed}", seed) for seed in range(120)])
    with open_postgres(postgres_uri, space=None, dimension=None, create=False, timeouts=Timeouts(0.6, 2)) as hasty:
        assert hasty.delete() == 1
    with pytest.raises(GalleryMissing):
        slow_to_erase.people()


def test_an_import_that_was_given_up_is_dropped_however_long_that_takes(slow_to_erase, postgres_uri, tmp_path):
    with open_gallery(tmp_path / "old.gallery", space=SPACE, dimension=DIMENSION) as old:
        old.add([new_face(f"P{seed}", seed) for seed in range(120)])
        slow_to_erase.begin_import(old.outline())
        for part in ("people", "faces"):
            slow_to_erase.take_in(old.export(part, after=FIRST[part], limit=1000))
        old.add([new_face("Later", 500)])
        with open_postgres(postgres_uri, space=None, dimension=None, create=False, timeouts=Timeouts(0.6, 2)) as hasty:
            hasty.begin_import(old.outline())
            assert hasty.held("faces").rows == 0
            for part in ("people", "faces"):
                hasty.take_in(old.export(part, after=FIRST[part], limit=1000))
            hasty.end_import()
            assert hasty.search(unit(500)[None], 1)[0][0].name == "Later"


def test_numbers_of_notes_are_set_while_nobody_draws_one(gallery, postgres_uri, postgres_database, sql):
    """All galleries of a database draw from one sequence, which an import must not set back."""
    with open_postgres(postgres_uri, space=None, dimension=None, create=False, timeouts=Timeouts(5, 0.3)) as taker:
        taker.begin_import(dataclasses.replace(taker.outline(), salt=b"another" * 4))
        sql("INSERT INTO gallery_notes SELECT max(id), 5000000, '1', '2', '3', 'no_face', '' FROM galleries")
        engine = sa.create_engine(postgres_database.replace("postgresql:", "postgresql+psycopg:"))
        with engine.connect() as other:
            other.execute(sa.text("LOCK TABLE gallery_notes IN ROW EXCLUSIVE MODE"))
            with pytest.raises(GalleryBusy):
                taker.end_import()
        engine.dispose()
        taker.end_import()
    gallery.note_photos("Ann", [PhotoNote("0" * 64, "no_face")], settings_tag="t")
    assert gallery.held("notes").last > 5_000_000
