"""What the gallery itself holds of a person, as a card: nothing is asked of anybody."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from likeness.profiles.base import Profile

OTHER_KEYS: dict[str, str] = {
    "age": "age_years",
    "birthday": "born",
    "birth_date": "born",
    "job": "occupation",
    "height": "height_cm",
    "net_worth_usd": "net_worth",
    "about": "description",
}
"""Other names that keys of a profile go by → the field that is meant."""


class Own:
    """Profiles of a gallery; `held` gives the profile of the person called so, None where there is none."""

    name = "gallery"
    asks_a_server = False

    def __init__(self, held: Callable[[str], Mapping[str, Any] | None]) -> None:
        self._held = held

    def find(self, name: str) -> Profile | None:
        """The card of what the gallery holds; None where that is nothing that stands on a card."""
        held = self._held(name)
        return card_of(held, name) if held else None


def card_of(held: Mapping[str, Any], name: str) -> Profile | None:
    """A profile of the gallery (keys of the owner's choice) as a card; None where none of them stands on one."""
    values = {OTHER_KEYS.get(key, key): value for key, value in held.items()}
    if "net_worth_usd" in held:
        values.setdefault("net_worth_currency", "US dollars")
    height = held.get("height", held.get("height_m"))
    if isinstance(height, int | float) and 0.5 < height < 3:  # stated in metres
        values["height_cm"] = round(height * 100, 1)
    card = Profile.from_dict(values | {"namesakes": None, "source": None})
    if card == Profile(looked_up_at=card.looked_up_at, name=card.name):
        return None
    return replace(card, name=card.name or name, source=str(held.get("source") or "the gallery"))
