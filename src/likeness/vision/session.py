"""Networks, run by onnxruntime."""

from __future__ import annotations

import hashlib
import os
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import NDArray

from likeness.errors import BundleCorrupt
from likeness.runtime import load_onnxruntime

if TYPE_CHECKING:
    from likeness.bundle import Bundle

_OUTSIDE = "session.model_external_initializers_file_folder_path"
"""onnxruntime's name for the folder of weights that lie outside of a network's file."""


class Session:
    """A network ready to run: named arrays in, arrays out. Thread-safe; loads the file when first run.

    The file must hold all of the network: weights that it says lie in other files are not read. `threads` is how many
    cores one run may use; 0 takes all that this process may run on. With `sha256` only a file of that digest is loaded.
    """

    def __init__(self, path: Path, *, threads: int = 0, sha256: str | None = None) -> None:
        self.path = path
        self.threads = threads or available_cores()
        self._sha256 = sha256

    @classmethod
    def of(cls, bundle: Bundle, key: str, *, threads: int = 0) -> Self:
        """The network listed under a key of a bundle.

        Raises:
            BundleCorrupt: it is not listed, missing, has other bytes, or may not be read.
        """
        return cls(bundle.path(key), threads=threads, sha256=bundle.manifest.files[key].sha256)

    @cached_property
    def _engine(self) -> Any:
        ort = load_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Idle threads that spin would take the cores that decoding and the caller's own work need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        # Else weights in a file beside, which no manifest lists, would be read; nothing can lie below a file.
        options.add_session_config_entry(_OUTSIDE, str(self.path / "none"))
        data = self._read()
        try:
            return ort.InferenceSession(data, options, providers=["CPUExecutionProvider"], enable_fallback=0)
        except Exception as error:  # onnxruntime raises a class of its own for each status
            raise BundleCorrupt(f"{self.path.name} is not a network that onnxruntime can load: {error}") from error

    def _read(self) -> bytes:
        """The file, as it was when its digest was taken: it may have been exchanged since."""
        try:
            data = self.path.read_bytes()
        except OSError as error:
            raise BundleCorrupt(f"{self.path.name} cannot be read: {error.strerror}") from error
        if self._sha256 is not None and hashlib.sha256(data).hexdigest() != self._sha256:
            raise BundleCorrupt(
                f"{self.path.name} was changed since its bundle was opened",
                hint="start again; if it stays, get it anew",
            )
        return data

    def run(self, **inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
        """The network's outputs, in the file's order.

        Raises:
            BundleCorrupt: the file is no network, or not one that takes these inputs.
        """
        engine = self._engine
        try:
            outputs: list[NDArray[np.float32]] = engine.run(None, inputs)
        except MemoryError:
            raise
        except Exception as error:  # of a class of its own again
            reason = (str(error).splitlines() or [""])[0][:200]
            raise BundleCorrupt(f"the network {self.path.name} cannot be run as it should be: {reason}") from error
        return outputs

    def run_named(self, **inputs: NDArray[Any]) -> dict[str, NDArray[np.float32]]:
        """The network's outputs by name, in the file's order."""
        names = [output.name for output in self._engine.get_outputs()]
        return dict(zip(names, self.run(**inputs), strict=True))


def available_cores() -> int:
    """How many cores this process may run on (its affinity where the system has one)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
