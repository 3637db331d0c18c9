"""Profile cards in words."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from typing import Any

UNITS = frozenset(("years", "cm", "m", "kg"))
"""Endings of keys that are units: `height_cm` of 171 reads `height 171 cm`."""


def card_facts(card: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Every key with its value, as JSON where it is not text."""
    return [(key, value if isinstance(value, str) else _json(value)) for key, value in card.items()]


def card_line(card: Mapping[str, Any], width: int = 60) -> str:
    """The card in one line of at most `width` characters: `age 29 years, Nigerian, marine biologist …`."""
    line = ""
    for word in _words(card):
        longer = f"{line}, {word}" if line else word
        if len(longer) > width:
            return f"{line} …" if line else textwrap.shorten(word, width, placeholder=" …")
        line = longer
    return line


def card_lines(card: Mapping[str, Any], *, width: int = 32, most: int = 2) -> tuple[str, ...]:
    """The card in a few short lines, as they stand under a picture."""
    lines = textwrap.wrap(", ".join(_words(card)), width, max_lines=most, placeholder=" …")
    return tuple(line.replace(", …", " …") for line in lines)


def _words(card: Mapping[str, Any]) -> Iterator[str]:
    """What can be said shortly: texts as they are, numbers with their names, lists of both; nothing of the rest."""
    for key, value in card.items():
        items = value if isinstance(value, list) else [value]
        said = [str(item) for item in items if isinstance(item, str | int | float) and not isinstance(item, bool)]
        if not said:
            continue
        if all(isinstance(item, str) for item in items):
            yield ", ".join(said)
            continue
        name, _, unit = key.rpartition("_")
        label, ending = (name, f" {unit}") if name and unit in UNITS else (key, "")
        yield f"{label.replace('_', ' ')} {', '.join(said)}{ending}"


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
