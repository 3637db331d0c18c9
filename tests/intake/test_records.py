"""The records of arrivals keep their promises on SQLite and on PostgreSQL."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from likeness.errors import JobNotFound, RecordsUnavailable, SettingsError
from likeness.intake.records import Arrival, Result, open_records

NOW = datetime.now(UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
def uri(request, tmp_path) -> str:
    """The address of an empty database."""
    if request.param == "sqlite":
        return str(tmp_path / "arrivals.db")
    server = request.getfixturevalue("postgres")
    name = f"t{abs(hash(request.node.name + str(tmp_path)))}"
    server.psql(f"CREATE DATABASE {name}")
    return server.get_uri(database=name)


@pytest.fixture
def records(uri):
    """Records on an empty database."""
    with open_records(uri) as opened:
        yield opened


def result(content: str, *people: str, answered_at: datetime = NOW) -> Result:
    return Result(content, 1, {"answers": [{"person": list(people)}], "size": [3, 4]}, answered_at, people)


def test_a_job_counts_its_photos_until_all_have_ended(records):
    job, photos = records.add_job("anna", 3)
    assert (job.state, job.total) == ("queued", 3)
    records.found({photos[0].id: "c0", photos[1].id: "c1"})
    records.answer([(photos[0], result("c0"))])
    records.fail([(photos[1], "photo_empty", "it is empty")])
    now = records.job(job.id)
    assert (now.state, now.done, now.failed, now.ended_at) == ("running", 1, 1, None)
    records.answer([(photos[2], result("c2"))])
    ended = records.job(job.id)
    assert (ended.state, ended.done, ended.failed) == ("done", 2, 1)
    assert ended.ended_at.tzinfo is not None
    assert [(photo.place, photo.state) for photo in records.of_job(job.id)] == [(0, "done"), (1, "failed"), (2, "done")]
    assert [photo.place for photo in records.of_job(job.id, after=0, most=1)] == [1]


def test_an_arrival_ends_once_whatever_comes_after(records):
    _, [photo] = records.add_job("anna", 1, callback="http://x")
    first = records.answer([(photo, result("c"))])
    assert [telling.photo for telling in first] == [photo.id, None]
    assert records.answer([(photo, result("c"))]) == []
    assert records.fail([(photo, "late", "too late")]) == []
    assert records.arrivals([photo.id])[photo.id].state == "done"
    assert {telling.id for telling in records.untold([photo.id])} == {telling.id for telling in first}
    records.told(first[0].id)
    records.told(first[1].id, "nobody answers")
    assert records.untold([photo.id]) == []
    assert records.telling(first[0].id).told_at is not None


def test_one_content_has_one_result_which_only_asking_again_replaces(records):
    _, [one, two] = records.add_job("anna", 2)
    _, [three] = records.add_job("anna", 1, again=True)
    records.answer([(one, result("c", "p1"))])
    records.answer([(two, result("c", "p2"))])
    assert records.results(["c"])["c"].people == ("p1",)
    records.answer([(three, result("c", "p3"))])
    found = records.results(["c", "unknown"])
    assert set(found) == {"c"}
    assert found["c"].people == ("p3",)
    assert found["c"].answer == {"answers": [{"person": ["p3"]}], "size": [3, 4]}


def test_the_same_message_that_comes_twice_is_one_arrival(records):
    first = records.note(Arrival("a", "file:///x.jpg", "waiting", name="Anna"))
    records.answer([(first, result("c"))])
    again = records.note(Arrival("a", "file:///x.jpg", "waiting", name="Anna"))
    assert again.state == "done"
    assert again.name == "Anna"
    assert records.counts() == {"done": 1}


def test_erasing_a_person_erases_every_answer_that_names_them(records):
    _, photos = records.add_job("anna", 3)
    answers = [result("c0", "p1", "p2"), result("c1", "p2"), result("c2", "p3")]
    records.answer(list(zip(photos, answers, strict=True)))
    assert records.forget_person("p2") == 2
    assert set(records.results(["c0", "c1", "c2"])) == {"c2"}
    assert records.counts() == {"erased": 2, "done": 1}
    assert records.forget_person("p2") == 0
    assert records.forget_person("p1") == 0


def test_erasing_a_person_erases_which_photos_came_to_enrol_them_and_lets_none_be_enrolled(records):
    spellings = ("Zoë Lee", "zoe\u0308 lee", "Anna Lee", None)
    for number, name in enumerate(spellings):
        records.note(Arrival(f"a{number}", f"file:///in/{number}.jpg", "waiting", name=name))
    records.enrolled([(records.arrivals(["a0"])["a0"], "c0", "added", "")])
    records.forget_person("p1", "Zoë Lee")
    assert set(records.arrivals(["a0", "a1", "a2", "a3"])) == {"a2", "a3"}


def test_what_names_somebody_is_erased_with_the_person_whom_they_were_merged_into(records):
    _, photos = records.add_job("anna", 3)
    answers = [result("c0", "p1", "p2"), result("c1", "p2"), result("c2", "p3")]
    records.answer(list(zip(photos, answers, strict=True)))
    records.note(Arrival("a0", "file:///in/0.jpg", "waiting", name="Anna Lee"))
    records.merge_person(("p2", "anna lee"), ("p1", "Anna Smith"))
    assert records.arrivals(["a0"])["a0"].name == "Anna Smith"
    assert set(records.results(["c0", "c1", "c2"])) == {"c0", "c1", "c2"}
    assert records.forget_person("p1", "Anna Smith") == 2
    assert set(records.results(["c0", "c1", "c2"])) == {"c2"}
    assert records.arrivals(["a0"]) == {}


def test_what_came_under_a_persons_former_name_is_erased_with_them(records):
    records.note(Arrival("a0", "file:///in/0.jpg", "waiting", name="ann OLDNAME"))
    records.note(Arrival("a1", "file:///in/1.jpg", "waiting", name="Somebody Else"))
    records.rename_person("Ann Oldname", "Bea Newname")
    records.forget_person("p1", "Bea Newname")
    assert set(records.arrivals(["a0", "a1"])) == {"a1"}


def test_what_was_erased_is_in_no_file_of_the_records_while_others_have_them_open(records, uri):
    if "://" in uri:
        pytest.skip("the files of a server are not searched")
    with open_records(uri) as beside:
        records.note(Arrival("a0", "file:///in/0.jpg", "waiting", name="Zoë Unheard-Of"))
        assert beside.arrivals(["a0"])
        records.forget_person("p1", "Zoë Unheard-Of")
        for file in Path(uri).parent.glob("arrivals.db*"):
            assert b"Unheard-Of" not in file.read_bytes(), file.name


def test_what_is_old_is_erased_but_not_what_a_younger_arrival_shares(records):
    job, [one] = records.add_job("anna", 1)
    records.answer([(one, result("old", "p1", answered_at=NOW - timedelta(days=9)))])
    later = datetime.now(UTC) + timedelta(seconds=1)
    open_ = records.note(Arrival("b", "file:///x", "waiting"))
    records.found({open_.id: "old"})
    assert records.forget_before(later) == 1
    assert "old" in records.results(["old"])
    records.answer([(open_, result("old"))])
    assert records.forget_before(datetime.now(UTC) + timedelta(seconds=1)) == 1
    assert records.results(["old"]) == {}
    with pytest.raises(JobNotFound):
        records.job(job.id)


def test_jobs_are_shown_to_their_owner(records):
    anna, _ = records.add_job("anna", 1)
    records.add_job("ben", 1)
    assert [job.id for job in records.jobs(owner="anna")] == [anna.id]
    assert len(records.jobs()) == 2
    assert records.job(anna.id, owner="anna").id == anna.id
    with pytest.raises(JobNotFound):
        records.job(anna.id, owner="ben")


def test_a_cancelled_job_ends_and_its_open_photos_fail(records):
    job, [one, _two] = records.add_job("anna", 2)
    records.answer([(one, result("c"))])
    records.cancel(job.id)
    ended = records.job(job.id)
    assert (ended.state, ended.done, ended.failed) == ("cancelled", 1, 1)
    records.cancel(job.id)
    assert records.job(job.id).ended_at == ended.ended_at


def test_the_last_photos_of_a_job_that_end_at_once_end_it_once(uri):
    with open_records(uri) as first:
        job, photos = first.add_job("anna", 12, callback="http://x")
        tellings: list = []

        def end(photo) -> None:
            with open_records(uri) as own:
                tellings.extend(own.answer([(photo, result(photo.id))]))

        threads = [threading.Thread(target=end, args=(photo,)) for photo in photos]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert first.job(job.id).state == "done"
        assert sorted(str(telling.photo) for telling in tellings) == sorted([photo.id for photo in photos] + ["None"])


def test_many_that_open_new_records_at_once_all_find_them_made(uri):
    failures: list[BaseException] = []

    def work() -> None:
        try:
            with open_records(uri) as opened:
                opened.add_job("anna", 1)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    with open_records(uri) as opened:
        assert len(opened.jobs()) == 6


def test_the_migrations_make_the_tables_that_the_code_knows(records):
    from alembic.autogenerate import compare_metadata
    from alembic.migration import MigrationContext

    from likeness.intake.records.tables import metadata

    with records._engine.connect() as connection:
        own = lambda name, kind, parents: kind != "table" or name.startswith("arrival")  # noqa: E731
        options = {"version_table": "arrival_version", "compare_type": True, "include_name": own}
        assert compare_metadata(MigrationContext.configure(connection, opts=options), metadata) == []


def test_records_of_a_later_version_are_refused(uri):
    with open_records(uri) as opened, opened._engine.begin() as connection:
        connection.execute(sa.text("UPDATE arrival_version SET version_num = '9999'"))
    with pytest.raises(SettingsError, match="later version"):
        open_records(uri)


def test_a_database_that_does_not_answer_is_told_without_its_password(tmp_path):
    with pytest.raises(RecordsUnavailable) as error:
        open_records("postgresql://anna:secret@127.0.0.1:1/none")
    assert "secret" not in str(error.value)
    (tmp_path / "file").write_text("this is no database, but a text of some length that SQLite will not take for one")
    with pytest.raises(RecordsUnavailable):
        open_records(str(tmp_path / "file"))
    with pytest.raises(SettingsError):
        open_records("mysql://x")
