"""Random histories on a gallery on PostgreSQL and on a naive one, which must answer alike; two clients at once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from uuid import uuid4

import pytest
from gallery_oracle import DIMENSION, SPACE, Oracle
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule
from test_gallery_oracle import History

from likeness.gallery.postgres import open_postgres


class PostgresHistory(History):
    """The server reads all vectors."""

    database = ""

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())  # for snapshots
        self.oracle = Oracle()
        self.address = f"{self.database}&gallery={uuid4().hex}"
        self.open()

    def open(self):
        self.galleries = [
            open_postgres(
                self.address,
                space=SPACE,
                dimension=DIMENSION,
                create=True,
                approximate_above=self.approximate_above,
            )
            for _ in range(2)
        ]

    @rule(which=st.integers(0, 1))
    def check(self, which):
        assert [finding for finding in self.galleries[which].check(sample=20) if not finding.ok] == []


class IndexedPostgresHistory(PostgresHistory):
    """Through the index, from four faces on."""

    approximate_above = 3

    @rule(which=st.integers(0, 1))
    def build_index(self, which):
        self.galleries[which].build_index()

    def check(self, which):
        """Not here: a gallery that has grown has no index until it is built."""


@pytest.fixture(autouse=True, scope="module")
def _database(postgres_database):
    PostgresHistory.database = postgres_database


_settings = settings(max_examples=6, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
TestPostgresExact = PostgresHistory.TestCase
TestPostgresExact.settings = _settings
TestPostgresIndexed = IndexedPostgresHistory.TestCase
TestPostgresIndexed.settings = _settings
