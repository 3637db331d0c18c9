"""The Likeness API as the bot asks it: what it does not do is an error that says so; a busy server is asked again."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote, urlsplit

import aiohttp

from likeness.errors import ApiRefused, SettingsError, Unreachable

PATIENCE_S = 20.0
"""How long a busy server is asked again, in all."""
_CONNECT_S = 5.0
_ANSWER_S = 130.0
_BUSY = (429, 503)
_LEAST_WAIT_S = 0.5

Fields = dict[str, tuple[bytes, str] | str]
"""A form: words, or files with their names."""


@dataclass(frozen=True, slots=True)
class NewPhoto:
    """A photo to be enrolled.

    Attributes:
        data: its file. name: what the gallery notes as its origin.
        consent, consent_source: why it may be kept, and through what that was said.
    """

    data: bytes
    name: str
    consent: str
    consent_source: str


class Api:
    """A server's API, for one key. Opened and closed by `async with`, within a running loop.

    Every call raises `Unreachable` where nobody answers in time, and `ApiRefused` where the server did not do it.
    """

    def __init__(self, base: str, key: str = "") -> None:
        parts = urlsplit(base)
        if parts.scheme not in ("http", "https") or not parts.hostname or "@" in parts.netloc or parts.query:
            raise SettingsError("bot_api is no address of a server", hint="for example http://127.0.0.1:8000")
        self._base = base.rstrip("/")
        self._headers = {"x-api-key": key} if key else {}
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Self:
        limits = aiohttp.ClientTimeout(total=_ANSWER_S, sock_connect=_CONNECT_S)
        self._session = aiohttp.ClientSession(headers=self._headers, timeout=limits)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ready(self) -> None:
        """Come back where the server answers questions with this key."""
        await self._json("GET", "/v1/people?limit=1")

    async def may_erase(self) -> bool:
        """Whether the key is good for erasing: somebody who cannot exist is to be erased."""
        try:
            await self._json("DELETE", f"/v1/people/p_{secrets.token_hex(8)}")
        except ApiRefused as error:
            if error.told == "person_not_found":
                return True
            if error.told == "scope_missing":
                return False
            raise
        return True

    async def identify(self, photo: bytes) -> dict[str, Any]:
        """Who each face of a photo is, largest first."""
        return await self._json("POST", "/v1/identify", {"photo": (photo, "photo")})

    async def person(self, name_or_id: str) -> dict[str, Any] | None:
        """A person with the facts of their pictures; None where there is none."""
        try:
            return await self._json("GET", _path(name_or_id))
        except ApiRefused as error:
            if error.told == "person_not_found":
                return None
            raise

    async def picture(self, person: str, face: int) -> bytes | None:
        """An enrolled picture as JPEG; None where it is gone."""
        try:
            return await self._ask("GET", f"{_path(person)}/pictures/{face}")
        except ApiRefused as error:
            if error.told in ("person_not_found", "picture_not_found"):
                return None
            raise

    async def enrol(self, photo: NewPhoto, *, name: str = "", person: str = "") -> dict[str, Any]:
        """Enrol a photo, of somebody new by `name` or of the `person` with that id."""
        fields: Fields = {
            "photos": (photo.data, photo.name),
            "consent": photo.consent,
            "consent_source": photo.consent_source,
        }
        path = f"{_path(person)}/pictures" if person else "/v1/people"
        return await self._json("POST", path, fields if person else fields | {"name": name})

    async def erase_person(self, person: str) -> dict[str, Any]:
        """Erase somebody."""
        return await self._json("DELETE", _path(person))

    async def erase_picture(self, person: str, face: int) -> dict[str, Any]:
        """Erase one picture of somebody, who stays."""
        return await self._json("DELETE", f"{_path(person)}/pictures/{face}")

    async def _json(self, method: str, path: str, fields: Fields | None = None) -> dict[str, Any]:
        body = await self._ask(method, path, fields)
        try:
            found = json.loads(body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unreachable("what answers at bot_api is no Likeness API", hint="`likeness serve` is one")
        return found

    async def _ask(self, method: str, path: str, fields: Fields | None = None) -> bytes:
        """The body of a good answer."""
        left_s = PATIENCE_S
        while True:
            status, headers, body = await self._once(method, path, fields)
            if status < 400:
                return body
            wait_s = _seconds(headers.get("Retry-After", ""))
            if status not in _BUSY or wait_s is None or wait_s > left_s:
                raise _refusal(status, body)
            left_s -= wait_s
            await asyncio.sleep(wait_s)

    async def _once(self, method: str, path: str, fields: Fields | None) -> tuple[int, dict[str, str], bytes]:
        if self._session is None:
            raise ValueError("expected an open Api")
        form = None if fields is None else _form(fields)
        address = self._base + path
        try:
            # Redirects are not followed: the key must not reach another server.
            async with self._session.request(method, address, data=form, allow_redirects=False) as answer:
                body = await answer.read()
                if 300 <= answer.status < 400:
                    raise Unreachable("the server at bot_api sends us elsewhere", hint="set the address it sends to")
                return answer.status, dict(answer.headers), body
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise Unreachable(f"the Likeness API does not answer ({type(error).__name__})") from error


def _form(fields: Fields) -> aiohttp.FormData:
    form = aiohttp.FormData()
    for field, value in fields.items():
        if isinstance(value, str):
            form.add_field(field, value)
        else:
            form.add_field(field, value[0], filename=value[1], content_type="application/octet-stream")
    return form


def _path(person: str) -> str:
    return f"/v1/people/{quote(person, safe='')}"


def _seconds(text: str) -> float | None:
    """How long to wait by a header; never so shortly that a server which says 0 is asked without end."""
    return max(float(text), _LEAST_WAIT_S) if text.isascii() and text.isdigit() else None


def _refusal(status: int, body: bytes) -> ApiRefused | Unreachable:
    """The error that a server answered with, in its own words."""
    try:
        told = json.loads(body)["error"]
        error = ApiRefused(str(told["message"]), hint=told.get("details", {}).get("hint"))
        error.told = str(told["code"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return Unreachable(f"the server at bot_api answers {status}, not as a Likeness API does")
    return error
