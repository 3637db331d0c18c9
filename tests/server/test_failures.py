"""How errors look from outside."""

from __future__ import annotations

import json

import pytest
from fastapi import FastAPI, HTTPException
from starlette.testclient import TestClient

from likeness import errors
from likeness.server.failures import handle_failures, house_shape
from likeness.server.metrics import Metrics
from likeness.server.middleware import Guard

SECRET = "/srv/private/people.gallery"


def below(kind: type[errors.LikenessError]) -> list[type[errors.LikenessError]]:
    return [each for sub in kind.__subclasses__() for each in (sub, *below(sub))]


def raising(error: Exception, shapes=None) -> TestClient:
    app = FastAPI()
    handle_failures(app)
    app.state.shapes = shapes or {}

    @app.get("/broken/{name}")
    async def broken(name: str) -> None:
        raise error

    app.add_middleware(Guard, metrics=Metrics())
    return TestClient(app)


@pytest.mark.parametrize("kind", below(errors.LikenessError), ids=lambda kind: kind.code)
def test_every_error_of_ours_has_one_shape_its_own_status_and_code(kind):
    answer = raising(kind("what happened", hint="what to do")).get("/broken/x")
    body = answer.json()
    assert answer.status_code == kind.http_status >= 400
    assert set(body) == {"error", "request_id"}
    assert set(body["error"]) == {"code", "message", "details"}
    assert body["error"]["code"] == kind.code
    assert body["error"]["message"]
    assert body["request_id"] == answer.headers["x-request-id"]


@pytest.mark.parametrize("family", [errors.StorageError, errors.ModelError, errors.SettingsError, errors.RemoteError])
def test_errors_about_this_machine_do_not_show_their_message(family):
    for kind in [family, *below(family)]:
        text = raising(kind(f"{SECRET} is damaged", hint=f"look at {SECRET}")).get("/broken/x").text
        assert SECRET not in text


@pytest.mark.parametrize("kind", [errors.GalleryMissing, errors.SpaceMismatch, errors.Conflict, errors.NotFound])
def test_neither_do_others_whose_message_holds_a_path(kind):
    assert SECRET not in raising(kind(f"{SECRET} holds other vectors")).get("/broken/x").text


def test_an_error_that_nobody_foresaw_shows_nothing_of_itself(caplog):
    answer = raising(RuntimeError(f"{SECRET} Nadia Okafor")).get("/broken/Nadia")
    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "unexpected"
    assert SECRET not in answer.text


def test_what_is_busy_says_when_to_come_again():
    error = errors.Overloaded("too much")
    error.retry_after_s = 2.3
    answer = raising(error).get("/broken/x")
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "3")


def test_a_missing_key_is_asked_for():
    answer = raising(errors.KeyMissing("this server wants an API key")).get("/broken/x")
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


@pytest.mark.parametrize(
    ("method", "path", "code"), [("GET", "/none", "route_not_found"), ("PUT", "/broken/x", "method_not_allowed")]
)
def test_routes_that_are_not_there_answer_in_the_same_shape(method, path, code):
    assert raising(HTTPException(400)).request(method, path).json()["error"]["code"] == code


def test_a_family_of_routes_may_have_a_shape_of_its_own():
    shapes = {"/broken": lambda failure, request_id: {"oops": failure.code}, "/brok": house_shape}
    answer = raising(errors.NoFace("no face was found"), shapes).get("/broken/x")
    assert answer.json() == {"oops": "no_face"}
    assert answer.status_code == 422


def test_every_answer_has_security_headers_and_no_cors():
    answer = raising(errors.NoFace("no face")).get("/broken/x", headers={"origin": "https://elsewhere.example"})
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
    assert not [name for name in answer.headers if name.startswith("access-control")]


def test_an_id_of_a_request_that_could_forge_a_log_line_is_not_taken():
    answer = raising(errors.NoFace("no face")).get("/broken/x", headers={"x-request-id": 'a","event":"b'})
    assert answer.headers["x-request-id"].isalnum()
    assert json.loads(answer.text)["request_id"] == answer.headers["x-request-id"]
