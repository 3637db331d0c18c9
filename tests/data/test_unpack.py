"""Archives that are unpacked: nothing leaves the folder, and damage is told."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path

import pytest
from packed_files import BODY, FACES, packed

from likeness.data.unpack import unpack
from likeness.errors import (
    DownloadCorrupt,
)


@pytest.mark.parametrize("kind", ["w:gz", "zip"])
@pytest.mark.parametrize("name", ["../out.txt", "/etc/out.txt", "a/../../out.txt", "C:/out.txt", "a\\..\\out.txt"])
def test_an_entry_that_leaves_the_folder_stops_it_all(tmp_path: Path, name: str, kind: str) -> None:
    (tmp_path / "bad").write_bytes(packed({"good.txt": b"1", name: b"2"}, kind))
    with pytest.raises(DownloadCorrupt, match="outside the folder"):
        unpack(tmp_path / "bad", tmp_path / "deep" / "out")
    assert list((tmp_path / "deep" / "out").iterdir()) == []
    assert not (tmp_path / "deep" / "out.txt").exists()


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_are_not_unpacked(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "bad.tar", "w") as archive:
        info = tarfile.TarInfo("link")
        info.type, info.linkname = kind, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(DownloadCorrupt, match="a link or a device"):
        unpack(tmp_path / "bad.tar", tmp_path / "out")


def test_a_link_in_a_zip_is_not_unpacked(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "bad.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = (stat.S_IFLNK | 0o777) << 16
        archive.writestr(info, "/etc/passwd")
    with pytest.raises(DownloadCorrupt, match="a link or a device"):
        unpack(tmp_path / "bad.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (packed({"a.jpg": os.urandom(90_000)})[:-300], "damaged"),
        (packed(FACES, "zip")[:-5], "neither|damaged"),
        (packed({"a.txt": b"x", "./a.txt": b"y"}), "there twice"),
        (packed({}), "no files"),
        (gzip.compress(b"hello"), "neither"),
        (b"<html>not found</html>", "neither a tar nor a ZIP"),
    ],
    ids=["cut tar", "cut zip", "twice", "empty", "gzip of no tar", "a web page"],
)
def test_what_is_no_sound_archive_is_refused(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "bad").write_bytes(data)
    with pytest.raises(DownloadCorrupt, match=reason):
        unpack(tmp_path / "bad", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


@pytest.mark.parametrize("how", ["gz", "bz2", "xz"])
def test_damage_in_the_middle_of_an_archive_is_the_archives(tmp_path: Path, how: str) -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode=f"w:{how}") as tar:
        for number in range(3):
            info = tarfile.TarInfo(f"{number}.bin")
            info.size = len(BODY)
            tar.addfile(info, io.BytesIO(BODY))
    damaged = bytearray(packed.getvalue())
    damaged[len(damaged) // 2 : len(damaged) // 2 + 40] = bytes(40)
    (tmp_path / "a.tgz").write_bytes(damaged)
    with pytest.raises(DownloadCorrupt):
        unpack(tmp_path / "a.tgz", tmp_path / "out")
