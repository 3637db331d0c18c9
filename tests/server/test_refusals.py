"""Refused accesses in the audit trail: counted, seldom written, and without personal data."""

from __future__ import annotations

import threading
import time

from likeness.errors import GalleryBusy
from likeness.server.refusals import Refusals


def wait_for(what, limit_s=10.0):
    deadline = time.monotonic() + limit_s
    while not what() and time.monotonic() < deadline:
        time.sleep(0.005)
    assert what()


def test_the_first_refusal_is_written_at_once_and_a_flood_in_one_line():
    lines = []
    refusals = Refusals(lines.append, every_s=0.6)
    refusals.note("unknown")
    wait_for(lambda: lines == [{"unknown": 1}])
    for _ in range(500):
        refusals.note("unknown")
    refusals.note("expired", "ab12")
    refusals.note("expired", "ab12")
    assert len(lines) == 1
    wait_for(lambda: len(lines) > 1)
    assert lines[1:] == [{"unknown": 500, "expired": 2, "keys": ["ab12"]}]


def test_what_was_counted_is_written_when_the_server_ends():
    lines = []
    refusals = Refusals(lines.append, every_s=3600)
    refusals.note("missing")
    wait_for(lambda: lines)
    refusals.note("scope", "ab12")
    refusals.close()
    assert lines == [{"missing": 1}, {"scope": 1, "keys": ["ab12"]}]
    refusals.close()
    assert len(lines) == 2


def test_what_cannot_be_written_is_kept_for_the_next_time():
    lines, busy = [], [True]

    def write(counts):
        if busy[0]:
            raise GalleryBusy("held by another process")
        lines.append(counts)

    refusals = Refusals(write, every_s=0.0)
    refusals.note("unknown")
    wait_for(lambda: refusals._timer is None)
    refusals.flush()
    busy[0] = False
    refusals.note("revoked", "ab12")
    refusals.close()
    wait_for(lambda: sum(line.get("unknown", 0) for line in lines) == 1)
    assert sum(line.get("revoked", 0) for line in lines) == 1


def test_no_refusal_of_many_threads_is_lost():
    lines = []
    refusals = Refusals(lines.append, every_s=0.01)
    threads = [threading.Thread(target=lambda: [refusals.note("unknown") for _ in range(300)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    refusals.close()
    wait_for(lambda: sum(line["unknown"] for line in lines) == 1200)


def test_refusals_go_into_the_galleries_trail_under_the_servers_own_name(people):
    refusals = Refusals(people.acting_as("api").note_refused)
    refusals.note("unknown")
    refusals.note("revoked", "ab12cd34ef")
    refusals.close()
    events = [event for event in people.gallery.events() if event.action == "refused"]
    assert {event.actor for event in events} == {"api"}
    assert sum(event.details.get("unknown", 0) for event in events) == 1
    assert [event.details["keys"] for event in events if "revoked" in event.details] == [["ab12cd34ef"]]
    assert people.check_trail().finding.ok
