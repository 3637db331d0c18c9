"""What the doctor looks at: packages, models, folders, the gallery, and one face found from end to end."""

from __future__ import annotations

import platform
import sys
import tempfile
from collections.abc import Callable, Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import numpy as np

import likeness
from likeness.addresses import masked
from likeness.errors import GalleryMissing, LikenessError
from likeness.gallery import open_gallery
from likeness.gallery.base import Finding
from likeness.gallery.keys import key_of
from likeness.recognizer import Recognizer
from likeness.service.models import all_models
from likeness.settings import Settings
from likeness.vision.session import available_cores

NEEDED = ("numpy", "onnxruntime", "pillow", "pillow-heif", "simplejpeg", "click", "rich", "pydantic", "platformdirs")
OPTIONAL = {
    "weights": ("mtcnn", "face_recognition_models", "onnx"),
    "ann": ("usearch",),
    "evaluate": ("scikit-learn", "matplotlib"),
}
_PURPOSES = {
    "weights": "to make the models that do not come with the package",
    "ann": "to search large galleries fast",
    "evaluate": "to measure models",
}


def examine(settings: Settings, say: Callable[[str], None]) -> Iterator[Finding]:
    """Everything looked at, in order; what is optional is never a fault."""
    yield Finding("likeness", True, f"{likeness.__version__} on Python {platform.python_version()}, {sys.platform}")
    yield _packages()
    yield from (_extra(name, packages) for name, packages in OPTIONAL.items())
    yield Finding(
        "cores", True, f"{available_cores()} available, {settings.threads or 'all'} of them used (the setting threads)"
    )
    yield _writable("cache folder", Path(settings.cache).expanduser())
    yield from _models(settings)
    yield _runs(settings, say)
    yield from _gallery(settings)


def _packages() -> Finding:
    found = {name: _version(name) for name in NEEDED}
    missing = [name for name, number in found.items() if number is None]
    if missing:
        return Finding("packages", False, f"missing: {', '.join(missing)}; install likeness again")
    return Finding("packages", True, ", ".join(f"{name} {number}" for name, number in found.items()))


def _extra(name: str, packages: tuple[str, ...]) -> Finding:
    missing = [package for package in packages if _version(package) is None]
    if not missing:
        return Finding(f"extra {name}", True, f"installed; used {_PURPOSES[name]}")
    words = f"not installed; needed only {_PURPOSES[name]} (pip install 'likeness[{name}]')"
    return Finding(f"extra {name}", True, words)


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _writable(name: str, folder: Path) -> Finding:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return Finding(name, True, f"{folder} can be written")
    except OSError as error:
        return Finding(name, False, f"{folder} cannot be written: {error.strerror}")


def _models(settings: Settings) -> Iterator[Finding]:
    for facts in all_models(settings.library(), verify=True):
        words = "; ".join((facts.state, "made when first used")) if facts.state == "not made yet" else str(facts.state)
        words += "" if facts.error is None else f": {facts.error}"
        yield Finding(f"model {facts.name}", facts.state != "damaged", words)


def _runs(settings: Settings, say: Callable[[str], None]) -> Finding:
    """Whether both networks run here, on a grey picture: it has no face, and its middle is embedded all the same."""
    try:
        recognizer = Recognizer(settings, say=say)
        recognizer.faces(np.full((64, 64, 3), 128, np.uint8))
        side = recognizer.embedder.side_px
        recognizer.embedder.embed(np.full((1, side, side, 3), 128, np.uint8))
        pairs = recognizer.calibration.impostor_pairs
    except LikenessError as error:
        return Finding("networks", False, str(error))
    return Finding(
        "networks",
        True,
        f"{settings.detector} and {settings.embedder} run; calibrated on {pairs:,} pairs of strangers",
    )


def _same_space(settings: Settings, held: str) -> Finding:
    """Whether the embedder makes vectors that those of the gallery may be compared with."""
    embedding = settings.library().find(settings.embedder).manifest.embedding
    made = "none" if embedding is None else embedding.space
    if made == held:
        return Finding("gallery: space", True, f"of {settings.embedder}, the embedder in use")
    words = f"{held}, but {settings.embedder} makes vectors of {made}: name the model it was made with, or re-embed it"
    return Finding("gallery: space", False, words)


def _gallery(settings: Settings) -> Iterator[Finding]:
    try:
        with open_gallery(settings.gallery, create=False, key=key_of(settings)) as gallery:
            info = gallery.info()
            yield Finding(
                "gallery", True, f"{info.uri}: {info.people:,} people, {info.faces:,} faces, space {info.space}"
            )
            yield _same_space(settings, info.space)
            yield from (Finding(f"gallery: {finding.name}", finding.ok, finding.message) for finding in gallery.check())
    except GalleryMissing:
        yield Finding("gallery", True, f"none yet at {masked(settings.gallery)}; enrolling makes it")
    except LikenessError as error:
        yield Finding("gallery", False, str(error))
