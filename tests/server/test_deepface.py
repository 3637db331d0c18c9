"""DeepFace's API server on our models, as its documentation has the requests."""

from __future__ import annotations

import base64
import math

import numpy as np
import pytest

from attribute_bundles import write_bundle
from likeness.server.app import create_app
from likeness.server.keys import KeyStore
from likeness.server.parts import compatible_part
from running_server import client, running


@pytest.fixture
def server(serve_settings):
    with running(create_app(serve_settings(), open_access=True, parts=[compatible_part("deepface")])) as address:
        yield address


def data_uri(path):
    return "data:image/jpeg;base64," + base64.b64encode(path.read_bytes()).decode()


@pytest.fixture
def stranger(samples, names):
    return samples / "probes" / f"{names[1].replace(' ', '_')}_new.jpg"


@pytest.fixture
def enrolled(samples, names):
    return min((samples / "people" / names[0].replace(" ", "_")).glob("*.jpg"))


def test_represent_gives_each_faces_embedding_largest_first(api, samples, recognizer):
    group = samples / "group.jpg"
    body = {"img": data_uri(group), "model_name": "Facenet", "detector_backend": "mtcnn", "align": True}
    told = api.post("/represent", json=body).json()
    faces = recognizer.faces(group, attributes=False)
    assert told["model"] == recognizer.model_names["embedder"]
    assert len(told["results"]) == len(faces)
    for result, face in zip(told["results"], faces, strict=True):
        assert float(np.dot(result["embedding"], face.embedding)) == pytest.approx(1.0, abs=1e-4)
        area = result["facial_area"]
        assert area["left_eye"][0] > area["right_eye"][0], "the person's own left is on the viewer's right"
        assert area["x"] < area["right_eye"][0] < area["left_eye"][0] < area["x"] + area["w"]
    few = api.post("/represent", files={"img": group.read_bytes()}, data={"max_faces": "2"}).json()["results"]
    assert [face["facial_area"] for face in few] == [face["facial_area"] for face in told["results"][:2]]


def test_verify_tells_one_person_from_two_and_how_probably_it_is_one(api, probe, enrolled, stranger, recognizer):
    same = api.post("/verify", json={"img1": data_uri(probe), "img2": data_uri(enrolled)}).json()
    other = api.post("/verify", files={"img1": probe.read_bytes(), "img2": stranger.read_bytes()}).json()
    assert (same["verified"], other["verified"]) == (True, False)
    assert same["distance"] < same["threshold"] == other["threshold"] < other["distance"]
    assert 100 > same["confidence"] > 90 > 50 > other["confidence"] > 0
    assert same.keys() == {
        "verified", "distance", "threshold", "confidence", "model", "detector_backend", "similarity_metric",
        "facial_areas", "time",
    }  # fmt: skip
    ours = recognizer.verify(probe, enrolled)
    assert same["distance"] == pytest.approx(1 - ours.similarity, abs=1e-4)
    assert same["facial_areas"].keys() == {"img1", "img2"}


def test_all_distances_say_the_same(api, probe, enrolled):
    photos = {"img1": data_uri(probe), "img2": data_uri(enrolled)}
    told = {
        metric: api.post("/verify", json=photos | {"distance_metric": metric}).json()
        for metric in ("cosine", "euclidean", "euclidean_l2", "angular")
    }
    cosine = 1 - told["cosine"]["distance"]
    assert told["euclidean"]["distance"] == told["euclidean_l2"]["distance"]
    assert told["euclidean"]["distance"] == pytest.approx(math.sqrt(2 - 2 * cosine), abs=1e-4)
    assert told["angular"]["distance"] == pytest.approx(math.acos(cosine) / math.pi, abs=1e-4)
    assert {each["verified"] for each in told.values()} == {True}
    strict = api.post("/verify", json=photos | {"threshold": 0.000001}).json()
    assert (strict["verified"], strict["threshold"]) == (False, 0.000001)


def test_analyze_tells_age_and_gender_and_names_what_it_does_not(serve_settings, probe, tmp_path):
    settings = serve_settings(attributes=str(write_bundle(tmp_path / "ages").folder))
    app = create_app(settings, open_access=True, parts=[compatible_part("deepface")])
    with running(app) as address, client(address) as api:
        told = api.post("/analyze", json={"img": data_uri(probe)}).json()
        native = api.post("/v1/faces", files={"photo": probe.read_bytes()}).json()["faces"][0]
        form = {"actions": "['age']"}
        only_age = api.post("/analyze", files={"img": probe.read_bytes()}, data=form).json()
        neither = api.post("/analyze", json={"img": data_uri(probe), "actions": ["emotion", "race"]})
    [face] = told["results"]
    assert told["not_told"] == ["emotion", "race"]
    assert face["age"] == round(native["age"]["years"])
    assert face["gender"]["Woman"] + face["gender"]["Man"] == pytest.approx(100)
    assert face["dominant_gender"] == {"male": "Man", "female": "Woman"}[native["gender"]["label"]]
    assert max(face["gender"].values()) == pytest.approx(100 * native["gender"]["probability"], abs=1e-3)
    assert only_age["results"][0].keys() == {"age", "region", "face_confidence"}
    assert only_age["not_told"] == []
    assert (neither.status_code, neither.json().keys()) == (400, {"error"})


def test_what_cannot_be_done_as_it_was_meant_is_refused(api, probe, samples):
    photo, empty = data_uri(probe), data_uri(samples / "landscape.jpg")
    wrong = [
        ("/represent", {}, "exception"),
        ("/represent", {"img": "/etc/passwd"}, "exception"),
        ("/represent", {"img": "dataset/img1.jpg"}, "exception"),
        ("/represent", {"img": "http://127.0.0.1:8000/v1/people/" + "x" * 60}, "exception"),
        ("/represent", {"img": {"url": "http://127.0.0.1/a.jpg"}}, "exception"),
        ("/represent", {"img": empty}, "error"),
        ("/represent", {"img": photo, "anti_spoofing": True}, "error"),
        ("/represent", {"img": photo, "detector_backend": "skip"}, "error"),
        ("/represent", {"img": "data:image/jpeg;base64,R0lG"}, "error"),
        ("/verify", {"img1": photo}, "exception"),
        ("/verify", {"img1": photo, "img2": empty}, "error"),
        ("/verify", {"img1": photo, "img2": photo, "distance_metric": "manhattan"}, "error"),
        ("/verify", {"img1": photo, "img2": photo, "threshold": "wide"}, "error"),
        ("/represent", {"img": photo, "max_faces": 0}, "error"),
        ("/analyze", {"img": photo, "actions": ["mood"]}, "error"),
    ]
    for path, body, name in wrong:
        answer = api.post(path, json=body)
        assert (answer.status_code, list(answer.json())) == (400, [name]), (path, answer.text)
        assert "Traceback" not in answer.text
    allowed = api.post("/represent", json={"img": empty, "enforce_detection": "false", "max_faces": None})
    assert allowed.json()["results"] == []


def test_models_that_tell_no_age_say_so(serve_settings, probe):
    app = create_app(serve_settings(attributes="none"), open_access=True, parts=[compatible_part("deepface")])
    with running(app) as address, client(address) as api:
        answer = api.post("/analyze", json={"img": data_uri(probe)})
    assert answer.status_code == 400
    assert "attributes" in answer.json()["error"]


def test_a_key_is_taken_as_a_bearer_token(serve_settings, tmp_path, probe):
    keys = KeyStore.open(tmp_path / "api.keys")
    _, secret = keys.create("app", "read")
    with (
        running(create_app(serve_settings(), keys=keys, parts=[compatible_part("deepface")])) as address,
        client(address) as api,
    ):
        refused = api.post("/represent", json={"img": data_uri(probe)})
        assert (refused.status_code, refused.json().keys()) == (401, {"message"})
        taken = api.post(
            "/represent", json={"img": data_uri(probe)}, headers={"authorization": f"Bearer {secret}"}
        ).json()
    assert len(taken["results"]) == 1
