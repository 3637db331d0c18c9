"""Reaching SQS: what its address says, the client for it, and the one mapping of boto3's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from likeness.addresses import masked
from likeness.errors import ExtraMissing, QueueUnavailable, SettingsError
from likeness.intake import STEPS

PREFIX = "likeness"
_FIRST = STEPS[0]
"""The queue that events come to: the option `queue` is about it alone, as each step needs a queue of its own."""
_NAME = re.compile(r"[A-Za-z0-9_-]{1,75}")


def queue_name(uri: str, name: str) -> str:
    """What the queue `name` is called there.

    Raises:
        SettingsError: the address cannot be used.
    """
    parts, query = urlsplit(uri), _options(uri)
    other = query.get("queue") if name == _FIRST else None
    full = other or f"{parts.path.strip('/') or PREFIX}-{name}"
    if not _NAME.fullmatch(full):
        raise _unusable(uri, f"SQS has no queue called {full!r}")
    return full


def open_client(uri: str, *, read_s: float) -> Any:
    """A client of boto3 for the region and endpoint that an address names; it asks nothing yet.

    Raises:
        ExtraMissing: the extra `sqs` is not installed.
        SettingsError: the address cannot be used.
    """
    try:
        import boto3
        from botocore.config import Config
    except ImportError as error:
        raise ExtraMissing("a queue on SQS needs boto3", hint="pip install 'likeness[sqs]'") from error
    query = _options(uri)
    settings = Config(connect_timeout=5, read_timeout=read_s, retries={"mode": "standard", "total_max_attempts": 3})
    with sqs_errors(masked(uri)):
        return boto3.session.Session().client(
            "sqs", region_name=urlsplit(uri).netloc or None, endpoint_url=query.get("endpoint"), config=settings
        )


def _options(uri: str) -> dict[str, str]:
    if "@" in urlsplit(uri).netloc:
        raise SettingsError(
            f"queue {masked(uri)}: credentials do not belong into the address",
            hint="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile, or a role give them",
        )
    query = {key: values[-1] for key, values in parse_qs(urlsplit(uri).query).items()}
    if strange := query.keys() - {"endpoint", "queue"}:
        raise _unusable(uri, f"there is no option {min(strange)!r}")
    return query


def _unusable(uri: str, why: str) -> SettingsError:
    hint = "sqs://eu-central-1/likeness?endpoint=http://127.0.0.1:5055"
    return SettingsError(f"queue {masked(uri)} cannot be used: {why}", hint=hint)


@contextmanager
def sqs_errors(shown: str) -> Iterator[None]:
    """Turn errors of boto3 into those of a queue."""
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        NoRegionError,
        PartialCredentialsError,
    )

    try:
        yield
    except (NoCredentialsError, PartialCredentialsError) as error:
        raise QueueUnavailable(
            f"the queue {shown} needs credentials",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or name a profile with AWS_PROFILE",
        ) from error
    except (NoRegionError, ValueError) as error:
        raise SettingsError(
            f"queue {shown} cannot be used", hint="it must name a region: sqs://eu-central-1/likeness"
        ) from error
    except ClientError as error:
        raise QueueUnavailable(
            f"the queue {shown} refuses: {code_of(error)}", hint="check the account's rights on it"
        ) from error
    except (BotoCoreError, OSError) as error:
        raise QueueUnavailable(
            f"the queue {shown} cannot be used: {type(error).__name__}", hint="check the address and the network"
        ) from error


def code_of(error: Any) -> str:
    """The code of a client's error, without the namespace that older protocols put before it."""
    return str(error.response.get("Error", {}).get("Code", "unknown")).rpartition(".")[2]


def count_messages(client: Any, url: str) -> tuple[int, int, int]:
    """How many messages a queue has, roughly: to be received, delayed, and in flight."""
    names = [f"ApproximateNumberOfMessages{ending}" for ending in ("", "Delayed", "NotVisible")]
    found = client.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    ready, delayed, in_flight = (int(found.get(name, 0)) for name in names)
    return ready, delayed, in_flight
