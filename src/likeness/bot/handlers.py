"""Which message is answered by what. In a chat of two every message is for the bot; in groups only what names it."""

from __future__ import annotations

from aiogram import F, Router
from aiogram.filters import Command, CommandObject, Filter
from aiogram.types import CallbackQuery, Message

from likeness.bot import enrolling, forgetting, words
from likeness.bot.asking import answer_photo
from likeness.bot.desk import Desk, mark_of, say
from likeness.bot.photos import SentPhoto, photo_in
from likeness.errors import PhotoUnsupported

PRIVATE = F.chat.type == "private"
SAID = ("text", "sticker", "animation", "audio", "video", "video_note", "voice", "contact", "location", "venue", "poll",
        "dice", "story", "paid_media", "game")  # fmt: skip
"""Messages that somebody sends which are no photos; what Telegram itself notes in a chat is not answered."""


class Meant(Filter):
    """A message of a group that is for the bot: it names it, or answers something that it said."""

    async def __call__(self, message: Message, me: str, bot_id: int) -> bool:
        """Whether it is."""
        said = (message.text or message.caption or "").lower()
        told = message.reply_to_message
        answers = told is not None and told.from_user is not None and told.from_user.id == bot_id
        return answers or f"@{me.lower()}" in said.split()


def make_router() -> Router:
    """All handlers, in the order in which they are asked."""
    router = Router()
    router.message.register(tell_about, Command("start", "help", "privacy"))
    router.message.register(who, Command("who"))
    router.message.register(enrol, PRIVATE, Command("enrol", "enroll"))
    router.message.register(end, PRIVATE, Command("done", "cancel"))
    router.message.register(forget, PRIVATE, Command("forget"))
    router.message.register(in_private, Command("enrol", "enroll", "done", "cancel", "forget"))
    router.message.register(any_message, PRIVATE)
    router.message.register(who, Meant())
    router.callback_query.register(pressed, F.message.chat.type == "private")
    return router


async def tell_about(message: Message, command: CommandObject) -> None:
    """`/start`, `/help`, `/privacy`."""
    await message.answer(words.PRIVACY if command.command == "privacy" else words.START)


async def who(message: Message, desk: Desk) -> None:
    """`/who` under a photo or in answer to one; in groups also a photo that names the bot."""
    sent = _photo(message)
    if sent is None and message.reply_to_message is not None:
        sent = _photo(message.reply_to_message)
    if sent is None:
        await say(message, words.WHO_NEEDS_A_PHOTO)
        return
    await answer_photo(desk, message, sent)


async def enrol(message: Message, desk: Desk, command: CommandObject) -> None:
    """`/enrol NAME`."""
    await enrolling.ask_consent(desk, message, command.args or "")


async def end(message: Message, desk: Desk, command: CommandObject) -> None:
    """`/done`, `/cancel`."""
    await enrolling.finish(desk, message, cancelled=command.command == "cancel")


async def forget(message: Message, desk: Desk) -> None:
    """`/forget`."""
    await forgetting.ask_to_erase(desk, message)


async def in_private(message: Message) -> None:
    """What a group is no place for."""
    await say(message, words.IN_PRIVATE)


async def any_message(message: Message, desk: Desk) -> None:
    """A photo, to be enrolled where that was begun, else to be told about; or something else."""
    try:
        sent = photo_in(message)
    except PhotoUnsupported:
        await say(message, words.NOT_A_PHOTO)
        return
    if sent is None:
        if message.content_type not in SAID:
            return
        text = message.text or ""
        unknown = words.UNKNOWN_COMMAND if text.startswith("/") else words.SEND_A_PHOTO
        await say(message, unknown if text else words.NOT_A_PHOTO)
        return
    enrolment = desk.state.enrolment(mark_of(desk, message))
    if enrolment is None:
        await answer_photo(desk, message, sent)
    else:
        await enrolling.add_photo(desk, message, sent, enrolment)


async def pressed(query: CallbackQuery, desk: Desk) -> None:
    """A button under a question."""
    if query.message is None:
        await query.answer(words.LATE)
        return
    mark = desk.state.mark(query.message.chat.id)
    what, _, nonce = (query.data or "").partition(":")
    if what in ("agree", "no"):
        await enrolling.take_consent(desk, query, mark, agrees=what == "agree", nonce=nonce)
    elif what in ("erase", "keep"):
        await forgetting.erase(desk, query, mark, agrees=what == "erase", nonce=nonce)
    else:
        await query.answer(words.LATE)


def _photo(message: Message) -> SentPhoto | None:
    """A message's photo; None for other files too."""
    try:
        return photo_in(message)
    except PhotoUnsupported:
        return None
