"""A gallery goes over to another engine with everything, and only when everything has come."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, date, datetime

import numpy as np
import pytest
import sqlalchemy as sa
from gallery_oracle import DIMENSION, SPACE, new_face, photo, unit

from likeness.errors import (
    Conflict,
    GalleryBusy,
    GalleryCorrupt,
    GalleryKeyMissing,
    GalleryMissing,
    PersonNotFound,
    SpaceMismatch,
)
from likeness.gallery import migration, open_gallery
from likeness.gallery.base import PhotoNote
from likeness.gallery.keys import OwnerKey
from likeness.types import Consent

EVERYTHING = 10_000
PROBES = np.stack([unit(seed) for seed in range(1000, 1020)])


@pytest.fixture
def source(tmp_path) -> str:
    """The path of an embedded gallery with a past: merged people, erased faces, notes, consent, a snapshot."""
    at = tmp_path / "source.gallery"
    with open_gallery(at, space=SPACE, dimension=DIMENSION) as gallery:
        consent = Consent("signed form", datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "paper")
        gallery.add([new_face(f"P{seed % 60}", seed, quality=seed / 1000) for seed in range(300)])
        places = {"box_xyxy_px": (1.5, 2.1, 30.25, 40.7), "landmarks_px": tuple(at / 7 for at in range(10))}
        gallery.add([new_face("Ann", 400, consent=consent, retain_until=date(2030, 1, 1), source="ü.jpg", **places)])
        gallery.update(gallery.person("Ann").id, profile={"born": 1970, "of": ["a", {"b": None}], "\x00": "😀"})
        gallery.create("Nobody yet")
        gallery.note_photos("Ann", [PhotoNote(photo(7), "no_face", "none was found")], settings_tag="t")
        gallery.note_photos("Not there", [PhotoNote(photo(8), "no_face")], settings_tag="t")
        gallery.snapshot(tmp_path / "old.snapshot")
        gallery.merge(gallery.person("P1").id, gallery.person("P2").id)
        gallery.remove(gallery.person("P3").id)
        last = gallery.add([new_face("Ann", 401)])[0]
        gallery.remove(face_id=last.face_id)
        for number in range(520):
            gallery.record(
                "look", actor="tests", person_id=gallery.people(limit=1)[0].id if not number else None, n=number
            )
    return str(at)


def contents(gallery) -> dict[str, object]:
    """All that can be asked of a gallery, vectors to the last bit."""
    faces = [
        {name: getattr(face, name) for name in face.__dataclass_fields__ if name != "embedding"}
        | {"embedding": face.embedding.tobytes()}
        for face in gallery.faces()
    ]
    ann = gallery.person("Ann").id
    return {
        "people": gallery.people(limit=EVERYTHING),
        "faces": faces,
        "events": gallery.events(limit=520),
        "notes": [gallery.noted_photos(name, [photo(7), photo(8)], settings_tag="t") for name in ("ann", "not there")],
        "all notes": gallery.notes_on(ann),
        "answers": [[(hit.person_id, hit.face_id, hit.name) for hit in hits] for hits in gallery.search(PROBES, 7)],
        "similarities": [[hit.similarity for hit in hits] for hits in gallery.search(PROBES, 7)],
    }


def expect_same(got: dict[str, object], wanted: dict[str, object]) -> None:
    for what, value in wanted.items():
        if what == "similarities":
            assert np.allclose(got[what], value, atol=1e-6, rtol=0)
        else:
            assert got[what] == value, what


def test_everything_goes_to_postgres_and_back_and_is_what_it_was(source, postgres_uri, tmp_path):
    back = str(tmp_path / "back.gallery")
    told: list[tuple[int, int]] = []
    done = migration.migrate(source, postgres_uri, actor="tests", progress=lambda *now: told.append(now))
    assert (done.faces, done.people, done.snapshots) == (296, 60, 1)
    assert told[0][0] == 0
    assert told[-1][0] == told[-1][1] == sum((done.faces, done.people, done.notes, done.events, done.snapshots, 1))
    assert done.compared_faces > 100
    migration.migrate(postgres_uri, back, actor="tests")
    with open_gallery(source) as first, open_gallery(postgres_uri) as second, open_gallery(back) as third:
        before = contents(first)
        expect_same(contents(second), before)
        expect_same(contents(third), before)
        for gallery in (second, third):
            assert all(finding.ok for finding in gallery.check()), gallery.check()
            assert gallery.check_events(sealed=done.seal).finding.ok
        assert [event.action for event in third.events(after=520)] == ["migrate", "migrate"]


def test_what_is_promised_of_ids_and_erasing_holds_after_a_migration(source, postgres_uri, tmp_path):
    with open_gallery(source) as before:
        highest = max(face.id for face in before.faces())
        merged_away = before.person("P2").id
    migration.migrate(source, postgres_uri, actor="tests")
    with open_gallery(postgres_uri, space=SPACE, dimension=DIMENSION) as gallery:
        # A face was erased that had a higher number than all there are.
        assert gallery.add([new_face("New", 900)])[0].face_id == highest + 2
        old = str(tmp_path / "old.snapshot")
        with open_gallery(old) as snapshot:
            assert {"P1", "P2"} <= {person.name for person in snapshot.people()}
        assert gallery.remove(merged_away).snapshots_purged == (old,)
        with open_gallery(old) as snapshot:
            assert not {"P1", "P2"} & {person.name for person in snapshot.people()}
            with pytest.raises(PersonNotFound):
                snapshot.person(merged_away)


KILLED = """
import os, sys
from likeness.gallery import migration
def progress(done, total):
    if done > 200:
        os.kill(os.getpid(), 9)
migration.migrate(sys.argv[1], sys.argv[2], actor="tests", progress=progress)
"""


def killed_on_the_way(source: str, target: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, source, target], timeout=60)
    assert done.returncode == -signal.SIGKILL


@pytest.fixture(params=["postgres", "embedded", "elastic"])
def target(request, tmp_path) -> str:
    """The address of a gallery that is not there yet."""
    if request.param == "embedded":
        return str(tmp_path / "target.gallery")
    return request.getfixturevalue(f"{request.param}_uri")


def test_everything_goes_from_postgres_to_elasticsearch_and_back_and_is_what_it_was(
    source, postgres_uri, elastic_uri, tmp_path
):
    back = str(tmp_path / "back.gallery")
    for giver, taker in ((source, postgres_uri), (postgres_uri, elastic_uri), (elastic_uri, back)):
        done = migration.migrate(giver, taker, actor="tests")
        assert (done.faces, done.people, done.snapshots) == (296, 60, 1)
    with open_gallery(source) as first, open_gallery(elastic_uri) as third, open_gallery(back) as last:
        before = contents(first)
        for gallery in (third, last):
            expect_same(contents(gallery), before)
            assert all(finding.ok for finding in gallery.check()), gallery.check()
            assert gallery.check_events(sealed=done.seal).finding.ok
    with open_gallery(elastic_uri) as third:
        assert third.remove(third.person("P2").id).snapshots_purged == (str(tmp_path / "old.snapshot"),)
        added = third.add([new_face("New", 900)])[0]
        assert added.face_id > max(face["id"] for face in before["faces"]) + 1, "a number is not used again"


def test_a_killed_migration_is_refused_until_it_has_gone_on_to_its_end(source, target):
    killed_on_the_way(source, target)
    with pytest.raises(GalleryBusy, match="not all come"):
        open_gallery(target)
    done = migration.migrate(source, target, actor="tests")
    assert 100 < done.found_there < done.faces
    with open_gallery(source) as first, open_gallery(target) as second:
        expect_same(contents(first), contents(second))


def test_a_source_that_changed_since_the_kill_is_copied_anew(source, target):
    killed_on_the_way(source, target)
    with open_gallery(source, space=SPACE, dimension=DIMENSION) as gallery:
        gallery.remove(gallery.person("P4").id)
        gallery.add([new_face("P5", 777)])
    assert migration.migrate(source, target, actor="tests").found_there == 0
    with open_gallery(source) as first, open_gallery(target) as second:
        expect_same(contents(first), contents(second))
        assert all(finding.ok for finding in second.check())


def test_a_source_that_changes_meanwhile_is_told_and_nothing_opens(source, postgres_uri):
    with open_gallery(source, space=SPACE, dimension=DIMENSION) as gallery:
        added = []

        def progress(done: int, total: int) -> None:
            if done > 200 and not added:
                added.extend(gallery.add([new_face("Late", 800)]))

        with pytest.raises(Conflict, match="changed"):
            migration.migrate(source, postgres_uri, actor="tests", progress=progress)
    with pytest.raises(GalleryBusy):
        open_gallery(postgres_uri)


def test_what_came_otherwise_than_it_was_sent_is_found(source, postgres_uri, postgres_database):
    killed_on_the_way(source, postgres_uri)
    engine = sa.create_engine(postgres_database.split("&gallery")[0].replace("postgresql:", "postgresql+psycopg:"))
    with engine.begin() as connection:
        name = sa.text("SELECT max(id) FROM galleries WHERE importing IS NOT NULL")
        table = f"gallery_vectors_{connection.execute(name).scalar()}_1"
        connection.execute(sa.text(f"UPDATE {table} SET vec = (SELECT vec FROM {table} WHERE face = 1) WHERE face = 2"))
    engine.dispose()
    with pytest.raises(GalleryCorrupt, match="face 2 "):
        migration.migrate(source, postgres_uri, actor="tests", sample=EVERYTHING)
    with pytest.raises(GalleryBusy):
        open_gallery(postgres_uri)


def test_a_migration_that_has_come_may_be_run_again_and_compares_again(source, target):
    first = migration.migrate(source, target, actor="tests")
    again = migration.migrate(source, target, actor="tests")
    assert (again.faces, again.found_there, again.seal) == (first.faces, first.faces, first.seal)
    with open_gallery(target) as gallery:
        assert [event.action for event in gallery.events(after=first.events)] == ["migrate"], "told, and once"
        gallery.remove(gallery.person("Ann").id)
    with pytest.raises(Conflict, match="has changed since"):
        migration.migrate(source, target, actor="tests")


def test_galleries_that_cannot_be_copied_into_one_another_are_refused(source, postgres_uri, tmp_path):
    with open_gallery(postgres_uri, space=SPACE, dimension=DIMENSION) as full:
        full.add([new_face("Own", 1)])
    with pytest.raises(Conflict, match="of its own"):
        migration.migrate(source, postgres_uri, actor="tests")
    with pytest.raises(Conflict, match="already"):
        migration.migrate(source, source, actor="tests")
    with pytest.raises(GalleryMissing):
        migration.migrate(str(tmp_path / "none"), postgres_uri, actor="tests")
    with open_gallery(tmp_path / "other", space="other-space", dimension=DIMENSION):
        pass
    with pytest.raises(SpaceMismatch):
        migration.migrate(source, str(tmp_path / "other"), actor="tests")


def test_an_encrypted_gallery_stays_so_unless_it_may_be_plain(source, postgres_uri, tmp_path):
    key = OwnerKey(b"k" * 32, "a test")
    sealed = str(tmp_path / "sealed.gallery")
    migration.migrate(source, sealed, actor="tests", key=key)
    with pytest.raises(GalleryKeyMissing):
        open_gallery(sealed)
    with pytest.raises(Conflict, match="not encrypted"):
        migration.migrate(sealed, postgres_uri, actor="tests", key=key)
    migration.migrate(sealed, postgres_uri, actor="tests", key=key, plain=True)
    with open_gallery(source) as first, open_gallery(postgres_uri, key=key) as second:
        expect_same(contents(first), contents(second))
        copy = second.snapshot(tmp_path / "copy")
    with pytest.raises(GalleryKeyMissing):
        open_gallery(copy)
    with open_gallery(source) as first, open_gallery(copy, key=key) as third:
        expect_same(contents(first), contents(third))
    with open_gallery(postgres_uri) as second:
        purged = second.remove(second.person("Ann").id).snapshots_purged
    assert set(purged) == {str(tmp_path / "old.snapshot"), str(copy)}, "erasing needs no key"
