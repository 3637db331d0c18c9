"""Queues between the steps of the pipeline: one contract, three bodies, chosen by URI."""

from __future__ import annotations

import re
from pathlib import Path

from likeness import plugins
from likeness.addresses import masked
from likeness.errors import InputError, SettingsError
from likeness.intake.queues.backoff import backoff_s
from likeness.intake.queues.base import Body, DeadLetter, Depth, Message, Queue

__all__ = ["Body", "DeadLetter", "Depth", "Message", "Queue", "backoff_s", "open_queue"]

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,39}")


def open_queue(uri: str | Path, name: str) -> Queue:
    """Open the queue `name` at `uri`, and make it where it is not there yet.

    A path is the embedded one; `redis://`, `rediss://`, `unix://` and `sqs://` are servers'. An opened queue may be
    used from several threads; each process opens its own.

    Raises:
        SettingsError: the address cannot be used, or nothing speaks its scheme.
        InputError: the name has other letters than a-z, 0-9, - and _, or more than 40.
        ExtraMissing: the library for it is not installed.
        QueueUnavailable: its server does not answer.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a queue", hint="up to 40 of a-z, 0-9, - and _, a letter first")
    scheme, separator, _ = str(uri).partition("://")
    kind = scheme if separator else "file"
    if kind not in plugins.targets("queue"):
        raise SettingsError(
            f"no queue speaks {kind}:// ({masked(str(uri))})",
            hint="a path opens the embedded queue; redis://host, sqs://region/prefix a server's",
        )
    queue: Queue = plugins.load("queue", kind)(str(uri), name)
    return queue
