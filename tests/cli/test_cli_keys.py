"""`likeness keys`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from likeness.server.keys import KeyStore


@pytest.fixture
def keys_path(tmp_path, monkeypatch) -> Path:
    path = tmp_path / "api.keys"
    monkeypatch.setenv("LIKENESS_KEYS", str(path))
    return path


def test_a_key_is_made_listed_and_revoked(cli, keys_path):
    made = cli("keys", "create", "front door", "--scope", "enrol")
    secret = made.out.strip()
    store = KeyStore.open(keys_path)
    key = store.check(secret)
    assert (made.code, key.name, key.scope, key.expires_at) == (0, "front door", "enrol", None)
    assert key.id in made.err
    assert "shown once" in made.err
    listed = cli("keys", "list")
    assert key.id in listed.out
    assert "usable" in listed.out
    assert secret not in listed.out
    assert secret.split("_", 2)[2] not in listed.out
    assert cli("keys", "revoke", key.id).code == 0
    assert store.check(secret) is None
    assert "revoked" in cli("keys", "list").out


def test_programs_get_the_secret_and_all_facts_as_json(cli, keys_path):
    [made] = cli("keys", "create", "door", "--expires", "90d", "--json").lines
    assert KeyStore.open(keys_path).check(made["secret"]).id == made["id"]
    left = datetime.fromisoformat(made["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < left <= timedelta(days=90)
    [listed] = cli("keys", "list", "--json").lines
    assert (listed["id"], listed["scope"], listed["state"]) == (made["id"], "read", "usable")
    assert "secret" not in listed
    assert cli("keys", "revoke", f"key:{made['id']}", "--json").lines[0]["state"] == "revoked"


@pytest.mark.parametrize(
    ("given", "ends"),
    [
        ("2999-01-31", datetime(2999, 1, 31, 23, 59, 59, 999999, UTC)),
        ("2999-01-31T12:00", datetime(2999, 1, 31, 12, 0, tzinfo=UTC)),
        ("2999-01-31T12:00+02:00", datetime(2999, 1, 31, 10, 0, tzinfo=UTC)),
    ],
)
def test_a_date_of_expiry_is_the_keys_last_day(cli, keys_path, given, ends):
    [made] = cli("keys", "create", "door", "--expires", given, "--json").lines
    assert datetime.fromisoformat(made["expires_at"]) == ends


@pytest.mark.parametrize(
    ("arguments", "words", "code"),
    [
        (("create", ""), "1 to 100 printable letters", 2),
        (("create", "x", "--expires", "soon"), "'soon' is no time", 2),
        (("create", "x", "--expires", "2020-01-01"), "expired already", 2),
        (("create", "x", "--expires", "0d"), "expired already", 2),
        (("create", "x", "--expires", "9999999d"), "no time", 2),
        (("create", "x", "--scope", "root"), "'root'", 2),
        (("revoke", "nobody"), "there is no key 'nobody'", 4),
        (("revoke", "lk_0123456789_abc"), "got a secret", 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else None,
)
def test_what_cannot_be_done_is_said_in_one_line(cli, keys_path, arguments, words, code):
    done = cli("keys", *arguments)
    assert done.code == code
    assert words in done.err
    assert "lk_0123456789_abc" not in done.err
    assert not done.out


def test_listing_makes_no_file_and_says_how_to_make_a_key(cli, keys_path):
    done = cli("keys", "list")
    assert (done.code, done.out) == (0, "")
    assert "likeness keys create" in done.err
    assert not keys_path.exists()
