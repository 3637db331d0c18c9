"""Looking people up by the command: only where it was switched on, and recorded."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

import wikidata_answers
from answering_server import answering


@pytest.fixture
def server(names, monkeypatch, tmp_path):
    """Wikidata on this machine, which knows the first person of the samples."""
    items = copy.deepcopy(wikidata_answers.ITEMS)
    items["Q101"]["labels"]["en"]["value"] = names[0]
    monkeypatch.setattr(wikidata_answers, "ITEMS", items)
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    with answering(wikidata_answers.wikidata) as state:
        monkeypatch.setenv("LIKENESS_WIKIDATA_URL", state.url)
        yield state


def test_nothing_is_looked_up_unless_a_source_is_switched_on(cli, server, names):
    done = cli("people", "profile", names[0], "--look-up")
    assert done.code == 2
    assert "switched off" in done.err
    assert "--source wikidata" in done.err
    assert cli("twins", names[0], "--profile").code == 2
    assert server.asked == []


def test_a_card_is_looked_up_shown_and_kept(cli, server, names):
    done = cli("people", "profile", names[0], "--source", "wikidata", "--keep", "--json")
    assert done.code == 0
    (line,) = done.lines
    assert line["card"]["occupation"] == ["marine biologist", "author"]
    assert line["profile"]["height_cm"] == 171.0
    shown = cli("people", "profile", names[0], "--source", "gallery")
    assert "marine biologist" in shown.out
    trail = cli("audit", "--json").lines
    assert [event["details"] for event in trail if event["action"] == "look-up"] == [
        {"sources": ["wikidata"]},
        {"sources": ["gallery"]},
    ]


def test_somebody_whom_nobody_knows_is_not_found(cli, server, names):
    done = cli("people", "profile", names[1], "--source", "wikidata")
    assert done.code == 4
    assert "nobody called" in done.err
    assert cli("people", "profile", "Nobody Here", "--source", "wikidata").code == 4


def test_looking_up_and_changing_do_not_go_together(cli, server, names):
    assert cli("people", "profile", names[0], "--look-up", "--set", "a=1").code == 2
    assert cli("people", "profile", names[0], "--keep").code == 2
    assert server.asked == []


def test_twins_come_with_cards_where_somebody_is_known(cli, server, names, probe, monkeypatch):
    monkeypatch.setenv("LIKENESS_PROFILES", "wikidata")
    (line,) = cli("twins", probe, "-k", "2", "--profile", "--json").lines
    first, second = line["twins"]
    assert (first["name"], first["card"]["name"], second["card"]) == (names[0], names[0], None)
    assert "net worth" in cli("twins", probe, "-k", "1", "--profile").out


def test_a_look_up_that_fails_is_told_and_the_twins_are_shown(cli, probe, names, monkeypatch, tmp_path):
    monkeypatch.setenv("LIKENESS_PROFILES", "wikidata")
    monkeypatch.setenv("LIKENESS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("LIKENESS_WIKIDATA_URL", "http://127.0.0.1:9")
    done = cli("twins", probe, "-k", "1", "--profile")
    assert done.code == 0
    assert names[0] in done.out
    assert "cannot be reached" in done.err


def test_what_was_looked_up_goes_with_the_person(cli, server, names, tmp_path):
    kept = tmp_path / "cache" / "profiles.sqlite"
    cli("people", "profile", names[0], "--source", "wikidata")
    assert names[0].encode() in kept.read_bytes()
    assert cli("people", "forget", names[0], "--yes").code == 0
    assert b"marine biologist" not in Path(kept).read_bytes()


def test_a_key_is_never_shown(cli, monkeypatch):
    monkeypatch.setenv("LIKENESS_NINJAS_KEY", "very-secret")
    for arguments in (("settings",), ("settings", "--json")):
        done = cli(*arguments)
        assert done.code == 0
        assert "very-secret" not in done.out + done.err
    assert cli("settings", "--json").lines[0]["profiles"]["value"] == []
