"""What a test wants of its machine and does not find."""

from __future__ import annotations

import os

import pytest


def missing(what: str) -> None:
    """Skip where it is not there; fail where everything has to be."""
    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
