"""`likeness keys`: who may ask the server."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import printable
from likeness.errors import InputError

if TYPE_CHECKING:
    from likeness.server.keys import Key, KeyStore

_DAYS = re.compile(r"(\d{1,5})d")
_SCOPES = ("read", "enrol", "admin")


@click.group()
@common_options
def keys() -> None:
    """Make, list and revoke the API keys of `likeness serve`.

    They are kept as hashes in the file that the setting `keys` names; a running server sees every change at once.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    type=click.Choice(_SCOPES),
    default="read",
    show_default=True,
    help="What it allows: ask (read); also enrol and change people (enrol); also erase and look after (admin).",
)
@click.option("--expires", metavar="WHEN", help="When it ends: a date (its last day, UTC), a time, or days as in 90d.")
@common_options
@click.pass_obj
def create(flags: Flags, name: str, scope: Any, expires: str | None) -> None:
    """Make a key and show its secret, once.

    NAME is for you: what uses the key. The secret is not kept: whoever loses it makes another key and revokes this one.
    """
    key, secret = _store(flags).create(name, scope, None if expires is None else _time(expires))
    if flags.output.as_json:
        flags.output.json(key.as_dict() | {"secret": secret})
        return
    flags.output.say(f"key {key.id}, {_allows(key)}; this is shown once:")
    flags.output.text(secret)


@keys.command("list")
@common_options
@click.pass_obj
def list_keys(flags: Flags) -> None:
    """List all keys, with those that have ended.

    A key that was revoked stays listed: the audit trail speaks of it by its id.
    """
    now = datetime.now(UTC)
    found = _store(flags).list()
    if flags.output.as_json:
        for key in found:
            flags.output.json(key.as_dict() | {"state": key.refusal(now) or "usable"})
        return
    if not found:
        flags.output.say("there are no keys; `likeness keys create NAME` makes one")
        return
    rows = [
        (key.id, key.name, key.scope, key.refusal(now) or "usable", _day(key.created_at), _day(key.expires_at, "never"),
         _day(key.last_used_at, "never"))
        for key in found
    ]  # fmt: skip
    flags.output.table(("id", "name", "scope", "state", "created", "expires", "last used"), rows)


@keys.command()
@click.argument("key_id", metavar="ID")
@common_options
@click.pass_obj
def revoke(flags: Flags, key_id: str) -> None:
    """End a key at once, also in servers that run."""
    store = _store(flags)
    if key_id.startswith("lk_"):
        # A secret on the command line is in the shell's history by now: it is not to be shown once more.
        raise InputError("expected the id of a key, got a secret", hint="`likeness keys list` shows the ids")
    key = store.revoke(key_id.removeprefix("key:"))
    if flags.output.as_json:
        flags.output.json(key.as_dict() | {"state": "revoked"})
    else:
        flags.output.text(f"{key.id} ({printable(key.name)}) is revoked")


def _store(flags: Flags) -> KeyStore:
    from likeness.server.keys import KeyStore

    return KeyStore.open(flags.settings.keys)


def _time(text: str) -> datetime:
    """When a key ends: after so many days, at the end of a day, or at a time (UTC unless it says)."""
    if matched := _DAYS.fullmatch(text):
        return datetime.now(UTC) + timedelta(days=int(matched[1]))
    try:
        if len(text) == 10:
            day = datetime.strptime(text, "%Y-%m-%d")
            return datetime.combine(day, time.max, UTC)
        given = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise InputError(
            f"{text!r} is no time for a key to expire", hint="a date such as 2027-01-31, or days such as 90d"
        ) from None
    return given if given.tzinfo is not None else given.replace(tzinfo=UTC)


def _allows(key: Key) -> str:
    until = "without end" if key.expires_at is None else f"until {key.expires_at.astimezone():%Y-%m-%d %H:%M}"
    return f"scope {key.scope}, {until}"


def _day(value: datetime | None, otherwise: str = "") -> str:
    return otherwise if value is None else f"{value.astimezone():%Y-%m-%d %H:%M}"
