"""What the hub's library raises, as errors of ours: no token and no address with a password is ever part of one."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from likeness.errors import (
    AccessRefused,
    InputError,
    LikenessError,
    RemoteError,
    RemoteNotFound,
    StorageError,
    StorageFull,
    Unreachable,
)

_TOKEN_HINT = "log in with `hf auth login`, or set HF_TOKEN to a token that may do this"  # noqa: S105 - words


@contextmanager
def remote_errors(name: str, revision: str | None = None) -> Iterator[None]:
    """Turn whatever the hub's library raises into an error of ours, about the repository of that name."""
    try:
        yield
    except LikenessError:
        raise
    except Exception as error:
        ours = _ours(error, name, revision)
        if ours is None and error.__cause__ is not None:  # uploads wrap what went wrong
            ours = _ours(error.__cause__, name, revision)
        if ours is None:
            raise
        raise ours from error


def _ours(error: BaseException, name: str, revision: str | None) -> LikenessError | None:
    import httpx2
    from huggingface_hub import errors as theirs

    where = f"{name!r} on the hub"
    if isinstance(error, theirs.OfflineModeIsEnabled):
        return Unreachable(f"{where} cannot be reached: HF_HUB_OFFLINE is set", hint="unset HF_HUB_OFFLINE")
    if isinstance(error, theirs.HFValidationError):
        return InputError(f"{name!r} cannot be a repository's name", hint="expected OWNER/NAME")
    if isinstance(error, theirs.LocalTokenNotFoundError):
        return AccessRefused(f"{where} wants to know who asks, and there is no token", hint=_TOKEN_HINT)
    if isinstance(error, theirs.HfHubHTTPError):
        return _answered(error, where, revision)
    if isinstance(error, httpx2.HTTPError | ConnectionError | TimeoutError | theirs.LocalEntryNotFoundError):
        hint = "check the network and HF_ENDPOINT, then run the same command again"
        return Unreachable(f"{where} cannot be reached: {_reason(error)}", hint=hint)
    if isinstance(error, OSError):
        if error.errno == errno.ENOSPC:
            return StorageFull(
                f"no space is left for {name!r}", hint="free some space, then run the same command again"
            )
        return StorageError(
            f"the files of {name!r} cannot be read or written: {error.strerror or type(error).__name__}"
        )
    return None


def _answered(error: Any, where: str, revision: str | None) -> LikenessError:
    """The error for an answer of the hub that says no."""
    from huggingface_hub import errors as theirs

    status = getattr(error.response, "status_code", 0)
    if isinstance(error, theirs.GatedRepoError):
        return AccessRefused(f"{where} is gated", hint=f"ask for access on its page, then {_TOKEN_HINT}")
    if isinstance(error, theirs.RevisionNotFoundError):
        return RemoteNotFound(f"{where} has no revision {revision!r}", hint="name a branch, a tag or a commit")
    if isinstance(error, theirs.RepositoryNotFoundError):
        hint = f"check the name; if it is private, {_TOKEN_HINT}"
        return RemoteNotFound(f"{where} does not exist, or may not be seen", hint=hint)
    if status in (401, 403):
        return AccessRefused(f"{where} refuses this (HTTP {status}){_said(error)}", hint=_TOKEN_HINT)
    if status == 404:
        return RemoteNotFound(f"{where} has no such file or revision (HTTP 404)")
    later = "try again later" if status >= 500 or status == 429 else None
    return RemoteError(f"{where} failed with HTTP {status}{_said(error)}", hint=later)


def _said(error: Any) -> str:
    """What the hub says about it, shortened to a line and without anything that looks like a token."""
    words = " ".join(str(getattr(error, "server_message", None) or "").split())[:200]
    return f": {re.sub(r'hf_[A-Za-z0-9]+', 'hf_…', words)}" if words else ""


def _reason(error: BaseException) -> str:
    words = re.sub(r"^\[Errno -?\d+\] ", "", str(error))
    # Long texts of the library repeat addresses, which may hold a password.
    return words if words and len(words) < 80 and "://" not in words else type(error).__name__
