"""Wikidata as it answers: a few invented items in the API's own shapes, and API Ninjas' celebrities."""

from __future__ import annotations

from typing import Any

from answering_server import Asked, Reply

KEY = "a-key-of-ours"


def item(number: str, rank: str = "normal", **qualifiers: Any) -> dict[str, Any]:
    value = {"entity-type": "item", "numeric-id": int(number[1:]), "id": number}
    return statement({"value": value, "type": "wikibase-entityid"}, rank, **qualifiers)


def statement(datavalue: Any, rank: str = "normal", **qualifiers: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "mainsnak": {"snaktype": "value", "datavalue": datavalue},
        "type": "statement",
        "rank": rank,
    }
    if qualifiers:
        made["qualifiers"] = {
            name: [{"snaktype": "value", "datavalue": {"value": each}}] for name, each in qualifiers.items()
        }
    return made


def time(text: str, precision: int) -> dict[str, Any]:
    return statement({"value": {"time": text, "precision": precision, "timezone": 0}, "type": "time"})


def amount(number: str, unit: str, rank: str = "normal", **qualifiers: Any) -> dict[str, Any]:
    value = {"amount": number, "unit": f"http://www.wikidata.org/entity/{unit}"}
    return statement({"value": value, "type": "quantity"}, rank, **qualifiers)


def words(text: str, language: str = "en") -> dict[str, Any]:
    return {language: {"language": language, "value": text}}


def year(number: int) -> dict[str, Any]:
    return {"time": f"+{number}-01-01T00:00:00Z", "precision": 9}


ITEMS: dict[str, dict[str, Any]] = {
    "Q100": {  # a town, which the search finds first
        "labels": words("Ada Example"),
        "descriptions": words("town in Exampleland"),
        "claims": {"P31": [item("Q532")]},
    },
    "Q101": {
        "labels": words("Ada Example") | words("Ada Beispiel", "de"),
        "descriptions": words("diver and <script>alert(1)</script>"),
        "claims": {
            "P31": [item("Q5")],
            "P27": [item("Q30", P582=year(1990)), item("Q145"), item("Q17", "deprecated")],
            "P106": [item("Q200"), item("Q201"), {"mainsnak": {"snaktype": "novalue"}, "rank": "normal"}],
            "P569": [time("+1963-02-17T00:00:00Z", 11)],
            "P2048": [amount("+1.71", "Q11573")],
            "P2218": [amount("+5", "Q4917", P585=year(2001)), amount("+2200000", "Q4917", P585=year(2024))],
            "P18": [statement({"value": "Ada at sea, 2001.jpg", "type": "string"})],
        },
    },
    "Q102": {"labels": words("Ada Example"), "claims": {"P31": [item("Q5")]}},
    "Q103": {"labels": words("Ada Example-Longer"), "claims": {"P31": [item("Q5")]}},
    "Q104": {
        "labels": words("Bo Old"),
        "claims": {
            "P31": [item("Q5")],
            "P569": [time("+1900-00-00T00:00:00Z", 9)],
            "P570": [time("+1950-03-01T00:00:00Z", 11)],
            "P2048": [amount("+70", "Q218593")],
        },
    },
    "Q30": {"labels": words("United States")},
    "Q145": {"labels": words("United Kingdom") | words("Vereinigtes Königreich", "de")},
    "Q17": {"labels": words("Japan")},
    "Q200": {"labels": words("marine biologist")},
    "Q201": {"labels": words("author")},
    "Q4917": {"labels": words("United States dollar")},
}


def wikidata(asked: Asked) -> Reply:
    """What `w/api.php` answers."""
    query = asked.query
    if query.get("format") != "json":
        return Reply(b"<html>documentation</html>")
    if query["action"] == "wbsearchentities":
        wanted = query["search"].casefold()
        found = []
        for number, entity in ITEMS.items():
            label = entity["labels"]["en"]["value"]
            if label.casefold().startswith(wanted):
                match = {"type": "label", "language": "en", "text": label}
                found.append({"id": number, "label": label, "match": match, "repository": "wikidata"})
        return Reply({"searchinfo": {"search": query["search"]}, "search": found, "success": 1})
    numbers = query["ids"].split("|")
    if not all(number in ITEMS for number in numbers):
        return Reply({"error": {"code": "no-such-entity", "info": "Could not find an entity"}})
    wanted = query["props"].split("|")
    entities = {
        number: {"type": "item", "id": number} | {what: ITEMS[number][what] for what in wanted if what in ITEMS[number]}
        for number in numbers
    }
    return Reply({"entities": entities, "success": 1})


def ninjas(asked: Asked) -> Reply:
    """What the celebrity endpoint answers."""
    if asked.headers.get("x-api-key") != KEY:
        return Reply({"error": "Invalid API Key."}, 400)
    person = {
        "name": "ada example",
        "net_worth": 2200000,
        "gender": "female",
        "nationality": "gb",
        "occupation": ["marine_biologist", "author"],
        "height": 1.71,
        "birthday": "1963-02-17",
        "age": 63,
        "is_alive": True,
    }
    others = [person | {"name": "ada example longer"}, person]
    return Reply([one for one in others if asked.query["name"].lower() in one["name"]])
