"""CompreFace's clients on our gallery: its own client for Python, and requests as its documentation has them."""

from __future__ import annotations

import base64
import json
from uuid import UUID

import pytest
from compreface_client import compreface_client

from attribute_bundles import write_bundle
from likeness.errors import InputError
from likeness.gallery import open_gallery
from likeness.server.app import create_app
from likeness.server.keys import KeyStore
from likeness.server.parts import compatible_part
from likeness.service.compreface import CompreFaceServer
from running_server import client, running

ROOT = "/api/v1/recognition"


@pytest.fixture
def server(serve_settings):
    with running(create_app(serve_settings(), open_access=True, parts=[compatible_part("compreface")])) as address:
        yield address


@pytest.fixture
def sdk(server):
    return compreface_client(server)


@pytest.fixture
def photos(samples, names):
    """Photos of the first person that are enrolled."""
    return sorted((samples / "people" / names[0].replace(" ", "_")).glob("*.jpg"))


def encoded(path):
    return base64.b64encode(path.read_bytes()).decode()


# The client is given bytes: files that it opens by their path it leaves open.
def test_the_client_walks_through_its_services(sdk, names, photos, probe, samples):
    assert sdk.subjects.list() == {"subjects": names}
    assert sdk.subjects.add("Nobody Yet") == {"subject": "Nobody Yet"}
    assert sdk.subjects.add("Nobody Yet") == {"message": "Subject already exists", "code": 43}
    assert "Nobody Yet" in sdk.subjects.list()["subjects"]

    added = sdk.faces.add(probe.read_bytes(), "Nobody Yet")
    assert added["subject"] == "Nobody Yet"
    assert UUID(added["image_id"]).version == 8
    assert sdk.faces.add(probe.read_bytes(), "Nobody Yet") == added

    [face] = sdk.recognition.recognize(probe.read_bytes(), {"prediction_count": 2})["result"]
    assert {entry["subject"] for entry in face["subjects"]} == {"Nobody Yet", names[0]}

    [face] = sdk.faces.verify(photos[0].read_bytes(), added["image_id"])["result"]
    assert (face["subject"], face["similarity"] > 0.9) == ("Nobody Yet", True)

    assert sdk.subjects.update("Nobody Yet", "Somebody") == {"updated": True}
    assert sdk.subjects.update("Somebody", "Somebody") == {"updated": False}
    assert sdk.subjects.update("Nobody Yet", "x") == {
        "message": "nobody in the gallery has the id or name 'Nobody Yet'",
        "code": 42,
    }
    assert sdk.faces.delete(added["image_id"]) == {"image_id": added["image_id"], "subject": "Somebody"}
    assert sdk.faces.delete(added["image_id"])["code"] == 44
    assert sdk.subjects.delete("Somebody") == {"subject": "Somebody"}
    assert sdk.subjects.list() == {"subjects": names}

    assert len(sdk.detection.detect((samples / "group.jpg").read_bytes())["result"]) > 1
    assert sdk.detection.detect((samples / "landscape.jpg").read_bytes()) == {
        "message": "No face is found in the given image",
        "code": 28,
    }


def test_the_client_verifies_pairs_and_the_source_must_show_one_face(sdk, photos, probe, samples, names):
    [result] = sdk.verification.verify(probe.read_bytes(), photos[0].read_bytes())["result"]
    assert [match["similarity"] > 0.9 for match in result["face_matches"]] == [True]
    stranger = samples / "probes" / f"{names[1].replace(' ', '_')}_new.jpg"
    [result] = sdk.verification.verify(probe.read_bytes(), stranger.read_bytes())["result"]
    assert [match["similarity"] < 0.5 for match in result["face_matches"]] == [True]
    assert sdk.verification.verify((samples / "group.jpg").read_bytes(), probe.read_bytes())["code"] == 31
    [result] = sdk.verification.verify(probe.read_bytes(), (samples / "group.jpg").read_bytes(), {"limit": 1})["result"]
    assert len(result["face_matches"]) == 1


def test_everybody_goes_at_once(sdk, names):
    held = sdk.faces.list()["total_elements"]
    of_one = sdk.faces.delete_all(names[0])["deleted"]
    assert 0 < of_one < held
    assert sdk.faces.delete_all(names[0]) == {"deleted": 0}
    assert sdk.subjects.list() == {"subjects": names[1:]}
    assert sdk.subjects.delete_all() == {"deleted": len(names) - 1}
    assert sdk.faces.list()["faces"] == []


def test_a_name_that_is_taken_makes_one_of_two_subjects(api, sdk, names):
    counts = [api.get(f"{ROOT}/faces", params={"subject": name}).json()["total_elements"] for name in names[:2]]
    assert sdk.subjects.update(names[0], names[1]) == {"updated": True}
    assert sdk.subjects.list() == {"subjects": names[1:]}
    merged = api.get(f"{ROOT}/faces", params={"subject": names[1]}).json()
    assert merged["total_elements"] == sum(counts)


def test_plugins_tell_what_was_asked_for_and_no_more(api, probe, recognizer):
    file = {"file": encoded(probe)}
    plain = api.post("/api/v1/detection/detect", json=file).json()
    assert plain.keys() == {"result"}
    assert plain["result"][0].keys() == {"box"}
    box = plain["result"][0]["box"]
    assert 0 <= box["x_min"] < box["x_max"]
    assert 0 <= box["y_min"] < box["y_max"]
    asked = {"face_plugins": "landmarks, calculator,mask,pose", "status": "true"}
    full = api.post("/api/v1/detection/detect", json=file, params=asked).json()
    face = full["result"][0]
    assert face.keys() == {"box", "landmarks", "embedding", "execution_time"}
    assert len(face["embedding"]) == recognizer.dimension
    assert [len(point) for point in face["landmarks"]] == [2] * 5
    assert face["landmarks"][0][0] < face["landmarks"][1][0]
    names = recognizer.model_names
    assert full["plugins_versions"] == {"detector": names["detector"], "calculator": names["embedder"]}


def test_age_and_gender_are_told_where_a_model_tells_them(serve_settings, probe, tmp_path):
    settings = serve_settings(attributes=str(write_bundle(tmp_path / "ages").folder))
    app = create_app(settings, open_access=True, parts=[compatible_part("compreface")])
    with running(app) as address, client(address) as api:
        photo = {"file": probe.read_bytes()}
        native = api.post("/v1/faces", files={"photo": photo["file"]}).json()["faces"][0]
        asked = {"face_plugins": "age,gender", "status": "true"}
        told = api.post("/api/v1/detection/detect", files=photo, params=asked)
    face = told.json()["result"][0]
    assert face["gender"]["value"] == native["gender"]["label"]
    assert face["gender"]["probability"] == pytest.approx(native["gender"]["probability"], abs=1e-5)
    assert face["age"]["low"] <= native["age"]["years"] <= face["age"]["high"]
    assert face["age"]["probability"] == 0.8
    assert told.json()["plugins_versions"]["age"] == "ages"
    assert str(tmp_path) not in told.text


def test_the_similarity_is_the_probability_that_our_own_route_states(api, probe, samples):
    for photo in (probe, samples / "group.jpg"):
        native = api.post("/v1/identify", files={"photo": photo.read_bytes()}).json()["answers"]
        theirs = api.post(f"{ROOT}/recognize", files={"file": photo.read_bytes()}, params={"prediction_count": 3})
        for answer, face in zip(native, theirs.json()["result"], strict=True):
            wanted = [(each["name"], each["probability"]) for each in answer["candidates"][:3]]
            got = [(each["subject"], each["similarity"]) for each in face["subjects"]]
            assert got == [(name, pytest.approx(value, abs=2e-5)) for name, value in wanted]
            assert all(0 < value < 1 for _, value in got), "no certainty by rounding"


def test_limit_and_threshold_choose_the_faces(api, samples):
    photo = {"file": (samples / "group.jpg").read_bytes()}
    everybody = api.post(f"{ROOT}/recognize", files=photo).json()["result"]
    scores = [face["box"]["probability"] for face in everybody]
    between = (max(scores) + min(scores)) / 2
    assert len(api.post(f"{ROOT}/recognize", files=photo, params={"limit": 1}).json()["result"]) == 1
    assert len(api.post(f"{ROOT}/recognize", files=photo, params={"detect_faces": "false"}).json()["result"]) == 1
    few = api.post(f"{ROOT}/recognize", files=photo, params={"det_prob_threshold": between}).json()["result"]
    assert 0 < len(few) == sum(score >= between for score in scores) < len(scores)


def test_an_example_below_the_threshold_is_not_enrolled(api, samples):
    answer = api.post(
        f"{ROOT}/faces",
        params={"subject": "New", "det_prob_threshold": 1.0},
        files={"file": (samples / "probes" / "Mei_Hayashida_new.jpg").read_bytes()},
    )
    assert (answer.status_code, answer.json()["code"]) == (400, 28)
    assert "New" not in api.get(f"{ROOT}/subjects").json()["subjects"]


def test_examples_are_listed_by_pages_downloaded_and_erased_together(api, names):
    first = api.get(f"{ROOT}/faces", params={"size": 7}).json()
    assert (first["page_number"], first["page_size"], len(first["faces"])) == (0, 7, 7)
    assert first["total_pages"] == -(-first["total_elements"] // 7)
    every = [
        (face["image_id"], face["subject"])
        for page in range(first["total_pages"])
        for face in api.get(f"{ROOT}/faces", params={"size": 7, "page": page}).json()["faces"]
    ]
    assert len(set(every)) == len(every) == first["total_elements"]
    assert list(dict.fromkeys(name for _, name in every)) == names
    beyond = api.get(f"{ROOT}/faces", params={"size": 7, "page": first["total_pages"]}).json()
    assert beyond["faces"] == []

    image_id, name = every[0]
    picture = api.get(f"{ROOT}/faces/{image_id}/img")
    assert (picture.headers["content-type"], picture.content[:2]) == ("application/octet-stream", b"\xff\xd8")
    foreign = "6b135f5b-a365-4522-b1f1-4c9ac2dd0728"
    assert api.get(f"{ROOT}/faces/{foreign}/img").content == b""
    gone = api.post(f"{ROOT}/faces/delete", json=[image_id, foreign, image_id])
    assert gone.json() == [{"image_id": image_id, "subject": name}]
    assert api.get(f"{ROOT}/faces").json()["total_elements"] == len(every) - 1


def test_embeddings_that_were_given_out_are_recognized(api, probe, names, photos):
    told = [
        api.post(
            "/api/v1/detection/detect", files={"file": photo.read_bytes()}, params={"face_plugins": "calculator"}
        ).json()["result"][0]["embedding"]
        for photo in (probe, photos[0])
    ]
    long = [10 * value for value in told[0]]
    found = api.post(f"{ROOT}/embeddings/recognize", json={"embeddings": [told[0], long]}).json()["result"]
    assert [each["similarities"][0]["subject"] for each in found] == [names[0]] * 2
    assert found[0]["similarities"] == found[1]["similarities"]
    assert found[1]["embedding"] == long

    flipped = [-value for value in told[0]]
    pair = {"source": told[0], "targets": [flipped, told[1]]}
    matched = api.post("/api/v1/verification/embeddings/verify", json=pair).json()["result"]
    assert [each["embedding"] for each in matched] == [told[1], flipped]
    assert matched[0]["similarity"] > 0.9 > 0.1 > matched[1]["similarity"]

    image_id = api.get(f"{ROOT}/faces", params={"subject": names[0]}).json()["faces"][0]["image_id"]
    body = {"embeddings": [told[0]]}
    [matched] = api.post(f"{ROOT}/embeddings/faces/{image_id}/verify", json=body).json()["result"]
    assert matched["similarity"] > 0.9
    assert api.post(f"{ROOT}/embeddings/recognize", json={"embeddings": []}).json() == {"result": []}


WRONG = [
    ("POST", "/faces?subject=A", {"json": {}}, 400, 34),
    ("POST", "/faces", {"json": {"file": "x" * 100}}, 400, 33),
    ("POST", "/faces?subject=", {"json": {"file": "x" * 100}}, 400, 26),
    ("POST", "/faces?subject=A", {"json": {"file": "/etc/passwd"}}, 400, 26),
    ("POST", "/faces?subject=A", {"json": {"file": "http://127.0.0.1/" + "a" * 80}}, 400, 26),
    ("POST", "/recognize", {"files": {"file": b"GIF, not really"}}, 400, 21),
    ("POST", "/recognize?limit=-1", {"files": {"file": b"x"}}, 400, 26),
    ("POST", "/recognize?prediction_count=0", {"files": {"file": b"x"}}, 400, 26),
    ("POST", "/recognize", {"content": b"x", "headers": {"content-type": "text/plain"}}, 415, 0),
    ("POST", "/subjects", {"json": {"subject": "\u0007"}}, 400, 0),
    ("DELETE", "/subjects/Nobody", {}, 404, 42),
    ("DELETE", "/faces/6b135f5b-a365-4522-b1f1-4c9ac2dd0728", {}, 404, 44),
    ("DELETE", "/faces/17", {}, 400, 26),
    ("POST", "/embeddings/recognize", {"json": {"embeddings": [[1.0, 2.0]]}}, 400, 26),
    ("POST", "/embeddings/recognize", {"json": {"embeddings": [[]] * 5000}}, 400, 26),
    ("POST", "/embeddings/recognize", {"content": b"{" + b"," * 5_000_000}, 400, 26),
    ("POST", "/subjects", {"json": {"subject": "x" * 600_000}}, 413, 0),
    ("GET", "/nothing", {}, 404, 0),
]


def test_errors_have_their_numbers(api):
    for method, path, more, status, code in WRONG:
        answer = api.request(method, ROOT + path, **more)
        told = answer.json()
        assert (answer.status_code, told["code"]) == (status, code), (method, path, answer.text)
        assert told.keys() == {"message", "code"}
        assert told["message"]


def test_keys_are_asked_for_as_compreface_asks_and_erasing_wants_an_admins(serve_settings, tmp_path, names):
    keys = KeyStore.open(tmp_path / "api.keys")
    app = create_app(serve_settings(), keys=keys, parts=[compatible_part("compreface")])
    with running(app) as address, client(address) as api:
        missing = api.get(f"{ROOT}/subjects")
        assert (missing.status_code, missing.json()) == (400, {"message": "Missing header: x-api-key", "code": 20})
        unknown = api.get(f"{ROOT}/subjects", headers={"x-api-key": "lk_secret"})
        assert (unknown.status_code, unknown.json()["code"]) == (404, 10)
        assert "lk_secret" not in unknown.text
        for scope, allowed in (("enrol", False), ("admin", True)):
            _, secret = keys.create(scope, scope)
            sdk = compreface_client(address, secret)
            assert "subjects" in sdk.subjects.list()
            assert ("subject" in sdk.subjects.delete(names[0])) is allowed


def test_the_audit_trail_tells_what_a_compreface_client_did(server, sdk, probe, gallery_path):
    sdk.subjects.add("Ada")
    sdk.faces.add(probe.read_bytes(), "Ada")
    sdk.recognition.recognize(probe.read_bytes())
    sdk.subjects.update("Ada", "Eve")
    sdk.subjects.delete("Eve")
    with open_gallery(gallery_path, create=False) as gallery:
        events = gallery.events()[-5:]
    assert [event.action for event in events] == ["create", "enroll", "identify", "rename", "forget"]
    assert "Ada" not in json.dumps([dict(event.details) for event in events])


def test_a_subject_whose_name_was_forgotten_erases_nobody(api, names):
    answer = api.delete(f"{ROOT}/subjects/", follow_redirects=True)
    assert answer.status_code == 404
    assert api.get(f"{ROOT}/subjects").json()["subjects"] == names


def test_our_import_reads_these_routes_as_it_reads_compreface(server, sdk, names):
    sdk.subjects.add("Nobody Yet")
    remote = CompreFaceServer(server, "any", most_bytes=1_000_000)
    holds = remote.holds()
    assert [*dict.fromkeys(held.subject for held in holds)] == [*names, "Nobody Yet"]
    pictures = [photo.data for photo in remote.photos([holds[0], holds[-1]])]
    assert pictures[0][:2] == b"\xff\xd8"
    assert pictures[1] is None


def test_the_routes_are_there_only_where_they_were_asked_for(serve_settings):
    with running(create_app(serve_settings(), open_access=True)) as address, client(address) as api:
        assert api.get(f"{ROOT}/subjects").json()["error"]["code"] == "route_not_found"
    with pytest.raises(InputError, match="compreface"):
        compatible_part("rekognition")
