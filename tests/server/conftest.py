"""A server of this test's own on a filled gallery, open to this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from likeness.server.app import create_app
from likeness.settings import Settings
from running_server import client, running


@pytest.fixture
def serve_settings(gallery_path, tmp_path) -> Callable[..., Settings]:
    """Settings of a server whose files are this test's own."""

    def make(**values: Any) -> Settings:
        own = {"gallery": str(gallery_path), "serve_answers": str(tmp_path / "answers.db"), "serve_rate_per_minute": 0}
        return Settings.load(own | values)

    return make


@pytest.fixture
def server(serve_settings) -> Iterator[str]:
    """The address of a running server."""
    with running(create_app(serve_settings(), open_access=True)) as address:
        yield address


@pytest.fixture
def api(server):
    """Somebody who asks it."""
    with client(server) as opened:
        yield opened


@pytest.fixture
def probe(samples, names) -> Path:
    """A photo of the first person that is not enrolled."""
    return samples / "probes" / f"{names[0].replace(' ', '_')}_new.jpg"
