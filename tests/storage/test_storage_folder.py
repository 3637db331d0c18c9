"""What is a folder's own: links, half-written files, names, permissions."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import pytest

from likeness.errors import InputError, SettingsError, StorageMissing, StorageRefused
from likeness.storage import locate, open_storage


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "kept").mkdir()
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret.jpg").write_bytes(b"secret")
    return tmp_path / "kept"


def test_links_lead_nowhere(folder):
    outside = folder.parent / "outside"
    (folder / "file.jpg").symlink_to(outside / "secret.jpg")
    (folder / "people").symlink_to(outside)
    storage = open_storage(folder)
    assert list(storage.list()) == []
    assert list(storage.list("people/")) == []
    for key in ("file.jpg", "people/secret.jpg"):
        with pytest.raises(StorageMissing):
            storage.read(key)
        assert not storage.exists(key)
    with pytest.raises(StorageMissing):
        storage.write("people/new.jpg", b"x")
    storage.write("file.jpg", b"ours")
    assert (outside / "secret.jpg").read_bytes() == b"secret"
    storage.delete("people/secret.jpg")
    assert [path.name for path in outside.iterdir()] == ["secret.jpg"]


def test_a_pipe_is_no_object_and_is_not_waited_for(folder):
    os.mkfifo(folder / "pipe.jpg")
    storage = open_storage(folder)
    assert list(storage.list()) == []
    with pytest.raises(StorageMissing):
        storage.read("pipe.jpg")


def test_what_is_written_is_its_owners_alone(folder):
    open_storage(folder).write("anna_lee/x.png", b"x")
    assert (folder / "anna_lee").stat().st_mode & 0o777 == 0o700
    assert (folder / "anna_lee" / "x.png").stat().st_mode & 0o777 == 0o600


def test_a_folder_that_holds_nothing_any_more_is_removed_but_never_the_storage(folder):
    storage = open_storage(folder)
    storage.write("anna_lee/2024/x.png", b"x")
    storage.delete("anna_lee/2024/x.png")
    assert list(folder.iterdir()) == []
    assert folder.is_dir()


def test_a_folder_that_is_not_there_is_missing_until_something_is_written(tmp_path):
    storage = open_storage(tmp_path / "later" / "on")
    with pytest.raises(StorageMissing):
        list(storage.list())
    storage.write("x.png", b"x")
    assert [each.key for each in storage.list()] == ["x.png"]


def test_nothing_is_said_to_be_deleted_from_a_folder_that_is_away(folder):
    storage = open_storage(folder)
    storage.write("anna/x.png", b"x")
    folder.rename(folder.parent / "away")
    with pytest.raises(StorageMissing):
        storage.delete("anna/x.png")


def test_a_writer_that_is_killed_leaves_the_old_object_and_no_other(folder):
    storage = open_storage(folder)
    storage.write("x.bin", b"old")
    # The file system holds the writer up within its write: what it has put down so far is a part.
    script = (
        "import os, sys, time\n"
        "from likeness.storage import open_storage\n"
        "before = os.fsync\n"
        "def hold(handle):\n"
        "    print('within', flush=True); time.sleep(60)\n"
        "os.fsync = hold\n"
        "open_storage(sys.argv[1]).write('x.bin', b'new' * 1000)\n"
    )
    writer = subprocess.Popen([sys.executable, "-c", script, str(folder)], stdout=subprocess.PIPE)
    assert writer.stdout is not None
    assert writer.stdout.readline() == b"within\n"
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    writer.stdout.close()
    assert storage.read("x.bin") == b"old"
    assert [each.key for each in storage.list()] == ["x.bin"]
    storage.delete("x.bin")
    assert list(folder.iterdir()) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do anything")
def test_a_folder_that_may_not_be_read_says_so(folder):
    folder.chmod(0)
    try:
        with pytest.raises(StorageRefused, match="permissions"):
            open_storage(folder).read("x.png")
    finally:
        folder.chmod(0o700)


def test_a_file_of_a_name_that_is_no_utf8_is_listed_and_read(folder):
    (folder / os.fsdecode(b"caf\xe9.jpg")).write_bytes(b"latin")
    storage = open_storage(folder)
    (found,) = storage.list()
    assert storage.uri_of(found.key).endswith("/caf%E9.jpg")
    base, key = locate(storage.uri_of(found.key))
    assert open_storage(base).read(key) == b"latin"


def test_a_path_and_its_uri_open_the_same_folder(folder, monkeypatch):
    odd = folder / "100% ours?#1"
    odd.mkdir()
    (odd / "x.jpg").write_bytes(b"x")
    by_path = open_storage(odd)
    assert by_path.uri == f"file://{folder}/100%25%20ours%3F%231"
    assert open_storage(by_path.uri).read("x.jpg") == b"x"
    monkeypatch.chdir(folder)
    assert open_storage("100% ours?#1").uri == by_path.uri


def test_two_slashes_and_names_too_long_are_refused(folder):
    storage = open_storage(folder)
    with pytest.raises(InputError, match="two slashes"):
        storage.write("a//b", b"x")
    with pytest.raises(InputError, match="too long"):
        storage.write("y" * 300, b"x")


@pytest.mark.parametrize("uri", ["", "file://host/x", "file:relative", "ftp://host/x", "file:///x?y=1"])
def test_what_is_no_uri_of_a_storage_is_refused(uri, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if uri == "file:relative":  # a path like another
        assert open_storage(uri).uri.endswith("/file%3Arelative")
        return
    with pytest.raises(SettingsError):
        open_storage(uri)


def test_listing_ten_thousand_files_streams(folder):
    for number in range(10_000):
        (folder / f"{number:05}.jpg").touch()
    begin = time.monotonic()
    listed = open_storage(folder).list(after="09989.jpg")
    assert [each.key for each in listed] == [f"{number:05}.jpg" for number in range(9990, 10_000)]
    assert time.monotonic() - begin < 10
