"""What makes a test split easier than it looks: people or photos that are in another split as well."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from likeness.data.coherence import Alike
from likeness.data.duplicates import Duplicate
from likeness.data.manifest import Row
from likeness.data.splits import person_key


@dataclass(frozen=True, slots=True)
class Leaks:
    """What is in two splits.

    Attributes:
        people: names of people, each in all its writings, whose rows are in two splits.
        variants: groups of names in two splits that may be one person's: other order of words, accents left out.
        photos: pairs of rows in two splits with one photo.
        alike: pairs of people in two splits who are more similar than strangers are.
    """

    people: tuple[tuple[str, ...], ...]
    variants: tuple[tuple[str, ...], ...]
    photos: tuple[Duplicate, ...]
    alike: tuple[Alike, ...] = ()

    @property
    def certain(self) -> bool:
        """Whether there is a leak that is no matter of opinion: a person or a photo in two splits."""
        return bool(self.people or self.photos)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "people": [list(names) for names in self.people],
            "name_variants": [list(names) for names in self.variants],
            "photos": [pair.as_dict() for pair in self.photos],
            "alike": [pair.as_dict() for pair in self.alike],
        }


def find_leaks(rows: Iterable[Row], duplicates: Sequence[Duplicate], alike: Sequence[Alike] = ()) -> Leaks:
    """People and photos that are in two splits; the duplicates' rows must be of the same split as `rows`."""
    splits: dict[str, set[str]] = {}
    for row in rows:
        if row.identity and row.split:
            splits.setdefault(row.identity, set()).add(row.split)
    people = _across(splits, person_key)
    certain = {name for group in people for name in group}
    variants = [group for group in _across(splits, loose_key) if not certain.issuperset(group)]
    between = [pair for pair in alike if all(pair.splits) and pair.splits[0] != pair.splits[1]]
    return Leaks(tuple(people), tuple(variants), tuple(pair for pair in duplicates if pair.leak), tuple(between))


def name_variants(identities: Iterable[str]) -> list[tuple[str, ...]]:
    """Groups of different identities whose names may be one person's."""
    return _grouped(set(identities) - {""}, loose_key)


def loose_key(identity: str) -> str:
    """A name without the order of its words, and without accents: `Wang_Nan` and `Nan Wáng` have one."""
    plain = unicodedata.normalize("NFKD", person_key(identity))
    words = re.findall(r"\w+", "".join(letter for letter in plain if not unicodedata.combining(letter)))
    return " ".join(sorted(words)) or person_key(identity)


def _across(splits: dict[str, set[str]], key: Any) -> list[tuple[str, ...]]:
    """Groups of names with one key that are together in two splits."""
    groups: dict[str, list[str]] = {}
    for name in sorted(splits):
        groups.setdefault(key(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(set().union(*(splits[name] for name in group))) > 1]


def _grouped(identities: Iterable[str], key: Any) -> list[tuple[str, ...]]:
    groups: dict[str, list[str]] = {}
    for name in sorted(identities):
        groups.setdefault(key(name), []).append(name)
    return [tuple(group) for group in groups.values() if len(group) > 1]
