"""A server that asks for keys: who is let in, what the audit trail says of it, and what is nowhere written."""

from __future__ import annotations

import logging
import re

import pytest

from likeness.gallery import open_gallery
from likeness.server.app import create_app
from likeness.server.keys import KeyStore
from running_server import client, running


@pytest.fixture
def keys(tmp_path):
    store = KeyStore.open(tmp_path / "api.keys")
    yield store
    store.close()


@pytest.fixture
def events(gallery_path):
    """The lines of the gallery's audit trail, which is whole."""

    def read():
        with open_gallery(gallery_path, create=False) as gallery:
            assert gallery.check_events().finding.ok
            return gallery.events()

    return read


def test_look_ups_and_refusals_are_in_the_trail_by_key_and_secrets_and_addresses_are_nowhere(
    serve_settings, keys, events, probe, gallery_path, caplog
):
    caplog.set_level(logging.DEBUG)
    reader, secret = keys.create("reader", "read")
    other, other_secret = keys.create("other", "read")
    wrong = secret[:-4] + ("AAAA" if secret[-4:] != "AAAA" else "BBBB")
    photo = {"photo": probe.read_bytes()}
    with running(create_app(serve_settings(), keys=keys)) as address, client(address) as api:
        assert api.get("/v1/health").status_code == 200
        for headers, code in (({}, "key_missing"), ({"x-api-key": wrong}, "key_invalid")):
            refused = api.post("/v1/identify", files=photo, headers=headers)
            assert (refused.status_code, refused.json()["error"]["code"]) == (401, code)
            assert refused.headers["www-authenticate"] == "Bearer"
        assert api.post("/v1/identify", files=photo, headers={"x-api-key": secret}).status_code == 200
        bearer = {"authorization": f"Bearer {other_secret}"}
        assert api.post("/v1/twins", files=photo, headers=bearer).status_code == 200
        keys.revoke(other.id)
        assert api.post("/v1/twins", files=photo, headers=bearer).status_code == 401
    found = events()
    looked = [(event.actor, event.action) for event in found if event.action not in ("enroll", "refused")]
    assert looked == [(reader.actor, "identify"), (other.actor, "twins")]
    refusals = [event for event in found if event.action == "refused"]
    counts = {why: sum(event.details.get(why, 0) for event in refusals) for why in ("missing", "unknown", "revoked")}
    assert counts == {"missing": 1, "unknown": 1, "revoked": 1}
    assert [event.details["keys"] for event in refusals if "keys" in event.details] == [[other.id]]
    written = b"".join(file.read_bytes() for file in gallery_path.parent.iterdir() if file.is_file())
    for given in (secret, other_secret, wrong):
        assert given.split("_", 2)[2].encode() not in written
        assert given.split("_", 2)[2] not in caplog.text
    assert not any("127.0.0.1" in str(dict(event.details)) for event in found)


def test_the_rate_is_counted_by_key_and_wrong_keys_by_address(serve_settings, keys, probe):
    (_, first), (_, second) = keys.create("first", "read"), keys.create("second", "read")
    settings = serve_settings(serve_rate_per_minute=1, serve_rate_burst=2)

    def status(api, secret):
        return api.post("/v1/identify", json={}, headers={"x-api-key": secret}).status_code

    with running(create_app(settings, keys=keys)) as address, client(address) as api:
        assert [status(api, first) for _ in range(3)] == [422, 422, 429]
        assert status(api, second) == 422
        # Whoever tries one wrong key after another is one caller.
        assert [status(api, second[:-4] + tail) for tail in ("AAAA", "BBBB", "CCCC")] == [401, 401, 429]
        assert status(api, second) == 422
        assert [api.get("/v1/health").status_code for _ in range(4)] == [200] * 4


OPEN = {"/v1/health", "/v1/ready"}


def test_no_route_but_health_looks_at_anything_before_it_has_seen_a_key(serve_settings, keys):
    app = create_app(serve_settings(), keys=keys)
    routes = [(method, path) for path, each in app.openapi()["paths"].items() for method in each if path not in OPEN]
    assert len(routes) >= 5
    with running(app) as address, client(address) as api:
        for method, path in routes:
            # Without a key a body that cannot be used is not even read, and nobody learns which people there are.
            answer = api.request(method.upper(), re.sub(r"\{\w+\}", "1", path), content=b"{")
            assert answer.status_code == 401, (method, path, answer.text)
