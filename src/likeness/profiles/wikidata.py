"""Wikidata, without a key: a search by name, the items found (humans alone), and what their values are called.

Three requests at most: `wbsearchentities`, then `wbgetentities` for up to ten items, then `wbgetentities` for the
labels of all countries, occupations and units of the one that is meant.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

from likeness.errors import RemoteError
from likeness.profiles.base import MOST_ITEMS, Profile, same_name
from likeness.web import Site

_MOST_FOUND = 10
_HUMAN = "Q5"
_INSTANCE_OF, _CITIZENSHIP, _OCCUPATION, _BORN, _DIED = "P31", "P27", "P106", "P569", "P570"
_HEIGHT, _NET_WORTH, _PICTURE, _UNTIL, _AT_TIME = "P2048", "P2218", "P18", "P582", "P585"
_LENGTHS_CM = {"Q11573": 100.0, "Q174728": 1.0, "Q218593": 2.54, "Q3710": 30.48}
"""Metre, centimetre, inch and foot in centimetres."""
_PRECISIONS = {9: 4, 10: 7, 11: 10}
"""Wikidata's precision of a time (year, month, day) → how many characters of the date are known."""
_PICTURES = "https://commons.wikimedia.org/wiki/Special:FilePath/{}?width=400"
_PAGES = "https://www.wikidata.org/wiki/{}"

Claims = Mapping[str, Any]


class Wikidata:
    """Persons of Wikidata; answers in `language`, where it has words in it, else in English."""

    name = "wikidata"
    asks_a_server = True

    def __init__(self, url: str, *, language: str = "en", timeout_s: float = 10.0) -> None:
        self._site = Site("Wikidata", url, {}, timeout_s=timeout_s, most_bytes=8 << 20)
        self._languages = tuple(dict.fromkeys((language, "en")))

    def find(self, name: str) -> Profile | None:
        """The first human whose label or alias is the name; see `ProfileSource.find`."""
        found = self._search(name)
        items = self._items([entry["id"] for entry in found], "labels|descriptions|claims")
        humans = [entry["id"] for entry in found if _is_human(items.get(entry["id"], {}))]
        if not humans:
            return None
        return self._card(humans[0], items[humans[0]], namesakes=len(humans) - 1)

    def _search(self, name: str) -> list[dict[str, Any]]:
        """Items called exactly so: the search itself also finds longer names that begin like it."""
        answer = self._ask(
            action="wbsearchentities",
            search=name,
            language=self._languages[0],
            uselang=self._languages[0],
            type="item",
            limit=str(_MOST_FOUND),
        )
        found = answer.get("search")
        return [entry for entry in found if _names(entry, name)] if isinstance(found, list) else []

    def _items(self, ids: Sequence[str], props: str) -> dict[str, Any]:
        if not ids:
            return {}
        answer = self._ask(
            action="wbgetentities",
            ids="|".join(ids),
            props=props,
            languages="|".join(self._languages),
            languagefallback="1",
        )
        entities = answer.get("entities")
        return entities if isinstance(entities, dict) else {}

    def _ask(self, **query: str) -> dict[str, Any]:
        answer = self._site.json_at(query=query | {"format": "json"})
        if not isinstance(answer, dict):
            raise RemoteError("Wikidata answered something else than an object", hint="check its address")
        if isinstance(error := answer.get("error"), dict):
            raise RemoteError(f"Wikidata does not answer: {str(error.get('code', 'unknown'))[:80]}", hint="try later")
        return answer

    def _card(self, item: str, entity: Mapping[str, Any], *, namesakes: int) -> Profile:
        claims: Claims = entity.get("claims") or {}
        countries, occupations = (list(_ids(claims, what))[:MOST_ITEMS] for what in (_CITIZENSHIP, _OCCUPATION))
        worth, currency = _net_worth(claims)
        wanted = dict.fromkeys([*countries, *occupations, *([currency] if currency else [])])
        names = {key: self._word(value, "labels") for key, value in self._items(list(wanted), "labels").items()}
        picture = next((value for value in _values(claims, _PICTURE) if isinstance(value, str)), None)
        return Profile(
            name=self._word(entity, "labels"),
            description=self._word(entity, "descriptions"),
            nationality=tuple(filter(None, map(names.get, countries))),
            occupation=tuple(filter(None, map(names.get, occupations))),
            born=_date(claims, _BORN),
            died=_date(claims, _DIED),
            height_cm=_height_cm(claims),
            net_worth=worth,
            net_worth_currency=names.get(currency) if currency else None,
            picture_url=_PICTURES.format(quote(picture.replace(" ", "_"), safe="")) if picture else None,
            page_url=_PAGES.format(quote(item)),
            namesakes=namesakes,
            source="Wikidata",
            looked_up_at=datetime.now(UTC),
        )

    def _word(self, entity: Any, kind: str) -> str | None:
        """A label or description in the first language that there is one in."""
        words = entity.get(kind) if isinstance(entity, dict) else None
        for language in self._languages:
            value = (words or {}).get(language)
            if isinstance(value, dict) and isinstance(value.get("value"), str):
                return str(value["value"])
        return None


def _names(entry: Any, name: str) -> bool:
    if not isinstance(entry, dict) or not isinstance(entry.get("id"), str):
        return False
    match = entry.get("match")
    text = match.get("text") if isinstance(match, dict) else None
    return any(isinstance(word, str) and same_name(word, name) for word in (text, entry.get("label")))


def _is_human(entity: Mapping[str, Any]) -> bool:
    return _HUMAN in _ids(entity.get("claims") or {}, _INSTANCE_OF)


def _statements(claims: Claims, what: str) -> list[dict[str, Any]]:
    """The statements that count: the preferred ones where there are any, else those that are not deprecated."""
    held = [one for one in claims.get(what) or [] if isinstance(one, dict) and one.get("rank") != "deprecated"]
    return [one for one in held if one.get("rank") == "preferred"] or held


def _value(statement: Mapping[str, Any]) -> Any:
    snak = statement.get("mainsnak") or {}
    return (snak.get("datavalue") or {}).get("value") if snak.get("snaktype") == "value" else None


def _values(claims: Claims, what: str) -> Iterator[Any]:
    return (value for value in map(_value, _statements(claims, what)) if value is not None)


def _ids(claims: Claims, what: str) -> Iterator[str]:
    """Ids of the items that the statements name, those that have ended last; each once."""
    held = sorted(_statements(claims, what), key=lambda one: _UNTIL in (one.get("qualifiers") or {}))
    found = (value.get("id") for value in map(_value, held) if isinstance(value, dict))
    return iter(dict.fromkeys(item for item in found if isinstance(item, str)))


def _date(claims: Claims, what: str) -> str | None:
    """`+1963-02-17T00:00:00Z` of precision 11 → `1963-02-17`; of a lesser precision without what is not known."""
    for value in _values(claims, what):
        if isinstance(value, dict) and (length := _PRECISIONS.get(value.get("precision", 0))):
            time = str(value.get("time", ""))
            if time.startswith("+"):
                return time[1 : 1 + length]
    return None


def _amount(value: Any) -> tuple[float | None, str]:
    """A quantity's number and the id of its unit."""
    if not isinstance(value, dict):
        return None, ""
    try:
        return float(value.get("amount", "")), str(value.get("unit", "")).rpartition("/")[2]
    except ValueError:
        return None, ""


def _height_cm(claims: Claims) -> float | None:
    for value in _values(claims, _HEIGHT):
        amount, unit = _amount(value)
        if amount is not None and unit in _LENGTHS_CM:
            return round(amount * _LENGTHS_CM[unit], 1)
    return None


def _net_worth(claims: Claims) -> tuple[float | None, str | None]:
    """The latest amount, and the id of its currency."""
    held = sorted(_statements(claims, _NET_WORTH), key=_when, reverse=True)
    for statement in held:
        amount, unit = _amount(_value(statement))
        if amount is not None and unit.startswith("Q"):
            return amount, unit
    return None, None


def _when(statement: Mapping[str, Any]) -> str:
    for snak in (statement.get("qualifiers") or {}).get(_AT_TIME) or []:
        value = (snak.get("datavalue") or {}).get("value") if isinstance(snak, dict) else None
        if isinstance(value, dict):
            return str(value.get("time", ""))
    return ""
