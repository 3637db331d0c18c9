"""What kept work rests on, beside it, so that it is taken up again by the same work only."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from likeness.bundle import sha256_of
from likeness.errors import RunDiffers

Facts = Mapping[str, Any]
"""What it is of, by what people call it: numbers, texts and digests."""


def digest_of(parts: Iterable[bytes | str]) -> str:
    """Hex digest of some parts, each with its length."""
    whole = hashlib.sha256()
    for part in parts:
        data = part.encode("utf-8", "surrogatepass") if isinstance(part, str) else part
        whole.update(len(data).to_bytes(8, "little") + data)
    return whole.hexdigest()


def digest_of_file(path: Path) -> str:
    """Hex digest of a file's bytes; empty where it cannot be read."""
    try:
        return sha256_of(path)
    except OSError:
        return ""


def facts_as_text(facts: Facts) -> str:
    """Facts as one line, the same for the same facts."""
    return json.dumps(dict(facts), sort_keys=True)


def expect_same_work(kept: str, wanted: Facts, path: Path) -> None:
    """Let work go on that is what the file `path` keeps, where it says `kept` (`facts_as_text`).

    Raises:
        RunDiffers: it rests on something else; the message names what.
    """
    its, mine = json.loads(kept), json.loads(facts_as_text(wanted))
    changed = sorted(name for name in its.keys() | mine.keys() if its.get(name) != mine.get(name))
    if changed:
        raise RunDiffers(
            f"{str(path)!r} was made with something else: {', '.join(changed)}",
            hint="name another folder to work in, or delete the file to make it anew",
        )
