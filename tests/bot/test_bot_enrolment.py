"""Enrolling and erasing through the bot: consent first, nobody else's people, and everything survives a restart."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
from bot_api_server import TOKEN

from likeness.bot.state import OPEN_S, Enrolment, State
from likeness.errors import Conflict
from likeness.server.app import create_app
from likeness.server.keys import KeyStore
from likeness.settings import Settings
from running_server import running


@pytest.fixture
def somebody(telegram):
    """Somebody in a chat of two with the bot."""
    return telegram.person(88_001_234)


@pytest.fixture
def photos(samples) -> list[bytes]:
    """Photos of three strangers."""
    return [(samples / "probes" / f"stranger_{number}.jpg").read_bytes() for number in (1, 2, 3)]


@pytest.fixture(autouse=True)
def nobody_stays(api, names):
    """Whoever a test enrols goes with it, however it ends."""
    yield
    for person in api.get("/v1/people").json()["people"]:
        if person["name"] not in names:
            api.delete(f"/v1/people/{person['id']}").raise_for_status()


def held(api, name: str) -> dict | None:
    answer = api.get(f"/v1/people/{name}")
    return answer.json() if answer.status_code == 200 else None


def begin(somebody, name: str) -> None:
    somebody.write(f"/enrol {name}")
    asked = somebody.next()
    assert "May I keep the face of" in asked.text
    somebody.press("I agree")
    somebody.read(asked.number, "Agreed")


def enrol(somebody, name: str, *photos: bytes) -> None:
    begin(somebody, name)
    for photo in photos:
        somebody.send_photo(photo, media_group_id="album")
    assert [somebody.next().text.split(".")[0] for _ in photos] == ["Added"] * len(photos)
    somebody.write("/done")
    assert "I know" in somebody.next().text


def forget(somebody) -> str:
    somebody.write("/forget")
    asked = somebody.next()
    assert "Erase what this chat enrolled?" in asked.text
    somebody.press("Erase")
    return somebody.read(asked.number, "Erased")


@pytest.mark.usefixtures("bot")
def test_nothing_is_kept_without_consent(somebody, photos, api) -> None:
    somebody.write("/enrol Ada Berg")
    asked = somebody.next()
    somebody.send_photo(photos[0])
    assert "answer the question above first" in somebody.next().text
    somebody.press("No")
    somebody.read(asked.number, "Nothing is kept of Ada Berg")
    assert held(api, "Ada Berg") is None
    somebody.write("/done")
    assert "not enrolling anybody" in somebody.next().text


@pytest.mark.usefixtures("bot")
def test_somebody_enrolled_is_recognised_and_erased_again(somebody, photos, api, samples) -> None:
    name = "Zoë <b>& Co"
    begin(somebody, name)
    sent = [somebody.send_photo(each, media_group_id="album") for each in (photos[0], photos[0])]
    sent.append(somebody.send_photo((samples / "landscape.jpg").read_bytes(), media_group_id="album"))
    outcomes = [somebody.next() for _ in sent]
    assert [each.reply_to for each in outcomes] == sent
    assert outcomes[0].text.startswith("Added. Its quality is")
    assert "have this photo already" in outcomes[1].text
    assert outcomes[2].text.startswith("Not used. I found no face")
    somebody.write("/done")
    assert somebody.next().text.startswith(f"I know {name} now: 1 photo added, 1 photo not used")

    person = held(api, name)
    assert person["consent"]["basis"].startswith("agreed on ")
    assert person["consent"]["source"].startswith("telegram bot, chat ")
    assert str(somebody.chat) not in str(person)
    assert "quentin" not in str(person).lower()

    somebody.send_photo(photos[0])
    assert f"This is {name}" in somebody.next().text
    assert f"{name}: 1 photo" in forget(somebody)
    assert held(api, name) is None
    somebody.write("/forget")
    assert "Nothing is kept from this chat" in somebody.next().text


@pytest.mark.usefixtures("bot")
def test_a_chat_adds_to_and_erases_nobody_elses_people(somebody, telegram, photos, api, names) -> None:
    somebody.write(f"/enrol {names[0].upper()}")
    assert "Somebody else is called" in somebody.next().text
    for bad in ("", "../people", "p_0123456789abcdef", "77", "A" * 61, "abc\u202edef"):
        somebody.write(f"/enrol {bad}")
        assert "Say whom" in somebody.next().text or "no name that I can keep" in somebody.shown[-1].text
    enrol(somebody, "Ida Ek", photos[0])
    other = telegram.person(88_002)
    other.write("/enrol Ida Ek")
    assert "Somebody else is called" in other.next().text
    other.write("/forget")
    assert "Nothing is kept from this chat" in other.next().text
    before = api.get("/v1/gallery").json()["people"]
    forget(somebody)
    assert api.get("/v1/gallery").json()["people"] == before - 1


@pytest.mark.usefixtures("bot")
def test_photos_that_came_in_other_ways_stay_when_a_chat_erases_its_own(somebody, photos, api) -> None:
    enrol(somebody, "Bo Lind", photos[0], photos[1])
    api.post("/v1/people/Bo Lind/pictures", files={"photos": photos[2]}).raise_for_status()
    somebody.write("/forget")
    asked = somebody.next()
    assert "Bo Lind: 2 photos (1 photo that came in other ways stays)" in asked.text
    somebody.press("Keep")
    somebody.read(asked.number, "Nothing was erased")
    assert held(api, "Bo Lind")["faces"] == 3
    forget(somebody)
    assert [each["source"] for each in held(api, "Bo Lind")["pictures"]] == ["upload"]


def test_an_enrolment_goes_on_after_a_restart_and_is_erased_after_another(
    somebody, photos, api, bot_settings, run_bot
) -> None:
    with run_bot(bot_settings()):
        begin(somebody, "Ute Falk")
        somebody.send_photo(photos[0])
        assert somebody.next().text.startswith("Added")
    with run_bot(bot_settings()):
        somebody.send_photo(photos[1])
        assert "2 photos so far" in somebody.next().text
        somebody.write("/cancel")
        assert "2 photos of Ute Falk stay" in somebody.next().text
        asked_before = len(somebody.shown)
        somebody.write("/forget")
        somebody.next()
    with run_bot(bot_settings()):
        somebody.press("Erase")  # of a question from before the restart
        somebody.telegram.wait_until(lambda: "This question is no longer open." in somebody.toasts)
        assert len(somebody.shown) == asked_before + 1
        assert held(api, "Ute Falk")["faces"] == 2
        forget(somebody)
    assert held(api, "Ute Falk") is None


def test_an_enrolment_broken_off_on_its_way_is_found_again_by_its_name(
    somebody, photos, api, bot_settings, run_bot
) -> None:
    settings = bot_settings()
    with run_bot(settings):
        begin(somebody, "Eva Holm")
        somebody.send_photo(photos[0])
        somebody.next()
    with sqlite3.connect(settings.bot_state) as state:  # as a kill would leave it between answer and note
        state.execute("UPDATE enrolments SET person = '', added = 0")
        state.execute("DELETE FROM enrolled")
    state.close()
    with run_bot(settings):
        forget(somebody)
    assert held(api, "Eva Holm") is None


def test_the_bots_file_holds_no_number_of_a_chat_and_belongs_to_one_token(
    somebody, photos, api, bot_settings, run_bot
) -> None:
    settings = bot_settings()
    with run_bot(settings):
        enrol(somebody, "Kim Dahl", photos[0])
        forget(somebody)
        enrol(somebody, "Kim Dahl", photos[1])
    content = b"".join(path.read_bytes() for path in sorted(Path(settings.bot_state).parent.glob("bot.db*")))
    assert str(somebody.chat).encode() not in content
    assert somebody.chat.to_bytes(4, "big") not in content
    assert b"Kim Dahl" not in content
    with pytest.raises(Conflict, match="another token"):
        State(settings.bot_state, "4242:another")
    with State(settings.bot_state, TOKEN) as state:
        assert len(state.enrolled(state.mark(somebody.chat))) == 1
        assert state.enrolled(state.mark(somebody.chat + 1)) == []


def test_an_enrolment_nobody_goes_on_with_is_given_up(tmp_path) -> None:
    now = [1_000.0]
    with State(tmp_path / "bot.db", "secret", clock=lambda: now[0]) as state:
        state.keep("a", Enrolment("n", "photos", "Ada", person="p_1"))
        now[0] += OPEN_S - 1
        assert state.enrolment("a") is not None
        now[0] += 2
        assert state.enrolment("a") is None
        assert state.enrolled("a") == ["p_1"]


def test_without_the_right_to_erase_nobody_is_enrolled(
    somebody, telegram, gallery_path, tmp_path, bot_settings, run_bot
) -> None:

    keys = KeyStore.open(tmp_path / "api.keys")
    _, secret = keys.create("bot", "enrol")
    own = {"gallery": str(gallery_path), "serve_answers": str(tmp_path / "answers.db")}
    with (
        running(create_app(Settings.load(own), keys=keys, open_access=False)) as address,
        run_bot(bot_settings(bot_api=address, bot_key=secret)) as said,
    ):
        assert any("may not erase" in line for line in said)
        somebody.write("/enrol Ada Berg")
        assert "I may not enrol anybody here" in somebody.next().text
