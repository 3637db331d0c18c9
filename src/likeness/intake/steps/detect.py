"""The first step: a photo that is stored → its faces, cut out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from likeness.errors import InputError, LikenessError, ObjectTooLarge, SettingsError, StorageMissing
from likeness.intake.cuttings import Cutting
from likeness.intake.events import arrivals
from likeness.intake.queues import Body, Message
from likeness.intake.records import Arrival
from likeness.intake.steps.base import (
    UNKNOWN,
    Bury,
    Done,
    Outcome,
    Retry,
    Step,
    cutting_key,
    fail,
    known,
    settled,
    to_tell,
)

HOPELESS = (InputError, SettingsError, StorageMissing, ObjectTooLarge)
"""Errors of a photo that another try would meet again."""


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """A photo that was read: its content, and its cut-out faces unless they are not needed."""

    content: str
    cutting: bytes | None


class Detect(Step):
    """Reads photos, finds and cuts out faces. Messages name an arrival of the records, or are events of a storage."""

    name = "detect"

    def handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """See `Step`."""
        records = self.shop.records
        meant: list[list[Arrival] | Outcome] = [
            self._meant(message, arrival) for message, arrival in zip(messages, known(self.shop, messages), strict=True)
        ]
        wanted = [arrival for each in meant if isinstance(each, list) for arrival in each if arrival.open]
        looked = dict(
            zip((each.id for each in wanted), self.shop.people.recognizer.map(self._look, wanted), strict=True)
        )
        records.found(
            {
                id_: each.content
                for id_, each in looked.items()
                if isinstance(each, _Looked) and each.cutting is not None
            }
        )
        return [each if not isinstance(each, list) else self._outcome(each, looked) for each in meant]

    def _meant(self, message: Message, arrival: Arrival | None) -> list[Arrival] | Outcome:
        """The arrivals of a message, written down where they are new; `arrival` is the one that it names, if known."""
        if arrival is not None:
            return [arrival]
        if isinstance(message.body.get("arrival"), str):
            return UNKNOWN
        try:
            found = arrivals(message.body)
        except InputError as error:
            return Bury(error.message)
        # Made of the message's id: the same message that comes twice means the same arrivals.
        return [
            self.shop.records.note(
                Arrival(_id(message.id, place), each["uri"], "waiting", place=place, name=each.get("name"))
            )
            for place, each in enumerate(found)
        ]

    def _look(self, arrival: Arrival) -> _Looked | LikenessError:
        try:
            data = self.shop.read(arrival)
            content = hashlib.sha256(data).hexdigest()
            if arrival.name is not None or (not arrival.again and self.shop.records.results([content])):
                return _Looked(content, None)
            recognizer = self.shop.people.recognizer
            cutting = Cutting.of(recognizer, recognizer.photo(data)).to_bytes()
            self.shop.spool.write(cutting_key(arrival), cutting)
        except LikenessError as error:
            return error
        return _Looked(content, cutting)

    def _outcome(self, meant: Sequence[Arrival], looked: dict[str, _Looked | LikenessError]) -> Outcome:
        """Of all arrivals of one message; where one must be tried again, all are, and those that ended stay so."""
        then: list[tuple[str, Body]] = []
        hopeless: list[str] = []
        for arrival in meant:
            each = looked.get(arrival.id)
            if isinstance(each, HOPELESS):
                then += fail(self.shop, [arrival], each.code, each.message)
                hopeless.append(each.message)
            elif isinstance(each, LikenessError):
                return Retry(each.message)
            else:
                then += self._next(arrival, each)
        return Bury("; ".join(hopeless), tuple(then)) if hopeless else Done(tuple(then))

    def _next(self, arrival: Arrival, looked: _Looked | None) -> tuple[tuple[str, Body], ...]:
        if looked is None:
            ended = settled(self.shop, arrival)
            return ended.then if isinstance(ended, Done) else ()
        if looked.cutting is not None:
            return (("identify", {"arrival": arrival.id}),)
        if arrival.name is not None:
            return (("enrol", {"arrival": arrival.id}),)
        result = self.shop.records.results([looked.content]).get(looked.content)
        if result is None:  # erased in between: looked at anew
            return (("detect", {"arrival": arrival.id}),)
        tellings = self.shop.records.answer([(replace(arrival, content=looked.content), result)])
        self.shop.clean([arrival])
        return to_tell(tellings)


def _id(message_id: str, place: int) -> str:
    return hashlib.sha256(f"{message_id} {place}".encode()).hexdigest()[:24]
