"""Files that are made private, and databases that stay whole while a process opens them again and again."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys

import pytest

from likeness.gallery import open_gallery
from likeness.intake.queues import open_queue
from likeness.private import make_private

COMES_AND_GOES = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1])
connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
connection.close()
"""


def test_a_file_is_made_for_its_owner_alone_and_one_that_is_there_stays(tmp_path):
    path = tmp_path / "file"
    make_private(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.write_text("kept")
    make_private(path)
    assert path.read_text() == "kept"


def open_twice_as_a_queue(path) -> None:
    with open_queue(path, "detect") as first:
        with open_queue(path, "detect") as second:
            second.send([{"number": 1}])
        _others_come_and_go(path)
        first.send([{"number": 2}])
        assert first.depth().ready == 2
    with open_queue(path, "detect") as later:
        assert later.depth().ready == 2


def open_twice_as_a_gallery(path) -> None:
    with open_gallery(path, space="test", dimension=4) as first:
        with open_gallery(path) as second:
            second.create("Anna")
        _others_come_and_go(path)
        first.create("Ben")
        assert first.info().people == 2
    with open_gallery(path) as later:
        assert later.info().people == 2


@pytest.mark.parametrize("work", [open_twice_as_a_queue, open_twice_as_a_gallery])
def test_a_database_that_is_opened_twice_in_a_process_keeps_its_log_when_others_come_and_go(work, tmp_path):
    """Whoever closes last removes the log; nobody may take themselves for the last while we have it open."""
    work(tmp_path / "file.db")


def _others_come_and_go(path) -> None:
    log = path.with_name(f"{path.name}-wal")
    assert log.exists()
    subprocess.run([sys.executable, "-c", COMES_AND_GOES, str(path)], check=True)
    assert log.exists()


def test_the_hazard_is_real(tmp_path):
    """What these tests rest on: a file that is opened and closed beside SQLite loses its locks, and then its log."""
    path = tmp_path / "file.db"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    path.open("rb").close()
    subprocess.run([sys.executable, "-c", COMES_AND_GOES, str(path)], check=True)
    assert not path.with_name("file.db-wal").exists()
    connection.close()
