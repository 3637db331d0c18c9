"""Networks, run by onnxruntime."""

from __future__ import annotations

import os
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from likeness.errors import BundleCorrupt
from likeness.runtime import load_onnxruntime


class Session:
    """A network ready to run: named arrays in, arrays out. Thread-safe; loads the file when first run.

    `threads` is how many cores one run may use; 0 takes all that this process may run on.
    """

    def __init__(self, path: Path, *, threads: int = 0) -> None:
        self.path = path
        self.threads = threads or available_cores()

    @cached_property
    def _engine(self) -> Any:
        ort = load_onnxruntime()
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.threads
        options.inter_op_num_threads = 1
        # Idle threads that spin would take the cores that decoding and the caller's own work need.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            return ort.InferenceSession(str(self.path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # onnxruntime raises a class of its own for each status
            raise BundleCorrupt(f"{self.path.name} is not a network that onnxruntime can load: {error}") from error

    def run(self, **inputs: NDArray[Any]) -> list[NDArray[np.float32]]:
        """The network's outputs, in the file's order."""
        outputs: list[NDArray[np.float32]] = self._engine.run(None, inputs)
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
