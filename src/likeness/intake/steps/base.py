"""What a step is: messages of its queue in, what becomes of each out.

A step first writes down what it found, then its worker sends the messages for the next steps, and only then
acknowledges its own. So a kill at any moment loses nothing, and what is done twice is found done the second time.
"""

from __future__ import annotations

import threading
from abc import ABC, abstractmethod
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import ClassVar

from likeness.errors import StorageMissing
from likeness.intake.cuttings import Cutting
from likeness.intake.queues import Body, Message
from likeness.intake.records import Arrival, Records, Telling
from likeness.service import People
from likeness.settings import Settings
from likeness.storage import Storage, locate, open_storage


@dataclass(frozen=True, slots=True)
class Done:
    """A message is done; `then` are messages for other steps, by the step's name."""

    then: tuple[tuple[str, Body], ...] = ()


@dataclass(frozen=True, slots=True)
class Retry:
    """It cannot be done now: to be tried again, for the reason given."""

    reason: str


@dataclass(frozen=True, slots=True)
class Bury:
    """It can never be done, for the reason given."""

    reason: str
    then: tuple[tuple[str, Body], ...] = ()


Outcome = Done | Retry | Bury
UNKNOWN = Bury("the records know nothing of this arrival")


@dataclass(slots=True, eq=False)
class Workshop:
    """What steps work with.

    Attributes:
        people, records: write the audit trail and the answers.
        spool: holds files between steps.
        hands_over: whether the worker that cuts faces out looks at them too, at once: they need no file then.
    """

    people: People
    records: Records
    spool: Storage
    settings: Settings
    hands_over: bool = False
    _at_hand: dict[str, Cutting] = field(default_factory=dict)
    _storages: dict[str, Storage] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def read(self, arrival: Arrival) -> bytes:
        """The file of an arrival.

        Raises:
            SettingsError: the URI is none. StorageMissing: there is no such file any more.
            ObjectTooLarge: it is larger than a photo may be.
            StorageUnreachable, StorageRefused: its storage gives none.
        """
        most_bytes = self.settings.max_photo_bytes
        if not arrival.uri:
            return self.spool.read(upload_key(arrival.id), most_bytes=most_bytes)
        base, key = locate(arrival.uri)
        with self._lock:
            storage = self._storages.get(base)
            if storage is None:
                storage = self._storages[base] = open_storage(base)
        return storage.read(key, most_bytes=most_bytes)

    def put_faces(self, arrival: Arrival, cutting: Cutting) -> None:
        """Keep the cut-out faces of an arrival for the step that looks at them.

        Those of an arrival whose faces were found before may lie in the spool already: they stay there.

        Raises:
            StorageError, RemoteError: the spool takes none.
        """
        if self.hands_over and arrival.state == "waiting":
            self._at_hand[arrival.id] = cutting
        else:
            self.spool.write(cutting_key(arrival.id), cutting.to_bytes())

    def faces(self, arrival_id: str) -> Cutting:
        """What `put_faces` kept.

        Raises:
            StorageMissing, SpoolDamaged: it is not there, or not whole. StorageError, RemoteError: nobody can tell.
        """
        at_hand = self._at_hand.get(arrival_id)
        return at_hand or Cutting.read(self.spool.read(cutting_key(arrival_id)))

    def lay_down(self, arrival_ids: Sequence[str]) -> None:
        """Write the faces that are at hand of these arrivals to the spool, for another time; let go of all others."""
        for arrival_id in arrival_ids:
            if arrival_id in self._at_hand:
                self.spool.write(cutting_key(arrival_id), self._at_hand[arrival_id].to_bytes())
        self._at_hand.clear()

    def clean(self, arrivals: Sequence[Arrival]) -> None:
        """Erase what lies in the spool of arrivals that ended: cut-out faces, and photos that were sent."""
        for arrival in arrivals:
            cut = () if arrival.id in self._at_hand else (cutting_key(arrival.id),)
            sent = () if arrival.uri else (upload_key(arrival.id),)
            for key in (*cut, *sent):
                with suppress(StorageMissing):
                    self.spool.delete(key)

    def close(self) -> None:
        """Let go of everything."""
        for storage in (*self._storages.values(), self.spool):
            storage.close()
        self.records.close()
        self.people.close()


class Step(ABC):
    """One step. `together` is how many messages it takes at most at once."""

    name: ClassVar[str]
    together: ClassVar[int] = 8
    first_wait_s: ClassVar[float] = 2.0
    """Before a message is tried again for the first time; twice as long each time after."""

    def __init__(self, shop: Workshop) -> None:
        self.shop = shop

    @abstractmethod
    def handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """What becomes of each message, in order; an error that is raised is one of all of them."""

    def give_up(self, message: Message, reason: str) -> tuple[tuple[str, Body], ...]:
        """Write down that a message is dead; messages for other steps, such as to tell of it."""
        arrival_id = message.body.get("arrival")
        if not isinstance(arrival_id, str):
            return ()
        return fail(self.shop, list(self.shop.records.arrivals([arrival_id]).values()), "given_up", reason)


def upload_key(arrival_id: str) -> str:
    """Where the photo of an arrival lies in the spool, where it was sent; in many folders, so that each stays small."""
    return f"photos/{arrival_id[:2]}/{arrival_id}"


def cutting_key(arrival_id: str) -> str:
    """Where the cut-out faces of an arrival lie in the spool."""
    return f"faces/{arrival_id[:2]}/{arrival_id}.npz"


def to_tell(tellings: Sequence[Telling]) -> tuple[tuple[str, Body], ...]:
    """The messages that make callers be told."""
    return tuple(("tell", {"telling": telling.id}) for telling in tellings)


def fail(shop: Workshop, arrivals: Sequence[Arrival], code: str, reason: str) -> tuple[tuple[str, Body], ...]:
    """Write down that arrivals get no answer, and clean up; messages to tell of it."""
    tellings = shop.records.fail([(arrival, code, reason) for arrival in arrivals if arrival.open])
    shop.clean(arrivals)
    return to_tell(tellings)


def known(shop: Workshop, messages: Sequence[Message]) -> list[Arrival | None]:
    """The arrival that each message is about; None where it is about none that is known."""
    ids = [message.body.get("arrival") for message in messages]
    found = shop.records.arrivals([each for each in ids if isinstance(each, str)])
    return [found.get(each) if isinstance(each, str) else None for each in ids]


def settled(shop: Workshop, message: Message, arrival: Arrival | None) -> Outcome | None:
    """What becomes of a message whose arrival is unknown or has ended; None where it is open."""
    if arrival is None:
        return UNKNOWN
    if arrival.open:
        return None
    if revived(message, arrival):
        return Done((("detect", {"arrival": arrival.id}),))
    shop.clean([arrival])
    untold = to_tell(shop.records.untold([arrival.id]))
    if arrival.state == "failed" and arrival.code != "cancelled":  # a kill came between the record and the dead letter
        return Bury(arrival.reason or "", untold)
    return Done(untold)


def revived(message: Message, arrival: Arrival) -> bool:
    """Whether a photo that got no answer is to be looked at once more: its dead letter was delivered anew.

    One that was sent, not stored, cannot be: its file was erased when it failed.
    """
    return message.attempt == 1 and arrival.state == "failed" and arrival.code != "cancelled" and bool(arrival.uri)
