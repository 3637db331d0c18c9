"""The audit trail: append-only, ids instead of names, each line sealed by a hash over the line before it.

hash(i) = sha256(hash(i-1) + canonical JSON of line i), with 64 zeros before the first. Changing, dropping or
inserting a line breaks every hash after it; dropping the last ones shows in the engine's own counter. Whoever may write
the record can still write the whole chain anew: a seal (the count and last hash) that is kept elsewhere shows that too.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from likeness.errors import InputError
from likeness.gallery.base import Finding, TrailCheck
from likeness.gallery.stated import now

_START = "0" * 64


class Line(NamedTuple):
    """A line as it is sealed: its number from 1 on, ISO time, who, what, to whom, and details as canonical JSON."""

    number: int
    at: str
    actor: str
    action: str
    person_id: str | None
    details: str


def write(
    number: int, last_hash: str | None, action: str, actor: str, person_id: str | None, details: Mapping[str, Any]
) -> tuple[Line, str]:
    """The next line and its hash; `last_hash` is the one of the line before, None where there is none."""
    line = Line(number, now(), actor, action, person_id, _canonical(dict(details)))
    return line, _seal(last_hash or _START, line)


def verify(lines: Iterable[tuple[Line, str]], *, written: int, sealed: str | None = None) -> TrailCheck:
    """Whether the chain is whole, and still passes through the line and hash of an earlier seal (`count:hash`).

    `lines` come in order, each with its hash; `written` is how many the engine has ever written. Names the first line
    that does not fit.

    Raises:
        InputError: `sealed` is no seal.
    """
    then, hash_then = _parse(sealed)
    previous, count, fault = _START, 0, ""
    for line, seal in lines:
        if line.number != count + 1 or _seal(previous, line) != seal:
            fault = f"line {line.number} was changed, or lines before it are missing"
            break
        previous, count = seal, count + 1
        if count == then and seal != hash_then:
            fault = f"the trail up to line {then} was written anew since it was sealed"
            break
    else:
        if count != written:
            fault = f"the last lines, after line {count}, are missing"
        elif count < then:
            fault = f"lines {count + 1} to {then}, which were there when it was sealed, are missing"
    words = fault or f"{count} lines, all as written"
    return TrailCheck(Finding("audit trail", not fault, words), f"{count}:{previous}")


def _parse(sealed: str | None) -> tuple[int, str]:
    if sealed is None:
        return 0, _START
    matched = re.fullmatch(r"(\d{1,18}):([0-9a-f]{64})", sealed.strip())
    if matched is None or (int(matched[1]) == 0 and matched[2] != _START):
        raise InputError(f"{sealed!r} is no seal of an audit trail", hint="a seal reads 12:3f…, as it was shown")
    return int(matched[1]), matched[2]


def _canonical(value: object) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _seal(previous: str, line: tuple[object, ...]) -> str:
    return hashlib.sha256((previous + _canonical(line)).encode()).hexdigest()
