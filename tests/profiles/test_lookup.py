"""Looking up: Wikidata and API Ninjas as they answer, from servers on this machine; the cache; what goes wrong."""

from __future__ import annotations

import sqlite3
import stat
import threading
import time
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import pytest

from answering_server import Answering, Asked, Reply, answering
from likeness.errors import AccessRefused, InputError, RemoteError, SettingsError, Unreachable
from likeness.profiles import Lookup, open_lookup
from likeness.profiles.cache import NAME, Cache
from likeness.profiles.ninjas import Ninjas
from likeness.profiles.wikidata import Wikidata
from likeness.settings import Settings
from wikidata_answers import KEY, ninjas, wikidata


@pytest.fixture
def server() -> Iterator[Answering]:
    with answering(wikidata) as state:
        yield state


@pytest.fixture
def lookup(server: Answering, tmp_path: Path) -> Callable[..., Lookup]:
    def make(*sources: str, **changes: object) -> Lookup:
        values = {"cache": str(tmp_path), "wikidata_url": server.url, "ninjas_url": server.url, "ninjas_key": KEY}
        return open_lookup(Settings.model_validate(values | changes), lambda name: None, sources=sources or None)

    return make


def test_wikidata_gives_the_human_of_that_name_in_three_requests(server: Answering) -> None:
    card = Wikidata(server.url).find("Ada Example")
    assert card is not None
    assert (card.name, card.namesakes, card.source) == ("Ada Example", 1, "Wikidata")
    assert card.page_url == "https://www.wikidata.org/wiki/Q101"
    assert card.nationality == ("United Kingdom", "United States")  # what has ended comes last
    assert card.occupation == ("marine biologist", "author")
    assert (card.born, card.height_cm, card.age_on(date(2026, 1, 1))) == ("1963-02-17", 171.0, 62)
    assert (card.net_worth, card.net_worth_currency) == (2_200_000.0, "United States dollar")  # the latest
    assert card.picture_url is not None
    assert card.picture_url.endswith("/Ada_at_sea%2C_2001.jpg?width=400")
    assert len(server.asked) == 3
    assert all(asked.headers["user-agent"].startswith("likeness (+https://") for asked in server.asked)


def test_wikidata_answers_in_the_language_asked_for_where_it_has_words(server: Answering) -> None:
    card = Wikidata(server.url, language="de").find("Ada Example")
    assert card is not None
    assert (card.name, card.nationality[0], card.occupation[0]) == (
        "Ada Beispiel",
        "Vereinigtes Königreich",
        "marine biologist",
    )


def test_of_the_dead_with_a_vague_birthday_no_age_is_told(server: Answering) -> None:
    card = Wikidata(server.url).find("Bo Old")
    assert card is not None
    assert (card.born, card.died, card.height_cm, card.age_on(date(2026, 1, 1))) == ("1900", "1950-03-01", 177.8, None)


@pytest.mark.parametrize("name", ["Ada Exam", "United Kingdom", "Nobody At All"])
def test_wikidata_knows_nobody_who_only_nearly_has_the_name_or_is_no_human(server: Answering, name: str) -> None:
    assert Wikidata(server.url).find(name) is None


def test_api_ninjas_gives_a_card_for_a_key(server: Answering) -> None:
    server.route = ninjas
    card = Ninjas(server.url, KEY).find("Ada Example")
    assert card is not None
    assert (card.name, card.nationality, card.height_cm, card.net_worth) == ("Ada Example", ("GB",), 171.0, 2_200_000.0)
    assert card.occupation == ("marine biologist", "author")
    assert Ninjas(server.url, KEY).find("Nobody") is None


def test_api_ninjas_wants_a_key_and_the_right_one(server: Answering) -> None:
    server.route = ninjas
    with pytest.raises(SettingsError, match="without a key"):
        Ninjas(server.url, "")
    with pytest.raises(AccessRefused) as caught:
        Ninjas(server.url, "a-wrong-one").find("Ada Example")
    assert "a-wrong-one" not in str(caught.value)
    with pytest.raises(InputError, match="key") as refused:
        Ninjas(server.url, "two\r\nlines")
    assert "lines" not in str(refused.value)


def test_nobody_is_asked_unless_somebody_is_switched_on(lookup: Callable[..., Lookup], server: Answering) -> None:
    with pytest.raises(SettingsError, match="switched off"):
        lookup()
    assert Settings.load({}, {}).profiles == ()
    assert Settings.load({}, {"LIKENESS_PROFILES": "none"}).profiles == ()
    assert lookup(profiles="gallery").find("Ada Example") is None
    assert server.asked == []


def test_the_sources_are_read_from_a_line_of_names() -> None:
    assert Settings.load({}, {"LIKENESS_PROFILES": "Wikidata, gallery,wikidata"}).profiles == ("wikidata", "gallery")
    with pytest.raises(SettingsError, match="LIKENESS_PROFILES"):
        Settings.load({}, {"LIKENESS_PROFILES": "wikidata,facebook"})


def test_an_answer_is_kept_and_asked_for_once(lookup: Callable[..., Lookup], server: Answering, tmp_path: Path) -> None:
    first = lookup("wikidata").find("Ada Example")
    asked = len(server.asked)
    assert lookup("wikidata").find("ada  EXAMPLE") == first
    assert lookup("wikidata").find("Nobody") is None
    assert lookup("wikidata").find("Nobody") is None
    assert len(server.asked) == asked + 1
    assert stat.S_IMODE((tmp_path / NAME).stat().st_mode) == 0o600


def test_what_is_out_of_date_is_asked_for_again(
    lookup: Callable[..., Lookup], server: Answering, tmp_path: Path
) -> None:
    lookup("wikidata").find("Bo Old")
    with sqlite3.connect(tmp_path / NAME) as connection:
        connection.execute("UPDATE cards SET at = ?", (time.time() - 31 * 86_400,))
    connection.close()
    asked = len(server.asked)
    assert lookup("wikidata").find("Bo Old") is not None
    assert len(server.asked) > asked


def test_what_was_forgotten_is_not_in_the_cache_file_any_more(lookup: Callable[..., Lookup], tmp_path: Path) -> None:
    lookup("wikidata").find("Ada Example")
    assert b"marine biologist" in (tmp_path / NAME).read_bytes()
    assert Cache(tmp_path, keep_days=30).forget("ADA Example") == 1
    assert b"marine biologist" not in (tmp_path / NAME).read_bytes()


def test_the_first_source_that_knows_the_name_answers_and_one_that_fails_is_passed_over(
    lookup: Callable[..., Lookup], server: Answering
) -> None:
    server.route = lambda asked: wikidata(asked) if "action" in asked.query else Reply(status=500)
    found = lookup("ninjas", "wikidata").find("Ada Example")
    assert found is not None
    assert found.source == "Wikidata"
    with pytest.raises(RemoteError, match="API Ninjas failed with HTTP 500"):
        lookup("ninjas", "wikidata").find("Nobody At All")


def test_a_busy_server_is_asked_once_more_after_the_time_that_it_says(server: Answering) -> None:
    replies = [Reply(status=429, headers={"Retry-After": "0"})]
    server.route = lambda asked: replies.pop() if replies else wikidata(asked)
    assert Wikidata(server.url).find("Bo Old") is not None


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        pytest.param(Reply(status=503, headers={"Retry-After": "0"}), RemoteError, "busy", id="busy twice"),
        pytest.param(Reply(status=429, headers={"Retry-After": "3600"}), RemoteError, "in 3600 s", id="busy for long"),
        pytest.param(Reply(b"<html>"), RemoteError, "no JSON", id="a page in place of data"),
        pytest.param(Reply(b"[" * 100_000), RemoteError, "no JSON", id="nesting without end"),
        pytest.param(Reply([]), RemoteError, "object", id="a list in place of an object"),
        pytest.param(Reply({"error": {"code": "maxlag"}}), RemoteError, "maxlag", id="an error in the answer"),
        pytest.param(Reply({"search": "x"}), None, "", id="an answer without what it should hold"),
        pytest.param(Reply(b" " * (9 << 20)), RemoteError, "more than", id="too long an answer"),
        pytest.param(
            Reply(status=302, headers={"Location": "http://127.0.0.1:1/x"}), RemoteError, "elsewhere", id="moved"
        ),
        pytest.param(
            Reply(status=302, headers={"Location": "http://[x:y:999999/"}),
            RemoteError,
            "cannot be read",
            id="moved to nowhere",
        ),
        pytest.param(Reply(status=503, headers={"Retry-After": "\u00b2"}), RemoteError, "busy", id="busy and confused"),
        pytest.param(Reply(status=403), AccessRefused, "refuses", id="refused"),
        pytest.param(Reply(b"{}", headers={"Content-Length": "99"}), Unreachable, "broke off", id="cut short"),
    ],
)
def test_what_a_server_does_wrong_is_told_in_words(
    server: Answering, reply: Reply, error: type[RemoteError] | None, words: str
) -> None:
    server.route = lambda asked: reply
    if error is None:
        assert Wikidata(server.url).find("Ada Example") is None
        return
    with pytest.raises(error) as caught:
        Wikidata(server.url, timeout_s=5.0).find("Ada Example")
    assert words in str(caught.value)
    assert "Ada" not in str(caught.value)


def test_a_server_that_never_ends_its_answer_is_given_up(server: Answering) -> None:
    def slow(asked: Asked) -> Reply:
        done.wait(60)
        return Reply({})

    done, server.route = threading.Event(), slow
    start = time.monotonic()
    with pytest.raises(Unreachable):
        Wikidata(server.url, timeout_s=0.3).find("Ada Example")
    assert time.monotonic() - start < 30
    done.set()


def test_nobody_at_the_address_is_unreachable() -> None:
    with pytest.raises(Unreachable, match="cannot be reached"):
        Wikidata("http://127.0.0.1:9").find("Ada Example")


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org", "example.org", "http://", "http://u:p@example.org"]
)
def test_an_address_that_is_no_web_server_is_refused(url: str) -> None:
    with pytest.raises(InputError, match="no address") as caught:
        Wikidata(url)
    assert "u:p" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "   ", "x" * 300])
def test_what_cannot_be_a_name_is_not_looked_up(lookup: Callable[..., Lookup], server: Answering, name: str) -> None:
    with pytest.raises(InputError):
        lookup("wikidata").find(name)
    assert server.asked == []
