"""The bot as a program: whom it lets in, how often, what it logs, how it ends, what it does when others are down."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from bot_api_server import TOKEN, Refused

from likeness.bot.running import run
from likeness.errors import SettingsError
from likeness.server.app import create_app
from likeness.settings import Settings
from running_server import running


@pytest.fixture
def somebody(telegram):
    """Somebody in a chat of two with the bot."""
    return telegram.person(91_777_001)


def test_a_chat_that_was_not_let_in_is_told_its_number_and_nothing_else(
    somebody, telegram, bot_settings, run_bot, samples
) -> None:
    friend, group = telegram.person(91_002), telegram.person(-100_600, "supergroup")
    with run_bot(bot_settings(bot_chats="91002")) as said:
        somebody.send_photo((samples / "probes" / "Nadia_Okafor_new.jpg").read_bytes())
        text = somebody.next().text
        assert str(somebody.chat) in text
        assert "Nadia" not in text
        group.write("hello")
        group.write("/help@LikenessBot")
        assert "-100600" in group.next().text
        friend.write("/help")
        assert "Send me a photo" in friend.next().text
        assert len(group.shown) == 1
    assert not any("no chat is let in" in line for line in said)


def test_photos_above_a_chats_rate_are_left_and_said_so_once(
    somebody, telegram, bot_settings, run_bot, samples
) -> None:
    photo = (samples / "landscape.jpg").read_bytes()
    with run_bot(bot_settings(bot_rate_per_minute=2)):
        for _ in range(5):
            somebody.send_photo(photo)
        texts = [somebody.next().text for _ in range(3)]
        assert sum("no face" in text for text in texts) == 2
        assert sum("more than I can do for one chat" in text for text in texts) == 1
        other = telegram.person(91_003)
        other.send_photo(photo)
        assert "no face" in other.next().text
        assert len(somebody.shown) == 3


def test_where_the_api_is_down_the_bot_says_so_and_goes_on(
    somebody, bot_settings, run_bot, gallery_path, tmp_path, samples
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    photo = (samples / "probes" / "Nadia_Okafor_new.jpg").read_bytes()
    own = {"gallery": str(gallery_path), "serve_answers": str(tmp_path / "answers.db")}
    with run_bot(bot_settings(bot_api=f"http://127.0.0.1:{port}")) as said:
        assert any("the API does not serve the bot yet" in line for line in said)
        somebody.send_photo(photo)
        assert "cannot reach the computer that looks at photos" in somebody.next().text
        somebody.write("/enrol Ada")
        assert "cannot reach" in somebody.next().text
        with running(create_app(Settings.load(own), open_access=True), port=port) as _:
            somebody.send_photo(photo)
            assert "Nadia Okafor" in somebody.next().text


@pytest.mark.parametrize("token", ["5:wrong", "no token"])
def test_a_token_that_telegram_refuses_ends_the_bot_with_the_reason(token, telegram, bot_settings) -> None:
    with pytest.raises(SettingsError, match="refuses the bot's token"):
        asyncio.run(run(bot_settings(bot_token=token), asyncio.Event(), print))


def test_a_token_that_is_revoked_while_the_bot_runs_ends_it(telegram, bot_settings) -> None:
    def revoke(said: str) -> None:
        if said.startswith("the bot @"):
            telegram.token = "4242:another"

    with pytest.raises(SettingsError, match="refuses the bot's token"):
        asyncio.run(run(bot_settings(), asyncio.Event(), revoke))


def test_settings_show_no_secret_of_the_bot() -> None:
    settings = Settings.load({"bot_token": TOKEN, "bot_key": "lk_secret", "bot_secret": "pepper"})
    shown = f"{settings!r} {settings.model_dump(mode='json')} {settings.model_dump_json()}"
    assert TOKEN not in shown
    assert "lk_secret" not in shown
    assert "pepper" not in shown
    with pytest.raises(SettingsError) as refused:
        Settings.load({"bot_token": 424242})
    assert "424242" not in str(refused.value)


def test_the_command_ends_in_order_and_its_log_holds_no_personal_data(
    somebody, telegram, bot_settings, server, tmp_path, samples
) -> None:
    token_file = tmp_path / "token"
    token_file.write_text(f"{TOKEN}\n")
    environment = os.environ | {"LIKENESS_BOT_TELEGRAM": telegram.url}
    command = [str(Path(sys.executable).with_name("likeness")), "bot", "--api", server, "--chats", "any"]
    command += ["--token-file", str(token_file), "--state", str(tmp_path / "bot.db")]
    busy = Refused(429, "Too Many Requests: retry after 2", {"retry_after": 2})
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as bot:
        somebody.write("/enrol Xaver Quandt")
        somebody.next(within_s=200)  # the libraries take long to load on a busy machine
        somebody.press("I agree")
        somebody.read(somebody.shown[0].number, "Agreed")
        somebody.write("/cancel")
        somebody.next()
        telegram.failures.append(("sendphoto", busy))
        somebody.send_photo((samples / "probes" / "Nadia_Okafor_new.jpg").read_bytes())
        telegram.wait_until(lambda: any(method == "sendphoto" for method, _ in telegram.asked))
        began = time.monotonic()
        bot.send_signal(signal.SIGTERM)  # while an answer waits to be sent again
        assert "Nadia Okafor" in somebody.next().text
        lines = (bot.stderr or sys.stdin).read().splitlines()
        assert bot.wait(30) == 0
        assert time.monotonic() - began < 25
    assert telegram.waiting() == 0  # and Telegram knows that all was answered
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert [line["event"] for line in logged].count("answered") == 4
    assert logged[-1]["event"] == "ends"
    whole = "\n".join(lines)
    for personal in (TOKEN, TOKEN.split(":")[1], str(somebody.chat), "Xaver", "Okafor", "quentin", "Quentin"):
        assert personal not in whole
