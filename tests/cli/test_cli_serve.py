"""`likeness serve`: when it starts, and when it does not."""

from __future__ import annotations

import json
import shutil
import signal
import socket
import ssl
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.client import HTTPException

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


def test_a_certificate_that_is_none_is_told_before_anything_is_opened(cli, certificate, tmp_path):
    (tmp_path / "other.pem").write_text("no certificate")
    for cert, key in ((tmp_path / "other.pem", certificate[1]), (certificate[0], certificate[0])):
        done = cli("serve", "--port", 0, "--tls-cert", cert, "--tls-key", key)
        assert (done.code, "cannot be used" in done.err, "listens" in done.err) == (2, True, False)


def test_routes_compatible_with_nothing_known_are_refused(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_KEYS", str(tmp_path / "api.keys"))
    done = cli("serve", "--compatible", "nothing")
    assert (done.code, "no routes compatible with 'nothing'" in done.err) == (2, True)


def test_a_port_that_is_taken_is_told_plainly(cli, tmp_path, monkeypatch):
    monkeypatch.setenv("LIKENESS_KEYS", str(tmp_path / "api.keys"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = cli("serve", "--port", taken.getsockname()[1])
    assert done.code == 2
    assert "cannot be listened on: Address already in use" in done.err
    assert "--port" in done.err
    assert "listens" not in done.err


def test_a_gallery_that_cannot_be_opened_is_told_as_by_every_command(shell, tmp_path, own_files):
    (tmp_path / "own.gallery").write_bytes(b"no gallery" * 100)
    done = shell("serve", "--port", 0, **own_files)
    assert done.code == 7
    assert "own.gallery is not a gallery file" in done.err
    assert "Traceback" not in done.err


@pytest.fixture
def certificate(tmp_path):
    """A certificate for this machine, and its key."""
    if shutil.which("openssl") is None:
        pytest.fail("openssl is missing (Debian: openssl)")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    names = ("-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1")
    made = ("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", *names)
    subprocess.run([*made, "-days", "2", "-keyout", key, "-out", cert], check=True, capture_output=True)
    return cert, key


@contextmanager
def serving(process: subprocess.Popen[str]) -> Iterator[str]:
    """The address that the command says, while it runs; then it is told to end as by Ctrl-C, and ends well."""
    with process:
        assert process.stderr is not None
        said = next((line for line in process.stderr if "listens on" in line), "it said nothing")
        rest = threading.Thread(target=process.stderr.read)  # so that it can go on writing
        rest.start()
        try:
            yield said.split()[3]
        finally:
            process.send_signal(signal.SIGINT)
            code = process.wait(60)
            rest.join(60)
    assert code == 0


@pytest.fixture
def own_files(tmp_path):
    return {"LIKENESS_KEYS": str(tmp_path / "api.keys"), "LIKENESS_SERVE_ANSWERS": str(tmp_path / "answers.db")}


def test_it_speaks_tls_with_a_certificate_and_tells_browsers_to_keep_to_it(start, certificate, own_files):
    cert, key = certificate
    with serving(start("serve", "--port", 0, "--tls-cert", cert, "--tls-key", key, **own_files)) as address:
        assert address.startswith("https://127.0.0.1:")
        trusting = ssl.create_default_context(cafile=cert)
        with urllib.request.urlopen(f"{address}/v1/ready", timeout=60, context=trusting) as answer:
            assert json.load(answer)["status"] == "ready"
            assert answer.headers["strict-transport-security"] == "max-age=31536000"
        with pytest.raises(OSError, match="certificate"):
            urllib.request.urlopen(f"{address}/v1/ready", timeout=60)
        with pytest.raises((OSError, HTTPException)):
            urllib.request.urlopen(address.replace("https", "http"), timeout=60)


@pytest.mark.slow
def test_it_ends_at_once_with_a_page_of_the_web_app_open(start, own_files):
    process = start("serve", "--ui", "--port", 0, **own_files)
    with ExitStack() as open_pages:
        with serving(process) as address:
            page = urllib.request.urlopen(f"{address}/ui/gradio_api/heartbeat/page", timeout=120)
            assert b"ALIVE" in open_pages.enter_context(page).readline()
            began = time.monotonic()
        assert time.monotonic() - began < 15


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
