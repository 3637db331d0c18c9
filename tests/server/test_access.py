"""Who is let in: keys and their scopes, and on this machine without keys, no web page of another site."""

from __future__ import annotations

import io
import json
import logging

import pytest

from likeness.gallery import open_gallery
from likeness.server.app import create_app
from likeness.server.keys import KeyStore
from likeness.server.logs import set_up_logs
from running_server import client, running


@pytest.fixture
def keys(tmp_path) -> KeyStore:
    return KeyStore.open(tmp_path / "api.keys")


@pytest.fixture
def guarded(serve_settings, keys):
    """Somebody who asks a server that wants keys."""
    with running(create_app(serve_settings(), keys=keys)) as address, client(address) as api:
        yield api


CALLS = [
    ("read", "GET", "/v1/people"),
    ("read", "GET", "/v1/gallery"),
    ("read", "GET", "/metrics"),
    ("read", "GET", "/v1/jobs"),
    ("enrol", "PATCH", "/v1/people/{name}"),
    ("admin", "POST", "/v1/gallery/snapshots"),
    ("admin", "DELETE", "/v1/people/{name}"),
]


@pytest.mark.parametrize("as_bearer", [False, True])
def test_a_key_is_good_for_its_scope_and_those_below(guarded, keys, names, as_bearer):
    for scope in ("read", "enrol", "admin"):
        _, secret = keys.create(scope, scope)
        headers = {"authorization": f"Bearer {secret}"} if as_bearer else {"x-api-key": secret}
        for needed, method, path in CALLS:
            body = {"json": {"name": names[0]}} if method == "PATCH" else {}
            answer = guarded.request(method, path.format(name=names[0]), headers=headers, **body)
            allowed = ("read", "enrol", "admin").index(scope) >= ("read", "enrol", "admin").index(needed)
            if allowed:
                assert answer.status_code < 300, (scope, path, answer.text)
            else:
                assert (answer.status_code, answer.json()["error"]["code"]) == (403, "scope_missing")


def test_without_a_key_or_with_a_wrong_one_nothing_but_health_is_answered(guarded):
    for headers, code in (({}, "key_missing"), ({"x-api-key": "lk_wrong"}, "key_invalid")):
        for _, method, path in CALLS:
            body = {"json": {"name": "Ada"}} if method == "PATCH" else {}
            answer = guarded.request(method, path.format(name="Ada"), headers=headers, **body)
            assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
    assert guarded.get("/v1/health").status_code == guarded.get("/v1/ready").status_code == 200


def test_a_key_that_was_revoked_is_refused_at_once(guarded, keys):
    key, secret = keys.create("app", "read")
    assert guarded.get("/v1/people", headers={"x-api-key": secret}).status_code == 200
    keys.revoke(key.id)
    assert guarded.get("/v1/people", headers={"x-api-key": secret}).json()["error"]["code"] == "key_invalid"


def test_the_audit_trail_names_the_key_that_asked(serve_settings, keys, gallery_path, probe):
    key, secret = keys.create("app", "read")
    with running(create_app(serve_settings(), keys=keys)) as address, client(address) as api:
        api.post("/v1/identify", files={"photo": probe.read_bytes()}, headers={"x-api-key": secret})
        api.get("/v1/people")
    with open_gallery(gallery_path, create=False) as gallery:
        events = gallery.events()
    assert [event.actor for event in events if event.action == "identify"] == [key.actor]
    assert [dict(event.details) for event in events if event.action == "refused"] == [{"missing": 1}]


def test_the_first_key_closes_a_server_that_asked_for_none(serve_settings, keys):
    with running(create_app(serve_settings(), keys=keys, open_access=True)) as address, client(address) as api:
        assert api.get("/v1/people").status_code == 200
        key, secret = keys.create("app", "read")
        assert api.get("/v1/people").json()["error"]["code"] == "key_missing"
        assert api.get("/v1/people", headers={"x-api-key": secret}).status_code == 200
        keys.revoke(key.id)
        assert api.get("/v1/people").status_code == 401


def test_jobs_are_shown_to_their_owner_and_to_admins(guarded, keys):
    secrets = {name: keys.create(name, scope)[1] for name, scope in (("a", "enrol"), ("b", "enrol"), ("c", "admin"))}
    job = guarded.post("/v1/gallery/check", headers={"x-api-key": secrets["c"]}).json()["id"]
    assert guarded.get(f"/v1/jobs/{job}", headers={"x-api-key": secrets["c"]}).status_code == 200
    assert guarded.get(f"/v1/jobs/{job}", headers={"x-api-key": secrets["a"]}).status_code == 404
    assert guarded.get("/v1/jobs", headers={"x-api-key": secrets["b"]}).json() == {"jobs": []}


@pytest.mark.parametrize(
    ("headers", "method", "allowed"),
    [
        ({}, "POST", True),
        ({"origin": "{own}"}, "POST", True),
        ({"sec-fetch-site": "same-origin"}, "POST", True),
        ({"origin": "https://evil.example"}, "POST", False),
        ({"origin": "null"}, "POST", False),
        ({"sec-fetch-site": "cross-site"}, "POST", False),
        ({"sec-fetch-site": "cross-site"}, "GET", True),
        ({"host": "evil.example"}, "GET", False),
        ({"host": "127.0.0.1.evil.example"}, "GET", False),
        ({"host": "localhost:9"}, "GET", True),
        ({"host": "["}, "GET", False),
        ({"host": "[::1]:9"}, "GET", True),
        ({"origin": "http://["}, "POST", False),
    ],
)
def test_without_keys_pages_of_other_sites_and_foreign_names_are_refused(server, api, headers, method, allowed):
    given = {name: value.format(own=server) for name, value in headers.items()}
    answer = api.request(method, "/v1/gallery/check" if method == "POST" else "/v1/gallery", headers=given)
    assert answer.status_code in ((200, 202) if allowed else (403,)), answer.text


def test_logs_tell_what_happened_and_nothing_about_whom(serve_settings, keys, probe, names):
    _, secret = keys.create("app", "admin")
    written = io.StringIO()
    before = {name: logging.getLogger(name).handlers[:] for name in ("likeness.server", "uvicorn", "uvicorn.error")}
    set_up_logs(written)
    try:
        with running(create_app(serve_settings(), keys=keys)) as address, client(address) as api:
            own = {"x-api-key": secret}
            api.post("/v1/identify", files={"photo": ("secret_name.jpg", probe.read_bytes())}, headers=own)
            api.get(f"/v1/people/{names[0]}", headers=own)
            api.get("/v1/people", params={"query": names[0]}, headers=own)
            api.get(f"/nothing/{names[0]}?x={names[0]}", headers=own)
            api.post("/v1/people", data={"name": names[1]}, files={"photos": ("secret_name.jpg", b"no")}, headers=own)
    finally:
        for name, handlers in before.items():
            logging.getLogger(name).handlers = handlers
            logging.getLogger(name).propagate = True
    lines = [json.loads(line) for line in written.getvalue().splitlines()]
    asked = [line for line in lines if line["event"] == "request"]
    assert [line["route"] for line in asked] == [
        "/v1/identify", "/v1/people/{person}", "/v1/people", "other", "/v1/people",
    ]  # fmt: skip
    assert all({"at", "request_id", "status", "ms"} <= set(line) for line in asked)
    assert asked[-1]["error"] == "photo_unsupported"
    text = written.getvalue()
    for word in (names[0], names[0].split()[0], names[1].split()[0], "secret_name", secret, "query"):
        assert word not in text
