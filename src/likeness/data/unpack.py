"""Archives, unpacked without trusting them: plain files and folders only, and only below the folder given."""

from __future__ import annotations

import errno
import gzip
import lzma
import re
import shutil
import stat
import tarfile
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Self

from likeness.data.sources.base import Told, nobody
from likeness.errors import Conflict, DownloadCorrupt, StorageFull

_SPARE_BYTES = 64 << 20
_MOST_UNFOLDED = 100
"""Bytes that come out for one that goes in; photos hardly give two, tables ten. Beyond it is a bomb."""
_LONGEST_HEADER = 1 << 20
_DAMAGES = (tarfile.TarError, zipfile.BadZipFile, EOFError, zlib.error, lzma.LZMAError, gzip.BadGzipFile)
_Entry = tuple[str, int, IO[bytes] | None]
"""Name, size, and contents; a folder has none."""


def unpack(archive: Path, out: Path, *, progress: Told = nobody) -> int:
    """Unpack a tar (of any compression) or a ZIP below `out`; how many files came out.

    All of it comes into a folder beside first. What is there already under a name of the archive must be the same
    files. `progress` is told bytes.

    Raises:
        DownloadCorrupt: it is no such archive, is damaged, or has an entry that leaves the folder or is a link.
        Conflict: something else is there. StorageFull: there is not enough space.
    """
    out.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=out))
    try:
        try:
            count = _write_all(_entries(archive, progress), aside, archive)
        except NotImplementedError as error:
            raise DownloadCorrupt(f"{archive.name} is packed in a way that is not read: {error}") from error
        except (*_DAMAGES, OSError) as error:
            # A place before the archive's start is its own fault; other errors of the system are the disk's.
            if not isinstance(error, _DAMAGES) and error.errno not in (None, errno.EINVAL):
                raise
            raise DownloadCorrupt(f"{archive.name} is damaged: {error}", hint="download it again") from error
        if not count:
            raise DownloadCorrupt(f"{archive.name} has no files in it")
        _move(aside, out)
        return count
    finally:
        shutil.rmtree(aside, ignore_errors=True)


class _Member(tarfile.TarInfo):
    """An entry of a tar whose name and facts, which are read into memory, are of a length that somebody may mean."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> Self:
        """See `tarfile.TarInfo.frombuf`.

        Raises:
            ReadError: it states more.
        """
        found = super().frombuf(buf, encoding, errors)
        if found.type in _HEADERS and not 0 <= found.size <= _LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {found.size:,} bytes")
        return found


_HEADERS = (
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
)


def _write_all(entries: Iterator[_Entry], aside: Path, archive: Path) -> int:
    """Write all entries; how many files they are."""
    most_bytes, total, count = _SPARE_BYTES + _MOST_UNFOLDED * archive.stat().st_size, 0, 0
    for entry in entries:
        total += entry[1]
        if total > most_bytes:
            raise DownloadCorrupt(
                f"{archive.name} is not unpacked: it unfolds to more than {_MOST_UNFOLDED} times its size",
                hint="photos do not: look into the archive before you trust it",
            )
        count += _write(entry, aside, archive.name)
    return count


def _entries(archive: Path, progress: Told) -> Iterator[_Entry]:
    if _is_tar(archive):
        return _of_tar(archive, progress)
    if zipfile.is_zipfile(archive):
        return _of_zip(archive, progress)
    raise DownloadCorrupt(f"{archive.name} is neither a tar nor a ZIP archive", hint="look at what the address gives")


def _is_tar(archive: Path) -> bool:
    try:
        with tarfile.open(archive, tarinfo=_Member):
            return True
    except tarfile.TarError:
        return False


def _of_tar(archive: Path, progress: Told) -> Iterator[_Entry]:
    total = archive.stat().st_size
    with archive.open("rb") as raw, tarfile.open(fileobj=raw, mode="r:*", tarinfo=_Member) as tar:
        for member in tar:
            progress(min(raw.tell(), total), total)
            if member.isdir():
                yield member.name, 0, None
            elif member.isreg() and not member.issparse():
                yield member.name, member.size, tar.extractfile(member)
            else:
                raise _refused(archive.name, member.name, "a link or a device")
        while tar.fileobj is not None and tar.fileobj.read(1 << 20):
            pass  # to the very end, where gzip keeps the sum that tells damage
    progress(total, total)


def _of_zip(archive: Path, progress: Told) -> Iterator[_Entry]:
    with zipfile.ZipFile(archive) as packed:
        total, done = sum(info.file_size for info in packed.infolist()), 0
        for info in packed.infolist():
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                raise _refused(archive.name, info.filename, "a link or a device")
            if info.flag_bits & 1:
                raise _refused(archive.name, info.filename, "encrypted")
            if info.is_dir():
                yield info.filename, 0, None
                continue
            with packed.open(info) as file:
                yield info.filename, info.file_size, file
            done += info.file_size
            progress(done, total)


def _write(entry: _Entry, aside: Path, archive: str) -> int:
    name, size_bytes, file = entry
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or "\\" in name or "\0" in name or re.match(r"[A-Za-z]:", name):
        raise _refused(archive, name, "outside the folder")
    path = aside.joinpath(*parts)
    if file is None:
        path.mkdir(parents=True, exist_ok=True)
        return 0
    if not parts or path.exists():
        raise _refused(archive, name, "there twice")
    free_bytes = shutil.disk_usage(aside).free
    if size_bytes + _SPARE_BYTES > free_bytes:
        raise StorageFull(
            f"{archive} does not fit: {name!r} has {size_bytes >> 20} MiB and {free_bytes >> 20} MiB are left",
            hint="free some space, then run the same command again",
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as target:
        shutil.copyfileobj(file, target, 1 << 20)
    return 1


def _move(aside: Path, out: Path) -> None:
    """Put what was unpacked in its place; the same files from an earlier run may be there."""
    fresh = sorted(aside.iterdir())
    for path in fresh:
        there = out / path.name
        if there.exists() and _sizes(there) != _sizes(path):
            raise Conflict(
                f"{str(there)!r} is there already and holds other files than the archive",
                hint="move it away, or name another folder",
            )
    for path in fresh:
        if not (out / path.name).exists():
            path.replace(out / path.name)


def _sizes(path: Path) -> dict[str, int]:
    if path.is_file():
        return {"": path.stat().st_size}
    return {file.relative_to(path).as_posix(): file.stat().st_size for file in path.rglob("*") if file.is_file()}


def _refused(archive: str, name: str, why: str) -> DownloadCorrupt:
    return DownloadCorrupt(
        f"{archive} is not unpacked: its entry {name!r} is {why}", hint="look into the archive before you trust it"
    )
