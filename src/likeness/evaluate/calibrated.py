"""A bundle with another calibration: as a new folder, or in place."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from likeness.apparent import AttributeCalibration
from likeness.bundle import ATTRIBUTES, MANIFEST, PACKAGED, Bundle, place_folder, write_manifest
from likeness.calibration import Calibration
from likeness.errors import CalibrationError, Conflict, ModelError, StorageError


def write_calibrated(bundle: Bundle, calibration: Calibration, target: Path | None) -> Bundle:
    """The bundle with this calibration, as the new folder `target`, or in place where that is None.

    Name, version, embedding space and all other files stay as they are. In place, whoever reads the bundle meanwhile
    finds the old calibration or the new one.

    Raises:
        CalibrationError: it was fitted for another embedding space.
        ModelError: a bundle that came with the installation would be changed in place.
        Conflict: there is something at the target already.
        StorageError: it cannot be written.
    """
    space = bundle.manifest.embedding.space if bundle.manifest.embedding else None
    if calibration.space != space:
        raise CalibrationError(
            f"the calibration is for embeddings of {calibration.space!r}; {bundle.manifest.name} makes {space!r}"
        )
    return _written(bundle, _Part("calibration", calibration.as_dict()), target)


def write_told(bundle: Bundle, calibration: AttributeCalibration, target: Path | None) -> Bundle:
    """The bundle with this calibration of age and gender; as `write_calibrated`.

    Raises:
        ModelError, Conflict, StorageError: as there.
    """
    return _written(bundle, _Part(ATTRIBUTES, calibration.as_dict()), target)


@dataclass(frozen=True)
class _Part:
    """A file of a bundle that is fitted: its key, which its name begins with, and what is in it."""

    key: str
    data: dict[str, Any]


def _written(bundle: Bundle, part: _Part, target: Path | None) -> Bundle:
    bundle.verify()
    try:
        return _in_place(bundle, part) if target is None else _anew(bundle, part, target)
    except OSError as error:
        where = bundle.folder if target is None else target
        raise StorageError(f"the bundle cannot be written to {str(where)!r}: {error.strerror}") from error


def expect_place(bundle: Bundle, target: Path | None) -> None:
    """Let a place pass where a calibrated bundle can be written: to be asked before the work.

    Raises:
        ModelError, Conflict: as `write_calibrated`.
    """
    if target is not None and (target.exists() or target.is_symlink()):
        raise Conflict(f"{str(target)!r} is there already", hint="name a new folder for the bundle")
    if target is None and bundle.folder.resolve().is_relative_to(PACKAGED.resolve()):
        raise ModelError(
            f"{bundle.manifest.name} came with the installation and is never changed in place",
            hint="write a bundle of your own: --out FOLDER",
        )


def _anew(bundle: Bundle, part: _Part, target: Path) -> Bundle:
    expect_place(bundle, target)
    return place_folder(target, lambda folder: _fill(bundle, part, folder, f"{part.key}.json"))


def _in_place(bundle: Bundle, part: _Part) -> Bundle:
    expect_place(bundle, None)
    aside = Path(tempfile.mkdtemp(prefix=f".{bundle.folder.name}.", dir=bundle.folder.parent))
    try:
        # A new name: until the manifest is replaced, the old one finds its file with the old bytes.
        name = f"{part.key}-{os.urandom(4).hex()}.json"
        _fill(bundle, part, aside, name)
        Bundle.read(aside).verify()
        (aside / name).replace(bundle.folder / name)
        (aside / MANIFEST).replace(bundle.folder / MANIFEST)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    old = bundle.manifest.files.get(part.key)
    if old is not None and old.path not in {file.path for file in Bundle.read(bundle.folder).manifest.files.values()}:
        (bundle.folder / old.path).unlink(missing_ok=True)
    return Bundle.read(bundle.folder)


def _fill(bundle: Bundle, part: _Part, folder: Path, name: str) -> None:
    folder.chmod(0o755)  # made as a private folder for temporary files
    roles: Mapping[str, str] = {key: file.path for key, file in bundle.manifest.files.items() if key != part.key}
    for path in set(roles.values()):
        shutil.copyfile(bundle.folder / path, folder / path)
    text = json.dumps(part.data, ensure_ascii=False, allow_nan=False)
    (folder / name).write_text(text + "\n", "utf-8")
    manifest = bundle.manifest.model_dump(mode="json", exclude={"files"})
    write_manifest(folder, manifest, {**roles, part.key: name})
