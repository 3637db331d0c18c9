"""A bot in a thread, between a Bot API server and a Likeness server on a filled gallery, all of this test's own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bot_api_server import TOKEN, Telegram, telegram_server

from likeness.server.app import create_app
from likeness.settings import Settings
from running_server import client, running


@contextmanager
def bot_in_thread(settings: Settings) -> Iterator[list[str]]:
    """The bot, while it runs; gives what it said at its beginning. It is ended as a signal would end it."""
    from likeness.bot.running import run

    said: list[str] = []
    begun, held, failed = threading.Event(), {}, []

    async def main() -> None:
        held["loop"], held["stop"] = asyncio.get_running_loop(), asyncio.Event()

        def say(text: str) -> None:
            said.append(text)
            if text.startswith("the bot @"):
                begun.set()

        try:
            await run(settings, held["stop"], say)
        except BaseException as error:
            failed.append(error)
        finally:
            begun.set()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    try:
        assert begun.wait(40), "the bot did not begin"
        if failed:
            raise failed[0]
        yield said
    finally:
        if not failed:
            held["loop"].call_soon_threadsafe(held["stop"].set)
        thread.join(60)
        assert not thread.is_alive(), "the bot did not end"
    if failed:
        raise failed[0]


@pytest.fixture(scope="session")
def _server(_filled, tmp_path_factory) -> Iterator[str]:
    """A server for all tests that change nothing of the gallery they do not undo by themselves."""
    import shutil

    folder = tmp_path_factory.mktemp("bot")
    shutil.copy(_filled, folder / "people.gallery")
    own = {
        "gallery": str(folder / "people.gallery"),
        "serve_answers": str(folder / "answers.db"),
        "serve_rate_per_minute": 0,
    }
    with running(create_app(Settings.load(own), open_access=True)) as address:
        yield address


@pytest.fixture
def server(_server) -> str:
    """The address of a Likeness server on a gallery with the sample people."""
    return _server


@pytest.fixture
def api(server) -> Iterator[Any]:
    """Somebody who asks it without the bot."""
    with client(server) as opened:
        yield opened


@pytest.fixture
def telegram() -> Iterator[Telegram]:
    """A Bot API server."""
    with telegram_server() as running_one:
        yield running_one


@pytest.fixture
def bot_settings(telegram, server, tmp_path) -> Callable[..., Settings]:
    """Settings of a bot between the two."""

    def make(**values: Any) -> Settings:
        own = {
            "bot_token": TOKEN,
            "bot_telegram": telegram.url,
            "bot_api": server,
            "bot_chats": "any",
            "bot_state": str(tmp_path / "bot.db"),
        }
        return Settings.load(own | values)

    return make


@pytest.fixture
def run_bot() -> Callable[..., Any]:
    """A bot in a thread, by settings."""
    return bot_in_thread


@pytest.fixture
def bot(bot_settings) -> Iterator[list[str]]:
    """A running bot that answers everybody."""
    with bot_in_thread(bot_settings()) as said:
        yield said
