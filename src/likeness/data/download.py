"""Files from a publisher's site: fetched with resume, verified, and unpacked without trusting the archive.

What has come stays in `OUT/.downloads` until it is whole, so that the next try goes on where this one was cut off.
"""

from __future__ import annotations

import base64
import errno
import hashlib
import http.client
import json
import os
import re
import shutil
import ssl
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit, urlunsplit

from likeness.data.sources.base import Download, Source, Told, nobody
from likeness.data.unpack import unpack
from likeness.errors import (
    AccessRefused,
    Conflict,
    DownloadCorrupt,
    InputError,
    RemoteError,
    RemoteNotFound,
    StorageError,
    StorageFull,
    Unreachable,
)

ASIDE = ".downloads"
TIMEOUT_S = 30.0
TRIES = 4
"""How often in a row a transfer may stop without a byte more."""

_CHUNK = 1 << 18
_SPARE_BYTES = 64 << 20
_BREAKS = (ConnectionError, TimeoutError, ssl.SSLError)
_AGAIN = "run the same command again: it goes on where it stopped"


@dataclass(frozen=True, slots=True)
class Fetched:
    """A file that is here now.

    Attributes:
        file: its name. sha256: hex digest of what came.
        verified: whether a digest was known to compare with. size_bytes: how long it is.
        resumed_at_bytes: how much of it was here from before. unpacked: how many files came out of it.
        already: whether there was nothing left to do.
    """

    file: str
    sha256: str
    verified: bool
    size_bytes: int
    resumed_at_bytes: int = 0
    unpacked: int = 0
    already: bool = False


def downloads_of(source: type[Source], *, url: str = "", sha256: str = "") -> tuple[Download, ...]:
    """What is to be fetched for a source; with a `url` only that file, whose digest is `sha256`.

    Another address of a file that the publisher has under the same name must give the same bytes.

    Raises:
        InputError: the publisher lets nobody fetch it; the hint says how it is got. Or an argument is malformed.
    """
    if sha256 and not re.fullmatch(r"[0-9a-fA-F]{64}", sha256):
        raise InputError(f"{sha256!r} is no SHA-256 digest", hint="expected 64 hexadecimal digits")
    if not url:
        if not source.downloads:
            raise InputError(f"{source.title} cannot be downloaded: {source.licence}", hint=source.how_to_get)
        if sha256:
            return (replace(source.downloads[0], sha256=sha256.lower()), *source.downloads[1:])
        return source.downloads
    name = Path(unquote(urlsplit(url).path)).name
    if urlsplit(url).scheme not in ("http", "https") or not name or name.startswith("."):
        raise InputError(
            f"{shown(url)!r} is no address of a file", hint="expected http:// or https:// and a file's name"
        )
    known = next((entry for entry in source.downloads if entry.file == name), None)
    digest = sha256.lower() or (known.sha256 if known else "")
    is_archive = name.lower().endswith((".tar", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz", ".zip"))
    return (Download(url=url, file=name, sha256=digest, unpack=is_archive),)


def download(entry: Download, out: Path, *, keep: bool = False, progress: Told = nobody) -> Fetched:
    """Have a file, or what is in the archive that it is, below the folder `out`.

    With `keep` the archive stays, in `out/.downloads`. `progress` is told bytes, of the transfer and then of unpacking.

    Raises:
        Unreachable, AccessRefused, RemoteNotFound, RemoteError: the server did not give it.
        DownloadCorrupt: it has another digest, or is an archive that must not be unpacked.
        Conflict: another file of that name is there. StorageError: it cannot be written; StorageFull: no space.
    """
    aside = out / ASIDE
    note = aside / f"{entry.file}.done.json"
    try:
        aside.mkdir(parents=True, exist_ok=True)
        done = _done(note, entry, out)
        if done is not None:
            return done
        fetched = _fetch(entry, aside, out, progress)
        whole = aside / entry.file
        if not entry.unpack:
            whole.replace(out / entry.file)
        else:
            fetched = replace(fetched, unpacked=unpack(whole, out, progress=progress))
            if not keep:
                whole.unlink()
        facts = {"url": shown(entry.url), "sha256": fetched.sha256, "bytes": fetched.size_bytes}
        note.write_text(json.dumps(facts | {"verified": fetched.verified, "unpacked": fetched.unpacked}), "utf-8")
        return fetched
    except OSError as error:
        raise _storage(error, out) from error


def shown(url: str) -> str:
    """An address for messages: without account, password and query, which may be secret."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    port = f":{parts.port}" if parts.port else ""
    return f"{parts.scheme}://{host}{port}{parts.path}"


def _done(note: Path, entry: Download, out: Path) -> Fetched | None:
    """What an earlier run finished, if it still is what is asked for."""
    if not entry.unpack and (out / entry.file).exists():
        digest = _digest(out / entry.file)
        known = entry.sha256 or (json.loads(note.read_bytes())["sha256"] if note.is_file() else "")
        if digest != known:
            hint = "move it away, or name another folder"
            raise Conflict(f"{str(out / entry.file)!r} is there already and is another file", hint=hint)
        size_bytes = (out / entry.file).stat().st_size
        return Fetched(entry.file, digest, bool(entry.sha256), size_bytes, already=True)
    if not entry.unpack or not note.is_file():
        return None
    facts = json.loads(note.read_bytes())
    same = facts["sha256"] == entry.sha256 if entry.sha256 else facts["url"] == shown(entry.url)
    if not same:
        return None
    return Fetched(
        entry.file, facts["sha256"], bool(entry.sha256), facts["bytes"], unpacked=facts["unpacked"], already=True
    )


def _fetch(entry: Download, aside: Path, out: Path, progress: Told) -> Fetched:
    """The whole file in `aside`, its digest compared."""
    whole, part = aside / entry.file, aside / f"{entry.file}.part"
    resumed = 0
    if not (whole.is_file() and entry.sha256 and _digest(whole) == entry.sha256):
        transfer = _Transfer(entry, part, out, progress)
        resumed = transfer.run()
        digest = _digest(part)
        if entry.sha256 and digest != entry.sha256:
            transfer.forget()
            raise DownloadCorrupt(
                f"{entry.file} has the digest {digest}, expected {entry.sha256}: it is another file, or was damaged",
                hint="run the command again; where the publisher has changed the file, state its digest with --sha256",
            )
        part.replace(whole)
        transfer.forget()
    return Fetched(entry.file, _digest(whole), bool(entry.sha256), whole.stat().st_size, resumed)


class _Transfer:
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
            except (urllib.error.URLError, http.client.HTTPException, *_BREAKS) as error:
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
        headers = {"Accept-Encoding": "identity", "User-Agent": "likeness"}
        offset = self._here()
        validator = self._validator()
        if offset and (validator or self.entry.sha256):
            headers["Range"] = f"bytes={offset}-"
            if validator:
                headers["If-Range"] = validator
        else:
            offset = 0
        url, signed = _signed(self.entry.url)
        request = urllib.request.Request(url, headers=headers | signed)  # noqa: S310 - http only, see _opener
        try:
            answer = _opener().open(request, timeout=TIMEOUT_S)
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
                self.progress(done, total or self.entry.size_bytes or done)
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


def _opener() -> urllib.request.OpenerDirector:
    """Opens http and https, with the environment's proxies; neither files nor ftp, wherever a server sends us."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler,
        urllib.request.HTTPHandler,
        urllib.request.HTTPSHandler,
        urllib.request.HTTPRedirectHandler,
        urllib.request.HTTPErrorProcessor,
        urllib.request.HTTPDefaultErrorHandler,
        urllib.request.UnknownHandler,
    ):
        opener.add_handler(handler())
    return opener


def _signed(url: str) -> tuple[str, dict[str, str]]:
    """An address without the account that it may name, and the header that says the account."""
    parts = urlsplit(url)
    account, at, host = parts.netloc.rpartition("@")
    if not at:
        return url, {}
    words = base64.b64encode(unquote(account).encode()).decode()
    return urlunsplit(parts._replace(netloc=host)), {"Authorization": f"Basic {words}"}


def _refused(error: urllib.error.HTTPError, url: str) -> RemoteError | RemoteNotFound:
    """The error for an answer that says no."""
    where = shown(url)
    if error.code in (404, 410):
        return RemoteNotFound(f"{where} is not there (HTTP {error.code})", hint="give another address with --url")
    if error.code in (401, 403):
        return AccessRefused(f"{where} refuses to give the file (HTTP {error.code})")
    return RemoteError(f"{where} failed with HTTP {error.code}", hint=f"later, {_AGAIN}")


def _unreachable(error: Exception | None, entry: Download, here: int) -> Unreachable:
    """The error for no answer, or for a transfer that breaks off again and again."""
    if isinstance(error, urllib.error.URLError):
        reason = getattr(error.reason, "strerror", None) or error.reason
        hint = f"check the network (and a proxy, if there is one), then {_AGAIN}"
        return Unreachable(f"{shown(entry.url)} cannot be reached: {reason}", hint=hint)
    return Unreachable(f"{shown(entry.url)} broke off; {here} bytes of {entry.file} are here", hint=_AGAIN)


def _expect_space(folder: Path, needed_bytes: int, name: str) -> None:
    free_bytes = shutil.disk_usage(folder).free
    if needed_bytes + _SPARE_BYTES > free_bytes:
        raise StorageFull(
            f"{name} needs {needed_bytes >> 20} MiB more and {str(folder)!r} has {free_bytes >> 20} MiB left",
            hint="free some space, or name a folder on another disk",
        )


def _storage(error: OSError, out: Path) -> StorageError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return StorageFull(f"no space is left in {str(out)!r}", hint=f"free some space, then {_AGAIN}")
    return StorageError(f"{str(out)!r} cannot be written: {error.strerror or type(error).__name__}")


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(1 << 20):
            digest.update(chunk)
    return digest.hexdigest()
