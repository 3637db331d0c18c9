"""What all answers of the bot share: the API, the state, the settings, and how something is said."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from typing import Any

from aiogram import Bot
from aiogram.types import Message, ReplyParameters

from likeness.bot.api import Api
from likeness.bot.photos import SentPhoto, fetch
from likeness.bot.state import State
from likeness.settings import Settings

LOGGER = logging.getLogger("likeness.bot")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers work with.

    Attributes:
        making: held while somebody new is made, so that two chats do not make one person of one name.
        asked: the open question of each chat that wants to erase, by its mark; a restart closes them.
    """

    settings: Settings
    api: Api
    state: State
    bot: Bot
    making: asyncio.Lock = field(default_factory=asyncio.Lock)
    asked: dict[str, str] = field(default_factory=dict)

    async def photo(self, sent: SentPhoto) -> bytes:
        """A photo's file, within what the settings take."""
        return await fetch(self.bot, sent, self.settings.bot_photo_bytes)


def mark_of(desk: Desk, message: Message) -> str:
    """What stands for a message's chat in all that is kept."""
    return desk.state.mark(message.chat.id)


def reply_to(message: Message) -> ReplyParameters:
    """An answer to that very message, also where it was deleted since."""
    return ReplyParameters(message_id=message.message_id, allow_sending_without_reply=True)


async def say(message: Message, text: str, **options: Any) -> None:
    """Answer a message."""
    await message.answer(text, reply_parameters=reply_to(message), **options)
