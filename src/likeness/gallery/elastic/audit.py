"""The audit trail on Elasticsearch; `likeness.gallery.trail` tells how it is sealed.

A line's number is its document's id, and a document of that id is made once: so whoever comes second sees the first
one's line and seals the next. How many were written stands in the index `meta`, and is brought up to date by whoever
finds it behind. Lines are read by their ids: no search has to see them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from likeness.errors import GalleryBusy
from likeness.gallery import trail
from likeness.gallery.base import Event, TrailCheck
from likeness.gallery.elastic.cluster import Pause
from likeness.gallery.elastic.store import TRAIL, Kept, Overtaken, Store

_PAGE = 500


def line_id(number: int) -> str:
    """The id of a line's document."""
    return f"{number:016d}"


def as_body(line: trail.Line, seal: str) -> dict[str, Any]:
    """A line as its document."""
    return {**line._asdict(), "seal": seal}


def append(store: Store, action: str, actor: str, person_id: str | None, details: Mapping[str, Any]) -> None:
    """Write one line."""
    pause = Pause(store.address.options.patience, longest_s=0.25)
    while pause.left():
        last = _last(store)
        number = last.body["number"] + 1
        line, seal = trail.write(number, last.body["seal"], action, actor, person_id, details)
        try:
            store.put(store.audit, line_id(number), as_body(line, seal), seen=None)
        except Overtaken:
            pause.wait()
            continue
        _advance(store, last, number, seal)
        return
    raise GalleryBusy("others write into the audit trail all the time", hint="try again later")


def _last(store: Store) -> Kept:
    """The document that tells the last line, brought up to date: a writer may have been killed before it was."""
    kept = store.get(store.meta, TRAIL)
    if kept is None:
        raise store.missing()
    while (beyond := store.get(store.audit, line_id(kept.body["number"] + 1))) is not None:
        kept = _advance(store, kept, beyond.body["number"], beyond.body["seal"])
    return kept


def _advance(store: Store, kept: Kept, number: int, seal: str) -> Kept:
    try:
        return store.put(store.meta, TRAIL, {"number": number, "seal": seal}, seen=kept.seen)
    except Overtaken:  # somebody else did; what they wrote is as true
        present = store.get(store.meta, TRAIL)
        if present is None:
            raise store.missing() from None
        return present


def advance(store: Store, number: int, seal: str) -> None:
    """Tell which line is the last one, where lines came in from another gallery."""
    kept = store.get(store.meta, TRAIL)
    if kept is not None and kept.body["number"] < number:
        _advance(store, kept, number, seal)


def written(store: Store) -> int:
    """How many lines were ever written."""
    return int(_last(store).body["number"])


def sealed_lines(store: Store, *, after: int, limit: int) -> Iterator[tuple[trail.Line, str]]:
    """Lines in order with their seals, from the one after a number; those that are missing are passed over."""
    number, end = after + 1, min(after + limit, written(store))
    while number <= end:
        numbers = range(number, min(end, number + _PAGE - 1) + 1)
        for kept in store.get_many([(store.audit, line_id(one)) for one in numbers]):
            if kept is not None:
                yield trail.Line(*(kept.body[name] for name in trail.Line._fields)), kept.body["seal"]
        number += _PAGE


def read(store: Store, *, after: int, limit: int) -> list[Event]:
    """See `Gallery.events`."""
    return [
        Event(
            line.number,
            datetime.fromisoformat(line.at),
            line.actor,
            line.action,
            line.person_id,
            json.loads(line.details),
        )
        for line, _ in sealed_lines(store, after=after, limit=limit)
    ]


def verify(store: Store, *, sealed: str | None = None) -> TrailCheck:
    """See `Gallery.check_events`."""
    count = written(store)
    return trail.verify(sealed_lines(store, after=0, limit=count), written=count, sealed=sealed)
