"""`likeness serve`: when it starts, and when it does not."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import time
import urllib.request

import pytest

from likeness.server.keys import KeyStore


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org"])
def test_it_does_not_start_without_a_key_where_others_may_reach_it(cli, host, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_KEYS", str(tmp_path / "api.keys"))
    done = cli("serve", "--host", host)
    assert done.code == 2
    assert "likeness keys create" in done.err


def test_a_revoked_key_is_none(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_KEYS", str(tmp_path / "api.keys"))
    store = KeyStore.open(tmp_path / "api.keys")
    store.revoke(store.create("old", "admin")[0].id)
    assert cli("serve").code == 2  # also from this machine: somebody wanted keys once
    assert cli("serve", "--host", "0.0.0.0").code == 2


def test_half_a_certificate_is_refused(cli, tmp_path):
    (tmp_path / "cert.pem").write_text("")
    assert cli("serve", "--tls-cert", tmp_path / "cert.pem").code == 2


def test_routes_compatible_with_nothing_known_are_refused(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_KEYS", str(tmp_path / "api.keys"))
    done = cli("serve", "--compatible", "nothing")
    assert (done.code, "no routes compatible with 'nothing'" in done.err) == (2, True)


@pytest.mark.slow
def test_the_demo_knows_the_samples_and_leaves_nothing_behind(start, tmp_path, names):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    own = {"LIKENESS_KEYS": str(tmp_path / "api.keys"), "TMPDIR": str(tmp_path)}
    process: subprocess.Popen[str] = start("serve", "--demo", "--port", port, **own)
    limit = time.monotonic() + 120
    while True:
        try:
            asked = urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/people?limit=100", timeout=10)
            break
        except OSError:
            assert process.poll() is None
            assert time.monotonic() < limit
            time.sleep(0.1)
    with asked:
        assert [person["name"] for person in json.load(asked)["people"]] == names
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert not list(tmp_path.glob("likeness-demo-*"))
    assert not (tmp_path / "own.gallery").exists()
