"""The way into the web app: keys, their scopes, and nothing beside the pages."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from likeness.errors import InputError
from likeness.server.keys import KeyStore
from running_server import client, running

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


@pytest.fixture
def visitor(app_address):
    """Somebody who asks the app's own address, without a browser."""
    with client(app_address) as opened:
        yield opened


def asked_of_a_page(visitor, place, payload):
    """What the page whose photo or files have that id answers to a payload: whether it worked, and its words."""
    config = visitor.get("/ui/config").json()
    ids = {each["props"].get("elem_id"): each["id"] for each in config["components"]}
    call = next(each for each in config["dependencies"] if ids[place] in each["inputs"] and each["outputs"])
    given = {"enrol-name": "Ada", "enrol-consent": True, "enrol-gate": False, place: payload}
    data = [given.get(name) for number in call["inputs"] for name, each in ids.items() if each == number]
    session = f"session-{place}"
    joined = {"data": data, "fn_index": call["id"], "session_hash": session}
    assert visitor.post("/ui/gradio_api/queue/join", json=joined).status_code == 200
    with visitor.stream("GET", f"/ui/gradio_api/queue/data?session_hash={session}") as stream:
        for line in stream.iter_lines():
            told = json.loads(line.removeprefix("data:")) if line else {}
            if told.get("msg") == "process_completed":
                return told["success"], json.dumps(told["output"])
    raise AssertionError("no answer came")


@pytest.mark.parametrize("place", ["who-photo", "mirror-photo", "enrol-files"])
@pytest.mark.parametrize("meta", [{}, {"meta": {"_type": "gradio.FileData"}}])
def test_no_file_of_this_machine_is_read_for_a_visitor_but_uploads(visitor, samples, tmp_path, capfd, place, meta):
    private = tmp_path / "private_photo.jpg"
    shutil.copy(samples / "group.jpg", private)
    several = place == "enrol-files"
    uploads = os.environ["GRADIO_TEMP_DIR"]
    for path in (str(private), f"{uploads}/{os.path.relpath(private, uploads)}", "/dev/zero"):
        payload = {"path": path} | meta
        _, words = asked_of_a_page(visitor, place, [payload] if several else payload)
        assert "lk-photo" not in words
        assert "is enrolled" not in words
    assert not list(Path(uploads).rglob("private_photo.jpg"))
    printed = "".join(capfd.readouterr())
    assert "private_photo" not in printed
    assert "Traceback" not in printed


def test_an_upload_is_read_and_neither_it_nor_a_page_stays_in_the_browser(visitor, samples):
    photo = (samples / "group.jpg").read_bytes()
    [path] = visitor.post("/ui/gradio_api/upload", files={"files": ("group.jpg", photo)}).json()
    worked, words = asked_of_a_page(visitor, "who-photo", {"path": path, "meta": {"_type": "gradio.FileData"}})
    assert worked
    assert "lk-photo" in words
    for address in ("/ui/", f"/ui/gradio_api/file={path}"):
        assert visitor.get(address).headers["cache-control"] == "no-store"
    assert visitor.get("/ui").headers["location"] == "/ui/"


def test_uploads_do_not_fill_the_disk(visitor):
    from likeness.server.ui.uploads import MOST_BYTES

    large = Path(os.environ["GRADIO_TEMP_DIR"], "large")
    with large.open("wb") as file:
        file.truncate(MOST_BYTES + 1)  # a hole: it takes no room on the disk
    try:
        refused = visitor.post("/ui/gradio_api/upload", files={"files": b"x"})
    finally:
        large.unlink()
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "overloaded")
    assert "retry-after" in refused.headers
    assert visitor.post("/ui/gradio_api/upload", files={"files": b"x"}).status_code == 200


def test_behind_a_proxy_that_speaks_tls_the_visits_cookie_keeps_to_it(stranger, locked, keys):
    _, secret = keys.create("visitor", "read")
    over_tls = stranger.post("/ui/key", data={"key": secret}, headers={"origin": locked.replace("http", "https")})
    assert "secure" in over_tls.headers["set-cookie"].lower()
    plain = stranger.post("/ui/key", data={"key": secret}, headers={"origin": locked})
    assert "secure" not in plain.headers["set-cookie"].lower()


def test_no_address_is_fetched_for_a_visitor():
    from likeness.server.ui.app import _keep_to_ourselves

    _keep_to_ourselves()
    from gradio import processing_utils

    with pytest.raises(InputError, match="fetches nothing"):
        processing_utils.async_ssrf_protected_download("http://127.0.0.1/", "").send(None)
