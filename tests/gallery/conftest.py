"""The backends that the contract's tests run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from urllib.parse import quote
from uuid import uuid4

import pytest
from gallery_oracle import DIMENSION, SPACE

from likeness.gallery import open_gallery
from likeness.gallery.base import Gallery
from likeness.gallery.embedded import open_embedded


@pytest.fixture
def postgres_uri(request, postgres_database) -> str:
    """The address of a gallery of this test's own, in a database that the tests share."""
    return f"{postgres_database}&gallery={quote(request.node.name[:60])}-{uuid4().hex[:8]}"


@pytest.fixture(params=["embedded", "postgres"])
def open_here(request, tmp_path) -> Callable[..., Gallery]:
    """Opens the gallery of this test, the same one each time."""
    at = request.getfixturevalue("postgres_uri") if request.param == "postgres" else tmp_path / "people.likeness"
    return partial(open_gallery, at, space=SPACE, dimension=DIMENSION)


@pytest.fixture
def gallery(open_here) -> Iterator[Gallery]:
    """An empty gallery."""
    with open_here() as opened:
        yield opened


@pytest.fixture
def embedded_at(tmp_path) -> Callable[..., Gallery]:
    """Opens an embedded gallery with engine settings; `at` names the file."""

    def opened(at: str = "people.likeness", **settings) -> Gallery:
        given = {"space": SPACE, "dimension": DIMENSION, "create": True, "busy_timeout_s": 5.0} | settings
        return open_embedded(tmp_path / at, **given)

    return opened
