"""The people's service on PostgreSQL and Elasticsearch: command, API and workers, on an address alone."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from uuid import uuid4

import pytest

sys.path.append(str(Path(__file__).resolve().parents[1] / "gallery"))

from elastic_server import StandIn

from likeness.cli import run
from likeness.server.app import create_app
from likeness.settings import Settings
from running_server import client, running
from working import drain


@pytest.fixture(scope="module")
def stand_in():
    """A server that speaks as Elasticsearch does; nothing that it was asked may break the vendor's contract."""
    with StandIn() as server:
        yield server
        assert server.violations == []


@pytest.fixture(params=["postgresql", "elasticsearch"])
def engine(request) -> str:
    return request.param


@pytest.fixture
def uri(engine, request, monkeypatch) -> str:
    """A gallery of this test's own, which the settings name."""
    if engine == "postgresql":
        address = f"{request.getfixturevalue('postgres_database')}&gallery={uuid4().hex}"
    else:
        address = request.getfixturevalue("stand_in").address()
    monkeypatch.setenv("LIKENESS_GALLERY", address)
    return address


@pytest.fixture
def records(engine, uri, tmp_path) -> str:
    """Where the service keeps what is no gallery: in the same database, or in a file."""
    return uri.partition("&gallery")[0] if engine == "postgresql" else str(tmp_path / "records.db")


@pytest.fixture
def cli(uri, capsys):
    """Runs the command on it; gives its JSON lines."""

    def call(*arguments: object, code: int = 0) -> list:
        capsys.readouterr()
        assert run([*map(str, arguments), "--json"]) == code, capsys.readouterr()
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return call


def finished(api, job: dict) -> dict:
    deadline = time.monotonic() + 30
    while (now := api.get(f"/v1/jobs/{job['id']}").json())["state"] in ("queued", "running"):
        assert time.monotonic() < deadline
        time.sleep(0.05)
    return now


def test_the_command_enrols_a_folder_names_a_face_and_forgets(cli, engine, samples, names, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    people = samples / "people"
    assert {line["status"] for line in cli("enroll", people) if "status" in line} == {"added"}
    assert {line["status"] for line in cli("enroll", people) if "status" in line} == {"duplicate"}
    probe = samples / "probes" / f"{names[0].replace(' ', '_')}_new.jpg"
    [asked] = [line for line in cli("identify", probe) if "answers" in line]
    assert [answer["person"]["name"] for answer in asked["answers"]] == [names[0]]
    [info] = cli("gallery", "info")
    assert (info["engine"], info["people"]) == (engine, len(names))
    assert [check["ok"] for check in cli("gallery", "check")] == [True]
    assert any(finding["name"] == "gallery" and finding["ok"] for finding in cli("doctor")[0]["findings"])
    [copy] = cli("gallery", "snapshot")
    assert Path(copy["snapshot"]).is_relative_to(tmp_path)
    assert cli("gallery", "build-index") == [{"index": "exact"}]
    [forgotten] = cli("people", "forget", names[0], "--yes")
    assert forgotten["faces_erased"] >= 1
    assert forgotten["snapshots_purged_paths"] == [copy["snapshot"]]
    [asked] = [line for line in cli("identify", probe) if "answers" in line]
    assert asked["answers"][0]["decision"] != "match"
    assert names[0] not in {line["name"] for line in cli("people", "list")}
    assert names[0] not in {line["name"] for line in cli("people", "list", "--gallery", copy["snapshot"])}
    assert cli("audit", "--verify")[0]["ok"]
    assert cli("settings")[0]["gallery"]["value"].startswith(f"{engine}://")


def test_the_api_and_its_workers_answer(uri, engine, records, samples, names, tmp_path):
    own = {"serve_answers": str(tmp_path / "answers.db"), "serve_rate_per_minute": 0, "serve_workers": True}
    own |= {"spool": str(tmp_path / "spool")}
    settings = Settings.load(own | {"gallery": uri, "queue": str(tmp_path / "queue.db"), "records": records})
    probe = (samples / "probes" / f"{names[0].replace(' ', '_')}_new.jpg").read_bytes()
    with running(create_app(settings, open_access=True)) as address, client(address) as api:
        photos = sorted((samples / "people" / names[0].replace(" ", "_")).glob("*.jpg"))
        files = [("photos", (path.name, path.read_bytes())) for path in photos]
        assert api.post("/v1/people", data={"name": names[0]}, files=files).status_code == 201
        asked = api.post("/v1/identify", files={"photo": probe})
        assert asked.json()["answers"][0]["person"]["name"] == names[0]
        assert api.get("/v1/gallery").json()["engine"] == engine
        assert finished(api, api.post("/v1/gallery/check").json())["result"]["ok"]
        person = asked.json()["answers"][0]["person"]["id"]
        job = api.post("/v1/jobs", files=[("photos", probe)])
        assert job.status_code == 202, job.text
        drain(settings)
        [photo] = api.get(f"/v1/jobs/{job.json()['id']}/photos").json()["photos"]
        assert photo["answers"][0]["person"]["id"] == person
        assert api.delete(f"/v1/people/{person}").status_code == 200
        assert api.get(f"/v1/people/{person}").status_code == 404
        assert api.post("/v1/identify", files={"photo": probe}).json()["answers"][0]["decision"] != "match"
