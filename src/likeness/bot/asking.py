"""Who is on a photo: each face's age, apparent gender and lookalike, with pictures."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from aiogram.exceptions import AiogramError
from aiogram.types import BufferedInputFile, InputMediaPhoto, Message

from likeness.bot import words
from likeness.bot.desk import LOGGER, Desk, reply_to, say
from likeness.bot.drawing import Nearest, draw_answer
from likeness.bot.photos import SentPhoto
from likeness.errors import PhotoError
from likeness.vision.decode import DecodeLimits

SHOWN_OF_ONE = 3
"""So many lookalikes are shown of a face that is alone on its photo."""
SHOWN_FACES = 20
"""Of so many faces of a photo the lookalikes are shown; all are told in words."""


async def answer_photo(desk: Desk, message: Message, sent: SentPhoto) -> None:
    """Tell who is on a photo, in answer to a message."""
    data = await desk.photo(sent)
    with suppress(AiogramError):  # it only says that an answer is on its way
        await desk.bot.send_chat_action(message.chat.id, "upload_photo", message_thread_id=message.message_thread_id)
    found = (await desk.api.identify(data))["answers"]
    if not found:
        await say(message, words.NO_FACE)
        return
    answers = sorted(found, key=lambda answer: float(answer["face"]["box"][0]))  # as one reads
    pictures = await _pictures(desk, data, answers)
    await _send(message, words.faces_found(answers), pictures)


async def _pictures(desk: Desk, data: bytes, answers: Sequence[dict[str, Any]]) -> list[bytes]:
    shown = SHOWN_OF_ONE if len(answers) == 1 else 1
    wanted = [each["candidates"][:shown] for each in answers[:SHOWN_FACES]]
    found = await asyncio.gather(*(asyncio.gather(*(_nearest(desk, each) for each in some)) for some in wanted))
    boxes = [each["face"]["box"] for each in answers]
    limits = DecodeLimits(max_bytes=desk.settings.bot_photo_bytes, max_pixels=desk.settings.max_photo_pixels)
    try:
        return await asyncio.to_thread(draw_answer, data, limits, boxes, found)
    except PhotoError as error:
        # The server could read it and this machine cannot: the words go without pictures.
        LOGGER.warning("an answer goes without pictures", extra={"code": error.code})
        return []


async def _nearest(desk: Desk, candidate: dict[str, Any]) -> Nearest:
    picture = await desk.api.picture(candidate["person_id"], int(candidate["face_id"]))
    return Nearest(candidate["name"], f"{words.percent(candidate['probability'])} the same person", picture)


async def _send(message: Message, paragraphs: list[str], pictures: Sequence[bytes]) -> None:
    """Pictures with the words as their caption; words that are too many for one follow as messages."""
    whole = "\n\n".join(paragraphs)
    first, *rest = paragraphs
    if pictures and len(whole) <= words.CAPTION_MOST:
        under, texts = whole, []
    elif pictures and rest:
        under, texts = first, words.chunks(rest, words.TEXT_MOST)
    else:
        under, texts = None, words.chunks(paragraphs, words.TEXT_MOST)
    files = [BufferedInputFile(picture, "answer.jpg") for picture in pictures]
    if len(files) == 1:
        await message.answer_photo(files[0], caption=under, reply_parameters=reply_to(message))
    elif files:
        album = [InputMediaPhoto(media=file, caption=under if at == 0 else None) for at, file in enumerate(files)]
        await message.answer_media_group(list(album), reply_parameters=reply_to(message))
    for text in texts:
        await say(message, text)
