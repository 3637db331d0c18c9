"""Short videos over HTTP: somebody is enrolled by their good frames, and nobody else has to wait."""

from __future__ import annotations

import threading
import time

import pytest
from make_clips import Actor, crossing, wave, write_clip

from running_server import client


@pytest.fixture(scope="module")
def films(tmp_path_factory, samples):
    folder = tmp_path_factory.mktemp("films")
    one, other = (samples / "probes" / f"stranger_{number}.jpg" for number in (1, 2))
    small = {"size_px": (320, 240)}
    return {
        "alone": write_clip(folder / "alone.mp4", [Actor(one, x=wave(0.5, 0.1, 1.5))], 1.0, **small).read_bytes(),
        "two": write_clip(folder / "two.mp4", crossing(one, other, 1.2), 1.2).read_bytes(),
    }


def sent(data, name="clip.mp4"):
    return {"clip": (name, data, "video/mp4")}


def test_somebody_new_is_enrolled_by_a_video_once_and_recognised(api, films, samples):
    head = {"Idempotency-Key": "clip-1"}
    form = {"name": "Ada Berg", "consent": "signed", "keep": "3", "every_s": "0.2"}
    answer = api.post("/v1/clips", data=form, files=sent(films["alone"]), headers=head)
    assert answer.status_code == 201, answer.text
    [photo] = answer.json()["photos"]
    assert (photo["status"], photo["photo"], photo["clip"]["frames"]) == ("added", "clip.mp4", 5)
    assert 1 <= len(photo["clip"]["pictures"]) <= 3
    assert len(photo["clip"]["each_frame"]) == 5
    assert answer.json()["person"]["faces"] == 1
    again = api.post("/v1/clips", data=form, files=sent(films["alone"]), headers=head)
    assert (again.headers["Idempotency-Replayed"], again.json()["photos"]) == ("true", [photo])
    assert api.post("/v1/clips", data=form, files=sent(films["two"]), headers=head).status_code == 409
    picture = api.get(f"/v1/people/Ada Berg/pictures/{photo['face_id']}").content
    assert picture.count(b"\xff\xd8\xff") == 1
    probe = (samples / "probes" / "stranger_1.jpg").read_bytes()
    [found] = api.post("/v1/identify", files={"photo": probe}).json()["answers"]
    assert found["person"]["name"] == "Ada Berg"


def test_a_video_of_two_needs_to_say_who_is_meant(api, films, names):
    url = f"/v1/people/{names[0]}/clips"
    refused = api.post(url, files=sent(films["two"]))
    assert (refused.status_code, refused.json()["error"]["code"]) == (422, "several_faces")
    assert api.post(url, files=sent(films["two"]), data={"pick": "2"}).status_code == 201
    assert api.post(url, files=sent(films["two"]), data={"pick": "2"}).status_code == 200


@pytest.mark.parametrize(
    ("data", "fields", "status", "code"),
    [
        (b"a text", {}, 422, "video_unusable"),
        (b"", {}, 422, "photo_empty"),
        (b"a text", {"pick": "left"}, 422, "request_invalid"),
        (b"a text", {"every_s": "0.001"}, 422, "request_invalid"),
    ],
)
def test_what_cannot_be_used_is_refused(api, names, data, fields, status, code):
    answer = api.post(f"/v1/people/{names[0]}/clips", files=sent(data), data=fields)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text


def test_nobody_unknown_gets_a_video(api):
    assert api.post("/v1/people/Nobody/clips", files=sent(b"x")).status_code == 404


def test_others_enrol_while_a_video_is_looked_at(server, films, samples):
    ended: list[float] = []

    def send():
        with client(server) as mine:
            answer = mine.post("/v1/clips", data={"name": "Ada", "every_s": "0.05"}, files=sent(films["alone"]))
            assert answer.status_code == 201, answer.text
        ended.append(time.monotonic())

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.2)
    with client(server) as other:
        photo = (samples / "probes" / "stranger_3.jpg").read_bytes()
        assert other.post("/v1/people", data={"name": "Bo"}, files={"photos": photo}).status_code == 201
    done = time.monotonic()
    sender.join(120)
    assert done < ended[0]
