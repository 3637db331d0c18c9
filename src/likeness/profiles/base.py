"""The profile card and the contract of those who know one.

Texts of a card come from strangers: they are cleaned of control characters and cut at birth, and escaped by `as_html`.
"""

from __future__ import annotations

import html
import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime
from typing import Any, Protocol, Self
from urllib.parse import urlsplit

LONGEST_TEXT = 200
"""Characters of a text that are kept."""
MOST_ITEMS = 8
"""Nationalities and occupations that are kept."""

_PARTIAL_DATE = re.compile(r"-?\d{1,6}(-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?)?")
# Characters that turn the direction of writing, by which one text can be made to look like another.
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")


@dataclass(frozen=True, slots=True)
class Profile:
    """What a source knows of a person; a field that it does not know is None or empty.

    Attributes:
        name: as the source writes it. description: one line that tells namesakes apart.
        nationality, occupation: in words, the first ones first.
        born, died: `1963-02-17`, or `1963-02` or `1963` where the source knows no more.
        age_years: as the source states it; `age_on` works it out where the birthday is known.
        height_cm: in centimetres.
        net_worth, net_worth_currency: an amount, and what it is an amount of, in words.
        picture_url, page_url: links for people to follow (http or https); nothing is fetched from them here.
        namesakes: how many others of exactly this name the source came across.
        source: which source says so. looked_up_at: when it said so, with zone.
    """

    name: str | None = None
    description: str | None = None
    nationality: tuple[str, ...] = ()
    occupation: tuple[str, ...] = ()
    born: str | None = None
    died: str | None = None
    age_years: int | None = None
    height_cm: float | None = None
    net_worth: float | None = None
    net_worth_currency: str | None = None
    picture_url: str | None = None
    page_url: str | None = None
    namesakes: int = 0
    source: str = ""
    looked_up_at: datetime | None = None

    def __post_init__(self) -> None:
        for name in ("name", "description", "net_worth_currency"):
            object.__setattr__(self, name, _text(getattr(self, name)))
        for name in ("nationality", "occupation"):
            texts = dict.fromkeys(filter(None, map(_text, getattr(self, name))))
            object.__setattr__(self, name, tuple(texts)[:MOST_ITEMS])
        for name in ("born", "died"):
            value = getattr(self, name)
            object.__setattr__(self, name, value if value and _PARTIAL_DATE.fullmatch(value) else None)
        for name in ("picture_url", "page_url"):
            object.__setattr__(self, name, _link(getattr(self, name)))
        for name, least, most in (("age_years", 0, 130), ("height_cm", 20, 300), ("net_worth", -1e13, 1e13)):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and least <= value <= most):
                object.__setattr__(self, name, None)
        if self.looked_up_at is not None and self.looked_up_at.tzinfo is None:
            raise ValueError("expected a time with a zone")

    def age_on(self, day: date) -> int | None:
        """Age in whole years on a day (at death, of the dead); as the source states it where the birthday is vague."""
        birth, end = _day(self.born), _day(self.died) if self.died else day
        if birth is None or end is None:
            return None if self.died else self.age_years
        return max(end.year - birth.year - ((end.month, end.day) < (birth.month, birth.day)), 0)

    def facts(self, today: date | None = None) -> list[tuple[str, str]]:
        """What is known, in words: pairs of a label and a text, as they stand on a card. Not escaped."""
        age = self.age_on(today or datetime.now(UTC).date())
        worth = None
        if self.net_worth is not None:
            worth = " ".join(filter(None, (f"{self.net_worth:,.0f}", self.net_worth_currency)))
        found = {
            "name": self.name,
            "about": self.description,
            "nationality": ", ".join(self.nationality),
            "occupation": ", ".join(self.occupation),
            "born": self.born,
            "died": self.died,
            "age": None if age is None else f"{age} years",
            "height": None if self.height_cm is None else f"{self.height_cm:.0f} cm",
            "net worth": worth,
            "namesakes": f"{self.namesakes} more of that name" if self.namesakes else None,
            "page": self.page_url,
            "picture": self.picture_url,
            "source": self.source,
            "looked up": None if self.looked_up_at is None else f"{self.looked_up_at:%Y-%m-%d}",
        }
        return [(label, text) for label, text in found.items() if text]

    def as_html(self, today: date | None = None) -> str:
        """The card as a definition list, everything in it escaped; links open elsewhere and tell nobody from where."""
        rows = []
        for label, text in self.facts(today):
            value = html.escape(text, quote=True)
            if label in ("page", "picture"):
                value = f'<a href="{value}" rel="noopener noreferrer" target="_blank">{value}</a>'
            rows.append(f"<dt>{html.escape(label)}</dt><dd>{value}</dd>")
        return f'<dl class="profile">{"".join(rows)}</dl>'

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON: what is known, by the fields' names."""
        data: dict[str, Any] = {}
        for field in fields(self):
            value = getattr(self, field.name)
            if value in (None, (), "") or (field.name == "namesakes" and not value):
                continue
            plain = value.isoformat() if isinstance(value, datetime) else value
            data[field.name] = list(plain) if isinstance(plain, tuple) else plain
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """From plain data as `as_dict` gives it; what has another kind of value than it should is left out."""
        given: dict[str, Any] = {}
        for field in fields(cls):
            value = _expected(field.name, data.get(field.name))
            if value is not None:
                given[field.name] = value
        return cls(**given)


class ProfileSource(Protocol):
    """Somebody who may know a person by name.

    Attributes:
        name: in one word, as the setting `profiles` names it. asks_a_server: whether the name leaves the machine.
    """

    name: str
    asks_a_server: bool

    def find(self, name: str) -> Profile | None:
        """The card of the person called that, exactly but for case and accents; None where nobody known is.

        Raises:
            RemoteError: the source could not be asked, or did not give an answer.
        """
        ...


def same_name(one: str, other: str) -> bool:
    """Whether two names are the same but for case, accents and blanks."""
    return _bare(one) == _bare(other)


def _bare(name: str) -> str:
    letters = unicodedata.normalize("NFKD", name.casefold())
    kept = "".join(letter for letter in letters if not unicodedata.combining(letter))
    return " ".join(kept.split())


_TEXTS = frozenset(("name", "description", "born", "died", "net_worth_currency", "picture_url", "page_url", "source"))
_WHOLE = frozenset(("age_years", "namesakes"))


def _expected(field: str, value: Any) -> Any:
    """A field's value, or None where it is of another kind than the field's."""
    if field in ("nationality", "occupation"):
        items = [value] if isinstance(value, str) else value
        return tuple(item for item in items if isinstance(item, str)) if isinstance(items, list | tuple) else None
    if field == "looked_up_at":
        return _moment(value)
    if field in _TEXTS:
        return value if isinstance(value, str) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        return None
    return int(value) if field in _WHOLE else float(value)


def _moment(value: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(value)
    except (ValueError, TypeError):
        return None
    return moment if moment.tzinfo is not None else None


def _text(value: str | None) -> str | None:
    """A text on one line without control characters, not longer than `LONGEST_TEXT`; None for an empty one."""
    if value is None:
        return None
    kept = "".join(" " if letter.isspace() else letter for letter in unicodedata.normalize("NFC", value))
    kept = "".join(letter for letter in _TURNS.sub("", kept) if unicodedata.category(letter) not in ("Cc", "Cs", "Co"))
    words = " ".join(kept.split())
    return (words if len(words) <= LONGEST_TEXT else f"{words[: LONGEST_TEXT - 1].rstrip()}…") or None


def _link(value: str | None) -> str | None:
    """A link that may be shown: http or https, with a host, of visible characters."""
    if not value or len(value) > 2000 or not value.isprintable() or " " in value:
        return None
    try:
        parts = urlsplit(value)
        return value if parts.scheme in ("http", "https") and parts.hostname and "@" not in parts.netloc else None
    except ValueError:
        return None


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat(text) if text and len(text) == 10 else None
    except ValueError:
        return None
