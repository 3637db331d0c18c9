"""Files that are no galleries, damaged ones, and disks that are full or may only be read."""

from __future__ import annotations

import os
import shutil
import sqlite3
import stat
import subprocess

import pytest
from gallery_oracle import DIMENSION, SPACE, new_face, unit

from likeness.errors import GalleryBusy, GalleryCorrupt, GalleryMissing, StorageError, StorageFull
from likeness.gallery import open_gallery
from likeness.gallery.base import Gallery
from likeness.gallery.embedded import schema
from needed import missing


def other_database(path):
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE t (x)")
    connection.commit()
    connection.close()


@pytest.mark.parametrize(
    "make",
    [
        lambda path: path.write_bytes(b"\xff\xd8\xff\xe0 a photo" * 100),
        lambda path: path.write_text("hello"),
        lambda path: path.mkdir(),
        other_database,
        lambda path: path.write_bytes(b"SQLite format 3\0" + b"rubbish" * 999),
    ],
    ids=["photo", "text", "folder", "another program's database", "rubbish after the header"],
)
def test_a_path_that_is_something_else_is_not_opened_as_a_gallery(embedded_at, tmp_path, make):
    make(tmp_path / "people.likeness")
    with pytest.raises(GalleryCorrupt, match=r"people\.likeness"):
        embedded_at()


def test_a_file_whose_creation_was_interrupted_becomes_a_gallery(embedded_at, tmp_path):
    path = tmp_path / "people.likeness"
    path.touch()
    with pytest.raises(GalleryMissing):
        embedded_at(create=False)
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.close()
    assert path.stat().st_size > 0
    with embedded_at() as gallery:
        assert gallery.add([new_face("Ann", 1)])[0].status == "added"


def test_a_damaged_page_is_said_to_be_damage(embedded_at, tmp_path):
    path = tmp_path / "people.likeness"
    with embedded_at() as gallery:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(500)])
    data = bytearray(path.read_bytes())
    for page in range(2, len(data) // 4096):
        data[page * 4096 : page * 4096 + 64] = os.urandom(64)
    path.write_bytes(data)

    def use(gallery: Gallery) -> None:
        list(gallery.faces())

    with pytest.raises(GalleryCorrupt, match="damaged"), embedded_at() as gallery:
        use(gallery)


def test_the_check_finds_damage_that_nobody_has_met_yet(embedded_at, tmp_path):
    path = tmp_path / "people.likeness"
    with embedded_at() as gallery:
        gallery.add([new_face(f"P{seed}", seed, crop_jpeg=b"c" * 3000) for seed in range(300)])
    data = bytearray(path.read_bytes())
    page = len(data) // 4096 - 3
    data[page * 4096 : page * 4096 + 40] = b"\x55" * 40
    path.write_bytes(data)
    with embedded_at() as gallery:
        findings = gallery.check()
    assert not findings[0].ok
    assert "damaged" in findings[0].message


def test_a_gallery_of_a_newer_version_is_refused(embedded_at, tmp_path):
    embedded_at().close()
    connection = sqlite3.connect(tmp_path / "people.likeness")
    connection.execute("PRAGMA user_version=99")
    connection.close()
    with pytest.raises(StorageError, match="newer"):
        embedded_at()


def test_an_older_version_is_migrated_when_it_is_opened(embedded_at, tmp_path, monkeypatch):
    with embedded_at() as gallery:
        gallery.add([new_face("Ann", 1)])
    steps = (*schema.MIGRATIONS, "CREATE TABLE later (x);\nINSERT INTO later VALUES (1);\n")
    monkeypatch.setattr(schema, "MIGRATIONS", steps)
    with embedded_at() as gallery:
        assert gallery.person("Ann").faces == 1
    connection = sqlite3.connect(tmp_path / "people.likeness")
    assert connection.execute("PRAGMA user_version").fetchone() == (len(steps),)
    assert connection.execute("SELECT x FROM later").fetchall() == [(1,)]
    connection.close()


def test_the_files_belong_to_their_owner_alone(embedded_at, tmp_path):
    with embedded_at(approximate_above=1) as gallery:
        gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
        gallery.snapshot(tmp_path / "snap")
        gallery.build_index()
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert {name: oct(mode) for name, mode in modes.items() if mode & 0o077} == {}


def test_a_gallery_that_is_held_too_long_is_busy(embedded_at, tmp_path):
    with embedded_at(busy_timeout_s=0.2) as gallery:
        holder = sqlite3.connect(tmp_path / "people.likeness", isolation_level=None)
        holder.execute("BEGIN IMMEDIATE")
        with pytest.raises(GalleryBusy):
            gallery.add([new_face("Ann", 1)])
        holder.close()
        assert gallery.add([new_face("Ann", 1)])[0].status == "added"


def test_a_closed_gallery_says_so(embedded_at):
    gallery = embedded_at()
    gallery.close()
    gallery.close()
    for use in (gallery.info, gallery.people, lambda: gallery.add([new_face("Ann", 1)])):
        with pytest.raises(StorageError, match="closed"):
            use()


def test_a_full_file_refuses_faces_and_stays_whole(embedded_at):
    with embedded_at() as gallery:
        gallery.add([new_face("Ann", 1)])
        with gallery._store.outside_transactions() as connection:
            pages = connection.execute("PRAGMA page_count").fetchone()[0]
            connection.execute(f"PRAGMA max_page_count={pages + 5}")
        with pytest.raises(StorageFull, match="no space"):
            gallery.add([new_face(f"P{seed}", seed, crop_jpeg=b"c" * 9000) for seed in range(50)])
        assert [person.name for person in gallery.people()] == ["Ann"]
        assert all(finding.ok for finding in gallery.check())


@pytest.fixture
def small_disk(tmp_path):
    """A real file system of 2 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0 or shutil.which("mount") is None:
        missing("mounting a small disk takes root")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounted.returncode:
        missing("this machine does not mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", folder], check=True)


def test_a_full_disk_loses_nothing_that_was_acknowledged(embedded_at, small_disk):
    acknowledged = 0
    with embedded_at("disk/people.likeness") as gallery:

        def fill() -> None:
            nonlocal acknowledged
            for seed in range(10_000):
                gallery.add([new_face(f"P{seed}", seed, crop_jpeg=b"c" * 5000)])
                acknowledged += 1

        with pytest.raises(StorageFull):
            fill()
        assert gallery.info().faces == acknowledged > 20
        assert gallery.search(unit(3)[None], 1)[0][0].name == "P3"
        with pytest.raises(StorageFull):
            gallery.snapshot(small_disk / "snap")
        assert not (small_disk / "snap").exists()
        assert gallery.info().details["snapshots"] == 0
    with embedded_at("disk/people.likeness") as gallery:
        assert gallery.info().faces == acknowledged
        assert all(finding.ok for finding in gallery.check() if finding.name != "erasures")


def test_a_gallery_on_a_read_only_disk_is_searched_but_not_changed(embedded_at, small_disk):
    with embedded_at("disk/people.likeness") as gallery:
        gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with embedded_at("disk/people.likeness") as gallery:
        assert gallery.search(unit(1)[None], 1)[0][0].name == "Ann"
        assert gallery.info().details["readonly"] is True
        assert all(finding.ok for finding in gallery.check())
        for change in (
            lambda: gallery.add([new_face("Cyd", 3)]),
            lambda: gallery.remove(gallery.person("Ann").id),
            lambda: gallery.record("look", actor="x"),
        ):
            with pytest.raises(StorageError, match=r"read|Read"):
                change()
    with pytest.raises(StorageError):
        open_gallery(small_disk / "new.likeness", space=SPACE, dimension=DIMENSION)
