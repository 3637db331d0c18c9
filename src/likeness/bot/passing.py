"""What every message passes on its way to be answered: whose chat it is, how often, in turn, and what if it fails."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Any

from aiogram import BaseMiddleware, Bot
from aiogram.dispatcher.event.bases import UNHANDLED
from aiogram.exceptions import AiogramError, TelegramForbiddenError
from aiogram.types import CallbackQuery, Chat, Message, TelegramObject

from likeness.bot import words
from likeness.bot.desk import LOGGER, Desk
from likeness.errors import ApiRefused, LikenessError, PhotoTooLarge, Unreachable
from likeness.rates import Buckets

WORDS_PER_PHOTO = 3
"""Messages without a photo may come so many times as often as photos: they cost little."""

Handler = Callable[[TelegramObject, dict[str, Any]], Awaitable[Any]]


class Admission(BaseMiddleware):
    """Lets chats in that are answered, as often as the settings say. A chat is told once when it is above its rate."""

    def __init__(self, chats: tuple[str, ...], photos_per_minute: float) -> None:
        self._everybody, self._chats = "any" in chats, set(chats)
        rate = photos_per_minute
        self._photos = Buckets(rate, max(round(rate), 1)) if rate else None
        self._words = Buckets(rate * WORDS_PER_PHOTO, max(round(rate * WORDS_PER_PHOTO), 1)) if rate else None
        self._told: dict[int, float] = {}

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Pass a message or a pressed button on, or say why not."""
        chat = _chat_of(event)
        if chat is None:
            return UNHANDLED
        photo = isinstance(event, Message) and bool(event.photo or event.document)
        buckets = self._photos if photo else self._words
        wait_s = 0.0 if buckets is None else buckets.take(str(chat.id)).wait_s
        if wait_s:
            await self._slow_down(event, chat, wait_s)
            return UNHANDLED
        if not self._everybody and str(chat.id) not in self._chats:
            if isinstance(event, Message) and (chat.type == "private" or _names(event, data["me"])):
                await event.answer(words.not_allowed(chat.id))
            return UNHANDLED
        return await handler(event, data)

    async def _slow_down(self, event: TelegramObject, chat: Chat, wait_s: float) -> None:
        now = time.monotonic()
        self._told = {each: until for each, until in self._told.items() if until > now}
        if chat.id in self._told or not isinstance(event, Message) or chat.type != "private":
            return
        self._told[chat.id] = now + wait_s
        LOGGER.info("a chat was told to wait")
        await event.answer(words.too_often(wait_s))


class Turns(BaseMiddleware):
    """Answers what one chat sends in the order in which it was sent, chats side by side."""

    def __init__(self) -> None:
        self._held: dict[int, tuple[asyncio.Lock, int]] = {}

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Wait for the chat's turn, then pass on."""
        chat = _chat_of(event)
        if chat is None:
            return await handler(event, data)
        lock, waiting = self._held.get(chat.id, (asyncio.Lock(), 0))
        self._held[chat.id] = lock, waiting + 1
        try:
            async with lock:
                return await handler(event, data)
        finally:
            lock, waiting = self._held.pop(chat.id)
            if waiting > 1:
                self._held[chat.id] = lock, waiting - 1


class Telling(BaseMiddleware):
    """Says in plain words what went wrong, writes the log, and goes on."""

    async def __call__(self, handler: Handler, event: TelegramObject, data: dict[str, Any]) -> Any:
        """Pass on, and tell of what fails."""
        began = time.monotonic()
        kind = _kind(event)
        try:
            result = await handler(event, data)
        except LikenessError as error:
            LOGGER.warning("not done", extra=_facts(kind, began) | {"code": _code(error)})
            await _tell(event, data["bot"], _in_words(error, data["desk"]))
        except TelegramForbiddenError:
            LOGGER.info("the chat does not want to be answered any more", extra=_facts(kind, began))
        except AiogramError as error:
            LOGGER.warning("Telegram refused", extra=_facts(kind, began) | {"error": type(error).__name__})
        except Exception:
            LOGGER.exception("failed", extra=_facts(kind, began))
            await _tell(event, data["bot"], words.WENT_WRONG)
        else:
            if result is not UNHANDLED:
                LOGGER.info("answered", extra=_facts(kind, began))


def _in_words(error: LikenessError, desk: Desk) -> str:
    if isinstance(error, ApiRefused):
        return words.refused(error.told, error.message)
    if isinstance(error, PhotoTooLarge):
        return words.too_large(desk.settings.bot_photo_bytes)
    return words.unreachable() if isinstance(error, Unreachable) else words.WENT_WRONG


def _code(error: LikenessError) -> str:
    return error.told or error.code if isinstance(error, ApiRefused) else error.code


async def _tell(event: TelegramObject, bot: Bot, text: str) -> None:
    """Say that it failed; where even that fails, the log knows."""
    chat = _chat_of(event)
    if chat is None:
        return
    try:
        if isinstance(event, CallbackQuery):
            await event.answer()
        await bot.send_message(chat.id, text)
    except AiogramError as error:
        LOGGER.warning("nobody could be told", extra={"error": type(error).__name__})


def _facts(kind: str, began: float) -> dict[str, Any]:
    return {"kind": kind, "took_ms": round(1000 * (time.monotonic() - began))}


def _kind(event: TelegramObject) -> str:
    """What came, without what it says."""
    if isinstance(event, CallbackQuery):
        return "button"
    if isinstance(event, Message):
        if (event.text or event.caption or "").startswith("/"):
            return "command"
        return "photo" if event.photo or event.document else "other"
    return type(event).__name__


def _names(message: Message, me: str) -> bool:
    """Whether a message is a command that names this very bot."""
    text = message.text or ""
    return text.startswith("/") and text.split()[0].lower().endswith(f"@{me.lower()}")


def _chat_of(event: TelegramObject) -> Chat | None:
    if isinstance(event, CallbackQuery):
        return None if event.message is None else event.message.chat
    return event.chat if isinstance(event, Message) else None
