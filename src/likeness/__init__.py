"""Face recognition you own: people, lookalikes and honest probabilities from your photos, offline."""

from __future__ import annotations

from importlib import import_module

TYPE_CHECKING = False
"""As `typing`'s, whose import would take longer than all else here."""

__version__ = "0.1.0"

__all__ = ["Answer", "Face", "Recognizer", "__version__", "open_gallery"]

# Names are loaded when first used, so that `import likeness` costs next to nothing.
_HOMES = {
    "Answer": "likeness.types",
    "Face": "likeness.types",
    "Recognizer": "likeness.recognizer",
    "open_gallery": "likeness.gallery",
}

if TYPE_CHECKING:
    from typing import Any

    from likeness.gallery import open_gallery
    from likeness.recognizer import Recognizer
    from likeness.types import Answer, Face


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'likeness' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
