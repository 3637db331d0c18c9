"""What the bot says, in plain words, as Telegram's HTML. Whatever comes from people or the server is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

CAPTION_MOST = 1000
"""Letters of a caption; Telegram takes 1,024."""
TEXT_MOST = 4000
"""Letters of a message; Telegram takes 4,096."""

PRIVACY = (
    "<b>What happens to your photo</b>\n"
    "It goes through Telegram to the computer that runs me. There it is looked at in memory, and not kept. What you "
    "enrol is kept: the faces cut out of your photos, numbers that describe them, and the name. Others who send a "
    "photo may then be shown that name and face. /forget erases it at any time. My log holds no names, photos or "
    "chats, and who you are on Telegram is kept as a hash only.\n"
    "Everything I say is a guess from looks: ages, genders and names can be wrong. Do not use it to decide about "
    "anybody."
)

START = (
    "<b>Send me a photo</b> and I tell, for each face, how old it looks, its apparent gender, and whom it looks like "
    "most among the people I know, with a picture and a probability.\n\n"
    "/who – answer this to a photo, to ask about it (also in groups)\n"
    "/enrol NAME – let me know somebody, with their consent\n"
    "/done – when all photos are sent\n"
    "/cancel – stop enrolling\n"
    "/forget – erase whom this chat enrolled\n"
    "/help – this page\n\n"
) + PRIVACY

COMMANDS = (
    ("who", "answer this to a photo: who is on it?"),
    ("enrol", "NAME: let me know somebody, with their consent"),
    ("done", "all photos of them are sent"),
    ("cancel", "stop enrolling"),
    ("forget", "erase whom this chat enrolled"),
    ("help", "what I do, and what happens to your photos"),
)

SEND_A_PHOTO = "Send me a photo of one or more people. /help says what else I do."
UNKNOWN_COMMAND = "I do not know that command. /help lists those that I know."
NOT_A_PHOTO = "I can look at photos only. Send it as a photo, or as a file that is a picture (JPEG, PNG, HEIC, WebP …)."
NO_FACE = "I found no face on this photo. A face should not be far in profile, in the dark, or very small."
WHO_NEEDS_A_PHOTO = "Reply with /who to a message with a photo, or send a photo with /who as its caption."
IN_PRIVATE = "Enrolling and erasing are between you and me: write to me in a chat of our own."
WENT_WRONG = "Something went wrong on my side. It is noted; please try again later."
LATE = "This question is no longer open."
ENROL_WHOM = "Say whom: <code>/enrol Ada Berg</code>"
ANSWER_FIRST = "Please answer the question above first, with one of its buttons. Nothing was kept of this photo."
NOT_ENROLLING = "You are not enrolling anybody. <code>/enrol Ada Berg</code> begins."
NOBODY_ENROLLED = "Nothing is kept from this chat: nobody was enrolled here."
KEPT = "Nothing was erased."
NO_ENROLLING = (
    "I may not enrol anybody here: the people who run me have not given me the right to erase, and I keep nothing that "
    "you could not have erased."
)

_POOR = {
    "small": "small",
    "blurred": "blurred",
    "dark": "dark",
    "bright": "too bright",
    "flat": "without contrast",
    "turned": "turned aside",
    "cut_off": "cut off",
    "faint": "hardly visible",
}

_REFUSED = {
    "photo_unsupported": "I cannot read this kind of picture. JPEG, PNG, HEIC and WebP work.",
    "photo_truncated": "The photo's file ends too early. Please send it again.",
    "photo_corrupt": "The photo's file is damaged.",
    "photo_empty": "The photo's file is empty.",
    "photo_too_large": "The photo is too large.",
    "body_too_large": "The photo is too large.",
    "no_face": NO_FACE,
    "several_faces": "Several faces are on this photo, and I cannot tell which one is meant. Send it alone.",
    "face_of_another": "This very face is enrolled under another name already.",
    "overloaded": "I have too much to do at the moment. Please try again in a minute.",
    "too_many_requests": "I have too much to do at the moment. Please try again in a minute.",
    "took_too_long": "That took too long. Please try again in a minute.",
    "shutting_down": "I am being restarted. Please try again in a minute.",
    "key_missing": "The people who run me have to give me a key for that.",
    "key_invalid": "The key that I use is no longer good. The people who run me have to give me another.",
    "scope_missing": "The people who run me have not allowed me that.",
}


def refused(code: str, message: str) -> str:
    """Why the server did not do something."""
    if code == "face_rejected":
        return f"{escape(message[:1].upper() + message[1:300], quote=False)}. Please take a better photo."
    return _REFUSED.get(code, WENT_WRONG)


def unreachable() -> str:
    """Where the API does not answer."""
    return "I cannot reach the computer that looks at photos. Please try again later; nothing was kept."


def not_allowed(chat: int) -> str:
    """To a chat that is not answered."""
    return (
        "I answer only chats that the people who run me have let in. If you run me, add this chat's number to "
        f"<code>bot_chats</code>: <code>{chat}</code>"
    )


def too_often(wait_s: float) -> str:
    """To a chat above its rate; said once, until it is below it again."""
    return f"That is more than I can do for one chat. Please wait {max(round(wait_s), 1)} s; what comes before is left."


def too_large(most_bytes: int) -> str:
    """To whom a photo's file is too large."""
    return f"This file is too large for me: up to {most_bytes / 1e6:.3g} MB. Send it as a photo, not as a file."


def faces_found(answers: Sequence[dict[str, Any]]) -> list[str]:
    """An answer in paragraphs: how many faces, then each of them, numbered where there are several."""
    if len(answers) == 1:
        return [face(answers[0])]
    return [
        f"{len(answers)} faces, numbered from the left.",
        *(face(each, number) for number, each in enumerate(answers, 1)),
    ]


def face(answer: dict[str, Any], number: int | None = None) -> str:
    """One face in words: who, how probably and why, how old it looks, and whom else it looks like."""
    near: list[dict[str, Any]] = answer["candidates"]
    best = near[0] if near else None
    decision = answer["decision"]
    title = {"match": "This is {name}", "unsure": "Perhaps {name}", "unknown": "Nobody I know"}[decision]
    title = title.format(name=_name(best)) if best else "Nobody I know"
    lines = [f"<b>{'' if number is None else f'{number}. '}{title}</b>"]
    if best and decision != "unknown":
        lines[0] += f", {percent(best['probability'])} probable"
    lines += looks(answer["face"])
    if best and decision == "unknown":
        lines.append(f"Looks most like {_name(best)}; {percent(best['probability'])} that it is the same person")
    if len(near) > 1 and number is None:
        others = ", ".join(f"{_name(each)} ({percent(each['probability'])})" for each in near[1:3])
        lines.append(f"Next nearest: {others}")
    if decision != "match":
        lines.append(f"<i>Because {escape(answer['reason'], quote=False)}</i>")
    reasons = answer["face"]["quality"]["reasons"]
    if reasons:
        lines.append(f"<i>The face is {', '.join(_POOR.get(each, each) for each in reasons)}: take it with a doubt</i>")
    return "\n".join(lines)


def looks(seen: dict[str, Any]) -> list[str]:
    """Apparent age with its interval, and apparent gender; empty where no model tells them."""
    age, gender = seen.get("age"), seen.get("gender")
    parts = []
    if age:
        span = f"{age['low']:.0f} to {age['high']:.0f}"
        parts.append(f"looks {age['years']:.0f} years old ({span} in 8 of 10 such faces)")
    if gender:
        parts.append(f"apparent gender {gender['label']} ({percent(gender['probability'])})")
    text = ", ".join(parts)
    return [text[:1].upper() + text[1:]] if text else ["No model here tells age or gender"]


def consent_question(name: str) -> str:
    """What somebody is asked before anything is kept."""
    return (
        f"<b>May I keep the face of {escape(name, quote=False)}?</b>\n"
        "I keep the faces cut out of the photos that you send next, numbers that describe them, and this name. People "
        "who send me a photo may be shown them. Agree only if you are this person, or if they (for a child: a parent) "
        "have agreed. /forget erases everything at any time."
    )


def agreed(name: str) -> str:
    """After the consent."""
    whom = escape(name, quote=False)
    return f"Agreed. Now send photos of {whom}, one face on each; from 3 on I am surer. /done ends it."


def declined(name: str) -> str:
    """After a No, or /cancel before the consent."""
    return f"Nothing is kept of {escape(name, quote=False)}."


def name_unusable() -> str:
    """Where a name is none."""
    return "That is no name that I can keep: 1 to 60 letters, without slashes or signs that cannot be seen."


def name_taken(name: str) -> str:
    """Where somebody else has the name."""
    return (
        f"Somebody else is called {escape(name, quote=False)} here. Please add something that tells them apart, such "
        "as a second name."
    )


def outcome(photo: dict[str, Any], added: int) -> str:
    """What became of a photo that was enrolled."""
    if photo["status"] == "duplicate":
        return f"I have this photo already. {_photos(added)} so far."
    note = f" I took {escape(photo['note'], quote=False)}." if photo.get("note") else ""
    quality = photo.get("quality")
    told = "" if quality is None else f" Its quality is {'good' if quality >= 0.7 else 'middling'}."
    return f"Added.{told}{note} {_photos(added)} so far."


def done(name: str, added: int, refused_photos: int) -> str:
    """The end of an enrolment."""
    whom = escape(name, quote=False)
    rest = f", {_photos(refused_photos)} not used" if refused_photos else ""
    if not added:
        return f"No photo of {whom} was added{rest}. Nothing new is kept."
    return f"<b>I know {whom} now</b>: {_photos(added)} added{rest}. /forget erases them."


def stopped(name: str, added: int) -> str:
    """After /cancel among the photos."""
    if not added:
        return declined(name)
    return f"Stopped. {_photos(added)} of {escape(name, quote=False)} stay; /forget erases them."


def forget_question(people: Sequence[tuple[str, int, int]]) -> str:
    """What would be erased: names, how many of their photos this chat enrolled, and how many came in other ways."""
    lines = ["<b>Erase what this chat enrolled?</b>"]
    for name, own, others in people:
        rest = f" ({_photos(others)} that came in other ways {'stays' if others == 1 else 'stay'})" if others else ""
        lines.append(f"{escape(name, quote=False)}: {_photos(own)}{rest}")
    return "\n".join(_few(lines))


def erased(people: Sequence[tuple[str, int]], copies_missing: int) -> str:
    """What was erased, and where a copy may be left."""
    lines = ["<b>Erased</b>, from the gallery, its index and its snapshots:"]
    lines += [f"{escape(name, quote=False)}: {_photos(count)}" for name, count in people]
    lines = _few(lines)
    if copies_missing:
        lines.append(
            f"{copies_missing} older copies were not at their place. If they were moved, they still hold this: ask the "
            "people who run me."
        )
    return "\n".join(lines)


def gone() -> str:
    """Where those whom a chat enrolled are not there any more."""
    return (
        "Whom this chat enrolled is not there any more: they were erased, or joined with somebody else by the people "
        "who run me. Ask them if you doubt it."
    )


def percent(share: float) -> str:
    """A probability, which no rounding makes certain."""
    if share > 0.999:
        return "over 99.9%"
    return "under 0.1%" if share < 0.001 else f"{share:.1%}"


def chunks(paragraphs: Sequence[str], most: int) -> list[str]:
    """Paragraphs as few messages as will hold them; lengths count the marks too, so they are never above."""
    found: list[str] = []
    for paragraph in paragraphs:
        joined = f"{found[-1]}\n\n{paragraph}" if found else paragraph
        if found and len(joined) <= most:
            found[-1] = joined
        else:
            found.append(paragraph)
    return found


def _name(person: dict[str, Any]) -> str:
    return escape(str(person["name"]), quote=False)


def _photos(count: int) -> str:
    return f"{count} photo{'' if count == 1 else 's'}"


def _few(lines: list[str], most: int = 30) -> list[str]:
    return lines if len(lines) <= most else [*lines[:most], f"… and {len(lines) - most} more"]
