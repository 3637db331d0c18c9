"""The records of arrivals: one for each photo, one result for each content, and who is to be told.

Each change is one transaction, and each may be made twice: a step that was killed after its change and before its
acknowledgement does it again, and finds that it is done.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Self

import sqlalchemy as sa
from sqlalchemy import Connection
from sqlalchemy.dialects import postgresql, sqlite

from likeness.errors import JobNotFound
from likeness.intake.records import forgetting
from likeness.intake.records.database import READS, database_errors, empty_log, open_database
from likeness.intake.records.tables import jobs, named, photos, results, tellings
from likeness.intake.records.values import OPEN, Arrival, ArrivalJob, Result, State, Telling

_ONE = (photos.c.id == sa.bindparam("arrival")) & sa.or_(*(photos.c.state == state for state in OPEN))
_FOUND = sa.update(photos).where(_ONE).values(content=sa.bindparam("digest"), state="found")
_END = (
    sa.update(photos)
    .where(_ONE)
    .values(
        state=sa.bindparam("ended"),
        content=sa.bindparam("digest"),
        code=sa.bindparam("why"),
        reason=sa.bindparam("words"),
        ended_at=sa.bindparam("now"),
    )
)
"""Changes of many arrivals in one call each."""


def open_records(uri: str) -> Records:
    """Open the records at a path or `postgresql://…`; see `likeness.intake.records.database`."""
    return Records(uri)


class Records:
    """Jobs, arrivals, results and tellings. Thread-safe; any number of processes share them."""

    def __init__(self, uri: str) -> None:
        self._uri, self._engine = uri, open_database(uri)

    def add_job(
        self, owner: str, total: int, *, callback: str | None = None, again: bool = False
    ) -> tuple[ArrivalJob, list[Arrival]]:
        """A new job with so many photos that are sent; none of them is in a queue yet."""
        now, job_id = _now(), secrets.token_hex(8)
        arrivals = [
            Arrival(secrets.token_hex(12), "", "waiting", job_id, place, again=again, created_at=now)
            for place in range(total)
        ]
        with self._write() as connection:
            connection.execute(
                sa.insert(jobs).values(
                    id=job_id, owner=owner, total=total, callback=callback, created_at=now, cancelled=False
                )
            )
            if arrivals:
                connection.execute(sa.insert(photos), [_row(arrival) for arrival in arrivals])
        return ArrivalJob(job_id, owner, total, 0, 0, 0, now, callback=callback), arrivals

    def note(self, arrival: Arrival) -> Arrival:
        """Write down an arrival where its id is not known yet; gives what is written."""
        with self._write() as connection:
            known = connection.execute(sa.select(photos).where(photos.c.id == arrival.id)).first()
            if known is not None:
                return _arrival(known)
            connection.execute(sa.insert(photos).values(_row(arrival) | {"created_at": _now()}))
        return arrival

    def reopen(self, arrival: Arrival) -> Arrival:
        """Let an arrival that failed wait for an answer again."""
        waiting = {"state": "waiting", "code": None, "reason": None, "ended_at": None}
        failed = (photos.c.id == arrival.id) & (photos.c.state == "failed")
        with self._write() as connection:
            connection.execute(sa.update(photos).where(failed).values(waiting))
        return self.arrivals([arrival.id])[arrival.id]

    def arrivals(self, ids: Sequence[str]) -> dict[str, Arrival]:
        """Arrivals by their ids; those that are not known are left out."""
        with self._read() as connection:
            return {row.id: _arrival(row) for row in connection.execute(sa.select(photos).where(photos.c.id.in_(ids)))}

    def found(self, contents: dict[str, str]) -> None:
        """The faces of arrivals (by id, with the content of each) are cut out."""
        if not contents:
            return
        with self._write() as connection:
            rows = [{"arrival": id_, "digest": content} for id_, content in contents.items()]
            connection.execute(_FOUND, rows)

    def results(self, contents: Sequence[str]) -> dict[str, Result]:
        """The results there are, by content."""
        with self._read() as connection:
            who: dict[str, list[str]] = {}
            for row in connection.execute(sa.select(named).where(named.c.content.in_(contents))):
                who.setdefault(row.content, []).append(row.person)
            rows = connection.execute(sa.select(results).where(results.c.content.in_(contents)))
            return {
                row.content: Result(
                    row.content, row.faces, row.answer, row.answered_at, tuple(who.get(row.content, ()))
                )
                for row in rows
            }

    def answer(self, given: Sequence[tuple[Arrival, Result]]) -> list[Telling]:
        """Write down results, and that arrivals are done; gives who is to be told now.

        A content that has a result already keeps it, unless the arrival asks for it `again`.
        """
        with self._write() as connection:
            self._keep(connection, given)
            return self._end(connection, [(arrival, result.content, None, None) for arrival, result in given], "done")

    def share(self, arrival: Arrival, content: str) -> list[Telling] | None:
        """An arrival is done by the result that its content has; who is to be told now. None where there is none."""
        with self._write() as connection:
            there = sa.select(results.c.content).where(results.c.content == content)
            if connection.execute(there.with_for_update(read=True)).first() is None:
                return None
            return self._end(connection, [(arrival, content, None, None)], "done")

    def overdue(self, before: datetime, *, most: int = 500) -> list[Arrival]:
        """Arrivals that have waited for an answer since before a moment, the oldest first."""
        old = sa.select(photos).where(photos.c.created_at < before, photos.c.state.in_(OPEN))
        with self._read() as connection:
            rows = connection.execute(old.order_by(photos.c.created_at).limit(most))
            return [_arrival(row) for row in rows]

    def enrolled(self, given: Sequence[tuple[Arrival, str, str, str]]) -> list[Telling]:
        """Arrivals (with content, code and reason) that came to be enrolled are done."""
        with self._write() as connection:
            return self._end(connection, list(given), "done")

    def fail(self, given: Sequence[tuple[Arrival, str, str]]) -> list[Telling]:
        """Arrivals (with code and reason) get no answer; gives who is to be told now."""
        with self._write() as connection:
            return self._end(connection, [(a, a.content, code, reason) for a, code, reason in given], "failed")

    def untold(self, arrivals: Sequence[str]) -> list[Telling]:
        """Who is still to be told of these arrivals, or of jobs that ended with them."""
        with self._read() as connection:
            of = sa.select(photos.c.job).where(photos.c.id.in_(arrivals))
            return _tellings(
                connection, tellings.c.told_at.is_(None) & tellings.c.reason.is_(None) & tellings.c.job.in_(of)
            )

    def telling(self, telling_id: str) -> Telling | None:
        """Whom to tell of what."""
        with self._read() as connection:
            return next(iter(_tellings(connection, tellings.c.id == telling_id)), None)

    def told(self, telling_id: str, reason: str | None = None) -> None:
        """A caller was told, or (with a reason) will not be."""
        values = {"told_at": _now()} if reason is None else {"reason": reason}
        with self._write() as connection:
            connection.execute(sa.update(tellings).where(tellings.c.id == telling_id).values(values))

    def job(self, job_id: str, *, owner: str | None = None) -> ArrivalJob:
        """A job with its counts; with `owner` only one of theirs.

        Raises:
            JobNotFound: there is none.
        """
        with self._read() as connection:
            wanted = jobs.c.id == job_id if owner is None else (jobs.c.id == job_id) & (jobs.c.owner == owner)
            found = _jobs(connection, wanted, 1)
        if not found:
            raise JobNotFound(f"there is no job {job_id!r}")
        return found[0]

    def owners(self, job_ids: Sequence[str]) -> dict[str, str]:
        """Who asked for these jobs, by their ids."""
        with self._read() as connection:
            rows = connection.execute(sa.select(jobs.c.id, jobs.c.owner).where(jobs.c.id.in_(job_ids)))
            return {row.id: row.owner for row in rows}

    def jobs(self, *, owner: str | None = None, most: int = 50) -> list[ArrivalJob]:
        """The latest jobs, newest first."""
        with self._read() as connection:
            return _jobs(connection, sa.true() if owner is None else jobs.c.owner == owner, most)

    def of_job(self, job_id: str, *, after: int = -1, most: int = 100) -> list[Arrival]:
        """A job's photos in their order, from the place `after` on."""
        wanted = sa.select(photos).where(photos.c.job == job_id, photos.c.place > after)
        with self._read() as connection:
            return [_arrival(row) for row in connection.execute(wanted.order_by(photos.c.place).limit(most))]

    def ended(self, *, after: tuple[datetime, str] | None = None, most: int = 100) -> list[Arrival]:
        """Arrivals of no job that ended, in the order of their ends, then ids: those behind `after`, else the latest.

        The last second is left out: what is being written down now may get an earlier end than what is there.
        """
        wanted = sa.select(photos).where(photos.c.job.is_(None), photos.c.ended_at < _now() - timedelta(seconds=1))
        if after is None:
            wanted = wanted.order_by(photos.c.ended_at.desc(), photos.c.id.desc())
        else:
            moment, id_ = after
            later = (photos.c.ended_at == moment) & (photos.c.id > id_)
            wanted = wanted.where((photos.c.ended_at > moment) | later).order_by(photos.c.ended_at, photos.c.id)
        with self._read() as connection:
            found = [_arrival(row) for row in connection.execute(wanted.limit(most))]
        return found if after is not None else found[::-1]

    def cancel(self, job_id: str) -> list[Telling]:
        """Answer no more photos of a job; those that are open fail. Gives who is to be told that it ended."""
        with self._write() as connection:
            now = _now()
            open_ = (photos.c.job == job_id) & photos.c.state.in_(OPEN)
            values = {"state": "failed", "code": "cancelled", "reason": "the job was cancelled", "ended_at": now}
            connection.execute(sa.update(photos).where(open_).values(values))
            ended = (jobs.c.id == job_id) & jobs.c.ended_at.is_(None)
            if not connection.execute(sa.update(jobs).where(ended).values(ended_at=now, cancelled=True)).rowcount:
                return []
            callback = connection.execute(sa.select(jobs.c.callback).where(jobs.c.id == job_id)).scalar_one()
            return [] if callback is None else _add_tellings(connection, job_id, callback, [None], now)

    def counts(self) -> dict[State, int]:
        """How many arrivals are in each state."""
        with self._read() as connection:
            rows = connection.execute(sa.select(photos.c.state, sa.func.count()).group_by(photos.c.state))
            return {row[0]: row[1] for row in rows}

    def forget_person(self, person_id: str, name: str = "") -> int:
        """Erase what names a person; how many results that were. See `likeness.intake.records.forgetting`."""
        with self._write() as connection:
            count = forgetting.forget_person(connection, person_id, name)
        empty_log(self._engine)
        return count

    def naming(self, person_id: str, name: str) -> int:
        """How many results and arrivals name a person."""
        with self._read() as connection:
            return forgetting.naming(connection, person_id, name)

    def rename_person(self, before: str, after: str) -> None:
        """Let what names a person by a former name go when they are forgotten."""
        with self._write() as connection:
            forgetting.rename_person(connection, before, after)

    def merge_person(self, source: tuple[str, str], into: tuple[str, str]) -> None:
        """Let what names one person (by id and name) go when another one is forgotten, who is the same."""
        with self._write() as connection:
            forgetting.merge_person(connection, source, into)

    def forget_before(self, moment: datetime) -> int:
        """Erase arrivals that ended before a moment, the results that no other arrival shares, and their jobs."""
        with self._write() as connection:
            count = forgetting.forget_before(connection, moment)
        if count:
            empty_log(self._engine, insist=False)
        return count

    def close(self) -> None:
        """Let go of connections."""
        self._engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _keep(self, connection: Connection, given: Sequence[tuple[Arrival, Result]]) -> None:
        """Write results; a content that has one keeps it, unless an arrival asks for it again."""
        asked = {result.content for _, result in given}
        known = set(connection.execute(sa.select(results.c.content).where(results.c.content.in_(asked))).scalars())
        kept: dict[str, Result] = {}
        for arrival, result in given:
            if arrival.again or result.content not in known | kept.keys():
                kept[result.content] = result
        forgetting.drop(connection, sorted(known & kept.keys()))
        rows = [
            {"content": each.content, "faces": each.faces, "answer": dict(each.answer), "answered_at": each.answered_at}
            for each in kept.values()
        ]
        people = [
            {"content": each.content, "person": person} for each in kept.values() for person in sorted(set(each.people))
        ]
        # Two workers may answer one content at once on PostgreSQL: what either writes is as good.
        insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
        for table, wanted in ((results, rows), (named, people)):
            if wanted:
                connection.execute(insert(table).on_conflict_do_nothing(), wanted)

    def _end(
        self,
        connection: Connection,
        given: Sequence[tuple[Arrival, str | None, str | None, str | None]],
        state: State,
    ) -> list[Telling]:
        """End arrivals that are open, and jobs with them; who is to be told of either."""
        now = _now()
        end = {"ended": state, "now": now}
        rows = {
            arrival.id: end | {"arrival": arrival.id, "digest": content, "why": code, "words": reason}
            for arrival, content, code, reason in given
        }
        open_ = sa.select(photos.c.id, photos.c.job).where(photos.c.id.in_(rows), photos.c.state.in_(OPEN))
        # In one order, so that two transactions that share arrivals wait for each other rather than both for ever.
        ended = connection.execute(open_.order_by(photos.c.id).with_for_update()).all()
        if ended:
            connection.execute(_END, [rows[each.id] for each in ended])
        told: list[Telling] = []
        job_of = {each.id: each.job for each in ended}
        for job_id in sorted({job for job in job_of.values() if job}):
            own = [arrival.id for arrival, *_ in given if job_of.get(arrival.id) == job_id]
            told += self._end_job(connection, job_id, own, now)
        return told

    def _end_job(self, connection: Connection, job_id: str, ended: Sequence[str], now: datetime) -> list[Telling]:
        # PostgreSQL lets two transactions end the last two photos at once: the job's row lets them take turns.
        job = connection.execute(sa.select(jobs).where(jobs.c.id == job_id).with_for_update()).one()
        left = sa.select(sa.func.count()).where(photos.c.job == job_id, photos.c.state.in_(OPEN))
        whole = not connection.execute(left).scalar_one() and job.ended_at is None
        if whole:
            connection.execute(sa.update(jobs).where(jobs.c.id == job_id).values(ended_at=now))
        if job.callback is None:
            return []
        return _add_tellings(connection, job_id, job.callback, [*ended, *([None] if whole else [])], now)

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with database_errors(self._uri), self._engine.connect() as connection:
            yield connection.execution_options(**{READS: True})

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with database_errors(self._uri), self._engine.begin() as connection:
            yield connection


def _add_tellings(
    connection: Connection, job_id: str, callback: str, about: Sequence[str | None], now: datetime
) -> list[Telling]:
    made = [Telling(secrets.token_hex(12), job_id, photo, callback) for photo in about]
    rows = [{"id": each.id, "job": job_id, "photo": each.photo, "created_at": now} for each in made]
    connection.execute(sa.insert(tellings), rows)
    return made


def _jobs(connection: Connection, wanted: sa.ColumnElement[bool], most: int) -> list[ArrivalJob]:
    rows = connection.execute(sa.select(jobs).where(wanted).order_by(jobs.c.created_at.desc()).limit(most)).all()
    by_state = (
        sa.select(photos.c.job, photos.c.state, sa.func.count())
        .where(photos.c.job.in_([row.id for row in rows]))
        .group_by(photos.c.job, photos.c.state)
    )
    counts = {(job, state): count for job, state, count in connection.execute(by_state)}
    return [
        ArrivalJob(
            row.id,
            row.owner,
            row.total,
            done=counts.get((row.id, "done"), 0),
            failed=counts.get((row.id, "failed"), 0),
            erased=counts.get((row.id, "erased"), 0),
            created_at=row.created_at,
            ended_at=row.ended_at,
            cancelled=row.cancelled,
            callback=row.callback,
        )
        for row in rows
    ]


def _tellings(connection: Connection, wanted: sa.ColumnElement[bool]) -> list[Telling]:
    rows = connection.execute(
        sa.select(tellings, jobs.c.callback).join(jobs, jobs.c.id == tellings.c.job).where(wanted)
    )
    return [Telling(row.id, row.job, row.photo, row.callback, row.told_at) for row in rows]


def _arrival(row: sa.Row[tuple[object, ...]]) -> Arrival:
    return Arrival(**row._mapping)


def _row(arrival: Arrival) -> dict[str, object]:
    return {column.name: getattr(arrival, column.name) for column in photos.columns}


def _now() -> datetime:
    return datetime.now(UTC)
