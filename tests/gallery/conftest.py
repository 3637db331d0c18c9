"""The backends that the contract's tests run on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from urllib.parse import quote
from uuid import uuid4

import pytest
import sqlalchemy as sa
from elastic_server import StandIn
from gallery_oracle import DIMENSION, SPACE

from likeness.errors import GalleryMissing
from likeness.gallery import open_gallery
from likeness.gallery.base import Gallery
from likeness.gallery.elastic import ElasticGallery
from likeness.gallery.embedded import open_embedded
from likeness.gallery.keys import OwnerKey


@pytest.fixture
def postgres_uri(request, postgres_database) -> str:
    """The address of a gallery of this test's own, in a database that the tests share."""
    return f"{postgres_database}&gallery={quote(request.node.name[:60])}-{uuid4().hex[:8]}"


@pytest.fixture
def sql(postgres_database):
    """Runs statements in the shared database beside the gallery."""
    engine = sa.create_engine(postgres_database.replace("postgresql:", "postgresql+psycopg:"))

    def call(statement: str, **values):
        with engine.begin() as connection:
            done = connection.execute(sa.text(statement), values)
            return done.fetchall() if done.returns_rows else done.rowcount

    yield call
    engine.dispose()


@pytest.fixture(scope="session")
def stand_in() -> Iterator[StandIn]:
    """A server that speaks as Elasticsearch does, for all tests; nothing that it was asked may break the contract."""
    with StandIn() as server:
        yield server
        assert server.violations == []


@pytest.fixture
def elastic_uri(request, stand_in) -> str:
    """The address of a gallery of this test's own: on the cluster that the environment names, or on the stand-in."""
    named = os.environ.get("LIKENESS_TEST_ELASTICSEARCH")
    if not named:
        return stand_in.address()
    place, _, options = named.partition("?")
    uri = f"{place.rstrip('/')}/likeness-test-{uuid4().hex[:12]}" + (f"?{options}" if options else "")

    def delete() -> None:
        with suppress(GalleryMissing), open_gallery(uri, create=False, unfinished=True) as opened:
            assert isinstance(opened, ElasticGallery)
            opened.delete()

    request.addfinalizer(delete)  # noqa: PT021 - only where there is something to delete
    return uri


@pytest.fixture(params=["embedded", "sealed", "postgres", "elastic"])
def open_here(request, tmp_path) -> Callable[..., Gallery]:
    """Opens the gallery of this test, the same one each time."""
    servers = {"postgres": "postgres_uri", "elastic": "elastic_uri"}
    served = request.param in servers
    at = request.getfixturevalue(servers[request.param]) if served else tmp_path / "people.likeness"
    key = OwnerKey(b"k" * 32, "a test") if request.param == "sealed" else None
    return partial(open_gallery, at, space=SPACE, dimension=DIMENSION, key=key)


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
