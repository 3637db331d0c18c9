"""Model bundles to others: into a repository on the hub, or a folder that others can read.

What goes out is verified first, says its licences, and carries a card.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.bundle import CLASSES, MANIFEST, Bundle, Manifest, place_folder
from likeness.calibration import Calibration
from likeness.errors import Conflict, InputError, LicenceMissing, StorageError
from likeness.hub import SCHEME, Repository, open_hub
from likeness.service.model_card import write_card

CARD = "README.md"
REPORT = "report.json"
_UNSTATED = re.compile(r"(not|un)[ -]?(stated|known|documented|specified)\b|\?*$|tbd|todo|none\b|n/a", re.IGNORECASE)
_SLASH = re.compile(r"[/\\]")
_LOCAL_PATH = re.compile(r"(~|\.{1,2}|[A-Za-z]:)?[/\\]")

Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was published: `where`, the commit on a hub, and whether everybody can see it (None: a folder)."""

    name: str
    where: str
    commit: str | None
    public: bool | None
    bytes: int

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        return {
            "name": self.name,
            "where": self.where,
            "commit": self.commit,
            "public": self.public,
            "bytes": self.bytes,
        }


def push_model(
    bundle: Bundle,
    target: str,
    *,
    public: bool = False,
    revision: str | None = None,
    report: Path | None = None,
    say: Say = lambda text: None,
) -> Pushed:
    """Publish a bundle with a card, to `hf://OWNER/NAME[@BRANCH]` or to a new folder.

    A repository that is made is private unless `public`; one that is public already is only pushed to with `public`.
    `report` is one of `likeness evaluate dataset`; without, the bundle's own `report.json` is taken if it has one.

    Raises:
        BundleCorrupt: a file is not the one that the manifest lists.
        LicenceMissing: the manifest does not state the licence of the weights or of the training data.
        InputError: it is to be public, and names the people whom it learnt.
        Conflict: the folder is there already, or the repository is public.
        RemoteError: the hub cannot be reached or refuses.
    """
    bundle.verify()
    expect_licence(bundle.manifest)
    if bundle.has(CLASSES):
        if public:
            raise InputError(
                f"{bundle.manifest.name} carries its classifier with the names of the people whom it learnt",
                hint="publish one that was exported without --keep-classes",
            )
        say("The names of the people whom it learnt go along, with its classifier.")
    manifest, paths = without_local_paths(bundle.manifest)
    for path in paths:
        say(f"A path of this machine is shortened in what is published: {path}")
    published = Bundle(bundle.folder, manifest)
    figures = _read_report(bundle, report)
    if not target.startswith(SCHEME):
        if revision is not None:
            raise InputError("a folder has no revisions", hint="leave --revision out, or name hf://OWNER/NAME")
        return _push_to_folder(published, local_folder(target), figures)
    repository = Repository.parse(target)
    if revision is not None and repository.revision not in (None, revision):
        raise InputError(f"the target says {repository.revision!r} and --revision {revision!r}", hint="say it once")
    branch = revision or repository.revision
    hub = open_hub()
    hub.create(repository.name, "model", private=not public)
    is_public = not hub.is_private(repository.name, "model")
    if public and not is_public:
        say(f"{repository.name} was there already and is private: change that in its settings.")
    with tempfile.TemporaryDirectory(prefix="likeness-push-") as aside:
        source = f"{SCHEME}{repository.name}" + (f"@{branch}" if branch else "")
        size = _fill(Path(aside), published, source, figures)
        message = f"{bundle.manifest.name} version {bundle.manifest.version}"
        commit = hub.upload(
            Path(aside), repository.name, "model", message=message, branch=branch, replace=("*.onnx", "*.json")
        )
    return Pushed(bundle.manifest.name, f"{hub.endpoint}/{repository.name}", commit, is_public, size)


def expect_licence(manifest: Manifest) -> None:
    """Let a bundle pass that says under which terms its weights and its training data stand.

    Raises:
        LicenceMissing: it does not.
    """
    missing = [part for part in ("weights", "data") if _UNSTATED.match(getattr(manifest.licence, part).strip())]
    if missing:
        parts = {"weights": "its weights", "data": "the data it was trained on"}
        words = " and of ".join(parts[part] for part in missing)
        fields = [f"licence.{part}" for part in missing]
        raise LicenceMissing(
            f"the bundle {manifest.name} does not state the licence of {words}",
            hint=f"state it in {' and '.join(fields)} of its {MANIFEST} (or with --licence when it is exported): "
            "who takes the bundle must know",
        )


def _push_to_folder(bundle: Bundle, folder: Path, figures: dict[str, Any] | None) -> Pushed:
    size = 0
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Conflict(f"{str(folder)!r} is there already", hint="name a new folder")
    with written_to(folder.parent):

        def fill(aside: Path) -> None:
            nonlocal size
            size = _fill(aside, bundle, f"path/to/{folder.name}", figures)
            aside.chmod(0o755)

        place_folder(folder, fill)
    return Pushed(bundle.manifest.name, str(folder), None, None, size)


def _fill(folder: Path, bundle: Bundle, source: str, figures: dict[str, Any] | None) -> int:
    """Put what is published into a folder: the listed files, the manifest and the card. Returns their bytes."""
    for file in bundle.manifest.files.values():
        shutil.copyfile(bundle.folder / file.path, folder / file.path)
    (folder / MANIFEST).write_bytes(dumped(bundle.manifest))
    calibration = Calibration.read(bundle.path("calibration")) if bundle.has("calibration") else None
    card = write_card(bundle, source=source, calibration=calibration, report=figures)
    (folder / CARD).write_text(card, "utf-8")
    return sum(path.stat().st_size for path in folder.iterdir())


def _read_report(bundle: Bundle, path: Path | None) -> dict[str, Any] | None:
    """An evaluation's report, if there is one, and about this bundle."""
    chosen = path if path is not None else bundle.folder / REPORT
    if path is None and not chosen.is_file():
        return None
    try:
        found = json.loads(chosen.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"the report {str(chosen)!r} cannot be read: {error}") from error
    if not isinstance(found, dict) or not isinstance(found.get("weaknesses", []), list):
        raise InputError(f"{str(chosen)!r} is not a report of `likeness evaluate dataset --report`")
    model = found.get("model")
    about = model.get("name") if isinstance(model, dict) else model
    if about is not None and about != bundle.manifest.name:
        raise InputError(f"the report {str(chosen)!r} is about {about!r}, not about {bundle.manifest.name!r}")
    return found


def dumped(manifest: Manifest) -> bytes:
    """A manifest as the bytes of its file."""
    return (json.dumps(manifest.model_dump(mode="json"), indent=2, ensure_ascii=False) + "\n").encode()


def without_local_paths(manifest: Manifest) -> tuple[Manifest, list[str]]:
    """The manifest with the paths of its origin cut down to their last names, and which paths those were."""
    found: list[str] = []

    def cut(value: Any, at: str) -> Any:
        if isinstance(value, dict):
            return {key: cut(one, f"{at}.{key}") for key, one in value.items()}
        if isinstance(value, list | tuple):
            return [cut(one, at) for one in value]
        if isinstance(value, str) and _LOCAL_PATH.match(value):
            found.append(f"{at} = {value}")
            return f"…/{_SLASH.split(value)[-1]}"
        return value

    origin = cut(manifest.origin, "origin")
    return (manifest.model_copy(update={"origin": origin}) if found else manifest), found


def local_folder(text: str) -> Path:
    """The folder that a source or target names.

    Raises:
        InputError: it is an address of something else.
    """
    if "://" in text:
        raise InputError(f"{text!r} is neither a folder nor a repository", hint="expected a folder or hf://OWNER/NAME")
    return Path(text).expanduser()


@contextmanager
def written_to(folder: Path) -> Iterator[None]:
    """Turn a failure to write into a folder into an error of ours."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"the model cannot be written to {str(folder)!r}: {error.strerror}",
            hint="is there space, and may you write?",
        ) from error
