"""Random histories on a gallery on Elasticsearch and on a naive one, which must answer alike; two clients at once."""

from __future__ import annotations

from typing import ClassVar

import pytest
from elastic_server import StandIn
from gallery_oracle import DIMENSION, SPACE, Oracle
from hypothesis import HealthCheck, settings
from hypothesis.stateful import initialize
from test_gallery_oracle import History

from likeness.gallery import open_gallery


class ElasticHistory(History):
    """Every face compared."""

    options: ClassVar[dict[str, object]] = {}
    server: StandIn

    @initialize()
    def begin(self):
        self.oracle = Oracle()
        self.address = self.server.address(**self.options)
        self.open()

    def open(self):
        self.galleries = [open_gallery(self.address, space=SPACE, dimension=DIMENSION) for _ in range(2)]


class GraphHistory(ElasticHistory):
    """By kNN, also in the smallest gallery, with few documents in a bulk request."""

    options: ClassVar[dict[str, object]] = {"exact": 0, "bulk_count": 3}


@pytest.fixture(autouse=True, scope="module")
def _server():
    with StandIn() as server:
        ElasticHistory.server = server
        yield
        assert server.violations == []


_settings = settings(
    max_examples=6,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestElasticExact = ElasticHistory.TestCase
TestElasticExact.settings = _settings
TestElasticGraph = GraphHistory.TestCase
TestElasticGraph.settings = _settings
