"""Arrivals and galleries share one database and one history of its tables."""

from __future__ import annotations

import sqlite3
from uuid import uuid4

import numpy as np
import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from likeness.database import current_version, migrate, postgres_engine
from likeness.errors import StorageError
from likeness.gallery import open_gallery
from likeness.gallery.base import NewFace
from likeness.intake.records import open_records


@pytest.fixture
def database(postgres) -> str:
    """The address of an empty database."""
    name = f"h{uuid4().hex[:12]}"
    postgres.psql(f"CREATE DATABASE {name}")
    return postgres.get_uri(database=name)


def as_released_first(engine: sa.Engine) -> None:
    """Bring tables to the version that knew arrivals only."""
    config = Config()
    config.set_main_option("script_location", "likeness.database:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")


def face(seed: int) -> NewFace:
    vector = np.zeros(8, np.float32)
    vector[seed] = 1
    return NewFace(f"P{seed}", vector, b"", f"{seed:064x}")


def test_a_database_with_arrivals_only_takes_a_gallery_and_keeps_its_arrivals(database):
    engine = postgres_engine(database, what="this test")
    as_released_first(engine)
    with engine.begin() as connection:
        connection.execute(
            sa.text(
                "INSERT INTO arrival_jobs (id, owner, total, created_at, cancelled) VALUES ('j', 'a', 1, now(), false)"
            )
        )
        assert current_version(connection) == "0001"
    with open_gallery(database, space="s", dimension=8) as gallery, open_records(database) as records:
        gallery.add([face(1)])
        assert records.job("j").owner == "a"
        assert [person.name for person in gallery.people()] == ["P1"]
    engine.dispose()


def test_records_and_galleries_open_a_new_database_in_either_order(database):
    with open_records(f"{database}&gallery=mine") as records:
        job, _ = records.add_job("anna", 1)
        with open_gallery(f"{database}&gallery=mine", space="s", dimension=8) as gallery:
            gallery.add([face(2)])
        assert records.job(job.id).total == 1


def test_an_sqlite_file_of_the_first_version_goes_on_and_gets_no_tables_of_galleries(tmp_path):
    path = tmp_path / "arrivals.db"
    engine = sa.create_engine(f"sqlite:///{path}")
    as_released_first(engine)
    engine.dispose()
    with open_records(str(path)) as records:
        job, _ = records.add_job("anna", 2)
        assert records.job(job.id).total == 2
    with sqlite3.connect(path) as connection:
        tables = {row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    assert {table for table in tables if table.startswith("galler")} == set()


def test_a_gallery_of_a_later_version_is_refused(database):
    with open_gallery(database, space="s", dimension=8):
        pass
    engine = postgres_engine(database, what="this test")
    with engine.begin() as connection:
        connection.execute(sa.text("UPDATE arrival_version SET version_num = '9999'"))
    engine.dispose()
    with pytest.raises(StorageError, match="later version"):
        open_gallery(database)


def test_the_tables_of_galleries_can_be_taken_back(database):
    engine = postgres_engine(database, what="this test")
    with open_gallery(database, space="s", dimension=8) as gallery:
        gallery.add([face(3)])
    config = Config()
    config.set_main_option("script_location", "likeness.database:migrations")
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, "0001")
        left = sa.inspect(connection).get_table_names()
    assert {name for name in left if name.startswith("galler")} == set()
    assert "arrival_jobs" in left
    migrate(engine)
    engine.dispose()
