"""One file on its way from a server to the disk: resumed where it broke off, and only if it is still the same file."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from likeness.data.sources.base import Download, Told
from likeness.errors import AccessRefused, InputError, RemoteError, RemoteNotFound, StorageFull, Unreachable
from likeness.web import BREAKS, USER_AGENT, opener, shown

TIMEOUT_S = 30.0
TRIES = 4
"""How often in a row a transfer may stop without a byte more."""

_CHUNK = 1 << 18
_SPARE_BYTES = 64 << 20
AGAIN = "run the same command again: it goes on where it stopped"


class Transfer:
    """One file on its way; what has come is in `part`, and which version of the file it is in a note beside it."""

    def __init__(self, entry: Download, part: Path, out: Path, progress: Told) -> None:
        self.entry, self.part, self.out, self.progress = entry, part, out, progress
        self.note = part.with_name(f"{part.name}.json")

    def run(self) -> int:
        """Get what is missing, with new tries after breaks; how many bytes were here from before."""
        resumed = before = self._here()
        failures = 0
        while True:
            broken: Exception | None = None
            try:
                if self._once():
                    return resumed
            except urllib.error.HTTPError as error:
                raise _refused(error, self.entry.url) from error
            except http.client.InvalidURL as error:
                raise InputError(f"{shown(self.entry.url)!r} is no address") from error
            except BREAKS as error:
                broken = error
            here = self._here()
            failures = 0 if here > before else failures + 1
            if failures == TRIES or (here == 0 and isinstance(broken, urllib.error.URLError)):
                raise _unreachable(broken, self.entry, here) from broken
            before = here
            time.sleep(min(0.1 * 2**failures, 5.0))

    def forget(self) -> None:
        """Take away what has come and the note on it."""
        self.part.unlink(missing_ok=True)
        self.note.unlink(missing_ok=True)

    def _here(self) -> int:
        return self.part.stat().st_size if self.part.is_file() else 0

    def _once(self) -> bool:
        """Ask once and write what comes; whether the file is whole now."""
        headers = {"Accept-Encoding": "identity", "User-Agent": USER_AGENT}
        offset = self._here()
        validator = self._validator()
        if offset and (validator or self.entry.sha256):
            headers["Range"] = f"bytes={offset}-"
            if validator:
                headers["If-Range"] = validator
        else:
            offset = 0
        url, account = _signed(self.entry.url)
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http only, see opener
        if account:
            request.add_unredirected_header("Authorization", account)  # another server must not learn it
        try:
            answer = opener(redirects=True).open(request, timeout=TIMEOUT_S)
        except urllib.error.HTTPError as error:
            with error:
                if error.code != 416:
                    raise
                if error.headers.get("Content-Range", "").rpartition("/")[2] == str(offset):
                    return True
                self.forget()  # the file there is shorter than what is here: begin anew
                return False
        with answer:
            return self._write(answer, offset)

    def _write(self, answer: Any, offset: int) -> bool:
        if answer.status != 206 or not answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
            if answer.status == 206:
                self.forget()
                return False
            offset = 0
        length = answer.headers.get("Content-Length")
        total = offset + int(length) if length and length.isdigit() else 0
        _expect_space(self.out, max(total, self.entry.size_bytes) - offset, self.entry.file)
        tag, changed = answer.headers.get("ETag", ""), answer.headers.get("Last-Modified", "")
        validator = tag if tag and not tag.startswith("W/") else changed
        self.note.write_text(json.dumps({"url": shown(self.entry.url), "validator": validator}), "utf-8")
        done = offset
        with self.part.open("r+b" if offset else "wb") as file:
            file.seek(offset)
            while chunk := answer.read1(_CHUNK):
                file.write(chunk)
                done += len(chunk)
                self.progress(done, total or self.entry.size_bytes)
            file.truncate()
            file.flush()
            os.fsync(file.fileno())
        return not total or done == total

    def _validator(self) -> str:
        """What says that the file at the address is still the one that has begun to come."""
        try:
            facts = json.loads(self.note.read_bytes())
        except (FileNotFoundError, ValueError):
            return ""
        return str(facts["validator"]) if facts.get("url") == shown(self.entry.url) else ""


def _signed(url: str) -> tuple[str, str]:
    """An address without the account that it may name, and what a header says of the account."""
    parts = urlsplit(url)
    account, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, ""
    words = base64.b64encode(unquote(account).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), f"Basic {words}"


def _refused(error: urllib.error.HTTPError, url: str) -> RemoteError | RemoteNotFound:
    """The error for an answer that says no."""
    where = shown(url)
    if error.code in (404, 410):
        return RemoteNotFound(f"{where} is not there (HTTP {error.code})", hint="give another address with --url")
    if error.code in (401, 403):
        return AccessRefused(f"{where} refuses to give the file (HTTP {error.code})")
    return RemoteError(f"{where} failed with HTTP {error.code}", hint=f"later, {AGAIN}")


def _unreachable(error: Exception | None, entry: Download, here: int) -> Unreachable:
    """The error for no answer, or for a transfer that breaks off again and again."""
    if isinstance(error, urllib.error.URLError):
        reason = getattr(error.reason, "strerror", None) or error.reason
        hint = f"check the network (and a proxy, if there is one), then {AGAIN}"
        return Unreachable(f"{shown(entry.url)} cannot be reached: {reason}", hint=hint)
    return Unreachable(f"{shown(entry.url)} broke off; {here} bytes of {entry.file} are here", hint=AGAIN)


def _expect_space(folder: Path, needed_bytes: int, name: str) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes + _SPARE_BYTES > free_bytes:
        raise StorageFull(
            f"{name} needs {needed_bytes >> 20} MiB more and {str(folder)!r} has {free_bytes >> 20} MiB left",
            hint="free some space, or name a folder on another disk",
        )


def digest_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
