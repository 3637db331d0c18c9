"""Updates from Telegram by long polling: begun in order, answered side by side, finished before the end."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from typing import Any, TypeVar

from aiogram import Bot
from aiogram.client.session.middlewares.base import BaseRequestMiddleware, NextRequestMiddlewareType
from aiogram.exceptions import (
    AiogramError,
    TelegramConflictError,
    TelegramNetworkError,
    TelegramNotFound,
    TelegramRetryAfter,
    TelegramServerError,
    TelegramUnauthorizedError,
)
from aiogram.methods import GetUpdates, Response, TelegramMethod
from aiogram.types import Update

from likeness.bot.desk import LOGGER
from likeness.errors import SettingsError

T = TypeVar("T")

KINDS = ["message", "callback_query"]
AT_ONCE = 128
"""Updates in hand at once; more stay with Telegram."""
GRACE_S = 30.0
"""How long answers that are being given may take once the bot is told to end."""
_POLL_S = 25
_LONGEST_BACK_OFF_S = 30.0
_TRIES = 5
_LONGEST_WAIT_S = 60.0


class Patience(BaseRequestMiddleware):
    """Asks Telegram again: after the time that it names where it is asked too often, sooner where it failed."""

    async def __call__(
        self, make_request: NextRequestMiddlewareType[Any], bot: Bot, method: TelegramMethod[Any]
    ) -> Response[Any]:
        """Make a request, several times where it takes that."""
        for tried in range(1, _TRIES + 1):
            try:
                return await make_request(bot, method)
            except TelegramRetryAfter as error:
                if tried == _TRIES or error.retry_after > _LONGEST_WAIT_S:
                    raise
                await asyncio.sleep(error.retry_after)
            except (TelegramNetworkError, TelegramServerError):
                if tried >= 3 or isinstance(method, GetUpdates):  # polling has a back-off of its own
                    raise
                await asyncio.sleep(0.5 * tried)
        raise AssertionError("unreachable")


def token_refused() -> SettingsError:
    """Telegram does not know the token, or not any more."""
    return SettingsError("Telegram refuses the bot's token", hint="BotFather shows it: set LIKENESS_BOT_TOKEN")


async def poll(bot: Bot, handle: Callable[[Update], Awaitable[None]], stop: asyncio.Event) -> None:
    """Take updates until `stop` is set, then let those in hand be answered, and tell Telegram that they were.

    Raises:
        SettingsError: the token is not taken any more.
    """
    hands = _Hands(handle)
    offset: int | None = None
    back_off_s = 1.0
    try:
        while not stop.is_set():
            try:
                updates = await _unless(stop, _ask(bot, offset))
            except (TelegramUnauthorizedError, TelegramNotFound):
                raise token_refused() from None
            except AiogramError as error:
                LOGGER.warning(_said_of(error), extra={"error": type(error).__name__, "again_in_s": back_off_s})
                await _unless(stop, asyncio.sleep(back_off_s))
                back_off_s = min(2 * back_off_s, _LONGEST_BACK_OFF_S)
                continue
            back_off_s = 1.0
            for update in updates or ():
                await hands.take(update)
                offset = update.update_id + 1
    finally:
        await hands.finish(GRACE_S)
    if offset is not None:
        with suppress(AiogramError):  # they would come once more: answered twice, enrolled once
            await bot.get_updates(offset=offset, limit=1, timeout=0, request_timeout=5)


async def _ask(bot: Bot, offset: int | None) -> list[Update]:
    return await bot.get_updates(offset=offset, timeout=_POLL_S, allowed_updates=KINDS, request_timeout=_POLL_S + 15)


def _said_of(error: AiogramError) -> str:
    if isinstance(error, TelegramConflictError):
        return "another program takes this bot's messages"
    return "Telegram does not answer as it should"


async def _unless(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """What the work gives; None where `stop` was set before, and the work was broken off."""
    task, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait((task, stopped), return_when=asyncio.FIRST_COMPLETED)
        return task.result() if task.done() else None
    finally:
        for each in (task, stopped):
            each.cancel()
        await asyncio.gather(task, stopped, return_exceptions=True)


class _Hands:
    """Updates that are being answered."""

    def __init__(self, handle: Callable[[Update], Awaitable[None]]) -> None:
        self._handle = handle
        self._free = asyncio.Semaphore(AT_ONCE)
        self._tasks: set[asyncio.Task[None]] = set()

    async def take(self, update: Update) -> None:
        """Begin with one as soon as a hand is free."""
        await self._free.acquire()
        task = asyncio.create_task(self._one(update))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def finish(self, limit_s: float) -> None:
        """Wait for all of them; those that take too long are broken off."""
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=limit_s)
        for task in late:
            task.cancel()
        if late:
            LOGGER.warning("broken off", extra={"updates": len(late)})
            await asyncio.wait(late)

    async def _one(self, update: Update) -> None:
        try:
            await self._handle(update)
        except Exception:  # everything foreseen is told where it happens; nothing may end the polling
            LOGGER.exception("an update failed")
        finally:
            self._free.release()
