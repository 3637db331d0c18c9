"""The peer that the benchmarks run beside us: face_recognition on dlib."""

from __future__ import annotations

import importlib.util
import sys
import types
import warnings
from pathlib import Path
from typing import Any


def face_recognition() -> Any:
    """The library, whose package of models asks a module for its files that newer setuptools no longer have."""
    warnings.filterwarnings("ignore")  # where setuptools have it, they warn of its use
    if "pkg_resources" not in sys.modules and importlib.util.find_spec("pkg_resources") is None:
        places: Any = types.ModuleType("pkg_resources")
        places.resource_filename = lambda package, name: str(Path(str(_origin(package))).parent / name)
        sys.modules["pkg_resources"] = places
    import face_recognition as library

    return library


def _origin(package: str) -> str | None:
    spec = importlib.util.find_spec(package)
    return spec.origin if spec else None
