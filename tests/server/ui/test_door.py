"""The way into the web app: keys, their scopes, and nothing beside the pages."""

from __future__ import annotations

import pytest
from running_server import client, running

from likeness.errors import InputError
from likeness.server.keys import KeyStore

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

PATIENCE_MS = 120_000
"""On a busy machine a page takes its time."""


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    store = KeyStore.open(tmp_path_factory.mktemp("keys") / "api.keys")
    yield store
    store.close()


@pytest.fixture(scope="module")
def locked(own_settings, keys):
    """The address of a server with the web app that wants keys, and whose models tell no age."""
    from likeness.server.app import create_app
    from likeness.server.parts import web_app

    settings = own_settings.model_copy(update={"attributes": "none"})
    with running(create_app(settings, keys=keys, parts=[web_app(settings, False)])) as address:
        yield address


@pytest.fixture
def stranger(locked):
    with client(locked) as opened:
        yield opened


def test_without_a_key_there_is_only_the_page_that_asks_for_one(stranger):
    sent = stranger.get("/ui/")
    assert (sent.status_code, sent.headers["location"]) == (303, "/ui/key")
    assert 'type="password"' in stranger.get("/ui/key").text
    for ask in (
        lambda: stranger.get("/ui/config"),
        lambda: stranger.post("/ui/gradio_api/upload", files={"files": b"x"}),
        lambda: stranger.post("/ui/gradio_api/queue/join", json={"data": [], "fn_index": 0, "session_hash": "s"}),
    ):
        refused = ask()
        assert refused.status_code == 401
        assert refused.json()["error"]["code"] == "key_missing"
        assert "API key" in refused.json()["detail"]


def test_what_the_pages_do_not_use_is_not_there(stranger):
    for path in ("info", "proxy=http://127.0.0.1/", "file=http://127.0.0.1/", "monitoring/summary", "call/find"):
        assert stranger.get(f"/ui/gradio_api/{path}").status_code == 404


def test_a_wrong_key_is_told_and_a_right_one_opens_a_visit_that_scripts_cannot_read(stranger, keys):
    wrong = stranger.post("/ui/key", data={"key": "lk_0000000000_" + "A" * 43})
    assert wrong.status_code == 401
    assert "The API key is unknown" in wrong.text
    _, secret = keys.create("visitor", "read")
    opened = stranger.post("/ui/key", data={"key": secret})
    assert (opened.status_code, opened.headers["location"]) == (303, "/ui/")
    cookie = opened.headers["set-cookie"]
    assert secret not in cookie
    assert all(word in cookie.lower() for word in ("httponly", "samesite=strict", "path=/ui"))
    assert stranger.get("/ui/config").status_code == 200


def test_a_page_of_another_site_cannot_use_the_visit(stranger, keys):
    _, secret = keys.create("visitor", "read")
    stranger.post("/ui/key", data={"key": secret})
    refused = stranger.post("/ui/gradio_api/upload", files={"files": b"x"}, headers={"origin": "https://evil.example"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "origin_refused")


def test_leaving_and_revoking_end_the_visit(stranger, keys):
    key, secret = keys.create("visitor", "read")
    stranger.post("/ui/key", data={"key": secret})
    stranger.post("/ui/leave")
    assert stranger.get("/ui/config").status_code == 401
    stranger.post("/ui/key", data={"key": secret})
    keys.revoke(key.id)
    assert stranger.get("/ui/config").status_code == 401


def test_a_visitor_who_may_only_read_looks_into_the_mirror_and_enrols_nobody(browser, locked, keys):
    _, secret = keys.create("reader", "read")
    page = browser.new_page(viewport={"width": 1000, "height": 800})
    page.set_default_timeout(PATIENCE_MS)
    page.goto(f"{locked}/")
    page.get_by_label("Your API key").fill(secret)
    page.get_by_role("button", name="Continue").click()
    page.wait_for_selector("#twin-ask")
    page.get_by_role("tab", name="Mirror").click()
    page.locator("#mirror-examples button").first.click()
    page.wait_for_selector("#mirror-answer .lk-box")
    assert "do not tell apparent age or gender" in page.locator("#mirror-answer").inner_text()
    page.get_by_role("tab", name="Enrol").click()
    page.click("#enrol-ask")
    page.wait_for_selector("#enrol-answer [role=alert]")
    assert "the scope read, and this needs enrol" in page.locator("#enrol-answer").inner_text()
    page.get_by_role("button", name="Leave").click()
    page.get_by_label("Your API key").wait_for()
    page.close()


def test_no_address_is_fetched_for_a_visitor():
    from likeness.server.ui.app import _keep_to_ourselves

    _keep_to_ourselves()
    from gradio import processing_utils

    with pytest.raises(InputError, match="fetches nothing"):
        processing_utils.async_ssrf_protected_download("http://127.0.0.1/", "").send(None)
