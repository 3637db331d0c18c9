"""What a training keeps on disk between its epochs: tensors and numbers, read without running anything in them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from likeness.errors import DatasetError


def write_state(path: Path, state: Mapping[str, Any]) -> None:
    """Write it in one step: who is stopped meanwhile finds the one before."""
    part = path.with_name(f".{path.name}.part")
    torch.save(dict(state), part)
    part.replace(path)


def read_state(path: Path, *, hint: str | None = None) -> dict[str, Any]:
    """Read it.

    Raises:
        DatasetError: it is damaged; `hint` says what to do.
    """
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a class of its own for each kind of damage
        raise DatasetError(f"the checkpoint {str(path)!r} cannot be read: {type(error).__name__}", hint=hint) from error
    return state
