"""A refresh: new photos become a new version of the data set, and of the model where that is better.

Parts are plain functions of the work; each may be killed anywhere and is done again, or taken as done, by the same
order. What is in force changes twice at most, each time by exchanging one link: the data set, then the model.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from likeness.data.dataset import replace_file, storage_error
from likeness.flows.forget import forget as _forget
from likeness.flows.grow import grow
from likeness.flows.home import ASIDE, Home, expect_offered
from likeness.flows.judge import REPORT, judge
from likeness.flows.learn import learn
from likeness.flows.order import Facts, Order, Tell
from likeness.flows.publish import embed, publish
from likeness.flows.publish import roll_back as _roll_back
from likeness.flows.pull import pull, read_seen, something_new
from likeness.flows.screen import SCREENED, screen
from likeness.flows.work import RECORD, Work, begin_record, drop_work, read_record
from likeness.settings import Settings

PARTS: dict[str, Callable[[Work], Facts]] = {
    "pull": pull,
    "screen": screen,
    "grow": grow,
    "learn": learn,
    "judge": judge,
    "publish": publish,
    "embed": embed,
}
"""What a refresh does, in order; a part finds what came of those before it in the work's record."""
SUMMARY = "summary.json"
NOTHING_NEW, GROWN, DECLINED, PUBLISHED = "nothing new", "data set grown", "not better", "published"


def refresh(order: Order, settings: Settings, tell: Tell, *, fresh: bool = False) -> Facts:
    """Do all of a refresh, or what is left of one that was stopped; gives its summary.

    `fresh` drops the unfinished one first.

    Raises:
        Conflict: another process is at work there, or the model's name is taken.
        RunDiffers: the unfinished refresh began with other options.
    """
    if not begin(order, settings, tell, fresh=fresh):
        return {"outcome": NOTHING_NEW}
    for part in PARTS:
        do_part(part, order, settings, tell)
    return finish(order, settings)


def begin(order: Order, settings: Settings, tell: Tell, *, fresh: bool = False) -> bool:
    """Begin a refresh, or find an unfinished one; False where there is nothing to do, and nothing was changed."""
    home = Home(order.home)
    if (home.work / RECORD).is_file():
        with _alone(home):
            if not fresh:
                return read_record(home, order) is not None
            drop_work(home)
    expect_offered(home, Path(settings.models).expanduser(), order.name)
    if not something_new(home, order, settings, tell):
        return False
    with _alone(home):
        drop_work(home)
        begin_record(home, order, home.state())
    return True


def do_part(part: str, order: Order, settings: Settings, tell: Tell) -> Facts:
    """Do one part of the refresh that was begun; one that is done already gives what came of it then."""
    home = Home(order.home)
    if not (home.work / RECORD).is_file():
        return {}
    with _alone(home):
        record = read_record(home, order)
        assert record is not None
        if part in record.done:
            return record.done[part]
        work = Work(home, order, settings, tell, record)
        tell.say(f"{part} …")
        facts = PARTS[part](work)
        tell.reached(f"{part}, not noted")
        work.mark(part, facts)
    tell.reached(part)
    return facts


def finish(order: Order, settings: Settings) -> Facts:
    """Keep the reports, delete the photos and what else was only needed for the work; gives the summary."""
    home = Home(order.home)
    if not (home.work / RECORD).is_file():
        return {"outcome": NOTHING_NEW}
    with _alone(home):
        record = read_record(home, order)
        assert record is not None
        told = summary(record.done) | {"run": record.run, "model": _in_force(home)}
        target = home.reports / f"{record.run:04d}"
        try:
            target.mkdir(parents=True, exist_ok=True)
            if (home.work / REPORT).is_dir():
                shutil.copytree(home.work / REPORT, target, dirs_exist_ok=True)
            work = Work(home, order, settings, Tell(), record)
            lines = ((each.path, each.outcome, each.reason) for each in read_seen(work, SCREENED))
            replace_file(target / ASIDE, _table(line for line in lines if line[1] != "taken"))
            replace_file(target / SUMMARY, (json.dumps(told, indent=1) + "\n").encode())
        except OSError as error:
            raise storage_error(error, target) from error
        drop_work(home)
        home.prune()
    return told | {"report": str(target)}


def roll_back(home: Home, settings: Settings, tell: Tell) -> Facts:
    """See `likeness.flows.publish.roll_back`; alone in the folder."""
    with _alone_if_there(home):
        return _roll_back(home, settings, tell)


def forget(home: Home, name: str) -> Facts:
    """See `likeness.flows.forget.forget`; alone in the folder."""
    with _alone_if_there(home):
        return _forget(home, name)


def summary(done: dict[str, Facts]) -> Facts:
    """What came of a refresh, in counts and figures; names nobody."""
    published, trained = done["publish"]["published"], done["learn"]["trained"]
    grown = done["grow"]["version"] is not None
    outcome = PUBLISHED if published else DECLINED if trained else GROWN if grown else NOTHING_NEW
    return {
        "outcome": outcome,
        "arrived": done["pull"]["arrived"],
        "accepted": done["screen"]["accepted"],
        "set_aside": done["screen"]["set_aside"],
        "data": done["grow"],
        "verdict": done["judge"],
        "gallery": done["embed"],
    }


def _in_force(home: Home) -> str | None:
    model = home.state().model
    return model.name if model else None


def _table(rows: Iterable[tuple[str, str, str]]) -> bytes:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerows([("photo", "code", "reason"), *rows])
    return text.getvalue().encode()


def _alone(home: Home) -> AbstractContextManager[None]:
    from likeness.train.run import alone

    return alone(home.folder)


def _alone_if_there(home: Home) -> AbstractContextManager[None]:
    """Where there is no folder none is made."""
    return _alone(home) if home.folder.is_dir() else nullcontext()
