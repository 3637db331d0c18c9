"""Clocks that somebody sets: leases, rates, keys, the audit trail and signatures do what they promise all the same."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from fault_places import face

from likeness.gallery import stated, trail
from likeness.gallery.embedded import open_embedded
from likeness.intake.queues import open_queue
from likeness.intake.records import open_records
from likeness.intake.webhooks import sign, signed_by
from likeness.rates import Buckets
from likeness.server.keys import KeyStore

JUMPS_S = [-10 * 365 * 86_400.0, -3600.0, 3600.0, 10 * 365 * 86_400.0]


class Clock:
    """A clock that is set."""

    def __init__(self) -> None:
        self.now = datetime(2026, 6, 1, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture
def jump(monkeypatch):
    """Sets the machine's clock, as far as this process sees it."""
    real = time.time

    def set_by(seconds: float) -> None:
        monkeypatch.setattr(time, "time", lambda: real() + seconds)

    return set_by


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_lease_neither_ends_nor_lasts_longer_when_the_clock_is_set(jump, jump_s, tmp_path, monkeypatch):
    clock = time.monotonic
    with open_queue(str(tmp_path / "queue.db"), "detect") as queue:
        queue.send([{"uri": "file:///a.jpg"}, {"uri": "file:///b.jpg"}])
        [held] = queue.receive(1, lease_s=600)
        [brief] = queue.receive(1, lease_s=60)
        jump(jump_s)
        with open_queue(str(tmp_path / "queue.db"), "detect") as another:
            assert another.receive(2) == []
            monkeypatch.setattr(time, "monotonic", lambda: clock() + 61)
            assert [message.id for message in another.receive(2)] == [brief.id]
        assert queue.acknowledge(held)


@pytest.mark.parametrize("jump_s", JUMPS_S)
def test_a_rate_is_the_same_when_the_clock_is_set(jump, jump_s):
    began, buckets = time.monotonic(), Buckets(1, 2)
    first, second, third = (buckets.take("a").wait_s for _ in range(3))
    assert (first, second) == (0, 0)
    jump(jump_s)
    later = buckets.take("a").wait_s
    assert third >= later >= third - (time.monotonic() - began) > 0


def test_a_key_that_expired_works_only_while_the_clock_says_so_and_a_revoked_one_never(tmp_path):
    clock = Clock()
    store = KeyStore(tmp_path / "api.keys", clock=clock)
    _, brief = store.create("brief", "read", clock.now + timedelta(days=1))
    revoked_key, revoked = store.create("revoked", "read")
    store.revoke(revoked_key.id)
    assert store.check(brief) is not None
    clock.now += timedelta(days=365)
    assert store.check(brief) is None
    clock.now -= timedelta(days=2 * 365)
    assert store.check(revoked) is None
    assert store.check(brief) is not None
    assert store.list()[0].last_used_at is not None
    store.close()


def test_an_audit_trail_whose_times_go_backwards_is_whole_and_in_the_order_of_its_lines(tmp_path, monkeypatch):
    with open_embedded(tmp_path / "g", space="s", dimension=16, create=True) as gallery:
        for year in (2026, 1980, 2090, 2026):
            for module in (stated, trail):
                monkeypatch.setattr(module, "now", lambda year=year: f"{year}-01-01T00:00:00.000000+00:00")
            gallery.record("look", actor=f"in {year}")
        events = gallery.events()
        assert [event.actor for event in events if event.action == "look"] == [
            "in 2026", "in 1980", "in 2090", "in 2026",
        ]  # fmt: skip
        assert [event.id for event in events] == sorted(event.id for event in events)
        checked = gallery.check_events()
        assert checked.finding.ok
        assert gallery.check_events(sealed=checked.seal).finding.ok


def test_a_signature_is_refused_when_the_clocks_are_too_far_apart():
    told = sign(b"x", "k" * 20, at_s=1_000_000)
    assert signed_by(b"x", told, "k" * 20, now_s=1_000_000 + 299)
    assert signed_by(b"x", told, "k" * 20, now_s=1_000_000 - 299)
    for now_s in (1_000_000 + 301, 1_000_000 - 301, 0.0, 4e9):
        assert not signed_by(b"x", told, "k" * 20, now_s=now_s)


def test_answers_are_not_erased_because_the_clock_went_back(tmp_path):
    with open_records(str(tmp_path / "arrivals.db")) as records:
        job, _ = records.add_job("tests", 1)
        assert records.forget_before(datetime(1980, 1, 1, tzinfo=UTC)) == 0
        assert records.job(job.id).total == 1


def test_a_gallery_takes_faces_whatever_the_clock_says(tmp_path, monkeypatch):
    with open_embedded(tmp_path / "g", space="s", dimension=16, create=True) as gallery:
        for number, year in enumerate((2026, 1970, 2099)):
            monkeypatch.setattr(stated, "now", lambda year=year: f"{year}-01-01T00:00:00.000000+00:00")
            gallery.add([face(number)])
        assert gallery.info().faces == 3
        assert all(finding.ok for finding in gallery.check())
        gallery.remove(gallery.people()[1].id)
        assert gallery.info().faces == 2
