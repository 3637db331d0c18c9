"""Commands that need what only an extra of the package installs."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from likeness.errors import ExtraMissing


@contextmanager
def needs_torch() -> Iterator[None]:
    """Imports of what only the extra `train` installs.

    Raises:
        ExtraMissing: it is not installed.
    """
    try:
        yield
    except ImportError as error:
        raise ExtraMissing(f"this needs {error.name}", hint="pip install 'likeness[train]'") from error
