"""`/forget`: what a chat enrolled is erased, that and nothing else, after it was asked once more."""

from __future__ import annotations

from dataclasses import dataclass

from aiogram.types import CallbackQuery, Message

from likeness.bot import words
from likeness.bot.desk import Desk, mark_of, say
from likeness.bot.enrolling import edit, keyboard, own_pictures
from likeness.bot.state import new_nonce


@dataclass(frozen=True, slots=True)
class Enrolled:
    """Somebody whom a chat enrolled: which pictures are the chat's, and how many came in other ways."""

    person: str
    name: str
    own: tuple[int, ...]
    others: int


async def ask_to_erase(desk: Desk, message: Message) -> None:
    """Say what would be erased, and ask."""
    mark = mark_of(desk, message)
    found = await _enrolled_by(desk, mark)
    if not found:
        known = desk.state.enrolled(mark)
        for person in known:
            desk.state.forget(mark, person)
        await say(message, words.gone() if known else words.NOBODY_ENROLLED)
        return
    nonce = desk.asked[mark] = new_nonce()
    buttons = [("Erase", f"erase:{nonce}"), ("Keep", f"keep:{nonce}")]
    question = words.forget_question([(each.name, len(each.own), each.others) for each in found])
    await message.answer(question, reply_markup=keyboard(buttons))


async def erase(desk: Desk, pressed: CallbackQuery, mark: str, *, agrees: bool, nonce: str) -> None:
    """A button of the question was pressed."""
    if desk.asked.get(mark) != nonce:
        await pressed.answer(words.LATE)
        return
    if not agrees:
        del desk.asked[mark]
        await edit(desk, pressed, words.KEPT)
        return
    found = await _enrolled_by(desk, mark)
    missing = 0
    for each in found:
        missing = max(missing, await _erase(desk, each))
        desk.state.forget(mark, each.person)
    desk.state.end(mark)
    del desk.asked[mark]
    told = [(each.name, len(each.own)) for each in found]
    await edit(desk, pressed, words.erased(told, missing) if told else words.gone())


async def _enrolled_by(desk: Desk, mark: str) -> list[Enrolled]:
    """Whom a chat enrolled and who is still there; found by what the gallery notes as the pictures' origin.

    An enrolment that was broken off while its first photo was on the way has no id yet: then its name finds them.
    """
    open_one = desk.state.enrolment(mark)
    names = [] if open_one is None or open_one.person else [open_one.name]
    found: dict[str, Enrolled] = {}
    for name_or_id in (*desk.state.enrolled(mark), *names):
        person = await desk.api.person(name_or_id)
        own = [] if person is None else own_pictures(mark, person)
        if person is not None and own:
            others = len(person["pictures"]) - len(own)
            found[person["id"]] = Enrolled(person["id"], person["name"], tuple(own), others)
    return list(found.values())


async def _erase(desk: Desk, each: Enrolled) -> int:
    """Erase somebody, or only the chat's pictures where there are others; gives how many copies were not found."""
    if not each.others:
        return int((await desk.api.erase_person(each.person))["snapshots_not_found"])
    missing = [int((await desk.api.erase_picture(each.person, face))["snapshots_not_found"]) for face in each.own]
    return max(missing)
