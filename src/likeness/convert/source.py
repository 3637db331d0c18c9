"""Finding a file of published weights inside an installed package, without importing the package."""

from __future__ import annotations

import hashlib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from likeness.errors import BundleCorrupt, WeightsMissing


def locate(package: str, relative: str) -> Path:
    """The path of `relative` in an installed package's folder; the package itself is not run.

    Raises:
        WeightsMissing: the package or the file is not installed.
    """
    spec = find_spec(package)
    places = list(spec.submodule_search_locations or []) if spec else []
    for place in places:
        if (path := Path(place) / relative).is_file():
            return path
    raise WeightsMissing(
        f"the weights file {relative} of the package {package} is not installed",
        hint="pip install 'likeness[weights]'",
    )


def read_verified(path: Path, sha256: str) -> bytes:
    """The bytes of a file whose digest is `sha256`.

    Raises:
        BundleCorrupt: the digest is another one.
    """
    data = path.read_bytes()
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise BundleCorrupt(
            f"{path.name} has sha256 {found[:16]}…, expected {sha256[:16]}…",
            hint="reinstall the package that carries it: pip install --force-reinstall 'likeness[weights]'",
        )
    return data


def read_sources(origin: dict[str, Any]) -> dict[str, bytes]:
    """The verified bytes of each file that an entry's `origin` names, by file name."""
    found = {}
    for row in origin["files"]:
        path = locate(origin["module"], row["path"])
        found[path.name] = read_verified(path, row["sha256"])
    return found
