"""A small real hub on this machine: the part of the Hugging Face HTTP interface that pushing and pulling use.

Use: `with hub_server() as hub:` and set `HF_ENDPOINT` to `hub.url` (and `HF_TOKEN` to `hub.token`) before opening it;
or take the fixture by `from hub_server import hub  # noqa: F401` (and set `pytestmark = quiet_library`). A process of
its own needs `HF_HUB_DISABLE_XET=1` too: large files go by LFS here. All is kept in memory: `hub.files(kind, name)`.
`hub.broken` makes requests fail: a part of the path → the HTTP status to answer.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from threaded_server import in_thread

quiet_library = pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning")
"""For modules that upload (`pytestmark = quiet_library`): the hub's library is behind its own HTTP client."""

LARGE = (".parquet", ".jpg", ".png", ".onnx", ".npz", ".arrow", ".tflite")


@dataclass
class Blob:
    data: bytes
    large: bool

    @property
    def git_id(self) -> str:
        return hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.data).hexdigest()

    @property
    def etag(self) -> str:
        return self.sha256 if self.large else self.git_id


@dataclass
class Repo:
    private: bool
    commits: dict[str, dict[str, Blob]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    messages: list[str] = field(default_factory=list)

    def commit(self, branch: str, files: dict[str, Blob], message: str) -> str:
        self.messages.append(message)
        facts = (len(self.commits), branch, sorted((path, blob.git_id) for path, blob in files.items()))
        oid = hashlib.sha1(repr(facts).encode()).hexdigest()
        self.commits[oid] = files
        self.branches[branch] = oid
        return oid

    def resolve(self, revision: str) -> str | None:
        found = self.branches.get(revision) or self.tags.get(revision)
        return found or (revision if revision in self.commits else None)


@dataclass
class FakeHub:
    url: str = ""
    token: str = "hf_tokenOfTheTests"
    repos: dict[tuple[str, str], Repo] = field(default_factory=dict)
    large: dict[str, bytes] = field(default_factory=dict)
    broken: dict[str, int] = field(default_factory=dict)
    tampered: set[str] = field(default_factory=set)
    asked: list[str] = field(default_factory=list)

    def files(self, kind: str, name: str, revision: str = "main") -> dict[str, bytes]:
        """The files of a repository at a branch, tag or commit."""
        repo = self.repos[kind, name]
        return {path: blob.data for path, blob in repo.commits[repo.resolve(revision) or ""].items()}


@contextmanager
def hub_server() -> Iterator[FakeHub]:
    """A hub that runs in a thread for as long as the block."""
    state = FakeHub()
    with in_thread(type("Bound", (_Handler,), {"state": state})) as state.url:
        yield state


@pytest.fixture
def hub(monkeypatch, tmp_path_factory) -> Iterator[FakeHub]:
    """A running hub that the environment of this test names, with a token that may do everything."""
    with hub_server() as state:
        monkeypatch.setenv("HF_ENDPOINT", state.url)
        monkeypatch.setenv("HF_TOKEN", state.token)
        monkeypatch.setenv("HF_HOME", str(tmp_path_factory.mktemp("hf-home")))
        monkeypatch.setenv("HF_HUB_DISABLE_XET", "1")  # for processes that this test starts
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
        yield state


class _Answer(Exception):
    """Ends the handling of a request with a status."""

    def __init__(self, status: int, code: str = "", message: str = "") -> None:
        super().__init__(status)
        self.status, self.code, self.message = status, code, message


class _Handler(BaseHTTPRequestHandler):
    state: FakeHub
    protocol_version = "HTTP/1.1"

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def do_GET(self) -> None:
        self._serve()

    do_HEAD = do_POST = do_PUT = do_GET  # noqa: N815

    def _serve(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        if self.headers.get("Transfer-Encoding") == "chunked":
            self.body = self._chunks()
        else:
            self.body = self.rfile.read(length)
        path = urlsplit(self.path).path
        self.state.asked.append(f"{self.command} {path}")
        try:
            for part, status in self.state.broken.items():
                if part in path:
                    raise _Answer(status, message=f"broken for the test, asked with {self.headers['Authorization']}")
            self._route(path)
        except _Answer as answer:
            headers = {"X-Error-Code": answer.code} if answer.code else {}
            if answer.message:
                headers["X-Error-Message"] = answer.message
            self._send(answer.status, {"error": answer.message or answer.code}, headers)

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _route(self, path: str) -> None:
        if path == "/api/repos/create":
            self._create(json.loads(self.body))
        elif path == "/api/validate-yaml":
            self._send(200, {"errors": [], "warnings": []})
        elif path == "/api/whoami-v2":
            self._send(200, {"name": "tester", "orgs": []})
        elif found := re.fullmatch(r"/lfs/([0-9a-f]{64})", path):
            self._keep(found[1])
        elif found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)\.git/info/lfs/objects/batch", path):
            self._batch(self._repo("dataset" if found[1] else "model", found[2], write=True))
        elif found := re.fullmatch(r"/api/(dataset|model)s/([^/]+/[^/]+)(?:/([a-z-]+)(?:/(.*))?)?", path):
            kind, name, what, rest = found.groups()
            self._api(kind, name, what or "revision", unquote(rest or "main"))
        elif found := re.fullmatch(r"/(datasets/)?([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            repo = self._repo("dataset" if found[1] else "model", found[2])
            self._file(repo, unquote(found[3]), unquote(found[4]))
        else:
            raise _Answer(404, "EntryNotFound")

    def _signed(self) -> bool:
        return self.headers.get("Authorization") == f"Bearer {self.state.token}"

    def _repo(self, kind: str, name: str, *, write: bool = False) -> Repo:
        repo = self.state.repos.get((kind, name))
        if repo is None or (repo.private and not self._signed()):
            raise _Answer(404 if self._signed() else 401, "RepoNotFound", "Repository not found")
        if write and not self._signed():
            raise _Answer(403, message="you have no right to write here")
        return repo

    def _create(self, wanted: dict[str, Any]) -> None:
        if not self._signed():
            raise _Answer(401, message="Invalid username or password.")
        name = f"{wanted.get('organization') or 'tester'}/{wanted['name']}"
        kind = wanted.get("type") or "model"
        url = f"{self.state.url}/{'datasets/' if kind == 'dataset' else ''}{name}"
        if (kind, name) in self.state.repos:
            self._send(409, {"error": "You already created this repo", "url": url})
            return
        private = wanted.get("private") or wanted.get("visibility") == "private"
        self.state.repos[kind, name] = Repo(bool(private))
        self.state.repos[kind, name].commit("main", {".gitattributes": Blob(b"* text\n", False)}, "initial")
        self._send(200, {"url": url, "name": name})

    def _api(self, kind: str, name: str, what: str, rest: str) -> None:
        repo = self._repo(kind, name, write=what in ("preupload", "commit", "branch", "tag"))
        if what == "revision":
            oid, files = self._at(repo, rest)
            siblings = [{"rfilename": path, "size": len(blob.data)} for path, blob in sorted(files.items())]
            facts = {"id": name, "sha": oid, "private": repo.private, "siblings": siblings, "tags": [], "gated": False}
            self._send(200, facts | {"downloads": 0, "likes": 0, "lastModified": "2026-01-01T00:00:00.000Z"})
        elif what == "refs":
            kinds = {"branches": ("heads", repo.branches), "tags": ("tags", repo.tags)}
            refs = {
                word: [{"name": at, "ref": f"refs/{folder}/{at}", "targetCommit": oid} for at, oid in there.items()]
                for word, (folder, there) in kinds.items()
            }
            self._send(200, refs | {"converts": []})
        elif what == "tree":
            revision, _, below = rest.partition("/")
            self._send(200, _tree(self._at(repo, unquote(revision))[1], below))
        elif what == "paths-info":
            wanted = json.loads(self.body)["paths"] if self.body.startswith(b"{") else _form(self.body)
            self._send(200, [facts for facts in _tree(self._at(repo, rest)[1], "") if facts["path"] in wanted])
        elif what == "preupload":
            there = self._at(repo, rest)[1]
            self._send(200, {"files": [_mode(file["path"], there) for file in json.loads(self.body)["files"]]})
        elif what == "commit":
            self._commit(repo, rest, f"{self.state.url}/{'datasets/' if kind == 'dataset' else ''}{name}")
        elif what == "branch":
            if rest in repo.branches:
                raise _Answer(409, message="the branch is there already")
            repo.branches[rest] = repo.branches["main"]
            self._send(200, {})
        elif what == "tag":
            tag = json.loads(self.body)["tag"]
            if tag in repo.tags:
                raise _Answer(409, message="the tag is there already")
            repo.tags[tag] = self._at(repo, rest)[0]
            self._send(200, {})
        else:
            raise _Answer(404, "EntryNotFound")

    def _at(self, repo: Repo, revision: str) -> tuple[str, dict[str, Blob]]:
        oid = repo.resolve(revision)
        if oid is None:
            raise _Answer(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        return oid, repo.commits[oid]

    def _commit(self, repo: Repo, branch: str, url: str) -> None:
        files, message = dict(self._at(repo, branch)[1]), ""
        for line in self.body.splitlines():
            entry = json.loads(line)
            key, value = entry["key"], entry["value"]
            if key == "header":
                message = value["summary"]
            elif key == "file":
                files[value["path"]] = Blob(base64.b64decode(value["content"]), False)
            elif key == "lfsFile":
                files[value["path"]] = Blob(self.state.large[value["oid"]], True)
            elif key == "deletedFile":
                del files[value["path"]]
            else:
                raise _Answer(400, message=f"unknown operation {key}")
        oid = repo.commit(branch, files, message)
        self._send(200, {"commitUrl": f"{url}/commit/{oid}", "commitOid": oid, "pullRequestUrl": None})

    def _batch(self, repo: Repo) -> None:
        objects = []
        for item in json.loads(self.body)["objects"]:
            upload = {"upload": {"href": f"{self.state.url}/lfs/{item['oid']}"}}
            objects.append(item | ({} if item["oid"] in self.state.large else {"actions": upload}))
        self._send(200, {"transfer": "basic", "objects": objects})

    def _keep(self, oid: str) -> None:
        if hashlib.sha256(self.body).hexdigest() != oid:
            raise _Answer(400, message="the bytes are not those of the digest")
        self.state.large[oid] = self.body
        self._send(200, {})

    def _file(self, repo: Repo, revision: str, path: str) -> None:
        oid, files = self._at(repo, revision)
        if path not in files:
            raise _Answer(404, "EntryNotFound", "Entry not found")
        blob = files[path]
        data = blob.data[::-1] if path in self.state.tampered else blob.data
        headers = {"ETag": f'"{blob.etag}"', "X-Repo-Commit": oid, "Accept-Ranges": "bytes"}
        status = 200
        if found := re.fullmatch(r"bytes=(\d+)-(\d*)", self.headers.get("Range") or ""):
            first, last = int(found[1]), int(found[2] or len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first : last + 1], 206
        self._send(status, data, headers)

    def _send(self, status: int, content: Any, headers: dict[str, str] | None = None) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        kind = "application/octet-stream" if isinstance(content, bytes) else "application/json"
        for name, value in ({"Content-Type": kind, "Content-Length": str(len(data))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def _mode(path: str, there: dict[str, Blob]) -> dict[str, Any]:
    """How a file is to be uploaded, and what is there under its path."""
    oid = {"oid": there[path].git_id} if path in there and not there[path].large else {}
    return {"path": path, "uploadMode": "lfs" if path.endswith(LARGE) else "regular", "shouldIgnore": False} | oid


def _tree(files: dict[str, Blob], below: str) -> list[dict[str, Any]]:
    """All files and folders below a folder."""
    prefix = f"{below.strip('/')}/" if below.strip("/") else ""
    listed: list[dict[str, Any]] = []
    folders: set[str] = set()
    for path, blob in sorted(files.items()):
        if not path.startswith(prefix):
            continue
        parts = path.split("/")
        folders |= {"/".join(parts[:depth]) for depth in range(1, len(parts))}
        facts: dict[str, Any] = {"type": "file", "path": path, "size": len(blob.data), "oid": blob.git_id}
        if blob.large:
            facts["lfs"] = {"oid": blob.sha256, "size": len(blob.data), "pointerSize": 130}
        listed.append(facts)
    listed += [
        {"type": "directory", "path": folder, "oid": hashlib.sha1(folder.encode()).hexdigest(), "size": 0}
        for folder in sorted(folders)
        if folder.startswith(prefix)
    ]
    return listed


def _form(body: bytes) -> list[str]:
    from urllib.parse import parse_qs

    return parse_qs(body.decode()).get("paths", [])
