"""The first step: a photo that is stored → its faces, cut out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

from likeness.errors import InputError, LikenessError, ObjectTooLarge, SettingsError, StorageGone, StorageMissing
from likeness.intake.cuttings import Cutting
from likeness.intake.events import arrivals
from likeness.intake.queues import Body, Message
from likeness.intake.queues.base import MOST_ATTEMPTS
from likeness.intake.records import Arrival
from likeness.intake.steps.base import (
    UNKNOWN,
    Bury,
    Done,
    Outcome,
    Retry,
    Step,
    fail,
    known,
    revived,
    settled,
    to_tell,
)


def hopeless(error: object) -> bool:
    """Whether another try would meet this error of a photo again; a storage that is away may come back."""
    final = isinstance(error, InputError | SettingsError | StorageMissing | ObjectTooLarge)
    return final and not isinstance(error, StorageGone)


@dataclass(frozen=True, slots=True, eq=False)
class _Looked:
    """A photo that was read: its content, and whether its faces were cut out, or are not needed."""

    content: str
    cut: bool = False


_Found = _Looked | LikenessError


class Detect(Step):
    """Reads photos, finds and cuts out faces. Messages name an arrival of the records, or are events of a storage."""

    name = "detect"

    def handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """See `Step`."""
        meant = [
            self._meant(message, arrival) for message, arrival in zip(messages, known(self.shop, messages), strict=True)
        ]
        wanted = {each.id: each for arrivals in meant if isinstance(arrivals, list) for each in arrivals if each.open}
        looked = self._looked(list(wanted.values()))
        self.shop.records.found(
            {id_: each.content for id_, each in looked.items() if isinstance(each, _Looked) and each.cut}
        )
        return [
            self._outcome(message, each, looked) if isinstance(each, list) else each
            for message, each in zip(messages, meant, strict=True)
        ]

    def give_up(self, message: Message, reason: str) -> tuple[tuple[str, Body], ...]:
        """See `Step`; of events too."""
        meant = self._meant(replace(message, attempt=MOST_ATTEMPTS), None)
        if isinstance(meant, list):
            return fail(self.shop, meant, "given_up", reason)
        return super().give_up(message, reason)

    def _meant(self, message: Message, arrival: Arrival | None) -> list[Arrival] | Outcome:
        """The arrivals of a message, written down where they are new; `arrival` is the one that it names, if known."""
        if arrival is not None:
            return [self._reopened(message, arrival)]
        if isinstance(message.body.get("arrival"), str):
            return UNKNOWN
        try:
            found = arrivals(message.body)
        except InputError as error:
            return Bury(error.message)
        # Made of the message's id: the same message that comes twice means the same arrivals.
        noted = (
            self.shop.records.note(
                Arrival(_id(message.id, place), each["uri"], "waiting", place=place, name=each.get("name"))
            )
            for place, each in enumerate(found)
        )
        return [self._reopened(message, each) for each in noted]

    def _reopened(self, message: Message, arrival: Arrival) -> Arrival:
        return self.shop.records.reopen(arrival) if revived(message, arrival) else arrival

    def _looked(self, wanted: Sequence[Arrival]) -> dict[str, _Found]:
        """Read photos, and cut faces out of those that need it, several at a time."""
        spread = self.shop.people.recognizer.map
        looked: dict[str, _Found] = {}
        read: list[tuple[Arrival, str, bytes]] = []
        for arrival, data in zip(wanted, spread(self._read, wanted), strict=True):
            if isinstance(data, bytes):
                read.append((arrival, hashlib.sha256(data).hexdigest(), data))
            else:
                looked[arrival.id] = data
        asked = {content for arrival, content, _ in read if arrival.name is None and not arrival.again}
        answered = self.shop.records.results(sorted(asked)) if asked else {}
        needed = [each for each in read if each[0].name is None and (each[0].again or each[1] not in answered)]
        looked |= {arrival.id: _Looked(content) for arrival, content, _ in read}
        cut = spread(self._cut, needed)
        return looked | {arrival.id: found for (arrival, *_), found in zip(needed, cut, strict=True)}

    def _read(self, arrival: Arrival) -> bytes | LikenessError:
        try:
            return self.shop.read(arrival)
        except LikenessError as error:
            return error

    def _cut(self, given: tuple[Arrival, str, bytes]) -> _Found:
        arrival, content, data = given
        recognizer = self.shop.people.recognizer
        try:
            self.shop.put_faces(arrival, Cutting.of(recognizer, recognizer.photo(data)))
        except LikenessError as error:
            return error
        return _Looked(content, cut=True)

    def _outcome(self, message: Message, meant: Sequence[Arrival], looked: dict[str, _Found]) -> Outcome:
        """Of all arrivals of one message; where one must be tried again, all are, and those that ended stay so."""
        then: list[tuple[str, Body]] = []
        refused: list[str] = []
        for arrival in meant:
            each = looked.get(arrival.id)
            if each is None:
                ended = settled(self.shop, message, arrival)
                then += ended.then if isinstance(ended, Done | Bury) else ()
                refused += [ended.reason] if isinstance(ended, Bury) else []
            elif isinstance(each, LikenessError) and hopeless(each):
                then += fail(self.shop, [arrival], each.code, each.message)
                refused.append(each.message)
            elif isinstance(each, LikenessError):
                return Retry(each.message)
            else:
                then += self._next(arrival, each)
        return Bury("; ".join(refused), tuple(then)) if refused else Done(tuple(then))

    def _next(self, arrival: Arrival, looked: _Looked) -> tuple[tuple[str, Body], ...]:
        if looked.cut:
            return (("identify", {"arrival": arrival.id}),)
        if arrival.name is not None:
            return (("enrol", {"arrival": arrival.id}),)
        tellings = self.shop.records.share(arrival, looked.content)
        if tellings is None:  # erased in between: looked at anew
            return (("detect", {"arrival": arrival.id}),)
        self.shop.clean([arrival])
        return to_tell(tellings)


def _id(message_id: str, place: int) -> str:
    return hashlib.sha256(f"{message_id} {place}".encode()).hexdigest()[:24]
