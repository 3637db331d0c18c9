"""Files from a publisher's site: fetched with resume, verified, and unpacked without trusting the archive.

What has come stays in `OUT/.downloads` until it is whole, so that the next try goes on where this one was cut off.
"""

from __future__ import annotations

import fcntl
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from likeness.data.dataset import storage_error
from likeness.data.sources.base import Download, Source, Told, nobody
from likeness.data.transfer import Transfer, digest_of
from likeness.data.unpack import unpack
from likeness.errors import Conflict, DownloadCorrupt, InputError
from likeness.web import shown

ASIDE = ".downloads"


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

    With `keep` the archive stays, in `out/.downloads`. `progress` is told bytes, of the transfer (of 0 where the
    server does not say how many) and then of unpacking.

    Raises:
        Unreachable, AccessRefused, RemoteNotFound, RemoteError: the server did not give it.
        DownloadCorrupt: it has another digest, or is an archive that must not be unpacked.
        Conflict: another file of that name is there. StorageError: it cannot be written; StorageFull: no space.
    """
    aside = out / ASIDE
    note = aside / f"{entry.file}.done.json"
    try:
        aside.mkdir(parents=True, exist_ok=True)
        with _alone(aside):
            done = _done(note, entry, out)
            return done if done is not None else _get(entry, aside, note, out, keep, progress)
    except OSError as error:
        raise storage_error(error, out) from error
    finally:
        for folder in (aside, out):  # nothing came: leave nothing
            with suppress(OSError):
                folder.rmdir()


def _get(entry: Download, aside: Path, note: Path, out: Path, keep: bool, progress: Told) -> Fetched:
    """Fetch the file, put it or what is in it in its place, and note that, so that a killed run finds out."""
    fetched = _fetch(entry, aside, out, progress)
    whole = aside / entry.file
    if entry.unpack:
        fetched = replace(fetched, unpacked=unpack(whole, out, progress=progress))
    facts = {"url": shown(entry.url), "sha256": fetched.sha256, "bytes": fetched.size_bytes}
    facts |= {"verified": fetched.verified, "unpacked": fetched.unpacked}
    half = note.with_name(f"{note.name}.part")
    half.write_text(json.dumps(facts), "utf-8")
    half.replace(note)
    if not entry.unpack:
        whole.replace(out / entry.file)
    elif not keep:
        whole.unlink()
    return fetched


@contextmanager
def _alone(aside: Path) -> Iterator[None]:
    """Keep other processes from downloading into the folder at the same time.

    Raises:
        Conflict: another does.
    """
    lock = aside / "lock"
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for its end, or name another folder"
            raise Conflict(f"another download into {str(aside.parent)!r} is at work", hint=hint) from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def _noted(note: Path) -> dict[str, Any]:
    """What an earlier run noted; nothing where there is no note, or none that can be read."""
    try:
        facts = json.loads(note.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return facts if isinstance(facts, dict) and {"url", "sha256", "bytes", "unpacked"} <= facts.keys() else {}


def _done(note: Path, entry: Download, out: Path) -> Fetched | None:
    """What an earlier run finished, if it still is what is asked for."""
    if not entry.unpack and (out / entry.file).exists():
        digest = digest_of(out / entry.file)
        known = entry.sha256 or _noted(note).get("sha256", "")
        if digest != known:
            hint = "move it away, or name another folder"
            raise Conflict(f"{str(out / entry.file)!r} is there already and is another file", hint=hint)
        size_bytes = (out / entry.file).stat().st_size
        return Fetched(entry.file, digest, bool(entry.sha256), size_bytes, already=True)
    facts = _noted(note)
    if not entry.unpack or not facts:
        return None
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
    if not (whole.is_file() and entry.sha256 and digest_of(whole) == entry.sha256):
        transfer = Transfer(entry, part, out, progress)
        resumed = transfer.run()
        digest = digest_of(part)
        if entry.sha256 and digest != entry.sha256:
            transfer.forget()
            raise DownloadCorrupt(
                f"{entry.file} has the digest {digest}, expected {entry.sha256}: it is another file, or was damaged",
                hint="run the command again; where the publisher has changed the file, state its digest with --sha256",
            )
        part.replace(whole)
        transfer.forget()
    return Fetched(entry.file, digest_of(whole), bool(entry.sha256), whole.stat().st_size, resumed)
