"""Files of what was fitted on data: JSON of format 1, numbers in lists."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from likeness.errors import CalibrationError

Kind = TypeVar("Kind")


def read_fitted(path: Path, kind: type[Kind], what: str) -> Kind:
    """Build a `kind` from the values in a file, lists as float64 arrays.

    Raises:
        CalibrationError: the file is not `what` it should be.
    """
    try:
        data: dict[str, Any] = json.loads(path.read_text("utf-8"))
        if data.pop("format") != 1:
            raise CalibrationError(f"{path} has a format that this version does not know")
        arrays = {name: np.array(value, np.float64) for name, value in data.items() if isinstance(value, list)}
        return kind(**data | arrays)
    except (OSError, UnicodeDecodeError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise CalibrationError(f"{path} is not {what}: {error}") from error
