"""What a message on the queue `detect` says has arrived: our own form, and what S3 itself sends.

A bucket tells of its objects in three ways, each of which may come wrapped: straight to SQS (`Records`, keys encoded as
in an HTML form), the same through an SNS topic (a text in `Message`, unless raw delivery is switched on), and through
EventBridge (`detail`, keys as they are). MinIO and Ceph send the first form.
See https://docs.aws.amazon.com/AmazonS3/latest/userguide/notification-content-structure.html and …/ev-events.html.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import unquote_plus

from likeness.errors import InputError, SettingsError
from likeness.storage.s3 import object_uri

Arrival = Mapping[str, Any]
"""`uri` of an object, and where our own message says so, the person's `name` and the `job` that it belongs to."""

_OWN = {"uri": str, "name": str, "job": str}
_WRAPS = 3
"""EventBridge to SNS to SQS is one inside the other inside the message; nobody wraps deeper."""


def arrivals(body: Mapping[str, Any]) -> list[Arrival]:
    """The objects that a message tells of; none where it is S3's test, or tells of another change than an arrival.

    Raises:
        InputError: it is a message of a kind that is not known, or says of no object which it is. It will say the same
            each time: bury it.
    """
    inner = _unwrapped(body)
    if "uri" in inner:
        return [_own(inner)]
    if inner.get("Event") == "s3:TestEvent":
        return []
    if isinstance(inner.get("Records"), list):
        return list(_from_records(inner["Records"]))
    if inner.get("source") == "aws.s3" and isinstance(inner.get("detail"), Mapping):
        return _from_event_bridge(inner)
    known = ", ".join(sorted(str(name)[:40] for name in inner)[:8]) or "nothing"
    raise InputError(
        f"a message that tells of no arrival: it has {known}", hint='expected {"uri": …} or an event of S3'
    )


def _unwrapped(body: Mapping[str, Any]) -> Mapping[str, Any]:
    """What SNS carries in its envelope, or the message itself."""
    for _ in range(_WRAPS):
        if body.get("Type") != "Notification" or not isinstance(body.get("Message"), str):
            return body
        try:
            inner = json.loads(body["Message"])
        except (ValueError, RecursionError):
            raise InputError("a notification of SNS whose message is no JSON") from None
        if not isinstance(inner, Mapping):
            raise InputError("a notification of SNS whose message is no object of JSON")
        body = inner
    raise InputError(f"a message in more than {_WRAPS} envelopes")


def _own(body: Mapping[str, Any]) -> Arrival:
    arrival = {name: body[name] for name in _OWN if body.get(name) is not None}
    for name, value in arrival.items():
        if not isinstance(value, _OWN[name]) or not value:
            raise InputError(f"a message whose {name} is no text")
    if "uri" not in arrival:
        raise InputError("a message whose uri is no text")
    return arrival


def _from_records(records: Iterable[Any]) -> Iterable[Arrival]:
    for record in records:
        if not isinstance(record, Mapping):
            raise InputError("an event of S3 with a record that is no object of JSON")
        kind = str(record.get("eventName", "")).removeprefix("s3:")
        if not kind:
            raise InputError("an event without eventName, which those of S3 have")
        if "s3" not in record:  # as of a table or a stream: it was not meant for us, and is not thrown away
            raise InputError(f"an event of {str(record.get('eventSource', 'something else'))[:40]}, not of S3")
        if kind.startswith("ObjectCreated:"):
            yield from _arrival(record.get("s3"), encoded=True)


def _from_event_bridge(body: Mapping[str, Any]) -> list[Arrival]:
    if body.get("detail-type") != "Object Created":
        return []
    return list(_arrival(body["detail"], encoded=False))


def _arrival(told: Any, *, encoded: bool) -> Iterable[Arrival]:
    """The object of one event, unless it is the empty one that stands for a folder."""
    try:
        bucket, key = told["bucket"]["name"], told["object"]["key"]
        if not isinstance(bucket, str) or not isinstance(key, str):
            raise TypeError
        key = unquote_plus(key, errors="strict") if encoded else key
        if not key.endswith("/"):
            yield {"uri": object_uri(bucket, key)}
    except (KeyError, TypeError, UnicodeDecodeError, SettingsError) as error:
        raise InputError("an event of S3 that does not say which object of which bucket it is about") from error
