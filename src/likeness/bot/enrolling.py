"""A chat lets somebody be known: consent first, then photos, each told with its outcome."""

from __future__ import annotations

import unicodedata
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from aiogram.exceptions import TelegramBadRequest
from aiogram.types import CallbackQuery, InaccessibleMessage, InlineKeyboardButton, InlineKeyboardMarkup, Message

from likeness.bot import words
from likeness.bot.api import NewPhoto
from likeness.bot.desk import Desk, mark_of, say
from likeness.bot.photos import SentPhoto
from likeness.bot.state import Enrolment, new_nonce
from likeness.errors import ApiRefused

SOURCE = "telegram"
"""What the gallery notes as origin begins with this and the chat's mark: by that the chat's photos are found again."""
MOST_PHOTOS = 50
"""Photos in one enrolment."""
_LONGEST_NAME = 60


async def ask_consent(desk: Desk, message: Message, name: str) -> None:
    """`/enrol NAME`: ask for consent, where the name is free or the chat's own."""
    mark = mark_of(desk, message)
    name = " ".join(unicodedata.normalize("NFC", name).split())
    if not name:
        await say(message, words.ENROL_WHOM)
    elif not usable(name):
        await say(message, words.name_unusable())
    elif not await desk.api.may_erase():
        await say(message, words.NO_ENROLLING)
    elif (person := await desk.api.person(name)) is not None and not own_pictures(mark, person):
        await say(message, words.name_taken(name))
    else:
        nonce = new_nonce()
        desk.state.keep(mark, Enrolment(nonce, "asked", name))
        buttons = [("I agree", f"agree:{nonce}"), ("No", f"no:{nonce}")]
        await message.answer(words.consent_question(name), reply_markup=keyboard(buttons))


def usable(name: str) -> bool:
    """Whether a name can stand in an address and be shown: letters, no signs that steer or hide, and no person's id."""
    joiners = "\u200c\u200d"  # they belong to names in many scripts
    shown = all(letter.isprintable() or letter in joiners for letter in name)
    letters = any(letter.isalpha() for letter in name)
    return shown and letters and not set("/\\") & set(name) and not name.startswith("p_") and len(name) <= _LONGEST_NAME


def own_pictures(mark: str, person: dict[str, Any]) -> list[int]:
    """Numbers of a person's pictures that a chat enrolled."""
    begins = f"{SOURCE}-{mark}-"
    return [int(each["id"]) for each in person["pictures"] if str(each["source"]).startswith(begins)]


def keyboard(buttons: list[tuple[str, str]]) -> InlineKeyboardMarkup:
    """Buttons in one row: what stands on each, and what pressing it says."""
    return InlineKeyboardMarkup(
        inline_keyboard=[[InlineKeyboardButton(text=text, callback_data=data) for text, data in buttons]]
    )


async def edit(desk: Desk, pressed: CallbackQuery, text: str) -> None:
    """Put an answer in place of the question whose button was pressed, and end the button's waiting."""
    with suppress(TelegramBadRequest):  # pressed so long ago that it does not wait any more
        await pressed.answer()
    if pressed.message is None:
        return
    chat, number = pressed.message.chat.id, pressed.message.message_id
    if isinstance(pressed.message, InaccessibleMessage):  # too old to be changed
        await desk.bot.send_message(chat, text)
    else:
        await desk.bot.edit_message_text(text, chat_id=chat, message_id=number)


async def take_consent(desk: Desk, pressed: CallbackQuery, mark: str, *, agrees: bool, nonce: str) -> None:
    """A button of the question was pressed."""
    open_one = desk.state.enrolment(mark)
    if open_one is None or open_one.stage != "asked" or open_one.nonce != nonce:
        await pressed.answer(words.LATE)
    elif agrees:
        when = f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC"
        desk.state.keep(mark, replace(open_one, stage="photos", agreed=when))
        await edit(desk, pressed, words.agreed(open_one.name))
    else:
        desk.state.end(mark)
        await edit(desk, pressed, words.declined(open_one.name))


async def add_photo(desk: Desk, message: Message, sent: SentPhoto, enrolment: Enrolment) -> None:
    """Enrol a photo, and tell what became of it."""
    mark = mark_of(desk, message)
    if enrolment.stage == "asked":
        await say(message, words.ANSWER_FIRST)
        return
    if enrolment.added + enrolment.refused >= MOST_PHOTOS:
        await say(message, f"{MOST_PHOTOS} photos are enough. /done ends it.")
        return
    photo = NewPhoto(
        await desk.photo(sent),
        f"{SOURCE}-{mark}-{sent.unique_id}",
        f"agreed on {enrolment.agreed} in the Telegram bot, to keeping and showing face and name",
        f"{SOURCE} bot, chat {mark}",
    )
    try:
        told = await _enrol(desk, mark, enrolment, photo)
    except ApiRefused as error:
        desk.state.keep(mark, replace(enrolment, refused=enrolment.refused + 1))
        await say(message, f"Not used. {words.refused(error.told, error.message)}")
        return
    if told is None:
        desk.state.end(mark)
        await say(message, words.name_taken(enrolment.name))
        return
    outcome = told["photos"][0]
    added = enrolment.added + int(told["added"])
    person = (told["person"] or {}).get("id", enrolment.person)
    desk.state.keep(mark, replace(enrolment, person=person, added=added))
    await say(message, words.outcome(outcome, added))


async def _enrol(desk: Desk, mark: str, enrolment: Enrolment, photo: NewPhoto) -> dict[str, Any] | None:
    """What the API says of a photo; None where somebody else took the name meanwhile."""
    if enrolment.person and await desk.api.person(enrolment.person) is not None:
        return await desk.api.enrol(photo, person=enrolment.person)
    async with desk.making:
        held = await desk.api.person(enrolment.name)
        if held is not None and not own_pictures(mark, held):
            return None
        return await desk.api.enrol(photo, name=enrolment.name)


async def finish(desk: Desk, message: Message, *, cancelled: bool = False) -> None:
    """`/done` and `/cancel`."""
    mark = mark_of(desk, message)
    open_one = desk.state.enrolment(mark)
    desk.state.end(mark)
    if open_one is None:
        await say(message, words.NOT_ENROLLING)
    elif cancelled:
        await say(message, words.stopped(open_one.name, open_one.added))
    elif open_one.stage == "asked":
        await say(message, words.declined(open_one.name))
    else:
        await say(message, words.done(open_one.name, open_one.added, open_one.refused))
