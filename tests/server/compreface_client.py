"""CompreFace's own client for Python, 0.6.0, as its users call it.

It pins a version of requests-toolbelt that imports a module for Google's App Engine, which urllib3 has no longer.
An empty one stands in for it while the client is imported; nothing asks it anything.
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import dataclass
from types import ModuleType
from typing import Any


@dataclass(frozen=True)
class Client:
    """The three services behind one key."""

    recognition: Any
    verification: Any
    detection: Any

    @property
    def subjects(self) -> Any:
        return self.recognition.get_subjects()

    @property
    def faces(self) -> Any:
        return self.recognition.get_face_collection()


def compreface_client(address: str, key: str = "any", options: dict[str, Any] | None = None) -> Client:
    """A client of the server at an address such as `http://127.0.0.1:8000`."""
    host, _, port = address.rpartition(":")
    service = _library().CompreFace(host, port, options or {})
    return Client(
        service.init_face_recognition(key), service.init_face_verification(key), service.init_face_detection(key)
    )


def _library() -> ModuleType:
    gone = "urllib3.contrib.appengine"
    if "compreface" not in sys.modules:
        sys.modules.setdefault(gone, ModuleType(gone))
        import urllib3.contrib

        urllib3.contrib.appengine = sys.modules[gone]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import compreface  # noqa: F401 - taken from sys.modules below
    return sys.modules["compreface"]
