"""Profile cards: what else is known of a person, as plain JSON values, read from files and changed key by key."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from likeness.errors import ProfileInvalid
from likeness.gallery.base import Gallery, PhotoNote
from likeness.service.looking import digest

MOST_BYTES = 65_536
"""A card longer than this, as JSON, is refused."""
_TAG = "profile card"
"""Tells notes on cards from notes on photos."""


def read_card(path: Path) -> dict[str, Any]:
    """The card in a file: a JSON object.

    Raises:
        ProfileInvalid: it cannot be read, or holds something else; the message names the file.
    """
    return parse_card(_bytes_of(path), str(path))


def parse_card(data: bytes, where: str) -> dict[str, Any]:
    """The card in a file's bytes; `where` is what a message calls the file.

    Raises:
        ProfileInvalid: they are no JSON object of plain values.
    """
    if len(data) > MOST_BYTES:
        raise ProfileInvalid(f"{where!r} is longer than {MOST_BYTES // 1024} KiB", hint="a card holds a few facts")
    try:
        card = _loads(data.decode("utf-8-sig"))
    except UnicodeDecodeError as error:
        raise ProfileInvalid(f"{where!r} is not UTF-8 text") from error
    except json.JSONDecodeError as error:
        raise ProfileInvalid(f"{where!r} is not JSON: {error.msg} in line {error.lineno}") from error
    except (ValueError, RecursionError) as error:
        raise ProfileInvalid(f"{where!r} holds a number or nesting that cannot be kept") from error
    if not isinstance(card, dict):
        raise ProfileInvalid(f"{where!r} holds no object", hint='write {"occupation": "baker", …}')
    return checked(card, where)


def parse_value(text: str) -> Any:
    """What a value on the command line stands for: JSON where it is JSON, else the text itself."""
    try:
        return _loads(text)
    except (ValueError, RecursionError):
        return text


def checked(card: Mapping[str, Any], where: str = "the profile") -> dict[str, Any]:
    """A copy of a card that can be kept.

    Raises:
        ProfileInvalid: a key is empty or has control characters, a value is no plain JSON, or it is too long.
    """
    for key in card:
        if not isinstance(key, str) or not key.strip() or not key.isprintable():
            raise ProfileInvalid(f"{where!r} has a key that cannot be used: {key!r}", hint="use visible characters")
    try:
        text = json.dumps(dict(card), ensure_ascii=False, allow_nan=False).encode("utf-8")
    except (TypeError, ValueError, RecursionError) as error:
        raise ProfileInvalid(f"{where!r} has a value that JSON cannot hold") from error
    if len(text) > MOST_BYTES:
        raise ProfileInvalid(f"{where!r} is longer than {MOST_BYTES // 1024} KiB", hint="a card holds a few facts")
    return dict(card)


def changed(
    card: Mapping[str, Any], *, put: Mapping[str, Any], remove: Sequence[str], whole: Mapping[str, Any] | None
) -> dict[str, Any]:
    """A card after changes: `whole` in its place if given, then without the keys `remove`, then with those of `put`.

    Raises:
        ProfileInvalid: a key to remove is not there, or the outcome cannot be kept.
    """
    after = dict(card if whole is None else whole)
    for key in remove:
        if key not in after:
            known = ", ".join(map(repr, after)) or "nothing"
            raise ProfileInvalid(f"the profile has no {key!r}", hint=f"it has {known}")
        del after[key]
    return checked(after | dict(put))


class CardTaker:
    """Takes the cards that stand beside photos into people's profiles, in one run of enrolling.

    A card's keys replace those of the profile, whose other keys stay. The gallery keeps a note of the cards taken, so
    that what is changed by hand later is not changed back by the same file; `again` takes them all the same.
    """

    def __init__(self, gallery: Gallery, *, again: bool) -> None:
        self._gallery, self._again = gallery, again
        self._seen: set[tuple[str, str]] = set()

    def take(self, path: str, name: str, person_id: str) -> tuple[bool, str]:
        """Whether the person's profile was changed, and a warning that names the file where it cannot be used."""
        if (path, person_id) in self._seen:
            return False, ""
        self._seen.add((path, person_id))
        try:
            data = _bytes_of(Path(path))
            sha256 = digest(data)
            if not self._again and self._gallery.noted_photos(name, [sha256], settings_tag=_TAG):
                return False, ""
            card = parse_card(data, path)
            before = self._gallery.person(person_id).profile
            after = before
            if before | card != before:
                after = self._gallery.update(person_id, profile=partial(_merged, card, path)).profile
        except ProfileInvalid as error:
            return False, f"the profile was not taken: {error}"
        self._gallery.note_photos(name, [PhotoNote(sha256, "profile")], settings_tag=_TAG)
        return after != before, ""


def _merged(card: Mapping[str, Any], where: str, held: Mapping[str, Any]) -> dict[str, Any]:
    return checked({**held, **card}, where)


def _bytes_of(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise ProfileInvalid(f"{str(path)!r} cannot be read: {error.strerror}") from error


def _loads(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse, parse_float=_finite)


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    if not math.isfinite(number):
        raise ValueError(f"{digits} is too large")
    return number
