"""What the doctor says of the workers' places."""

from __future__ import annotations

import pytest

from likeness.intake.health import examine
from likeness.settings import Settings
from s3_server import free_port


@pytest.fixture
def seen(tmp_path):
    """What is found with some settings, by name."""
    own = {"queue": tmp_path / "queue.db", "records": tmp_path / "arrivals.db", "spool": tmp_path / "spool"}

    def look(**values):
        settings = Settings.load({name: str(path) for name, path in own.items()} | values)
        return {finding.name: finding for finding in examine(settings)}

    return look


@pytest.mark.parametrize(("of_queue", "of_records"), [("", ""), ("file://", "sqlite:///")])
def test_without_workers_all_is_well_and_nothing_is_made(seen, tmp_path, of_queue, of_records):
    found = seen(
        queue=f"{of_queue}{tmp_path / 'queue.db'}",
        spool=f"{of_queue}{tmp_path / 'spool'}",
        records=f"{of_records}{tmp_path / 'arrivals.db'}",
    )
    assert all(finding.ok for finding in found.values())
    assert "none yet" in found["queue"].message
    assert list(tmp_path.iterdir()) == []


def test_what_waits_and_what_went_wrong_is_counted(seen, make_pipeline):
    pipeline = make_pipeline()
    pipeline.send(b"no photo")
    pipeline.drain()
    pipeline.send(b"no photo either", b"nor this")
    found = seen(storage=pipeline.settings.spool)
    assert all(finding.ok for finding in found.values())
    assert "2 waiting, 1 dead" in found["queue"].message
    assert "likeness queue dead" in found["queue"].message
    assert "1 failed, 2 waiting" in found["records"].message
    assert found["spool"].message.endswith("answers")
    assert found["storage"].message.endswith("answers")


def test_servers_that_do_not_answer_are_told_without_their_passwords(seen):
    away = f"127.0.0.1:{free_port()}"
    found = seen(queue=f"redis://:open-sesame@{away}/0", records=f"postgresql://likeness:open-sesame@{away}/likeness")
    assert (found["queue"].ok, found["records"].ok) == (False, False)
    assert "open-sesame" not in str(found)


def test_a_file_of_something_else_is_no_queue(seen, tmp_path):
    (tmp_path / "queue.db").write_text("no database at all, but a text of some length " * 40)
    assert not seen()["queue"].ok


@pytest.mark.parametrize(("secret", "well"), [("", False), ("too short", False), ("k" * 16, True)])
def test_calls_back_need_a_key_that_is_long_enough(seen, secret, well):
    found = seen(webhook_hosts="shop.example", webhook_secret=secret)["webhooks"]
    assert (found.ok, "k" * 16 in found.message) == (well, False)
