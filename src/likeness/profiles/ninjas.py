"""API Ninjas' celebrities: one request by name, with a key in the header `X-Api-Key`."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from likeness.errors import AccessRefused, RemoteError, SettingsError
from likeness.profiles.base import Profile, same_name
from likeness.web import Site


class Ninjas:
    """Celebrities of API Ninjas.

    Raises:
        SettingsError: there is no key.
    """

    name = "ninjas"
    asks_a_server = True

    def __init__(self, url: str, key: str, *, timeout_s: float = 10.0) -> None:
        if not key:
            raise SettingsError(
                "API Ninjas answers nobody without a key", hint="set ninjas_key, or LIKENESS_NINJAS_KEY"
            )
        self._site = Site("API Ninjas", url, {"X-Api-Key": key}, timeout_s=timeout_s, most_bytes=1 << 20)

    def find(self, name: str) -> Profile | None:
        """See `ProfileSource.find`."""
        answer = self._ask(name)
        found = [entry for entry in answer if isinstance(entry, dict) and same_name(str(entry.get("name", "")), name)]
        return _card(found[0], namesakes=len(found) - 1) if found else None

    def _ask(self, name: str) -> list[Any]:
        try:
            answer = self._site.json_at(query={"name": name})
        except RemoteError as error:
            # A wrong key is answered with HTTP 400, as a request that cannot be understood is.
            if "HTTP 400" in error.message:
                raise AccessRefused(
                    "API Ninjas refuses the request: it does not know the key, or the key has no calls left",
                    hint="check ninjas_key",
                ) from error
            raise
        if isinstance(answer, dict):  # {"error": …} or {"message": …}
            words = str(answer.get("error") or answer.get("message") or "no list")[:120]
            raise RemoteError(f"API Ninjas does not answer: {words}", hint="check ninjas_key, or try later")
        return answer if isinstance(answer, list) else []


def _card(entry: Mapping[str, Any], *, namesakes: int) -> Profile:
    """`{"name": "ada example", "net_worth": 1200000, "nationality": "gb", "occupation": ["film_director"], "height":
    1.7, "birthday": "1980-05-01", "age": 46, "is_alive": true}`: height in metres, net worth in US dollars.
    """
    height_m, worth = entry.get("height"), entry.get("net_worth")
    occupation = entry.get("occupation")
    jobs = [occupation] if isinstance(occupation, str) else occupation if isinstance(occupation, list) else []
    country = entry.get("nationality")
    name = entry.get("name")
    card = {
        "name": name.title() if isinstance(name, str) and name.islower() else name,
        "nationality": country.upper() if isinstance(country, str) and len(country) == 2 else country,
        "occupation": [job.replace("_", " ") for job in jobs if isinstance(job, str)],
        "born": entry.get("birthday"),
        "died": entry.get("death"),
        "age_years": entry.get("age") if entry.get("is_alive", True) else None,
        "height_cm": round(height_m * 100, 1) if isinstance(height_m, int | float) else None,
        "net_worth": worth,
        "net_worth_currency": "US dollars" if isinstance(worth, int | float) else None,
        "namesakes": namesakes,
        "source": "API Ninjas",
        "looked_up_at": datetime.now(UTC).isoformat(),
    }
    return Profile.from_dict(card)
