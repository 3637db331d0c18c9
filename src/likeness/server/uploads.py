"""Requests with photos: multipart forms and JSON, read into the same models; the photos as bytes, never as paths."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, ClassVar, TypeVar

from fastapi import Request
from fastapi.concurrency import run_in_threadpool
from pydantic import BaseModel, BeforeValidator, ConfigDict, PlainSerializer, ValidationError, WithJsonSchema
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException

from likeness.errors import InputError, PhotoEmpty, RequestInvalid
from likeness.server.fetching import Fetcher

M = TypeVar("M", bound="PhotoForm")

_FIELDS_MOST = 1100
_LONGEST_NAME = 120


@dataclass(frozen=True, slots=True)
class Picture:
    """A photo as it came: its bytes, or the address where they are; and what its sender calls it, if anything.

    `folder` is the first part of the file's name, where that has several.
    """

    data: bytes = b""
    name: str = ""
    folder: str = ""
    url: str | None = None


def _picture(given: Any) -> Any:
    """A photo from what a field holds: a picture already, base64, a data URL, or an object with an address."""
    if isinstance(given, Picture):
        return given
    if isinstance(given, dict) and set(given) == {"url"} and isinstance(given["url"], str):
        return Picture(url=given["url"])
    if not isinstance(given, str):
        raise ValueError('expected the photo in base64, or an object {"url": "https://…"}')
    text = given.split(",", 1)[1] if given.startswith("data:") and "," in given else given
    try:
        return Picture(base64.b64decode(text, validate=True))
    except (binascii.Error, ValueError):
        raise ValueError("expected the photo in base64") from None


_BY_JSON = {
    "anyOf": [
        {"type": "string", "format": "byte", "description": "The photo's file in base64; a data: URL will do."},
        {
            "type": "object",
            "properties": {"url": {"type": "string", "format": "uri"}},
            "required": ["url"],
            "additionalProperties": False,
            "description": "Where the photo is, on a host that the server's settings allow.",
        },
    ]
}
PhotoField = Annotated[
    Picture,
    BeforeValidator(_picture),
    PlainSerializer(lambda picture: picture.name),
    WithJsonSchema(_BY_JSON),
]
"""A photo in a model of a request."""


_SHORTEST = 64
"""Letters of base64: no photo has fewer, many a path has."""


def _data(given: Any) -> Any:
    """A photo from what a field holds that takes no addresses."""
    if isinstance(given, Picture):
        return given
    if isinstance(given, str) and (given.startswith("data:") or len(given) >= _SHORTEST):
        with suppress(ValueError):
            return _picture(given)
    raise ValueError("expected the photo itself, in base64; paths and addresses are not read")


DataField = Annotated[
    Picture,
    BeforeValidator(_data),
    PlainSerializer(lambda picture: picture.name),
    WithJsonSchema({"type": "string", "format": "byte", "description": "The photo's file in base64."}),
]
"""A photo in a model of a request that takes no addresses."""


class PhotoForm(BaseModel):
    """A request that brings photos, as a multipart form or as JSON. Fields are plain, or lists of plain values.

    Attributes:
        most_parts: about how many values its JSON may hold; each wrong one is an error of its own, which takes time.
    """

    most_parts: ClassVar[int] = 20_000

    model_config = ConfigDict(extra="forbid", arbitrary_types_allowed=True, frozen=True)


def read(model: type[M]) -> Callable[[Request], Coroutine[Any, Any, M]]:
    """A dependency that reads a request of that model.

    Raises:
        RequestInvalid: a field is missing, unknown, or cannot be used.
    """

    async def read_request(request: Request) -> M:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind == "multipart/form-data":
            async with request.form(max_files=_FIELDS_MOST, max_fields=_FIELDS_MOST) as form:
                values = await _from_form(form, model)
            return _validated(partial(model.model_validate, values))
        if kind in ("application/json", ""):
            body = await request.body()
            if body.count(b",") > model.most_parts:
                raise _wrong("body", f"expected at most {model.most_parts:,} values")
            return await run_in_threadpool(_validated, partial(model.model_validate_json, body, strict=True))
        raise HTTPException(415)

    return read_request


async def _from_form(form: FormData, model: type[PhotoForm]) -> dict[str, Any]:
    """A form's fields as the model has them: files as pictures, repeated fields as lists, empty ones left out."""
    lists = {name for name, field in model.model_fields.items() if "tuple" in str(field.annotation)}
    values: dict[str, Any] = {}
    for name in form:
        given = [await _of_file(each) if isinstance(each, UploadFile) else each for each in form.getlist(name)]
        given = [each for each in given if each != ""]
        if name in lists:
            values[name] = given
        elif len(given) > 1:
            raise _wrong(name, "expected one value, got several")
        elif given:
            values[name] = given[0]
    return values


async def _of_file(file: UploadFile) -> Picture:
    """A file of a form; its name's folders are not kept, but for the first."""
    parts = [_shown(part) for part in (file.filename or "").replace("\\", "/").split("/")]
    return Picture(await file.read(), parts[-1], parts[0] if len(parts) > 1 else "")


def _shown(text: str) -> str:
    return "".join(letter for letter in text if letter.isprintable())[:_LONGEST_NAME]


def _validated(validate: Callable[[], M]) -> M:
    try:
        return validate()
    except ValidationError as error:
        fields = [
            {"field": ".".join(map(str, each["loc"])) or "body", "message": each["msg"]} for each in error.errors()
        ]
        raise _invalid(fields[:20]) from None


def _wrong(field: str, message: str) -> RequestInvalid:
    return _invalid([{"field": field, "message": message}])


def _invalid(fields: list[dict[str, str]]) -> RequestInvalid:
    error = RequestInvalid("the request has fields that cannot be used")
    error.details = {"fields": fields}
    return error


async def bytes_of(picture: Picture, fetcher: Fetcher) -> bytes:
    """A photo's bytes, fetched where only their address was given.

    Raises:
        UrlRefused, PhotoTooLarge, RemoteError: they cannot be fetched. PhotoEmpty: there are none.
    """
    data = picture.data if picture.url is None else await fetcher.fetch_aside(picture.url)
    if not data:
        raise PhotoEmpty("the photo has no bytes")
    return data


async def all_bytes_of(pictures: tuple[Picture, ...], fetcher: Fetcher) -> list[bytes | InputError]:
    """Each photo's bytes, or why there are none."""
    found: list[bytes | InputError] = []
    for picture in pictures:
        try:
            found.append(await bytes_of(picture, fetcher))
        except InputError as error:
            found.append(error)
    return found


def body_of(model: type[PhotoForm], *, form: bool = True) -> dict[str, Any]:
    """What OpenAPI says of a request of that model, for a route's `openapi_extra`."""
    schema = model.model_json_schema()
    content = {"application/json": {"schema": schema}}
    if form:
        content["multipart/form-data"] = {"schema": _as_form(schema)}
    return {"requestBody": {"required": True, "content": content}}


def _as_form(schema: Any) -> Any:
    if isinstance(schema, dict) and (schema.get("anyOf") == _BY_JSON["anyOf"] or schema.get("format") == "byte"):
        return {**{k: v for k, v in schema.items() if k != "anyOf"}, "type": "string", "format": "binary"}
    if isinstance(schema, dict):
        return {name: _as_form(value) for name, value in schema.items()}
    return [_as_form(each) for each in schema] if isinstance(schema, list) else schema
