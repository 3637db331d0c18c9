"""Hugging Face repositories of models and data sets: the one place that talks to a hub.

Which hub, and as whom, says the environment that all tools of that hub share: `HF_ENDPOINT`, `HF_TOKEN` (or the token
that was saved by logging in), `HF_HUB_OFFLINE`. No token is ever part of a message.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from likeness.errors import Conflict, DownloadCorrupt, ExtraMissing, InputError
from likeness.hub.failures import remote_errors

if TYPE_CHECKING:
    from huggingface_hub import HfApi

Kind = Literal["model", "dataset"]
SCHEME = "hf://"

_ASIDE = ".partial"


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository on the hub: `owner/name`, and the branch, tag or commit that is meant (None: the main branch)."""

    name: str
    revision: str | None = None

    @classmethod
    def parse(cls, text: str) -> Repository:
        """From `hf://owner/name` or `hf://owner/name@revision`.

        Raises:
            InputError: it is neither.
        """
        found = re.fullmatch(r"hf://(?:datasets/|models/)?([\w.-]+/[\w.-]+)(?:@(\S+))?", text)
        if found is None:
            raise InputError(
                f"{text!r} names no repository", hint="expected hf://OWNER/NAME or hf://OWNER/NAME@REVISION"
            )
        return cls(found[1], found[2])


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file of a repository: its path, size and digest (`sha256:…` of the bytes, or `git:…`, git's of a blob)."""

    path: str
    size_bytes: int
    digest: str


@dataclass(frozen=True, slots=True)
class Hub:
    """A hub, asked with one token. `open_hub` makes it.

    Raises (all methods):
        Unreachable: there is no network, or the hub does not answer. AccessRefused: it wants another token.
        RemoteNotFound: it has no such repository or revision. RemoteError: it failed otherwise.
    """

    api: HfApi

    @property
    def endpoint(self) -> str:
        """Address of the hub."""
        return str(self.api.endpoint)

    def create(self, name: str, kind: Kind, *, private: bool = True) -> str:
        """Make a repository unless it is there already (then it stays as public or private as it is); its address.

        Raises:
            Conflict: it is there and everybody can see it, and it was to be `private`.
        """
        with remote_errors(name):
            address = str(self.api.create_repo(name, repo_type=kind, private=private, exist_ok=True))
        if private and not self.is_private(name, kind):
            raise Conflict(
                f"the repository {name!r} is public: everybody could take the {kind}",
                hint="say --public if that is meant, or name another repository",
            )
        return address

    def is_private(self, name: str, kind: Kind) -> bool:
        """Whether a repository is hidden from others."""
        with remote_errors(name):
            return bool(self.api.repo_info(name, repo_type=kind).private)

    def upload(
        self,
        folder: Path,
        name: str,
        kind: Kind,
        *,
        message: str,
        branch: str | None = None,
        tag: str | None = None,
        replace: tuple[str, ...] = (),
    ) -> str:
        """Add a folder's files to a repository in one commit; its id.

        Files that match a pattern of `replace` and are not in the folder vanish with the same commit. A `branch` that
        is not there yet is made; the commit gets the `tag`.

        Raises:
            Conflict: the tag is there already; nothing was uploaded.
        """
        with remote_errors(name):
            if tag is not None and tag in {ref.name for ref in self.api.list_repo_refs(name, repo_type=kind).tags}:
                raise Conflict(f"{name!r} on the hub has a tag {tag!r} already", hint="choose another name")
            if branch is not None:
                self.api.create_branch(name, repo_type=kind, branch=branch, exist_ok=True)
            commit = self.api.upload_folder(
                repo_id=name,
                repo_type=kind,
                folder_path=folder,
                revision=branch,
                commit_message=message,
                delete_patterns=list(replace) or None,
            )
            if tag is not None:
                self.api.create_tag(name, repo_type=kind, tag=tag, revision=str(commit.oid))
            return str(commit.oid)

    def commit(self, name: str, kind: Kind, *, revision: str | None = None) -> str:
        """Id of the commit that a branch or tag (default: the main branch) is at."""
        with remote_errors(name, revision):
            return str(self.api.repo_info(name, repo_type=kind, revision=revision).sha)

    def files(self, name: str, kind: Kind, *, revision: str | None = None) -> list[RemoteFile]:
        """All files of a repository."""
        from huggingface_hub.hf_api import RepoFile

        with remote_errors(name, revision):
            tree = self.api.list_repo_tree(name, repo_type=kind, revision=revision, recursive=True)
            return [
                RemoteFile(
                    file.path,
                    file.lfs.size if file.lfs else file.size,
                    f"sha256:{file.lfs.sha256}" if file.lfs else f"git:{file.blob_id}",
                )
                for file in tree
                if isinstance(file, RepoFile)
            ]

    def download(
        self,
        name: str,
        kind: Kind,
        out: Path,
        *,
        revision: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> str:
        """Get a repository into a new folder, all of it and each file verified; the id of the commit it is at.

        The files come into a folder beside it first, and stay there when something fails: the next try goes on.
        `progress` is told the bytes done and all of them.

        Raises:
            InputError: `out` is there and not empty. DownloadCorrupt: a file is not the one that the hub
                promised, or would be written elsewhere.
        """
        if out.exists() and (not out.is_dir() or any(out.iterdir())):
            raise InputError(f"{str(out)!r} is there already", hint="name a new folder")
        commit = self.commit(name, kind, revision=revision)
        listed = self.files(name, kind, revision=commit)
        for file in listed:
            if file.path.startswith("/") or {"", ".", ".."} & set(re.split(r"[/\\]", file.path)):
                raise DownloadCorrupt(f"{name!r} on the hub lists a file outside of its folder: {file.path!r}")
        aside = out.parent / f".{out.name}{_ASIDE}"
        total = sum(file.size_bytes for file in listed)
        done = 0
        with remote_errors(name, revision):
            aside.mkdir(parents=True, exist_ok=True)
            for file in listed:
                path = self.api.hf_hub_download(name, file.path, repo_type=kind, revision=commit, local_dir=aside)
                _verify(Path(path), file)
                done += file.size_bytes
                if progress is not None:
                    progress(done, total)
            _drop_others(aside, {file.path for file in listed})
            if out.exists():
                out.rmdir()
            aside.replace(out)
        return commit


def open_hub() -> Hub:
    """The hub that the environment names.

    Raises:
        ExtraMissing: the extra `hub` is not installed.
    """
    if find_spec("huggingface_hub") is None:
        raise ExtraMissing("a hub needs huggingface_hub", hint="pip install 'likeness[hub]'")
    from huggingface_hub import HfApi
    from huggingface_hub.utils.tqdm import disable_progress_bars

    disable_progress_bars()
    logging.getLogger("huggingface_hub").setLevel(logging.ERROR)
    # The library reads the variable once, when it is imported; here it counts when the hub is opened.
    return Hub(HfApi(endpoint=os.environ.get("HF_ENDPOINT") or None))


def _verify(path: Path, file: RemoteFile) -> None:
    kind, _, promised = file.digest.partition(":")
    digest = hashlib.sha256() if kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    if kind == "git":
        digest.update(f"blob {path.stat().st_size}\0".encode())
    with path.open("rb") as stream:
        while chunk := stream.read(1 << 20):
            digest.update(chunk)
    if digest.hexdigest() != promised:
        path.unlink()
        raise DownloadCorrupt(
            f"{file.path} of the hub is not the file that it promised (expected {kind} {promised})",
            hint="run the same command again; the file is fetched anew",
        )


def _drop_others(folder: Path, wanted: set[str]) -> None:
    """Take away the library's notes and what an earlier try of another revision left."""
    shutil.rmtree(folder / ".cache", ignore_errors=True)
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.is_file() and path.relative_to(folder).as_posix() not in wanted:
            path.unlink()
        elif path.is_dir() and not any(path.iterdir()):
            path.rmdir()
