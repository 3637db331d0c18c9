"""Looking after people over HTTP."""

from __future__ import annotations

import base64
import time

from likeness.server.app import create_app
from running_server import client, running


def test_people_are_listed_page_by_page_also_while_some_are_erased(api, names):
    found, after = [], None
    while True:
        page = api.get("/v1/people", params={"limit": 5} | ({"after": after} if after else {})).json()
        found += [person["name"] for person in page["people"]]
        after = page["next"]
        if after is None:
            break
        if len(found) == 5:
            api.delete(f"/v1/people/{page['people'][-1]['id']}")  # who the cursor stands on
    assert found == names


def test_people_are_found_by_a_part_of_their_name(api, names):
    found = api.get("/v1/people", params={"query": names[0].split()[1][:4].lower()}).json()["people"]
    assert names[0] in [person["name"] for person in found]


def test_a_cursor_that_is_none_is_refused(api):
    for cursor in ("x", "W10=", "bnVsbA==", "\u00e9"):
        answer = api.get("/v1/people", params={"after": cursor})
        assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")


def test_a_person_is_renamed_merged_described_and_erased(api, names):
    first, second = names[:2]
    assert api.patch(f"/v1/people/{first}", json={"name": "Ada"}).json()["name"] == "Ada"
    assert api.patch("/v1/people/Ada", json={"name": second}).json()["error"]["code"] == "person_exists"
    before = api.get(f"/v1/people/{second}").json()
    merged = api.post(f"/v1/people/{second}/merge", json={"into": "Ada"}).json()
    assert merged["faces"] == before["faces"] * 2
    assert api.get(f"/v1/people/{before['id']}").status_code == 404
    card = api.put("/v1/people/Ada/profile", json={"occupation": "baker", "city": "Ulm"}).json()["profile"]
    assert card == {"occupation": "baker", "city": "Ulm"}
    card = api.patch("/v1/people/Ada/profile", json={"put": {"age": 40}, "remove": ["city"]}).json()["profile"]
    assert card == {"occupation": "baker", "age": 40} == api.get("/v1/people/Ada/profile").json()["profile"]
    erased = api.delete("/v1/people/Ada").json()
    assert erased["faces_erased"] == before["faces"] * 2
    assert api.get("/v1/people/Ada").json()["error"]["code"] == "person_not_found"


def test_plain_json_is_taken_up_to_a_length_so_that_nobody_waits_while_it_is_parsed(api, names):
    long = b'{"a": [' + b"[]," * 200_000 + b"1]}"
    as_json = {"content-type": "application/json"}
    for content in (long, iter([long[:300_000], long[300_000:]])):
        answer = api.put(f"/v1/people/{names[0]}/profile", content=content, headers=as_json)
        assert (answer.status_code, answer.json()["error"]["code"]) == (413, "body_too_large")


def test_pictures_are_listed_shown_and_erased(api, names):
    listed = api.get(f"/v1/people/{names[0]}/pictures").json()
    path = f"/v1/people/{names[0]}/pictures/{listed[0]['id']}"
    shown = api.get(path)
    assert (shown.headers["content-type"], shown.content[:2]) == ("image/jpeg", b"\xff\xd8")
    assert api.delete(path).json()["faces_erased"] == 1
    assert api.get(path).json()["error"]["code"] == "picture_not_found"
    assert len(api.get(f"/v1/people/{names[0]}").json()["pictures"]) == len(listed) - 1


def test_a_picture_is_shown_only_as_its_own_persons(api, names):
    number = api.get(f"/v1/people/{names[0]}/pictures").json()[0]["id"]
    assert api.get(f"/v1/people/{names[1]}/pictures/{number}").status_code == 404


def test_nobody_is_looked_up_elsewhere_unless_it_was_switched_on(api, names):
    answer = api.get(f"/v1/people/{names[0]}/profile", params={"look_up": "true"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (422, "request_invalid")


def test_no_answer_holds_a_path_of_this_machine(api, gallery_path, names):
    api.post("/v1/gallery/snapshots")
    for path in ("gallery", "models", "people", f"people/{names[0]}", "jobs", "ready", "models/mtcnn"):
        answer = api.get(f"/v1/{path}")
        assert answer.status_code == 200, answer.text
        assert str(gallery_path.parent) not in answer.text
        assert "/bundles/" not in answer.text


def test_the_name_of_a_model_is_not_taken_for_a_folder(api):
    for name in ("..%2f..%2fetc", "%2fetc%2fpasswd", ".x", "~"):
        assert api.get(f"/v1/models/{name}").status_code == 404


def test_what_is_done_is_in_the_audit_trail_under_who_did_it(server, api, names, gallery_path):
    from likeness.gallery import open_gallery

    api.get(f"/v1/people/{names[0]}")
    api.delete(f"/v1/people/{names[0]}")
    with open_gallery(gallery_path, create=False) as gallery:
        last = gallery.events()[-2:]
    assert [(event.action, event.actor) for event in last] == [("show", "api:local"), ("forget", "api:local")]


def test_consent_is_recorded_taken_back_and_retention_enforced_by_a_job(api, names):
    given = {"basis": "signed a form", "source": "desk", "retain_until": "2999-01-01"}
    answer = api.put(f"/v1/people/{names[0]}/consent", json=given).json()
    assert (answer["consent"]["basis"], answer["retain_until"]) == ("signed a form", "2999-01-01")
    assert api.put(f"/v1/people/{names[0]}/consent", json={"basis": ""}).status_code == 422
    assert _purged(api, dry_run=True)["due"] == []
    assert api.delete(f"/v1/people/{names[0]}/consent").json()["consent"] is None
    assert _purged(api, dry_run=True) == {"due": [answer["id"]], "erased": 0, "failed": []}
    assert _purged(api) == {"due": [answer["id"]], "erased": 1, "failed": []}
    assert api.get(f"/v1/people/{answer['id']}").status_code == 404


def _purged(api, **asked):
    job = api.post("/v1/gallery/purge", json=asked).json()
    for _ in range(600):
        job = api.get(f"/v1/jobs/{job['id']}").json()
        if job["state"] not in ("waiting", "running"):
            break
        time.sleep(0.05)
    return job["result"]


def test_somebody_is_erased_with_proof_and_without_this_machines_paths(api, names):
    answer = api.delete(f"/v1/people/{names[0]}", params={"prove": True}).json()
    assert answer["proof"]["proved"]
    assert answer["proof"]["files_scanned"] >= 1
    assert "/" not in str(answer["proof"]["audit_seal"])
    assert "files_found_in" not in answer["proof"]
    assert api.delete(f"/v1/people/{names[1]}").json()["proof"] is None


def test_where_consent_is_required_nobody_is_enrolled_without_it(serve_settings, samples, names):
    folder = samples / "people" / names[0].replace(" ", "_")
    photo = base64.b64encode(sorted(folder.iterdir())[0].read_bytes()).decode()
    settings = serve_settings(require_consent=True)
    with running(create_app(settings, open_access=True)) as address, client(address) as api:
        api.delete(f"/v1/people/{names[0]}")
        refused = api.post("/v1/people", json={"name": "New One", "photos": [photo]})
        assert (refused.status_code, refused.json()["error"]["code"]) == (422, "consent_missing")
        agreed = api.post("/v1/people", json={"name": "New One", "photos": [photo], "consent": "signed a form"})
        assert agreed.status_code == 201
        assert api.get("/v1/people/New One").json()["consent"]["basis"] == "signed a form"
