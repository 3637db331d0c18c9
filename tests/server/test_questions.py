"""Questions about faces, asked of a real server."""

from __future__ import annotations

import base64


def test_somebody_enrolled_is_named(api, probe, names):
    answer = api.post("/v1/identify", files={"photo": probe.read_bytes()})
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["answers"]
    assert (found["decision"], found["person"]["name"]) == ("match", names[0])
    assert 0.5 < found["probability"] < 1


def test_a_form_and_json_are_answered_alike(api, probe):
    form = api.post("/v1/identify", files={"photo": probe.read_bytes()})
    json = api.post("/v1/identify", json={"photo": base64.b64encode(probe.read_bytes()).decode()})
    assert form.json() == json.json()


def test_every_face_of_a_group_is_answered_with_its_place(api, samples):
    answer = api.post("/v1/identify", files={"photo": (samples / "group.jpg").read_bytes()}).json()
    assert len(answer["answers"]) > 2
    width, height = answer["size"]
    assert all(0 <= a["face"]["box"][0] < width and a["face"]["box"][1] < height for a in answer["answers"])


def test_a_photo_that_is_none_is_refused_with_its_reason_and_the_requests_id(api):
    answer = api.post("/v1/identify", files={"photo": b"not a photo"}, headers={"x-request-id": "mine-1"})
    assert answer.status_code == 415
    assert answer.json()["error"]["code"] == "photo_unsupported"
    assert answer.json()["request_id"] == answer.headers["x-request-id"] == "mine-1"


def test_faces_come_with_embeddings_only_where_asked_for(api, probe):
    bare = api.post("/v1/faces", files={"photo": probe.read_bytes()}).json()["faces"][0]
    full = api.post("/v1/faces", files={"photo": probe.read_bytes()}, data={"embeddings": "true"}).json()["faces"][0]
    assert "embedding" not in bare
    assert sum(value**2 for value in full["embedding"]) > 0.99


def test_twins_and_verify(api, probe, samples, names):
    twins = api.post("/v1/twins", files={"photo": probe.read_bytes()}, data={"k": "3", "others": "true"}).json()
    assert len(twins["twins"]) == 3
    assert twins["left_out"][0]["name"] == names[0]
    enrolled = samples / "people" / names[0].replace(" ", "_") / "01.jpg"
    same = api.post("/v1/verify", files={"first": probe.read_bytes(), "second": enrolled.read_bytes()}).json()
    assert same["decision"] == "match"


def test_a_field_that_is_not_known_or_lacks_is_named(api, probe):
    answer = api.post("/v1/twins", files={"photo": probe.read_bytes()}, data={"k": "0", "colour": "red"})
    assert answer.status_code == 422
    assert {each["field"] for each in answer.json()["error"]["details"]["fields"]} == {"k", "colour"}
    assert api.post("/v1/identify", json={}).json()["error"]["details"]["fields"][0]["field"] == "photo"


def test_a_request_of_very_many_wrong_values_is_refused_as_a_whole(api):
    for path, field in (("identify", "photo"), ("people", "photos"), ("enrolments", "people")):
        body = b'{"%s": [' % field.encode() + b"1," * 30_000 + b"1]}"
        answer = api.post(f"/v1/{path}", content=body, headers={"content-type": "application/json"})
        assert answer.status_code == 422
        assert answer.json()["error"]["details"]["fields"] == [
            {"field": "body", "message": "expected at most 20,000 values"}
        ]


def test_the_server_lives_and_is_ready(api):
    assert api.get("/v1/health").json()["status"] == "ok"
    assert api.get("/v1/ready").json() == {"status": "ready", "waiting": 0, "reasons": []}
