"""Callers are told: signed, once where they answer, again where they do not, and only where that is allowed."""

from __future__ import annotations

import json
import socket
import threading
import time
from contextlib import suppress

import pytest
from callback_server import callbacks
from hypothesis import example, given
from hypothesis import strategies as st

from likeness.errors import CallbackRefused, SettingsError, Unreachable
from likeness.intake.webhooks import SIGNATURE, expect_allowed, sign, signed_by, tell
from likeness.settings import Settings

KEY = "a key of chance, long enough"


@pytest.fixture
def telling(make_pipeline, monkeypatch):
    """A pipeline that may tell the caller's server."""
    from likeness.intake.steps.tell import Tell

    monkeypatch.setattr(Tell, "first_wait_s", 0.05)  # the waits are real, only shorter

    def make(told):
        host = told.address.removeprefix("http://")
        return make_pipeline(webhook_hosts=host, webhook_secret=KEY, webhook_timeout_s=5)

    return make


def test_a_caller_is_told_of_each_photo_and_of_the_end_with_a_signature_that_is_right(telling, group):
    with callbacks() as told:
        pipeline = telling(told)
        job = pipeline.send(group, b"no photo", callback=f"{told.address}/done?of=me")
        pipeline.drain()
    events = [json.loads(body) for body in told.bodies]
    assert sorted(event["event"] for event in events) == ["job", "photo", "photo"]
    assert {event["job"] for event in events} == {job.id}
    [end] = [event for event in events if event["event"] == "job"]
    assert (end["state"], end["total"], end["done"], end["failed"]) == ("done", 2, 1, 1)
    photos = [event["photo"] for event in events if event["event"] == "photo"]
    assert sorted(photo["state"] for photo in photos) == ["done", "failed"]
    assert all(photo.get("answers") or photo["error"]["message"] for photo in photos)
    for body, headers in zip(told.bodies, told.headers, strict=True):
        assert signed_by(body, headers[SIGNATURE], KEY, now_s=time.time())
        assert not signed_by(body + b" ", headers[SIGNATURE], KEY, now_s=time.time())


def test_a_caller_who_does_not_answer_is_told_again_with_the_same_id(telling, group):
    with callbacks(500, 503, 200) as told:
        pipeline = telling(told)
        pipeline.send(b"no photo", callback=told.address)
        pipeline.drain()
    ids = [json.loads(body)["id"] for body in told.bodies]
    assert len(ids) == 4
    assert len(set(ids)) == 2


@pytest.mark.parametrize("status", [500, 302, 404])
def test_a_caller_who_never_takes_it_leaves_a_dead_letter_that_says_why(telling, status):
    with callbacks(status) as told:
        pipeline = telling(told)
        job = pipeline.send(b"no photo", callback=told.address)
        pipeline.drain()
    letters = pipeline.queues["tell"].dead()
    assert len(letters) == 2
    assert all(f"HTTP {status}" in letter.reason for letter in letters)
    assert pipeline.records.job(job.id).state == "done"
    assert not any(b"elsewhere" in body for body in told.bodies)


def test_a_host_that_the_settings_allow_no_longer_is_not_told(telling, make_pipeline):
    with callbacks() as told:
        telling(told).send(b"no photo", callback=told.address)
        pipeline = make_pipeline()
        pipeline.drain()
    assert told.bodies == []
    assert all("may not be told" in letter.reason for letter in pipeline.queues["tell"].dead())


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("http://other.example/x", "another host"),
        ("http://good.example:8080/x", "another port"),
        ("https://good.example@other.example/", "an account that looks like the host"),
        ("ftp://good.example/", "another scheme"),
        ("good.example/x", "no scheme"),
        ("http://", "no host"),
        ("http://good.example:port/", "no port"),
        ("http://good.example/\r\nHost: x", "a second header"),
        ("", "nothing"),
    ],
)
def test_addresses_that_are_not_allowed_are_refused(url, why):
    settings = Settings.load({"webhook_hosts": "good.example, 127.0.0.1:99", "webhook_secret": KEY})
    with pytest.raises(CallbackRefused):
        expect_allowed(url, settings)
    assert expect_allowed("https://Good.example/x?y=1", settings)
    assert expect_allowed("http://127.0.0.1:99/", settings)


def test_nobody_is_told_without_a_key_to_sign_with():
    for key in ("", "too short"):
        with pytest.raises(SettingsError, match="sign"):
            expect_allowed("http://a.example/", Settings.load({"webhook_hosts": "a.example", "webhook_secret": key}))


def test_a_caller_who_answers_letter_by_letter_holds_nobody_up():
    """The limit is of the whole, not of each letter."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        port = listening.getsockname()[1]

        def drip():
            connection, _ = listening.accept()
            with connection, suppress(OSError):
                connection.recv(65536)
                for letter in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 200:
                    connection.send(bytes([letter]))
                    time.sleep(0.1)

        thread = threading.Thread(target=drip)
        thread.start()
        settings = Settings.load(
            {"webhook_hosts": f"127.0.0.1:{port}", "webhook_secret": KEY, "webhook_timeout_s": 0.5}
        )
        began = time.monotonic()
        with pytest.raises(Unreachable, match="TimeoutError"):
            tell(f"http://127.0.0.1:{port}/", b"{}", settings)
        assert time.monotonic() - began < 5
        thread.join()


@given(body=st.binary(), other=st.binary(), at_s=st.integers(0, 2**40))
def test_a_signature_is_good_for_its_body_time_and_key_alone(body, other, at_s):
    signature = sign(body, KEY, at_s=at_s)
    assert signed_by(body, signature, KEY, now_s=at_s + 299)
    assert not signed_by(body, signature, KEY, now_s=at_s + 301)
    assert not signed_by(body, signature, KEY + "x", now_s=at_s)
    assert signed_by(other, signature, KEY, now_s=at_s) == (other == body)
    assert not signed_by(body, signature.replace("t=", "t=1"), KEY, now_s=at_s)


@given(st.text(st.characters(), max_size=80))
@example("t=²,v1=00")
@example("t=" + "9" * 5000)
@example("t=1,v1=\udc80")
def test_no_text_that_is_not_a_signature_passes_for_one(text):
    assert not signed_by(b"body", text, KEY, now_s=0)
