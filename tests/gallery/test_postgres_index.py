"""Search through pgvector's index: what it finds of what exact search finds, and what it costs."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import sqlalchemy as sa
from gallery_oracle import SPACE

from likeness.errors import InputError
from likeness.gallery.base import NewFace
from likeness.gallery.postgres import index, open_postgres
from likeness.gallery.postgres.server import Server

DIMENSION = 64
PEOPLE = 1000
EACH = 3


def clustered(seed: int) -> np.ndarray:
    """`(PEOPLE * EACH, DIMENSION)` unit vectors; those of one person lie near each other."""
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((PEOPLE, 1, DIMENSION))
    found = (centres + 0.7 * rng.standard_normal((PEOPLE, EACH, DIMENSION))).reshape(-1, DIMENSION).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


VECTORS = clustered(1)


@pytest.fixture(scope="module")
def filled(postgres_database) -> str:
    """The address of a gallery of 3,000 faces with an index."""
    uri = f"{postgres_database}&gallery=indexed"
    faces = [
        NewFace(f"P{row // EACH}", vector, b"", f"{row:064x}", source=str(row)) for row, vector in enumerate(VECTORS)
    ]
    with open_postgres(uri, space=SPACE, dimension=DIMENSION, create=True, approximate_above=100) as gallery:
        for start in range(0, len(faces), 1000):
            gallery.add(faces[start : start + 1000])
        assert gallery.info().index == "exact"
        told: list[tuple[int, int]] = []
        assert gallery.build_index(progress=lambda *now: told.append(now)) == "hnsw-halfvec"
        assert told[-1] == (len(faces), len(faces))
    return uri


@pytest.fixture
def indexed(filled):
    with open_postgres(filled, space=SPACE, dimension=DIMENSION, create=False, approximate_above=100) as gallery:
        yield gallery


@pytest.fixture
def exact(filled):
    with open_postgres(filled, space=SPACE, dimension=DIMENSION, create=False) as gallery:
        assert gallery.info().index == "exact", "the gallery is small"
        yield gallery


def people(found) -> list[list[str]]:
    return [[hit.person_id for hit in hits] for hits in found]


def test_the_index_finds_what_exact_search_finds(indexed, exact):
    probes = clustered(2)[:100]
    got, wanted = people(indexed.search(probes, 10)), people(exact.search(probes, 10))
    assert np.mean([one[0] == other[0] for one, other in zip(got, wanted, strict=True)]) >= 0.99
    assert np.mean([len(set(one) & set(other)) / 10 for one, other in zip(got, wanted, strict=True)]) >= 0.97
    found = {finding.name: finding for finding in indexed.check(sample=100)}
    assert found["search"].ok
    assert "recall@10" in found["search"].message
    assert "hnsw-halfvec of" in found["index"].message
    assert "MB on disk for 3,000 faces, to be held in shared_buffers" in found["index"].message


def test_similarities_are_those_of_full_precision(indexed):
    (hits,) = indexed.search(VECTORS[7:8], 5)
    for hit in hits:
        [face] = indexed.faces(face_id=hit.face_id)
        assert hit.similarity == pytest.approx(float(face.embedding @ VECTORS[7]), abs=1e-6)


def test_all_who_are_nearest_are_passed_over_and_the_next_are_found(indexed, exact):
    """More than an index shows at a time are excluded: it has to go on searching."""
    probe = VECTORS[:1]
    nearest = [hit.person_id for hit in exact.search(probe, 700)[0]]
    wanted = exact.search(probe, 710)[0][700:]
    got = indexed.search(probe, 10, exclude=nearest)[0]
    assert len(got) == 10
    assert len({hit.person_id for hit in got} & {hit.person_id for hit in wanted}) >= 8


def test_one_person_with_very_many_pictures_near_by_hides_nobody(filled, postgres_database):
    uri = f"{postgres_database}&gallery=crowded"
    rng = np.random.default_rng(5)
    near = (VECTORS[0] + 0.05 * rng.standard_normal((1500, DIMENSION))).astype(np.float32)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    with open_postgres(uri, space=SPACE, dimension=DIMENSION, create=True, approximate_above=100) as gallery:
        gallery.add([NewFace("Many", vector, b"", f"{row:064x}") for row, vector in enumerate(near)])
        gallery.add([NewFace(f"P{row}", VECTORS[row], b"", f"{row:064x}") for row in range(4, 40)])
        assert gallery.build_index() == "hnsw-halfvec"
        (hits,) = gallery.search(VECTORS[:1], 6)
        order = sorted(range(4, 40), key=lambda row: -float(VECTORS[row] @ VECTORS[0]))
        assert [hit.name for hit in hits] == ["Many", *(f"P{row}" for row in order[:5])]
        assert len(gallery.search(VECTORS[:1], 100)[0]) == 37, "all people there are"


def test_faces_added_and_erased_after_the_index_was_built_are_found_and_not_found(indexed):
    rng = np.random.default_rng(9)
    vector = rng.standard_normal(DIMENSION).astype(np.float32)
    vector /= np.linalg.norm(vector)
    added = indexed.add([NewFace("New", vector, b"", "f" * 64)])[0]
    assert indexed.search(vector[None], 1)[0][0].face_id == added.face_id
    indexed.remove(added.person_id)
    assert indexed.search(vector[None], 1)[0][0].person_id != added.person_id


def test_what_an_index_will_take_is_said_about_right(indexed, exact):
    faces, taken = indexed.info().faces, indexed.info().details["index_bytes"]
    assert 0.5 < index.estimate_bytes(DIMENSION, faces) / taken < 2
    message = {finding.name: finding.message for finding in exact.check(sample=10)}["index"]
    assert "MB" in message


def test_of_two_who_build_one_index_one_builds_it_and_the_other_waits(postgres_database):
    uri, made = f"{postgres_database}&gallery=built-twice", []

    def note(_connection, _cursor, statement, *_):
        if statement.startswith(("CREATE INDEX CONCURRENTLY", "DROP INDEX")):
            made.append(statement.split()[0])

    sa.event.listen(sa.Engine, "before_cursor_execute", note)
    with open_postgres(uri, space=SPACE, dimension=DIMENSION, create=True, approximate_above=100) as gallery:
        gallery.add([NewFace(f"P{row}", VECTORS[row], b"", f"{row:064x}") for row in range(1000)])
        with (
            ThreadPoolExecutor(2) as pool,
            open_postgres(uri, space=SPACE, dimension=DIMENSION, create=False, approximate_above=100) as other,
        ):
            first, second = pool.submit(gallery.build_index), pool.submit(other.build_index)
            assert first.result(60) == second.result(60) == "hnsw-halfvec"
    sa.event.remove(sa.Engine, "before_cursor_execute", note)
    assert made == ["CREATE"]


def test_an_index_that_was_left_unfinished_is_built_anew(indexed, postgres_database):
    engine = sa.create_engine(postgres_database.replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        [[name]] = connection.execute(
            sa.text("SELECT indexrelid::regclass::text FROM pg_index WHERE indexrelid = to_regclass(:n)"),
            {"n": index_of(indexed)},
        ).fetchall()
        connection.execute(
            sa.text("UPDATE pg_index SET indisvalid = false WHERE indexrelid = to_regclass(:n)"), {"n": name}
        )
    engine.dispose()
    assert indexed.info().index == "exact"
    assert indexed.build_index() == "hnsw-halfvec"


def index_of(gallery) -> str:
    return gallery._server.read(lambda connection, state: index.index_name(state.vectors))


def test_vectors_that_are_too_long_for_an_index_are_searched_exactly(postgres_uri):
    with open_postgres(postgres_uri, space=SPACE, dimension=5000, create=True) as gallery:
        vector = np.zeros(5000, np.float32)
        vector[3] = 1
        gallery.add([NewFace("Ann", vector, b"", "0" * 64)])
        assert gallery.search(vector[None], 1)[0][0].name == "Ann"
        with pytest.raises(InputError, match="too long"):
            gallery.build_index()


def test_a_reembedded_gallery_keeps_its_index_and_counts_its_faces_once(postgres_uri):
    vectors = VECTORS[:600]
    faces = [NewFace(f"P{row}", vector, b"%d" % row, f"{row:064x}") for row, vector in enumerate(vectors)]
    with open_postgres(postgres_uri, space=SPACE, dimension=DIMENSION, create=True, approximate_above=100) as gallery:
        gallery.add(faces)
        gallery.build_index()
        told: list[tuple[int, int]] = []
        asked: list[str] = []
        sa.event.listen(gallery._server.engine, "before_cursor_execute", lambda *call: asked.append(call[2]))

        def embed(crops):
            if len(told) == 3:  # enrolled while the rest is embedded
                gallery.add([NewFace("Late", VECTORS[600], b"600", "f" * 64)])
            return VECTORS[[int(crop) for crop in crops], :32] / np.linalg.norm(
                VECTORS[[int(crop) for crop in crops], :32], axis=1, keepdims=True
            )

        assert gallery.reembed("new", 32, embed, progress=lambda *now: told.append(now)) == 601
        assert len([words for words in asked if "count(*)" in words and "coalesce" in words]) == 1
        assert told[:3] == [(0, 600), (64, 600), (128, 600)]
        assert told[-1] == (601, 601)
        assert gallery.info().index == "hnsw-halfvec", "searches are as fast as before"
        probe = VECTORS[600:601, :32] / np.linalg.norm(VECTORS[600, :32])
        assert gallery.search(probe, 1)[0][0].name == "Late"
        assert [finding for finding in gallery.check() if not finding.ok] == []


def test_where_nobody_can_be_asked_how_far_a_build_is_nothing_is_told():
    server = Server("postgresql://u@127.0.0.1:1/x?connect_timeout=1", "x")
    told: list[tuple[int, int]] = []
    ended = threading.Event()
    threading.Timer(1.2, ended.set).start()
    index._tell(server, "gallery_vectors_1_1", 10, lambda *now: told.append(now), ended)
    assert told == []
    server.close()
