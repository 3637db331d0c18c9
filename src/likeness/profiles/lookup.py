"""Looking somebody up: the sources that are switched on, in order, each with the cache before it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from likeness.errors import InputError, RemoteError, SettingsError
from likeness.profiles.base import Profile, ProfileSource
from likeness.profiles.cache import Cache
from likeness.profiles.ninjas import Ninjas
from likeness.profiles.own import Own
from likeness.profiles.wikidata import Wikidata
from likeness.settings import Settings

LONGEST_NAME = 200

Held = Callable[[str], Mapping[str, Any] | None]


class Lookup:
    """Sources in the order in which they are asked; the first that knows the name answers."""

    def __init__(self, sources: Sequence[ProfileSource], cache: Cache, *, variant: str = "") -> None:
        self.sources, self._cache, self._variant = tuple(sources), cache, variant

    @property
    def names(self) -> tuple[str, ...]:
        """What the sources are called, in order."""
        return tuple(source.name for source in self.sources)

    def find(self, name: str) -> Profile | None:
        """The card of the person called that; None where no source knows anybody of that name.

        A source that fails is passed over where another one knows the person.

        Raises:
            InputError: the name is empty or too long to be one.
            RemoteError: nobody who could be asked knows the person, and a source could not be asked.
        """
        if not name.strip() or len(name) > LONGEST_NAME:
            raise InputError(f"{name[:40]!r} is no name that can be looked up")
        failure: RemoteError | None = None
        for source in self.sources:
            try:
                card = self._ask(source, name)
            except RemoteError as error:
                failure = failure or error
                continue
            if card is not None:
                return card
        if failure is not None:
            raise failure
        return None

    def _ask(self, source: ProfileSource, name: str) -> Profile | None:
        if not source.asks_a_server:
            return source.find(name)
        key = f"{source.name} {self._variant}".strip()
        kept, card = self._cache.get(key, name)
        if not kept:
            card = source.find(name)
            self._cache.put(key, name, card)
        return card


def open_lookup(settings: Settings, held: Held, *, sources: Sequence[str] | None = None) -> Lookup:
    """The sources that the settings switch on, or those named by whoever asks; `held` gives the gallery's profiles.

    Raises:
        SettingsError: none is switched on, or one lacks its key.
        InputError: its address, or its key, cannot be used.
    """
    names = tuple(settings.profiles if sources is None else sources)
    if not names:
        raise SettingsError(
            "looking people up is switched off",
            hint='name who may be asked: profiles = "gallery,wikidata" in the settings, or --source wikidata; '
            "people's names are sent there",
        )
    limit_s = settings.profiles_timeout_s
    makers: dict[str, Callable[[], ProfileSource]] = {
        "gallery": lambda: Own(held),
        "wikidata": lambda: Wikidata(settings.wikidata_url, language=settings.profiles_language, timeout_s=limit_s),
        "ninjas": lambda: Ninjas(settings.ninjas_url, settings.ninjas_key.get_secret_value(), timeout_s=limit_s),
    }
    return Lookup([makers[name]() for name in names], cache_of(settings), variant=settings.profiles_language)


def cache_of(settings: Settings) -> Cache:
    """Where looked-up cards are kept under these settings."""
    return Cache(Path(settings.cache).expanduser(), keep_days=settings.profiles_keep_days)
