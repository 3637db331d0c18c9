"""`likeness watch` as a process: it sends what is new, and ends in order."""

from __future__ import annotations

import json
import os
import signal
import time

import pytest

from likeness.intake.queues import open_queue

LONG_AGO = time.time() - 3600


@pytest.fixture
def own(tmp_path):
    """A folder to watch, and the settings of a process that watches it."""
    (tmp_path / "in").mkdir()
    return tmp_path / "in", {
        "LIKENESS_QUEUE": str(tmp_path / "queue.db"),
        "LIKENESS_WATCHED": str(tmp_path / "watched.db"),
    }


def put(folder, name, *, whole=True):
    (folder / name).write_bytes(name.encode())
    if whole:
        os.utime(folder / name, (LONG_AGO, LONG_AGO))


def uris(own):
    with open_queue(own["LIKENESS_QUEUE"], "detect") as queue:
        return sorted(message.body["uri"].rpartition("/")[2] for message in queue.receive(100))


def test_once_sends_what_is_new_and_ends(shell, own):
    folder, settings = own
    put(folder, "a.jpg")
    put(folder, "notes.txt")
    put(folder, "b.jpg", whole=False)  # written just now: waited for
    done = shell("watch", folder, "--once", "--json", "--quiet-for", "0.5", **settings)
    assert done.code == 0, done.err
    assert sorted(line.get("uri", "")[-5:] for line in done.lines[:-1]) == ["a.jpg", "b.jpg"]
    assert done.lines[-1] == {"summary": {"sent": 2, "passed_over": 1, "still_being_written": 0}}
    again = shell("watch", folder, "--once", **settings)
    assert (again.code, again.out) == (0, "0 photos sent in all, 1 file passed over\n")
    assert uris(settings) == ["a.jpg", "b.jpg"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order(start, own, number):
    folder, settings = own
    put(folder, "a.jpg")
    process = start("watch", folder, "--json", "--every", "30", **settings)
    assert json.loads(process.stdout.readline())["uri"].endswith("/a.jpg")
    process.send_signal(number)
    out, err = process.communicate(timeout=20)
    assert process.returncode == 0, err
    assert json.loads(out)["summary"]["sent"] == 1


def test_a_change_in_a_folder_is_seen_long_before_the_next_listing(start, own):
    pytest.importorskip("watchfiles", reason="watchfiles is not installed")
    folder, settings = own
    process = start("watch", folder, "--json", "--every", "600", "--quiet-for", "0.2", **settings)
    try:
        assert "watching" in process.stderr.readline()
        time.sleep(1)  # the thread that is told of changes begins
        begin = time.monotonic()
        put(folder, "a.jpg", whole=False)
        assert json.loads(process.stdout.readline())["uri"].endswith("/a.jpg")
        assert time.monotonic() - begin < 60
    finally:
        process.terminate()
        process.communicate(timeout=20)
    assert process.returncode == 0


def test_a_watch_that_is_killed_goes_on_where_it_was(start, shell, own):
    folder, settings = own
    for number in range(30):
        put(folder, f"{number:02}.jpg")
    process = start("watch", folder, "--json", "--every", "600", **settings)
    process.stdout.readline()  # the first batch was sent and remembered
    process.kill()
    process.communicate(timeout=20)
    put(folder, "later.jpg")
    done = shell("watch", folder, "--once", "--json", **settings)
    assert done.lines[-1]["summary"]["sent"] == 1
    assert uris(settings) == [f"{number:02}.jpg" for number in range(30)] + ["later.jpg"]


def test_a_folder_that_is_not_there_is_not_found(shell, own):
    folder, settings = own
    done = shell("watch", folder / "nowhere", "--once", **settings)
    assert done.code == 4
    assert "nowhere" in done.err


def test_the_folder_of_enrolled_pictures_is_not_watched(shell, own):
    folder, settings = own
    done = shell("watch", folder, "--once", **settings, LIKENESS_STORAGE=str(folder / "people"))
    assert done.code == 2
    assert "lie in each other" in done.err
