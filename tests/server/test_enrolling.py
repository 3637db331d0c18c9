"""Enrolling over HTTP: partial success, idempotency keys, the first services' calls, and long jobs."""

from __future__ import annotations

import asyncio
import base64
import threading
import time
from pathlib import Path

import httpx2
import pytest

from likeness.server.app import create_app
from likeness.server.jobs import Job
from likeness.server.lanes import Task
from likeness.server.replies import Replies
from likeness.server.work import Enrol
from running_server import client, running


@pytest.fixture
def stranger(samples) -> Path:
    return samples / "probes" / "stranger_1.jpg"


@pytest.fixture
def landscape(samples) -> Path:
    return samples / "landscape.jpg"


def photos(*paths: Path):
    return [("photos", (path.name, path.read_bytes())) for path in paths]


def ended(api, job):
    limit = time.monotonic() + 60
    while job["state"] in ("queued", "running"):
        assert time.monotonic() < limit
        time.sleep(0.02)
        job = api.get(f"/v1/jobs/{job['id']}").json()
    return job


def test_photos_that_can_be_used_are_enrolled_and_the_others_told_with_their_reasons(api, stranger, landscape):
    answer = api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger, landscape))
    assert answer.status_code == 201, answer.text
    body = answer.json()
    assert (body["person"]["name"], body["added"], body["refused"]) == ("Ada", 1, 1)
    assert [(each["photo"], each["status"]) for each in body["photos"]] == [
        ("stranger_1.jpg", "added"),
        ("landscape.jpg", "refused"),
    ]
    assert body["photos"][1]["error"]["code"] == "no_face"
    assert (
        api.post("/v1/identify", files={"photo": stranger.read_bytes()}).json()["answers"][0]["person"]["name"] == "Ada"
    )


def test_where_no_photo_can_be_used_nobody_is_made_and_the_error_says_why_for_each(api, landscape):
    answer = api.post("/v1/people", data={"name": "Ada"}, files=photos(landscape, landscape))
    assert answer.status_code == 422
    assert answer.json()["error"]["code"] == "no_face"
    assert [each["index"] for each in answer.json()["error"]["details"]["photos"]] == [0, 1]
    assert api.get("/v1/people/Ada").status_code == 404


def test_consent_and_retention_are_kept(api, stranger):
    stated = {"name": "Ada", "consent": "signed form", "consent_source": "desk", "retain_until": "2031-01-31"}
    person = api.post("/v1/people", data=stated, files=photos(stranger)).json()["person"]
    assert (person["consent"]["basis"], person["retain_until"]) == ("signed form", "2031-01-31")


def test_the_same_request_under_one_key_is_done_once_also_after_a_restart(serve_settings, stranger):
    key = {"Idempotency-Key": "order-7"}
    settings = serve_settings()
    with running(create_app(settings, open_access=True)) as address, client(address) as api:
        first = api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key)
        again = api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key)
        assert "idempotency-replayed" not in first.headers
        assert again.headers["idempotency-replayed"] == "true"
        assert (first.status_code, first.json()) == (again.status_code, again.json())
    with running(create_app(settings, open_access=True)) as address, client(address) as api:
        again = api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key)
        assert (first.status_code, first.json()) == (again.status_code, again.json())


def test_of_many_alike_under_one_key_one_is_done_at_a_time(tmp_path):
    replies, inside, most = Replies(tmp_path / "answers.db"), 0, 0

    async def one(begins_s):
        nonlocal inside, most
        await asyncio.sleep(begins_s)
        async with replies.once("a", "order-7"):
            inside, most = inside + 1, max(most, inside + 1)
            await asyncio.sleep(0.1)
            inside -= 1

    async def all_of_them():
        await asyncio.gather(one(0), one(0.02), one(0.15), one(0.25))

    asyncio.run(all_of_them())
    assert most == 1
    assert not replies._turns
    replies.close()


def test_who_left_before_the_answer_gets_it_when_the_request_comes_again(serve_settings, stranger):
    key = {"Idempotency-Key": "order-7"}
    app = create_app(serve_settings(threads=1), open_access=True)
    with running(app) as address, client(address) as api:
        let_go, engine = threading.Event(), app.state.engine
        held = engine._enrol.put(Task(Enrol((), HoldingOptions(let_go)), "somebody"))
        with client(address) as hasty, pytest.raises(httpx2.ReadTimeout):
            hasty.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key, timeout=0.5)
        let_go.set()
        held.outcome.exception(20)
        again = api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key)
        assert (again.status_code, again.headers["idempotency-replayed"]) == (201, "true")
        assert again.json()["photos"][0]["status"] == "added"


class HoldingOptions:
    """Options of an enrolment that are not told until somebody lets go."""

    def __init__(self, let_go):
        self._let_go = let_go

    def __hash__(self):
        assert self._let_go.wait(20)
        return 1


def test_a_key_is_not_taken_for_another_request(api, stranger, samples):
    key = {"Idempotency-Key": "order-7"}
    other = samples / "probes" / "stranger_2.jpg"
    assert api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key).status_code == 201
    for data, files in (({"name": "Eve"}, photos(stranger)), ({"name": "Ada"}, photos(other))):
        answer = api.post("/v1/people", data=data, files=files, headers=key)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "idempotency_key_reused")


def test_a_request_sent_again_does_not_bring_back_somebody_erased_since(api, stranger):
    key = {"Idempotency-Key": "order-7"}
    api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key)
    assert api.delete("/v1/people/Ada").json()["faces_erased"] == 1
    again = api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger), headers=key)
    assert again.json()["person"] is None
    assert api.get("/v1/people/Ada").status_code == 404


def test_what_is_kept_under_a_key_holds_no_name_and_no_file_name(api, stranger, tmp_path):
    key = {"Idempotency-Key": "order-7"}
    api.post("/v1/people", data={"name": "Ada Lovelace"}, files=photos(stranger), headers=key)
    kept = b"".join(path.read_bytes() for path in tmp_path.glob("answers.db*"))
    assert b"added" in kept
    assert not [word for word in (b"Ada", b"Lovelace", b"stranger", b"order-7") if word in kept]
    assert oct((tmp_path / "answers.db").stat().st_mode & 0o777) == "0o600"


def test_without_a_key_the_same_photo_is_a_duplicate(api, stranger):
    api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger))
    answer = api.post("/v1/people/Ada/pictures", files=photos(stranger))
    assert (answer.status_code, answer.json()["photos"][0]["status"]) == (200, "duplicate")


def test_json_with_base64_enrols_too(api, stranger):
    text = base64.b64encode(stranger.read_bytes()).decode()
    answer = api.post("/v1/people", json={"name": "Ada", "photos": [f"data:image/jpeg;base64,{text}"]})
    assert answer.status_code == 201, answer.text


def test_more_photos_than_the_settings_allow_are_refused(serve_settings, stranger):
    with running(create_app(serve_settings(serve_photos=1), open_access=True)) as address, client(address) as api:
        answer = api.post("/v1/people", data={"name": "Ada"}, files=photos(stranger, stranger))
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")


def test_an_address_is_not_fetched_unless_it_was_switched_on(api):
    answer = api.post("/v1/identify", json={"photo": {"url": "http://127.0.0.1/a.jpg"}})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "url_refused")


def test_a_path_of_the_server_is_no_photo(api, stranger):
    answer = api.post("/v1/identify", json={"photo": str(stranger)})
    assert answer.status_code == 422
    assert "base64" in answer.json()["error"]["details"]["fields"][0]["message"]


def test_the_first_services_calls_have_their_exact_shapes(api, stranger, probe, names, landscape):
    created = api.post("/api/v1/index", data={"name": "Ada"}, files={"image": stranger.read_bytes()})
    assert (created.status_code, created.json()) == (200, {"error": False, "msg": "Created"})
    known = api.post("/api/v1/recognize", files={"image": probe.read_bytes()}).json()
    assert set(known) == {"error", "results"}
    assert known["error"] is False
    assert known["results"]["pred"] == names[0]
    assert 0.5 < known["results"]["proba"] < 1
    failed = api.post("/api/v1/recognize", files={"image": landscape.read_bytes()})
    assert (failed.status_code, failed.json()) == (422, {"error": True, "msg": "no face was found"})


def test_nobody_is_predicted_for_a_stranger(api, stranger):
    answer = api.post("/api/v1/recognize", files={"image": stranger.read_bytes()}).json()["results"]
    assert answer["pred"] is None
    assert answer["proba"] < 0.5


def test_many_people_are_enrolled_by_a_job_that_tells_each_photos_outcome(api, stranger, landscape, samples):
    files = [
        ("photos", ("Ada Lovelace/1.jpg", stranger.read_bytes())),
        ("photos", ("Eve/1.jpg", (samples / "probes" / "stranger_2.jpg").read_bytes())),
        ("photos", ("Eve/2.jpg", landscape.read_bytes())),
        ("photos", ("nameless.jpg", stranger.read_bytes())),
    ]
    begun = api.post("/v1/enrolments", files=files)
    assert begun.status_code == 202, begun.text
    job = ended(api, begun.json())
    assert (job["state"], job["done"], job["total"]) == ("done", 4, 4), job
    assert [each["status"] for each in job["result"]["photos"]] == ["added", "added", "refused", "refused"]
    assert job["result"]["photos"][3]["error"]["code"] == "name_missing"
    assert api.get("/v1/people/Ada%20Lovelace").json()["faces"] == 1


def test_a_job_that_waits_can_be_cancelled_and_makes_room_for_another(serve_settings, stranger):
    def offer(name):
        return api.post("/v1/enrolments", data={"name": name}, files=photos(stranger))

    app, let_go, begun = (
        create_app(serve_settings(serve_jobs=1), open_access=True),
        threading.Event(),
        threading.Event(),
    )

    def hold(job):
        begun.set()
        return {"held": let_go.wait(20)}

    with running(app) as address, client(address) as api:
        first = app.state.jobs.begin(Job("check", "api:local", hold))
        assert begun.wait(20)
        second = offer("Ada").json()
        assert (offer("Bo").status_code, second["state"]) == (503, "queued")
        assert api.delete(f"/v1/jobs/{second['id']}").json()["state"] == "cancelled"
        third = offer("Eve").json()
        let_go.set()
        assert ended(api, api.get(f"/v1/jobs/{first.id}").json())["state"] == "done"
        assert ended(api, third)["state"] == "done"
        assert [job["id"] for job in api.get("/v1/jobs").json()["jobs"]] == [third["id"], second["id"], first.id]
        assert api.get("/v1/people/Ada").status_code == 404
        assert api.get("/v1/people/Eve").status_code == 200


def test_a_snapshot_is_made_by_a_job_and_named_without_its_folder(api, gallery_path):
    job = ended(api, api.post("/v1/gallery/snapshots").json())
    assert job["state"] == "done"
    assert (gallery_path.parent / job["result"]["name"]).stat().st_size == job["result"]["bytes"]
    assert str(gallery_path.parent) not in str(job)


def test_a_gallery_is_re_embedded_and_answered_with_the_new_model(api, probe, names):
    job = ended(api, api.post("/v1/gallery/re-embed", json={"model": "dlib-resnet-float32"}).json())
    assert job["state"] == "done", job
    answer = api.post("/v1/identify", files={"photo": probe.read_bytes()}).json()["answers"][0]
    assert answer["person"]["name"] == names[0]
    assert next(m for m in api.get("/v1/models").json()["models"] if m["in_use"] and m["role"] == "embedder")[
        "name"
    ] == ("dlib-resnet-float32")
