"""Model bundles from others: from a repository on the hub, or a folder.

What comes in is not trusted: only files that its manifest lists are fetched, none larger than listed, and a bundle
whose digests do not fit never reaches the models.
"""

from __future__ import annotations

import json
import os
import shutil
import stat
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.bundle import MANIFEST, Bundle, Library, Manifest, place_folder
from likeness.errors import BundleCorrupt, Conflict, InputError, RemoteNotFound
from likeness.hub import SCHEME, Hub, Repository, open_hub, remote_errors
from likeness.service.publishing import CARD, dumped, local_folder, written_to

LARGEST_MANIFEST_BYTES = 4 * 1024 * 1024
LARGEST_BUNDLE_BYTES = 4 * 1024**3
_MANY_FILES = 64

Told = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pulled:
    """A bundle that is among the models now; not `fresh` if the very same was there already."""

    bundle: Bundle
    fresh: bool
    commit: str | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.bundle.manifest.name,
            "folder": str(self.bundle.folder),
            "fresh": self.fresh,
            "commit": self.commit,
            "licence": self.bundle.manifest.licence.model_dump(mode="json"),
        }


def pull_model(
    source: str, library: Library, *, name: str | None = None, progress: Told = lambda done, total: None
) -> Pulled:
    """Fetch a bundle from `hf://OWNER/NAME[@REVISION]` or a folder into the user's own folder of a library.

    `name` is what it is called here; its own name unless said. `progress` is told the bytes done and all of them.

    Raises:
        BundleCorrupt: it is no bundle, or a file is not the one that its manifest lists.
        Conflict: another bundle of that name is there.
        RemoteError: the hub cannot be reached or refuses. RemoteNotFound: it has no such repository or bundle.
    """
    if source.startswith(SCHEME):
        repository = Repository.parse(source)
        remote: _Source = _Remote(open_hub(), repository)
    else:
        remote = _Folder(local_folder(source))
    manifest, raw = remote.manifest()
    if name is not None:
        manifest = _renamed(manifest, name)
        raw = dumped(manifest)
    there = _there(library, manifest)
    if there is not None:
        return Pulled(there, False, remote.commit)
    target = library.own[0] / manifest.name
    with written_to(target.parent):

        def fill(aside: Path) -> None:
            remote.fetch(manifest, aside, progress)
            (aside / MANIFEST).write_bytes(raw)
            aside.chmod(0o755)

        bundle = place_folder(target, fill)
    if _digest(Bundle.read(target).manifest) != _digest(manifest):  # another process was quicker, with another bundle
        raise _taken(target.name, target)
    return Pulled(bundle, True, remote.commit)


class _Source:
    """Where a bundle comes from."""

    commit: str | None = None

    def manifest(self) -> tuple[Manifest, bytes]:
        """The manifest, checked, and its bytes."""
        raise NotImplementedError

    def fetch(self, manifest: Manifest, into: Path, progress: Told) -> None:
        """Put the listed files, and no others, into a folder."""
        raise NotImplementedError


class _Folder(_Source):
    def __init__(self, folder: Path) -> None:
        self._path = folder

    def manifest(self) -> tuple[Manifest, bytes]:
        path = self._path / MANIFEST
        if not self._path.is_dir():
            raise RemoteNotFound(f"there is no folder {str(self._path)!r}", hint="name a bundle's folder, or hf://…")
        if not path.is_file():
            raise BundleCorrupt(f"{str(self._path)!r} has no {MANIFEST}, so it is no model bundle")
        _expect_plain(path, path.name)
        if path.stat().st_size > LARGEST_MANIFEST_BYTES:
            raise BundleCorrupt(f"{str(path)!r} is too large for a manifest")
        raw = path.read_bytes()
        return _parsed(raw, str(path)), raw

    def fetch(self, manifest: Manifest, into: Path, progress: Told) -> None:
        done, total = 0, sum(file.bytes for file in manifest.files.values())
        for file in manifest.files.values():
            path = self._path / file.path
            _expect_plain(path, file.path)
            _expect_size(file.path, path.stat().st_size, file.bytes)
            shutil.copyfile(path, into / file.path)
            done += file.bytes
            progress(done, total)


class _Remote(_Source):
    def __init__(self, hub: Hub, repository: Repository) -> None:
        self._hub, self._name = hub, repository.name
        self.commit = hub.commit(self._name, "model", revision=repository.revision)
        self._sizes = {file.path: file.size_bytes for file in hub.files(self._name, "model", revision=self.commit)}

    def manifest(self) -> tuple[Manifest, bytes]:
        if MANIFEST not in self._sizes:
            raise RemoteNotFound(
                f"the repository {self._name!r} has no {MANIFEST}, so it is no model bundle of Likeness",
                hint="check the name and the revision",
            )
        if self._sizes[MANIFEST] > LARGEST_MANIFEST_BYTES:
            raise BundleCorrupt(f"the {MANIFEST} of {self._name!r} is too large: {self._sizes[MANIFEST]:,} bytes")
        with tempfile.TemporaryDirectory(prefix="likeness-pull-") as aside:
            raw = self._get(MANIFEST, Path(aside)).read_bytes()
        return _parsed(raw, f"the {MANIFEST} of {self._name!r}"), raw

    def fetch(self, manifest: Manifest, into: Path, progress: Told) -> None:
        total = sum(file.bytes for file in manifest.files.values())
        for file in manifest.files.values():  # all of them before the first byte is fetched
            if file.path not in self._sizes:
                raise BundleCorrupt(f"the repository {self._name!r} lacks {file.path}, which its manifest lists")
            _expect_size(file.path, self._sizes[file.path], file.bytes)
        done = 0
        for file in manifest.files.values():
            self._get(file.path, into)
            done += file.bytes
            progress(done, total)
        shutil.rmtree(into / ".cache", ignore_errors=True)  # the library's notes

    def _get(self, path: str, into: Path) -> Path:
        with remote_errors(self._name, self.commit):
            found = self._hub.api.hf_hub_download(
                self._name, path, repo_type="model", revision=self.commit, local_dir=into
            )
        return Path(found)


def _there(library: Library, manifest: Manifest) -> Bundle | None:
    """The very same bundle if it is there and whole.

    Raises:
        Conflict: another is known by that name, which the new one must not stand before.
    """
    if manifest.name not in library.names():
        return None
    if not library.ready(manifest.name):
        raise _taken(manifest.name, None)
    found = library.find(manifest.name, to_use=False)
    if _digest(found.manifest) != _digest(manifest):
        raise _taken(manifest.name, found.folder)
    try:
        found.verify()
    except BundleCorrupt as error:
        raise Conflict(
            f"{str(found.folder)!r} is there already and is damaged: {error.message}",
            hint="delete that folder, and pull again",
        ) from error
    return found


def _taken(name: str, folder: Path | None) -> Conflict:
    where = f": {str(folder)!r}" if folder is not None else " (it is made from published weights at its first use)"
    return Conflict(f"another model is called {name!r} here{where}", hint="give the new one another name with --name")


def _digest(manifest: Manifest) -> str:
    """What makes two bundles the same: all that their manifests say."""
    return json.dumps(manifest.model_dump(mode="json"), sort_keys=True)


def _renamed(manifest: Manifest, name: str) -> Manifest:
    try:
        return Manifest.model_validate(manifest.model_dump(mode="json") | {"name": name})
    except ValueError:
        raise InputError(
            f"{name!r} cannot be a model's name", hint="use small letters, digits, dots, dashes and underscores"
        ) from None


def _parsed(raw: bytes, where: str) -> Manifest:
    """A manifest from somebody else, with what it promises within bounds.

    Raises:
        BundleCorrupt: it is none, or promises too much.
    """
    try:
        manifest = Manifest.model_validate_json(raw)
    except ValueError as error:
        lines = str(error).splitlines()
        raise BundleCorrupt(f"{where} is not a bundle's manifest: {' '.join(lines[:3])[:300]}") from None
    names = [file.path.casefold() for file in manifest.files.values()]
    if len(set(names)) != len(names) or {MANIFEST, CARD.casefold()} & set(names):
        raise BundleCorrupt(f"{where} lists one file twice, or itself")
    total = sum(file.bytes for file in manifest.files.values())
    if total > LARGEST_BUNDLE_BYTES or len(names) > _MANY_FILES:
        raise BundleCorrupt(
            f"{where} lists {len(names)} files of {total:,} bytes; "
            f"at most {_MANY_FILES} of {LARGEST_BUNDLE_BYTES:,} are taken"
        )
    return manifest


def _expect_plain(path: Path, name: str) -> None:
    try:
        mode = os.lstat(path).st_mode
    except OSError as error:
        raise BundleCorrupt(f"the bundle's file {name} cannot be read: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise BundleCorrupt(f"the bundle's file {name} is a link or no file at all; only plain files are taken")


def _expect_size(name: str, found: int, listed: int) -> None:
    if found != listed:
        raise BundleCorrupt(f"{name} has {found:,} bytes, its manifest says {listed:,}")
