"""Errors as answers: `{"error": {"code", "message", "details"}, "request_id"}`, without traceback or server path.

Only errors about what the client sent show their own message. All others, whose messages may name files of this
machine, show what their class stands for; the message itself goes nowhere, not even into the log.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from likeness.errors import (
    AccessError,
    FaceOfAnother,
    InputError,
    JobNotFound,
    KeyInvalid,
    KeyMissing,
    LikenessError,
    ModelNotFound,
    PersonExists,
    PersonNotFound,
    PictureNotFound,
    RateUnsupported,
    RequestDiffers,
    ServiceError,
)

_SHOWN = (
    InputError,
    PersonNotFound,
    PictureNotFound,
    ModelNotFound,
    JobNotFound,
    PersonExists,
    FaceOfAnother,
    RequestDiffers,
    RateUnsupported,
    AccessError,
    ServiceError,
)
"""Their messages speak of what the client sent, or are written for it."""
CLIENT_LEFT = 499
_HTTP_CODES = {404: "route_not_found", 405: "method_not_allowed", 400: "bad_request", 415: "media_type_unknown"}
_HTTP_WORDS = {
    404: "there is nothing at this address",
    405: "this address does not take that method",
    400: "the request's body cannot be read",
    415: "the request's body must be a form (multipart/form-data) or JSON",
}


@dataclass(frozen=True, slots=True)
class Failure:
    """What a client is told: a status, and an error that is the same in every shape.

    Attributes:
        details: plain data; `hint` where there is one, `fields` where fields of the request are wrong.
    """

    status: int
    code: str
    message: str
    details: Mapping[str, Any] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def said(self) -> str:
        """The message with what to do next, for shapes that have one place for both."""
        hint = self.details.get("hint")
        return f"{self.message} ({hint})" if hint else self.message


Shape = Callable[[Failure, str], Any]
"""From a failure and the request's id to the JSON that a family of routes answers with; or to a whole answer, where
such a failure has another status there."""


def house_shape(failure: Failure, request_id: str) -> dict[str, Any]:
    """The shape of our own routes."""
    error = {"code": failure.code, "message": failure.message, "details": dict(failure.details)}
    return {"error": error, "request_id": request_id}


def public_dict(error: LikenessError) -> dict[str, str]:
    """An error as plain data, as `LikenessError.as_dict`, without what a client may not read."""
    if isinstance(error, _SHOWN):
        return error.as_dict()
    return {"code": error.code, "message": (type(error).__doc__ or error.code).split("\n")[0]}


def failure_of(error: Exception) -> Failure:
    """What a client is told about any exception."""
    if isinstance(error, LikenessError):
        return _of_ours(error)
    if isinstance(error, RequestValidationError):
        return Failure(422, "request_invalid", "the request has fields that cannot be used", _fields(error))
    if isinstance(error, HTTPException):
        code = _HTTP_CODES.get(error.status_code, f"http_{error.status_code}")
        message = _HTTP_WORDS.get(error.status_code, "the request cannot be answered")
        return Failure(error.status_code, code, message, headers=dict(error.headers or {}))
    return Failure(500, "unexpected", "something unexpected happened; the request's id finds it in the server's log")


def _of_ours(error: LikenessError) -> Failure:
    headers: dict[str, str] = {}
    if isinstance(error, ServiceError):
        headers["Retry-After"] = str(max(math.ceil(error.retry_after_s), 1))
    if isinstance(error, KeyMissing | KeyInvalid):
        headers["WWW-Authenticate"] = "Bearer"
    public = public_dict(error)
    details: dict[str, Any] = {"hint": public["hint"]} if "hint" in public else {}
    details |= getattr(error, "details", {})
    return Failure(error.http_status, error.code, public["message"], details, headers)


def _fields(error: RequestValidationError) -> dict[str, Any]:
    """Which fields are wrong, and how; what was sent is not repeated."""
    found = [
        {"field": ".".join(str(part) for part in each["loc"]) or "body", "message": str(each["msg"])}
        for each in error.errors()
    ]
    return {"fields": found[:20]}


async def _nobody_reads(request: Request, error: Exception) -> Response:
    """The client left: the log says so by a status of its own."""
    return Response(status_code=CLIENT_LEFT)


def request_id_of(request: Request) -> str:
    """The id that the request was given on arrival."""
    return str(request.scope.get("likeness.request_id", ""))


def answer_failure(request: Request, error: Exception) -> Response:
    """The answer to a request that failed, in the shape of its family of routes."""
    failure = failure_of(error)
    request.scope["likeness.error"] = failure.code
    shapes: Mapping[str, Shape] = getattr(request.app.state, "shapes", {})
    path = request.url.path
    families = [prefix for prefix in shapes if path == prefix or path.startswith(f"{prefix.rstrip('/')}/")]
    shape = shapes[max(families, key=len)] if families else house_shape
    told = shape(failure, request_id_of(request))
    answer = told if isinstance(told, Response) else JSONResponse(told, status_code=failure.status)
    answer.headers.update(failure.headers)
    return answer


def handle_failures(app: FastAPI) -> None:
    """Have every exception answered so, also those nobody foresaw."""

    async def handle(request: Request, error: Exception) -> Response:
        return answer_failure(request, error)

    app.add_exception_handler(ClientDisconnect, _nobody_reads)
    for kind in (LikenessError, RequestValidationError, HTTPException):
        app.add_exception_handler(kind, handle)
