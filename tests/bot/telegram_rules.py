"""What Telegram's Bot API refuses of what a bot sends, as its documentation says."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from PIL import Image

TAGS = {"b", "strong", "i", "em", "u", "ins", "s", "strike", "del", "code", "pre", "a", "blockquote", "tg-spoiler"}
CAPTION_MOST, TEXT_MOST, PHOTO_MOST_BYTES, BUTTON_MOST_BYTES = 1024, 4096, 10_000_000, 64
_TOKEN = re.compile(r"<(/?)([a-z-]+)((?:\s[^<>]*)?)>|&(?:lt|gt|amp|quot|#\d+|#x[0-9a-f]+);|[^<&]+", re.IGNORECASE)


@dataclass
class Refused(Exception):
    """An answer that says no."""

    status: int
    description: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


def shown_text(text: str, mode: str | None, most: int, what: str) -> str:
    """The letters that a person sees of a text.

    Raises:
        Refused: it is empty, too long, or no HTML as Telegram knows it.
    """
    shown = _without_marks(text) if mode == "HTML" else text
    if not shown.strip():
        raise Refused(400, f"Bad Request: {what} is empty")
    if len(shown) > most:
        raise Refused(400, f"Bad Request: {what} is too long")
    return shown


def _without_marks(text: str) -> str:
    shown, at, open_tags = [], 0, []
    while at < len(text):
        found = _TOKEN.match(text, at)
        if found is None:
            raise Refused(400, f"Bad Request: can't parse entities: unexpected sign at byte offset {at}")
        if found[2]:
            _turn(found[2].lower(), bool(found[1]), open_tags)
        else:
            shown.append(html.unescape(found[0]))
        at = found.end()
    if open_tags:
        raise Refused(400, f"Bad Request: can't parse entities: no end tag for {open_tags[-1]}")
    return "".join(shown)


def _turn(tag: str, closes: bool, open_tags: list[str]) -> None:
    if tag not in TAGS:
        raise Refused(400, f'Bad Request: can\'t parse entities: unsupported start tag "{tag}"')
    if not closes:
        open_tags.append(tag)
    elif not open_tags or open_tags.pop() != tag:
        raise Refused(400, f'Bad Request: can\'t parse entities: unmatched end tag "{tag}"')


def expect_photo(data: bytes) -> tuple[int, int]:
    """Width and height of a picture that may be sent as a photo.

    Raises:
        Refused: it may not.
    """
    if len(data) > PHOTO_MOST_BYTES:
        raise Refused(400, "Bad Request: file is too big")
    try:
        with Image.open(io.BytesIO(data)) as image:
            image.load()
            width, height = image.size
    except OSError:
        raise Refused(400, "Bad Request: IMAGE_PROCESS_FAILED") from None
    if width + height > 10_000 or max(width, height) > 20 * min(width, height):
        raise Refused(400, "Bad Request: PHOTO_INVALID_DIMENSIONS")
    return width, height


def expect_buttons(markup: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Texts and data of a message's buttons.

    Raises:
        Refused: one carries too much.
    """
    buttons = [(each["text"], each["callback_data"]) for row in markup.get("inline_keyboard", ()) for each in row]
    if any(not 1 <= len(data.encode()) <= BUTTON_MOST_BYTES for _, data in buttons):
        raise Refused(400, "Bad Request: BUTTON_DATA_INVALID")
    return buttons
