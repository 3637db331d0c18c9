"""Sample photos by what they show."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def sample_photo(samples: Path) -> str:
    """One face."""
    return str(samples / "probes" / "Nadia_Okafor_new.jpg")


@pytest.fixture(scope="session")
def group_photo(samples: Path) -> str:
    """Five faces."""
    return str(samples / "group.jpg")
