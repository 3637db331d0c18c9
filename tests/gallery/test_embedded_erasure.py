"""A removed person is gone: bytes are looked for in every file, not asked of the gallery."""

from __future__ import annotations

import random
import re
import sqlite3
import threading
import time
from datetime import UTC, datetime

import numpy as np
import pytest
from gallery_oracle import DIMENSION, new_face, unit

from likeness.errors import GalleryBusy, GalleryCorrupt, PersonNotFound, StorageError
from likeness.gallery.base import PhotoNote
from likeness.gallery.embedded import ann, compaction
from likeness.types import Consent


def everything(folder):
    """All bytes of all files of a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def secrets_of(name, seeds):
    """What must be gone: the name, the crops' marker, both forms of the vectors, the sources."""
    found = [name.encode(), f"profile of {name}".encode()]
    for seed in seeds:
        found += [f"<crop {seed}>".encode(), unit(seed).tobytes(), f"/photos/{seed}.jpg".encode()]
    return found


def enrolled(gallery, name, seeds):
    consent = Consent(f"profile of {name}", datetime(2026, 1, 1, tzinfo=UTC))
    gallery.add([new_face(name, seed, source=f"/photos/{seed}.jpg", consent=consent) for seed in seeds])
    person = gallery.person(name)
    return gallery.update(person.id, profile={"about": f"profile of {name}"})


def test_erasing_leaves_no_byte_in_the_record_its_log_the_index_or_a_snapshot(embedded_at, tmp_path):
    with embedded_at(approximate_above=10) as gallery:
        for number in range(40):
            enrolled(gallery, f"Other{number}", range(100 * number, 100 * number + 3))
        ann_ = enrolled(gallery, "Ann Unmistakable", range(9000, 9010))
        gallery.update(ann_.id, name="Ann Renamed", profile={"about": "profile of Ann Renamed", "x": "y" * 99})
        gallery.note_photos("Ann Renamed", [PhotoNote("ab", "no_face", "detail-of-ann")], settings_tag="t")
        (tmp_path / "elsewhere").mkdir()
        gallery.snapshot(tmp_path / "elsewhere" / "snap")
        if ann.installed():
            gallery.build_index()
        wanted = [*secrets_of("Ann Unmistakable", range(9000, 9010)), b"Ann Renamed", b"detail-of-ann"]
        assert unit(9000).tobytes() in everything(tmp_path)
        assert gallery.remove(ann_.id).faces == 10
        left = everything(tmp_path)  # while the gallery is open
        assert [secret for secret in wanted if secret in left] == []
        assert gallery.check()[4].ok
        assert unit(100).tobytes() in left


def test_no_copy_is_left_where_rows_were_moved_about(embedded_at, tmp_path):
    """Thousands of changes in a random order: SQLite's own secure_delete leaves copies in such a history."""
    chance = random.Random(5)
    alive = {}
    with embedded_at() as gallery:
        for start in range(0, 240, 8):
            for number in range(start, start + 8):
                crop = f"<crop {number:05d}>".encode() * chance.randint(10, 600)
                faces = [
                    new_face(f"<name {number:05d}>", 10 * number + index, crop_jpeg=crop)
                    for index in range(chance.randint(1, 6))
                ]
                alive[number] = gallery.add(faces)[0].person_id
            for number in chance.sample(sorted(alive), 4):
                about = f"<fact {number:05d}>" * chance.randint(1, 60)
                gallery.update(alive[number], profile={"about": about})
            for number in chance.sample(sorted(alive), 3):
                gallery.remove(alive.pop(number))
        pattern = re.compile(rb"<(?:name|crop|fact) (\d{5})>")
        assert {int(one) for one in pattern.findall(everything(tmp_path))} == set(alive)


def test_an_older_snapshot_forgets_who_was_merged_into_the_removed_person(embedded_at, tmp_path):
    with embedded_at() as gallery:
        first, second = enrolled(gallery, "First Name", [1, 2]), enrolled(gallery, "Second Name", [3])
        gallery.snapshot(tmp_path / "snap")
        gallery.merge(second.id, first.id)
        assert gallery.remove(first.id).faces == 3
        left = everything(tmp_path)
        assert [one for one in secrets_of("First Name", [1, 2]) + secrets_of("Second Name", [3]) if one in left] == []


def test_the_doubles_that_a_merge_drops_are_erased(embedded_at, tmp_path):
    with embedded_at() as gallery:
        gallery.add([new_face("Ann", 1), new_face("Bea", 1, crop_jpeg=b"<double>" * 9)])
        gallery.snapshot(tmp_path / "snap")
        gallery.merge(gallery.person("Bea").id, gallery.person("Ann").id)
        assert b"<double>" not in everything(tmp_path)


def test_a_single_face_is_erased_everywhere(embedded_at, tmp_path):
    with embedded_at() as gallery:
        added = gallery.add([new_face("Ann", 1), new_face("Ann", 2)])
        gallery.snapshot(tmp_path / "snap")
        gallery.remove(face_id=added[0].face_id)
        left = everything(tmp_path)
        assert unit(1).tobytes() not in left
        assert left.count(unit(2).tobytes()) == 2


def test_a_snapshot_that_was_deleted_is_forgotten(embedded_at, tmp_path):
    with embedded_at() as gallery:
        person = enrolled(gallery, "Ann", [1])
        (tmp_path / "folder").mkdir()
        path = gallery.snapshot(tmp_path / "folder" / "snap")
        assert gallery.info().details["snapshots"] == 1
        path.unlink()
        path.parent.rmdir()
        assert gallery.remove(person.id).snapshots_not_found == (str(path),)
        assert gallery.info().details["snapshots"] == 0


def test_a_snapshot_that_was_moved_is_not_said_to_be_purged(embedded_at, tmp_path):
    with embedded_at() as gallery:
        person = enrolled(gallery, "Ann", [1])
        moved, kept = gallery.snapshot(tmp_path / "moved"), gallery.snapshot(tmp_path / "kept")
        moved.rename(tmp_path / "away")
        erased = gallery.remove(person.id)
        assert (erased.snapshots_purged, erased.snapshots_not_found) == ((str(kept),), (str(moved),))
        assert unit(1).tobytes() in (tmp_path / "away").read_bytes(), "it is out of reach, and so it is said"


def test_a_snapshot_that_was_moved_is_named_where_the_erasure_fails_elsewhere_too(embedded_at, tmp_path):
    with embedded_at() as gallery:
        person = enrolled(gallery, "Ann", [1])
        gallery.snapshot(tmp_path / "moved").rename(tmp_path / "away")
        gallery.snapshot(tmp_path / "bad").write_bytes(b"rubbish" * 1000)
        with pytest.raises(GalleryCorrupt, match=r"bad.*found at .*moved"):
            gallery.remove(person.id)


def test_a_snapshot_that_cannot_be_erased_from_is_named_and_done_later(embedded_at, tmp_path):
    with embedded_at() as gallery:
        person = enrolled(gallery, "Ann", [1])
        bad, good = gallery.snapshot(tmp_path / "bad"), gallery.snapshot(tmp_path / "good")
        kept = bad.read_bytes()
        bad.write_bytes(b"rubbish" * 1000)
        with pytest.raises(StorageError, match=re.escape(str(bad))):
            gallery.remove(person.id)
        assert unit(1).tobytes() not in everything(tmp_path)
        assert unit(1).tobytes() not in good.read_bytes()
        assert not next(one for one in gallery.check() if one.name == "erasures").ok
        bad.write_bytes(kept)
    with embedded_at() as gallery:  # opening it takes the work up again
        assert unit(1).tobytes() not in bad.read_bytes()
        assert all(one.ok for one in gallery.check())


def test_a_snapshot_on_a_disk_that_is_not_mounted_is_not_forgotten(embedded_at, tmp_path):
    with embedded_at() as gallery:
        person = enrolled(gallery, "Ann", [1])
        path = gallery.snapshot(tmp_path / "snap")
        with sqlite3.connect(gallery.info().uri) as connection:
            connection.execute("UPDATE snapshots SET mount = '/no/such/disk'")
        connection.close()
        path.rename(tmp_path / "away")
        with pytest.raises(StorageError, match="not mounted"):
            gallery.remove(person.id)
        assert gallery.info().details["snapshots"] == 1
        with pytest.raises(PersonNotFound):
            gallery.person("Ann")


def test_what_killed_processes_left_of_snapshots_and_indexes_is_deleted(embedded_at, tmp_path):
    with embedded_at() as gallery:
        person = enrolled(gallery, "Ann", [1])
        left = [
            tmp_path / "snap.unfinished-snapshot",
            tmp_path / "people.likeness.ann.new",
            tmp_path / "people.likeness.ann",
        ]
        for path in left:
            path.write_bytes(unit(1).tobytes())
        connection = sqlite3.connect(gallery.info().uri)
        connection.execute("INSERT INTO snapshots VALUES (?, '/', '2026-01-01')", (str(left[0]),))
        connection.commit()
        connection.close()
        gallery.remove(person.id)
        assert [path for path in left if path.exists()] == []
        assert gallery.info().details["snapshots"] == 0


def test_a_compaction_that_was_interrupted_is_finished_by_the_next_removal(embedded_at, tmp_path):
    with embedded_at() as gallery:
        gallery.add([new_face(f"P{seed}", seed, crop_jpeg=b"c" * 20_000) for seed in range(60)])
        for seed in range(50):
            gallery.remove(gallery.person(f"P{seed}").id)
        with gallery._store.write() as connection:
            connection.execute("INSERT INTO meta VALUES ('vacuum_due', 1)")
        gallery.remove(gallery.person("P50").id)
        assert (tmp_path / "people.likeness").stat().st_size < 400_000
        assert all(one.ok for one in gallery.check())


def test_a_reader_that_holds_the_log_is_waited_for_and_then_named(embedded_at, tmp_path):
    with embedded_at(busy_timeout_s=0.4) as gallery:
        person = enrolled(gallery, "Ann", [1])
        reader = sqlite3.connect(gallery.info().uri, isolation_level=None, check_same_thread=False)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM faces").fetchone()
        with pytest.raises(GalleryBusy, match="log"):
            gallery.remove(person.id)
        with pytest.raises(PersonNotFound):
            gallery.person("Ann")
        ending = threading.Thread(target=lambda: (time.sleep(0.1), reader.close()))
        ending.start()
        assert all(one.ok for one in gallery.check())
        ending.join()
        assert unit(1).tobytes() not in everything(tmp_path)


def test_opening_does_not_wait_long_for_readers_to_finish_an_erasure(embedded_at, tmp_path):
    with embedded_at(busy_timeout_s=0.1) as gallery:
        person = enrolled(gallery, "Ann", [1])
        copies = [gallery.snapshot(tmp_path / f"snap{number}") for number in range(4)]
        uri = gallery.info().uri
        readers = [sqlite3.connect(path, isolation_level=None) for path in (uri, *copies)]
        for path, reader in zip((uri, *copies), readers, strict=True):
            if path != uri:
                reader.execute("PRAGMA journal_mode=WAL")
            reader.execute("BEGIN")
            reader.execute("SELECT count(*) FROM faces").fetchone()
        with pytest.raises(StorageError):
            gallery.remove(person.id)
        start = time.monotonic()
        with embedded_at(busy_timeout_s=30.0) as other:
            assert time.monotonic() - start < 15, "half of its patience"
            assert other._store.busy_timeout_s == 30.0
        for reader in readers:
            reader.close()
        with embedded_at() as other:
            assert all(one.ok for one in other.check())
        assert unit(1).tobytes() not in everything(tmp_path)


def test_compacting_gives_the_room_of_erased_rows_back(embedded_at, tmp_path):
    with embedded_at() as gallery:
        gallery.add([new_face(f"P{seed}", seed, crop_jpeg=b"c" * 20_000) for seed in range(100)])
        for seed in range(80):
            gallery.remove(gallery.person(f"P{seed}").id)
        before = (tmp_path / "people.likeness").stat().st_size
        compaction.compact(gallery._store)
        assert (tmp_path / "people.likeness").stat().st_size < 0.3 * before
        assert gallery.search(unit(90)[None], 1)[0][0].name == "P90"
        assert all(one.ok for one in gallery.check())
        assert len(list(gallery.faces())) == 20


def test_the_audit_trail_survives_and_shows_tampering(embedded_at):
    with embedded_at() as gallery:
        person = enrolled(gallery, "Ann", [1])
        for step in range(4):
            gallery.record("look", actor="cli", person_id=person.id, step=step)
        gallery.remove(person.id)
        assert len(gallery.events()) == 4
        uri = gallery.info().uri

        def tampered(statement):
            connection = sqlite3.connect(uri, isolation_level=None)
            with pytest.raises(sqlite3.IntegrityError, match="append-only"):
                connection.execute(statement)
            connection.execute("DROP TRIGGER events_are_not_changed")
            connection.execute("DROP TRIGGER events_are_not_deleted")
            connection.execute("BEGIN")
            connection.execute(statement)
            connection.execute("COMMIT")
            connection.close()
            (finding,) = (one for one in gallery.check() if one.name == "audit trail")
            return finding

        assert "4 lines" in next(one for one in gallery.check() if one.name == "audit trail").message
        finding = tampered("UPDATE events SET actor = 'nobody' WHERE id = 2")
        assert (finding.ok, "line 2" in finding.message) == (False, True)


@pytest.mark.parametrize("statement", ["DELETE FROM events WHERE id = 2", "DELETE FROM events WHERE id = 4"])
def test_missing_lines_of_the_audit_trail_are_noticed(embedded_at, statement):
    with embedded_at() as gallery:
        for step in range(4):
            gallery.record("look", actor="cli", step=step)
        connection = sqlite3.connect(gallery.info().uri)
        connection.execute("DROP TRIGGER events_are_not_deleted")
        connection.execute(statement)
        connection.commit()
        connection.close()
        assert not next(one for one in gallery.check() if one.name == "audit trail").ok


def test_vectors_of_an_unfinished_reembedding_are_erased_too(embedded_at, tmp_path):
    with embedded_at() as gallery:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(100)])

        def embed(crops):
            if len(crops) < 64:
                raise KeyboardInterrupt
            return np.tile(unit(777), (64, 1))

        with pytest.raises(KeyboardInterrupt):
            gallery.reembed("new", DIMENSION, embed, progress=lambda done, total: None)
        assert everything(tmp_path).count(unit(777).tobytes()) >= 64
        for seed in range(64):
            gallery.remove(gallery.person(f"P{seed}").id)
        assert unit(777).tobytes() not in everything(tmp_path)
