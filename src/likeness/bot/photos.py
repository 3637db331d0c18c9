"""Photos in messages: found, judged by what Telegram says of them, and fetched within bounds."""

from __future__ import annotations

import io
from dataclasses import dataclass

import aiohttp
from aiogram import Bot
from aiogram.exceptions import TelegramBadRequest
from aiogram.types import Message

from likeness.errors import PhotoTooLarge, PhotoUnsupported, Unreachable

_FETCH_S = 60
_TOO_BIG = "file is too big"


@dataclass(frozen=True, slots=True)
class SentPhoto:
    """A photo in a message: which file to ask for, what tells it from all others, and its size where that is stated."""

    file_id: str
    unique_id: str
    size_bytes: int


def photo_in(message: Message) -> SentPhoto | None:
    """The photo of a message, largest size, or its picture sent as a file; None where it has neither.

    Raises:
        PhotoUnsupported: it is a file that is no picture.
    """
    if message.photo:
        sent = max(message.photo, key=lambda size: size.width * size.height)
        return SentPhoto(sent.file_id, sent.file_unique_id, sent.file_size or 0)
    if message.document is None or message.animation is not None:
        return None
    document = message.document
    if not (document.mime_type or "").startswith("image/"):
        raise PhotoUnsupported("a file that is no picture")
    return SentPhoto(document.file_id, document.file_unique_id, document.file_size or 0)


async def fetch(bot: Bot, sent: SentPhoto, most_bytes: int) -> bytes:
    """A photo's file.

    Raises:
        PhotoTooLarge: it has more bytes than are taken, whatever was stated. Unreachable: Telegram does not give it.
    """
    if sent.size_bytes > most_bytes:
        raise PhotoTooLarge("a photo of more bytes than are taken")
    try:
        file = await bot.get_file(sent.file_id)
    except TelegramBadRequest as error:
        if _TOO_BIG in error.message:
            raise PhotoTooLarge("a photo of more bytes than Telegram gives to bots") from error
        raise
    held = _Bounded(most_bytes)
    try:
        await bot.download_file(file.file_path or "", destination=held, timeout=_FETCH_S)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        # The error itself names the address, and the bot's token in it.
        raise Unreachable(f"Telegram does not give a photo ({type(error).__name__})") from None
    return held.getvalue()


class _Bounded(io.BytesIO):
    """Memory that takes no more than so many bytes."""

    def __init__(self, most_bytes: int) -> None:
        super().__init__()
        self._most = most_bytes

    def write(self, data: bytes, /) -> int:  # type: ignore[override]  # only bytes are written here
        if self.tell() + len(data) > self._most:
            raise PhotoTooLarge("a photo of more bytes than are taken")
        return super().write(data)
