"""Downloads from a real local server: whole, broken off and resumed, changed, refused, unreachable."""

from __future__ import annotations

import hashlib
import json
import os
import re
import socket
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from packed_files import BODY, FACES, packed

from likeness.data import transfer as module
from likeness.data.download import ASIDE, download, downloads_of
from likeness.data.sources import Download, source_class
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
from likeness.web import shown


@dataclass
class Site:
    """What the publisher's server has and how it behaves; `asked` holds the Range of each request."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)
    etag: str = '"one"'
    ranges: bool = True
    cut_after: list[int] = field(default_factory=list)
    status: int = 0
    redirect: str = ""
    asked: list[str] = field(default_factory=list)


@pytest.fixture
def site() -> Iterator[Site]:
    state = Site()

    class Handler(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            wanted = self.headers.get("Range") or ""
            state.asked.append(wanted)
            data = state.files.get(self.path.partition("?")[0].lstrip("/"))
            if state.redirect:
                self.send_response(302)
                self.send_header("Location", state.redirect)
                self.end_headers()
                return
            if state.status or data is None:
                self.send_error(state.status or 404)
                return
            first = 0
            same = self.headers.get("If-Range") in (None, state.etag)
            if state.ranges and same and (found := re.fullmatch(r"bytes=(\d+)-", wanted)):
                first = int(found[1])
                if first >= len(data):
                    self.send_response(416)
                    self.send_header("Content-Range", f"bytes */{len(data)}")
                    self.end_headers()
                    return
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{len(data) - 1}/{len(data)}")
            else:
                self.send_response(200)
            if state.etag:
                self.send_header("ETag", state.etag)
            self.send_header("Content-Length", str(len(data) - first))
            self.end_headers()
            self.wfile.write(data[first:][: state.cut_after.pop(0) if state.cut_after else None])

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    server.handle_error = lambda request, address: None  # a client that hangs up is part of the tests
    state.url = f"http://127.0.0.1:{server.server_port}"
    state.files["faces.bin"] = BODY
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    yield state
    server.shutdown()
    server.server_close()
    thread.join()


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def plain(site: Site, **changes) -> Download:
    values = {"url": f"{site.url}/faces.bin", "file": "faces.bin", "sha256": digest(BODY), "unpack": False}
    return Download(**(values | changes))


def begin(site: Site, out: Path, upto: int, **changes) -> None:
    """A download that broke off: the connection ends after that many bytes, and then nobody answers."""
    site.cut_after = [upto] + [0] * module.TRIES
    with pytest.raises(Unreachable, match=f"{upto} bytes of faces.bin are here") as caught:
        download(plain(site, **changes), out)
    assert "goes on where it stopped" in (caught.value.hint or "")
    site.cut_after, site.asked = [], []


@pytest.fixture(autouse=True)
def _no_waiting(monkeypatch) -> None:
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)


def test_a_file_comes_whole_with_progress_and_its_digest(site: Site, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    got = download(plain(site), tmp_path / "out", progress=lambda done, total: steps.append((done, total)))
    assert (tmp_path / "out" / "faces.bin").read_bytes() == BODY
    assert (got.sha256, got.verified, got.size_bytes, got.resumed_at_bytes) == (digest(BODY), True, len(BODY), 0)
    assert steps[-1] == (len(BODY), len(BODY))
    assert steps == sorted(steps)


def test_a_connection_that_breaks_is_taken_up_in_the_same_run(site: Site, tmp_path: Path) -> None:
    site.cut_after = [300_000, 300_001]
    download(plain(site), tmp_path)
    assert (tmp_path / "faces.bin").read_bytes() == BODY
    assert site.asked == ["", "bytes=300000-", "bytes=600001-"]


@pytest.mark.parametrize("sha256", [digest(BODY), ""], ids=["digest known", "digest unknown"])
def test_a_later_run_goes_on_where_the_first_stopped(site: Site, tmp_path: Path, sha256: str) -> None:
    begin(site, tmp_path, 400_000, sha256=sha256)
    got = download(plain(site, sha256=sha256), tmp_path)
    assert (tmp_path / "faces.bin").read_bytes() == BODY
    assert site.asked == ["bytes=400000-"]
    assert (got.resumed_at_bytes, got.verified) == (400_000, bool(sha256))


def test_a_server_without_ranges_sends_all_again(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path, 400_000)
    site.ranges = False
    download(plain(site), tmp_path)
    assert (tmp_path / "faces.bin").read_bytes() == BODY


def test_a_file_that_changed_meanwhile_is_not_patched_together(site: Site, tmp_path: Path) -> None:
    begin(site, tmp_path, 400_000, sha256="")
    site.files["faces.bin"], site.etag = BODY[::-1], '"two"'
    download(plain(site, sha256=""), tmp_path)
    assert (tmp_path / "faces.bin").read_bytes() == BODY[::-1]


def test_without_digest_or_version_a_resume_would_be_a_guess(site: Site, tmp_path: Path) -> None:
    site.etag = ""
    (tmp_path / ASIDE).mkdir()
    (tmp_path / ASIDE / "faces.bin.part").write_bytes(BODY[:400_000])
    download(plain(site, sha256=""), tmp_path)
    assert (tmp_path / "faces.bin").read_bytes() == BODY
    assert site.asked == [""]


@pytest.mark.parametrize("extra", [b"", b"more"], ids=["complete", "longer than the file there"])
def test_a_range_beyond_the_end_is_understood(site: Site, tmp_path: Path, extra: bytes) -> None:
    begin(site, tmp_path, 400_000)
    (tmp_path / ASIDE / "faces.bin.part").write_bytes(BODY + extra)
    download(plain(site), tmp_path)
    assert (tmp_path / "faces.bin").read_bytes() == BODY


def test_another_digest_is_refused_and_nothing_is_kept(site: Site, tmp_path: Path) -> None:
    with pytest.raises(DownloadCorrupt, match=f"has the digest {digest(BODY)}, expected {'0' * 64}"):
        download(plain(site, sha256="0" * 64), tmp_path)
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


def test_what_is_here_already_is_verified_and_not_fetched(site: Site, tmp_path: Path) -> None:
    download(plain(site), tmp_path)
    site.asked.clear()
    again = download(plain(site), tmp_path)
    assert again.already
    assert site.asked == []
    (tmp_path / "faces.bin").write_bytes(b"mine")
    with pytest.raises(Conflict, match="is another file"):
        download(plain(site), tmp_path)
    assert (tmp_path / "faces.bin").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("status", "error"), [(404, RemoteNotFound), (410, RemoteNotFound), (403, AccessRefused), (503, RemoteError)]
)
def test_an_answer_that_says_no_is_said(site: Site, tmp_path: Path, status: int, error: type[Exception]) -> None:
    site.status = status
    with pytest.raises(error, match=f"HTTP {status}"):
        download(plain(site), tmp_path)


def test_no_network_is_said_at_once(tmp_path: Path, monkeypatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/faces.bin"
        with pytest.raises(Unreachable, match="cannot be reached: Connection refused") as caught:
            download(Download(url=url, file="faces.bin"), tmp_path)
    assert "check the network" in (caught.value.hint or "")
    with pytest.raises(Unreachable, match=r"no-such-host\.invalid/x\.zip cannot be reached"):
        download(Download(url="http://user:secret@no-such-host.invalid/x.zip?key=secret", file="x.zip"), tmp_path)


def test_a_redirect_to_a_file_of_this_machine_is_not_followed(site: Site, tmp_path: Path) -> None:
    site.redirect = "file:///etc/hosts"
    with pytest.raises(RemoteError):
        download(plain(site), tmp_path)


def test_a_full_disk_is_known_before_the_transfer(site: Site, tmp_path: Path, monkeypatch) -> None:
    usage = os.statvfs(tmp_path)
    monkeypatch.setattr(module, "_SPARE_BYTES", usage.f_bavail * usage.f_frsize)
    with pytest.raises(StorageFull, match=r"faces\.bin needs 0 MiB more"):
        download(plain(site), tmp_path)


def test_a_folder_that_is_a_file_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "out").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        download(plain(site), tmp_path / "out")


@pytest.mark.parametrize(
    ("name", "kind"), [("lfw.tgz", "w:gz"), ("lfw.tar", "w"), ("a.tar.xz", "w:xz"), ("a.zip", "zip")]
)
def test_an_archive_is_unpacked_and_forgotten(site: Site, tmp_path: Path, name: str, kind: str) -> None:
    site.files[name] = packed(FACES, kind)
    entry = Download(url=f"{site.url}/{name}", file=name, sha256=digest(site.files[name]))
    got = download(entry, tmp_path)
    assert got.unpacked == 3
    assert (tmp_path / "lfw" / "Ada" / "Ada_0001.jpg").read_bytes() == b"a" * 5000
    assert stat.S_IMODE((tmp_path / "lfw" / "Al" / "Al_0001.jpg").stat().st_mode) & 0o7111 == 0
    assert not (tmp_path / ASIDE / name).exists()
    site.asked.clear()
    assert download(entry, tmp_path).already
    assert site.asked == []
    assert download(Download(url=entry.url, file=name, sha256=""), tmp_path).already


def test_an_archive_that_is_kept_is_not_fetched_twice(site: Site, tmp_path: Path) -> None:
    site.files["a.zip"] = packed(FACES, "zip")
    entry = Download(url=f"{site.url}/a.zip", file="a.zip", sha256=digest(site.files["a.zip"]))
    download(entry, tmp_path, keep=True)
    (tmp_path / ASIDE / "a.zip.done.json").unlink()  # as if stopped while unpacking
    site.asked.clear()
    assert download(entry, tmp_path).unpacked == 3
    assert site.asked == []


def test_other_files_that_are_there_stay(site: Site, tmp_path: Path) -> None:
    (tmp_path / "lfw").mkdir()
    (tmp_path / "lfw" / "mine.txt").write_text("mine")
    (tmp_path / "a.zip").write_bytes(packed(FACES, "zip"))
    with pytest.raises(Conflict, match="holds other files than the archive"):
        unpack(tmp_path / "a.zip", tmp_path)
    assert [path.name for path in (tmp_path / "lfw").iterdir()] == ["mine.txt"]


def test_only_what_the_publisher_lets_everybody_have_is_fetched() -> None:
    lfw = source_class("lfw")
    assert [entry.file for entry in downloads_of(lfw)] == ["lfw.tgz", "lfw_pairs.txt"]
    assert all(entry.sha256 for entry in downloads_of(lfw))
    with pytest.raises(InputError, match="AgeDB cannot be downloaded") as caught:
        downloads_of(source_class("agedb"))
    assert "e-mail" in (caught.value.hint or "")


def test_another_address_keeps_the_digest_of_the_same_file() -> None:
    lfw = source_class("lfw")
    (mirror,) = downloads_of(lfw, url="https://mirror.example/data/lfw.tgz?x=1")
    assert (mirror.file, mirror.sha256, mirror.unpack) == ("lfw.tgz", lfw.downloads[0].sha256, True)
    (other,) = downloads_of(lfw, url="https://mirror.example/lfw-deepfunneled.tgz", sha256="A" * 64)
    assert other.sha256 == "a" * 64
    (own,) = downloads_of(source_class("agedb"), url="http://localhost:8000/AgeDB.zip")
    assert (own.file, own.sha256) == ("AgeDB.zip", "")
    for url in ("ftp://x/y.zip", "file:///etc/hosts", "https://x/", "nonsense"):
        with pytest.raises(InputError, match="no address of a file"):
            downloads_of(lfw, url=url)
    with pytest.raises(InputError, match="no SHA-256"):
        downloads_of(lfw, sha256="abc")


def test_messages_and_notes_hold_no_secret_of_an_address(site: Site, tmp_path: Path) -> None:
    assert shown("https://me:pass@host.example:8443/a/b.zip?token=1") == "https://host.example:8443/a/b.zip"
    download(plain(site, url=f"{site.url}/faces.bin?token=secret"), tmp_path)
    note = json.loads((tmp_path / ASIDE / "faces.bin.done.json").read_text())
    assert "secret" not in json.dumps(note)


def test_an_account_is_not_told_to_the_server_that_another_sends_to(site: Site, tmp_path: Path) -> None:
    told: list[str | None] = []

    class Other(BaseHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

        def do_GET(self) -> None:
            told.append(self.headers.get("Authorization"))
            self.send_response(200)
            self.send_header("Content-Length", str(len(BODY)))
            self.end_headers()
            self.wfile.write(BODY)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Other)
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    site.redirect = f"http://127.0.0.1:{server.server_port}/faces.bin"
    download(plain(site, url=site.url.replace("//", "//ada:secret@") + "/faces.bin"), tmp_path / "out")
    server.shutdown()
    server.server_close()
    assert told == [None]


def test_a_run_that_was_killed_in_its_last_step_is_done_by_the_next(site: Site, tmp_path: Path) -> None:
    entry = plain(site, sha256="")
    download(entry, tmp_path)
    note = tmp_path / ASIDE / "faces.bin.done.json"
    (tmp_path / "faces.bin").rename(tmp_path / ASIDE / "faces.bin")  # noted, but not in its place
    assert download(entry, tmp_path).sha256 == digest(BODY)
    note.write_text('{"sha')
    with pytest.raises(Conflict, match="another file"):
        download(entry, tmp_path)


def test_two_downloads_into_one_folder_are_told_apart(site: Site, tmp_path: Path) -> None:
    import fcntl

    (tmp_path / ASIDE).mkdir()
    with (tmp_path / ASIDE / "lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        with pytest.raises(Conflict, match="another download"):
            download(plain(site), tmp_path)
    download(plain(site), tmp_path)
