"""`likeness queue`."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

import pytest

from likeness.intake import STEPS
from likeness.intake.queues import open_queue


@pytest.fixture
def queue_path(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "queue.db"
    monkeypatch.setenv("LIKENESS_QUEUE", str(path))
    return path


@pytest.fixture
def letters(queue_path) -> list[str]:
    """Ids of two dead letters of `detect`, the newest first; one more message is ready, and one is leased."""
    with open_queue(queue_path, "detect") as queue:
        queue.send([{"uri": f"inbox/{n}.jpg"} for n in range(4)])
        for message in queue.receive(3)[:2]:
            queue.bury(message, f"not a picture: {message.body['uri']}")
        return [letter.id for letter in queue.dead()]


def test_the_depth_of_each_step_is_counted(cli, letters):
    shown = cli("queue", "depth", "--json")
    assert (shown.code, shown.lines[0]) == (0, {"queue": "detect", "ready": 1, "waiting": 0, "leased": 1, "dead": 2})
    assert [line["queue"] for line in shown.lines] == list(STEPS)
    assert cli("queue", "depth", "detect").out.split() == [
        "queue", "ready", "waiting", "leased", "dead", "detect", "1", "0", "1", "2",
    ]  # fmt: skip


def test_dead_letters_are_shown_with_their_reasons(cli, letters):
    shown = cli("queue", "dead", "--json").lines
    assert [line["id"] for line in shown] == letters
    assert shown[0]["reason"] == "not a picture: inbox/1.jpg"
    assert shown[0]["body"] == {"uri": "inbox/1.jpg"}
    assert datetime.fromisoformat(shown[0]["died_at"]).tzinfo is not None
    assert "not a picture: inbox/0.jpg" in cli("queue", "dead").out
    assert len(cli("queue", "dead", "detect", "--most", "1", "--json").lines) == 1
    assert "no dead letters" in cli("queue", "dead", "tell").err


def test_a_dead_event_of_a_bucket_is_shown_by_the_object_it_tells_of(cli, queue_path):
    told = {"bucket": {"name": "photos"}, "object": {"key": "in+dir/a%2Bb.jpg", "size": 3}}
    record = {"eventVersion": "2.1", "eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": told}
    bodies = [{"Records": [record]}, {"task": "of another program"}]
    with open_queue(queue_path, "detect") as queue:
        queue.send(bodies)
        for message in queue.receive(2):
            queue.bury(message, "not a picture")
    shown = cli("queue", "dead").out
    assert "s3://photos/in%20dir/a%2Bb.jpg" in shown
    assert "eventSource" not in shown
    assert '{"task": "of another program"}' in shown
    assert [line["body"] for line in cli("queue", "dead", "--json").lines] == bodies[::-1]


def test_dead_letters_are_revived_and_dropped(cli, letters):
    assert cli("queue", "revive", "detect", letters[0]).out == "1 dead letter of detect revived\n"
    missing = cli("queue", "revive", "detect", letters[0])
    assert missing.code == 4
    assert "1 of 1 id is no dead letter" in missing.err
    assert cli("queue", "drop", "detect", "--all").code == 2, "nobody can be asked here"
    assert cli("queue", "drop", "detect", "--all", "--yes", "--json").lines == [{"queue": "detect", "dropped": 1}]
    assert cli("queue", "depth", "detect", "--json").lines[0]["ready"] == 2


@pytest.mark.parametrize(
    "arguments", [("revive", "detect"), ("drop", "detect", "x", "--all"), ("depth", "No Name"), ("dead", "detekt")]
)
def test_what_cannot_be_meant_is_refused(cli, queue_path, arguments):
    assert cli("queue", *arguments).code == 2


def test_the_password_in_an_address_is_shown_nowhere(cli, monkeypatch):
    monkeypatch.setenv("LIKENESS_QUEUE", "redis://worker:hu/sh@127.0.0.1:1/0?ssl_password=hush2")
    for done in (cli("settings"), cli("settings", "--json"), cli("queue", "depth"), cli("queue", "depth", "--json")):
        assert "redis://worker:***@127.0.0.1:1/0?ssl_password=***" in done.out + done.err
        assert "hush2" not in done.out + done.err
        assert "hu/sh" not in done.out + done.err
