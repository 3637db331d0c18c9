"""API keys: secrets that are not kept, scopes, expiry, revocation, and several processes on one file."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from likeness.errors import InputError, KeyNotFound, StorageError
from likeness.server import keys
from likeness.server.keys import SCOPES, KeyStore


class Clock:
    """A time that the test moves."""

    def __init__(self):
        self.now = datetime(2030, 1, 1, tzinfo=UTC)

    def __call__(self):
        return self.now

    def pass_(self, **by):
        self.now += timedelta(**by)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def store(tmp_path, clock):
    store = KeyStore.open(tmp_path / "state" / "api.keys", clock=clock)
    yield store
    store.close()


def test_a_secret_opens_what_its_key_allows_and_nothing_else_does(store):
    key, secret = store.create("door", "enrol")
    other, _ = store.create("window", "read")
    assert store.check(secret).id == key.id
    assert [key.allows(scope) for scope in SCOPES] == [True, True, False]
    assert [other.allows(scope) for scope in SCOPES] == [True, False, False]
    last = "A" if secret[-2] != "A" else "B"
    wrong = (
        secret[:-2] + last + secret[-1],
        secret.replace(key.id, other.id),
        secret.replace(key.id, "0" * 10),
        secret + " ",
        secret.upper(),
        secret[:-1],
        "",
        "lk_",
        "ä" * 60,
        "\udcff",
    )
    assert [store.check(each) for each in wrong] == [None] * len(wrong)
    assert {store.refusal(each)[0] for each in wrong} == {"unknown"}
    assert store.refusal(secret) == (None, store.check(secret))


def test_secrets_have_256_bits_and_tell_what_they_are(store):
    made = [store.create("k", "read") for _ in range(20)]
    for key, secret in made:
        assert secret.startswith(f"lk_{key.id}_")
        assert len(secret.split("_", 2)[2]) == 43  # 32 bytes in base64 without padding
    assert len({secret.split("_", 2)[2] for _, secret in made}) == len({key.id for key, _ in made}) == 20


def test_the_file_is_its_owners_alone_and_holds_no_secret(store):
    _, secret = store.create("door", "admin")
    assert store.path.stat().st_mode & 0o777 == 0o600
    random = secret.split("_", 2)[2].encode()
    for file in store.path.parent.iterdir():
        assert random not in file.read_bytes()


def test_a_key_ends_when_it_expires(store, clock):
    key, secret = store.create("short", "read", clock.now + timedelta(hours=1))
    assert store.usable()
    clock.pass_(minutes=59)
    assert store.check(secret) is not None
    clock.pass_(minutes=1)
    assert store.check(secret) is None
    assert store.refusal(secret)[0] == "expired"
    assert not store.usable()
    assert [each.id for each in store.list()] == [key.id]


def test_a_revoked_key_is_refused_at_once_and_stays_listed(store, clock):
    key, secret = store.create("door", "read")
    kept, _ = store.create("other", "read")
    assert store.check(secret) is not None
    revoked = store.revoke(key.id)
    assert store.check(secret) is None
    assert store.refusal(secret)[0] == "revoked"
    clock.pass_(days=1)
    assert store.revoke(key.id).revoked_at == revoked.revoked_at
    assert [each.id for each in store.list()] == [key.id, kept.id]
    with pytest.raises(KeyNotFound, match="nothing"):
        store.revoke("nothing")


def test_keys_are_the_same_after_the_file_is_opened_again(store, clock):
    key, secret = store.create("Müller's door", "enrol", clock.now + timedelta(days=2))
    with_use = store.check(secret)
    again = KeyStore.open(store.path, clock=clock)
    [read] = again.list()
    assert read.last_used_at == clock.now
    assert (read.id, read.name, read.scope, read.created_at, read.expires_at) == (
        key.id,
        "Müller's door",
        "enrol",
        key.created_at,
        key.expires_at,
    )
    assert with_use == key
    assert json.loads(json.dumps(read.as_dict()))["expires_at"] == "2030-01-03T00:00:00+00:00"
    again.close()


@pytest.mark.parametrize(
    ("name", "scope", "days"),
    [("", "read", 1), ("x" * 101, "read", 1), ("two\nlines", "read", 1), ("x", "root", 1), ("x", "read", 0)],
    ids=["no name", "a long name", "a name that forges lines", "no such scope", "expired at birth"],
)
def test_a_key_that_makes_no_sense_is_refused(store, clock, name, scope, days):
    with pytest.raises(InputError):
        store.create(name, scope, clock.now + timedelta(days=days))
    assert store.list() == ()


def test_the_last_use_is_written_at_most_once_a_minute(store, clock):
    _, secret = store.create("door", "read")
    reader = sqlite3.connect(store.path)

    def written():
        return reader.execute("SELECT last_used_at FROM keys").fetchone()[0]

    assert written() is None
    store.check(secret)
    first = written()
    assert first == clock.now.isoformat()
    clock.pass_(seconds=59)
    store.check(secret)
    assert written() == first
    clock.pass_(seconds=1)
    store.check(secret)
    assert written() == clock.now.isoformat()
    reader.close()


def test_a_key_is_taken_although_its_use_cannot_be_noted(store):
    _, secret = store.create("door", "read")
    other = sqlite3.connect(store.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")  # somebody else writes
    start = time.monotonic()
    assert store.check(secret) is not None
    assert time.monotonic() - start < keys._PATIENCE_MS / 2000, "it waited for the lock"
    other.execute("ROLLBACK")
    other.close()


PROCESS = """
import sys
from likeness.server.keys import KeyStore
store = KeyStore.open(sys.argv[1])
for line in sys.stdin:
    word, _, rest = line.strip().partition(" ")
    if word == "create":
        key, secret = store.create(rest, "read")
        print(key.id, secret, flush=True)
    elif word == "revoke":
        print(store.revoke(rest).id, flush=True)
    else:
        print("yes" if store.check(rest) else "no", flush=True)
"""


def test_processes_see_each_others_keys_and_revocations_at_once(store):
    other = subprocess.Popen(
        [sys.executable, "-c", PROCESS, str(store.path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )

    def ask(line):
        other.stdin.write(line + "\n")
        other.stdin.flush()
        return other.stdout.readline().split()

    key_id, secret = ask("create door")  # neither had a file before
    assert store.check(secret).id == key_id
    assert ask(f"check {secret}") == ["yes"]
    store.revoke(key_id)
    assert ask(f"check {secret}") == ["no"]
    mine, my_secret = store.create("mine", "read")
    assert ask(f"check {my_secret}") == ["yes"]
    assert store.check(my_secret) is not None
    assert ask(f"revoke {mine.id}") == [mine.id]
    assert store.check(my_secret) is None
    other.communicate(timeout=20)
    assert other.returncode == 0


def test_processes_that_make_the_file_at_the_same_moment_lose_no_key(store):
    command = [sys.executable, "-c", PROCESS, str(store.path)]
    others = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    for other in others:  # ready, and none has a file yet
        other.stdin.write("check x\n")
        other.stdin.flush()
        assert other.stdout.readline() == "no\n"
    for other in others:
        other.stdin.write("create door\n" * 5)
        other.stdin.flush()
    made = [line.split()[0] for other in others for line in other.communicate(timeout=60)[0].splitlines()]
    assert len(made) == 15
    assert sorted(key.id for key in store.list()) == sorted(made)


def test_many_threads_make_and_check_keys_without_losing_one(store):
    made, wrong = [], []

    def work(number):
        for step in range(5):
            key, secret = store.create(f"{number}-{step}", "read")
            made.append(key.id)
            if store.check(secret) is None:
                wrong.append(key.id)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert sorted(key.id for key in store.list()) == sorted(made)
    assert len(made) == 30


def test_deleting_or_replacing_the_file_takes_effect_at_once(store, tmp_path, clock):
    _, secret = store.create("door", "read")
    assert store.check(secret) is not None
    store.path.unlink()
    assert store.check(secret) is None
    assert store.list() == ()
    other = KeyStore(tmp_path / "other.keys", clock=clock)
    _, replaced = other.create("new", "read")
    other.close()
    other.path.replace(store.path)
    assert store.check(secret) is None
    assert store.check(replaced) is not None


def test_a_file_of_something_else_is_refused_and_left_alone(tmp_path):
    text = tmp_path / "notes.txt"
    text.write_text("not a database, and long enough to be looked at as one. " * 30)
    with pytest.raises(StorageError, match="not a database"):
        KeyStore.open(text)
    strange = tmp_path / "strange.db"
    with sqlite3.connect(strange) as connection:
        connection.execute("CREATE TABLE keys (id)")
    connection.close()
    before = strange.read_bytes()
    with pytest.raises(StorageError, match="another program"):
        KeyStore.open(strange)
    with pytest.raises(StorageError):
        KeyStore.open(tmp_path)
    assert strange.read_bytes() == before


def test_a_file_that_others_may_write_is_refused(store):
    store.create("door", "read")
    store.path.chmod(0o660)
    with pytest.raises(StorageError, match="chmod 600"):
        KeyStore.open(store.path)


def test_checking_a_key_is_quick(store):
    _, secret = store.create("door", "read")
    for number in range(200):
        store.create(str(number), "read")
    best = float("inf")
    for _ in range(5):
        start = time.process_time()
        for _ in range(200):
            store.check(secret)
        best = min(best, (time.process_time() - start) / 200)
    assert best < 500e-6, f"{best * 1e6:.0f} µs"
