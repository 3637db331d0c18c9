"""Loading onnxruntime, so that it keeps to itself."""

from __future__ import annotations

import os
from typing import Any

from likeness.errors import ExtraMissing


def load_onnxruntime() -> Any:
    """The module onnxruntime, loaded with its reporting switched off.

    Left alone, onnxruntime 1.31 writes a device id and a log of events into the user's home, and sends them to its
    maker when it can. What runs here is nobody else's business, so the switch that it reads when it is loaded is set,
    whatever it was set to before.
    """
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    onnxruntime.disable_telemetry_events()
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime


def load_quantization() -> Any:
    """The module onnxruntime.quantization.

    Raises:
        ExtraMissing: the packages that it needs are not installed.
    """
    load_onnxruntime()
    try:
        from onnxruntime import quantization
    except ImportError as error:
        raise ExtraMissing(
            f"quantizing a network needs the package {error.name}", hint="pip install 'likeness[train]'"
        ) from error
    return quantization
