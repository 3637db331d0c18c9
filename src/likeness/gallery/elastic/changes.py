"""Changes that count wholly or not at all, on a server without transactions.

A change holds the head's lease, so there is one at a time, and has a number. In order:

1. `begin` A journal is written, `meta/change-N`: which new documents are to come, and what is to be done to old ones.
2. The new documents are written. They carry the number N, and nobody minds documents with a number above the head's
   `committed`.
3. Searches are made to see them, and the head is written with `committed` N. This one write is the change: before it
   nothing counts, after it everything does.
4. Old documents are changed, each only if it is as it was seen; the journal is deleted, the head let go.

Whoever takes the head from a dead writer finds the journal. Up to step 3 it replaces the new documents by tombstones,
so that a writer that was not dead but slow cannot write them any more; after it, it does step 4. Where there is no
journal yet it writes an empty one in its place, on which the slow writer fails. A person who is removed leaves a
tombstone for the same reason: an id, and nothing else.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from likeness.errors import GalleryBusy, LikenessError, StorageError
from likeness.gallery.elastic import layout
from likeness.gallery.elastic.bulk import Action, write
from likeness.gallery.elastic.head import Head, as_head
from likeness.gallery.elastic.leases import Held, Lease
from likeness.gallery.elastic.store import HEAD, Kept, Overtaken, Store
from likeness.gallery.transfer import still_coming

GONE = {"kind": "gone"}
"""A tombstone: nothing else may be written under its id."""


@dataclass(slots=True)
class Plan:
    """What a change does.

    Attributes:
        fresh: documents that nobody has, written before the change counts.
        old: what is done to others once it counts.
        head: fields of `Head` that become others; `faces` by how many there are more or fewer.
        drop: an index of faces that is used no more.
    """

    fresh: list[Action] = field(default_factory=list)
    old: list[Action] = field(default_factory=list)
    head: dict[str, Any] = field(default_factory=dict)
    faces: int = 0
    drop: str | None = None

    def journal(self, token: str) -> dict[str, Any]:
        """As it is kept until it is carried out; `token` is the change's."""
        return {
            "token": token,
            "last_face": self.head.get("last_face", 0),
            "fresh": [(one.into, one.id, one.seen) for one in self.fresh],
            "old": [list(one) for one in self.old],
            "drop": self.drop,
        }


class Change:
    """A change that is being made; the head is held."""

    def __init__(self, store: Store, held: Held) -> None:
        self._store = store
        self._held = held
        self.number = self.head.change + 1
        self._token = secrets.token_hex(8)

    @property
    def head(self) -> Head:
        """The head as it is at present."""
        return as_head(self._held.body, self._store.address.shown)

    @property
    def _journal(self) -> str:
        return f"change-{self.number}"

    def renew(self) -> None:
        """See `Held.renew`."""
        self._held.renew()

    def note(self, **changes: Any) -> None:
        """Change fields of the head that tell nobody anything new about people and faces."""
        self._held.write(**changes)

    def commit(self, plan: Plan) -> None:
        """Carry out a plan.

        Raises:
            StorageError: nothing was changed; or all is changed and something remains to be tidied up, and says so.
        """
        self._held.leave()  # until all is done or undone: however this ends, the next writer finishes or undoes it
        self._begin(plan)
        try:
            self._write_fresh(plan.fresh)
        except BaseException:
            self._undo(plan)
            raise
        self._count(plan)
        self._finish(plan.old, plan.drop)
        self._held.stay()

    def _begin(self, plan: Plan) -> None:
        try:
            self._store.put(self._store.meta, self._journal, plan.journal(self._token), seen=None)
        except Overtaken as error:
            raise self._overtaken() from error

    def _write_fresh(self, fresh: Sequence[Action]) -> None:
        named = [one._replace(body={**(one.body or {}), "token": self._token}) for one in fresh]
        outcomes = write(self._store.cluster, named, between=self.renew)
        doubtful = [done.action for done in outcomes if done.conflicts]
        there = self._store.get_many([(one.into, one.id) for one in doubtful], fields=["token"])
        if any(kept is None or kept.body.get("token") != self._token for kept in there):
            raise self._overtaken()  # else they were written, and the answer was lost
        if fresh:
            self._store.refresh(*sorted({one.into for one in fresh}))

    def _count(self, plan: Plan) -> None:
        """The one write that makes it a change."""
        told = {"change": self.number, "committed": self.number, "faces": self.head.faces + plan.faces, **plan.head}
        try:
            self._held.write(**told)
        except LikenessError as error:
            if self._held.lost and self._is_void():
                raise self._overtaken() from error
            raise type(error)(
                f"{error.message}; whether the change was made is not known",
                hint="do it again: what is there already is not added twice",
            ) from error

    def _is_void(self) -> bool:
        """Whether another writer took over, and has undone it."""
        with suppress(LikenessError):
            journal = self._store.get(self._store.meta, self._journal)
            return journal is not None and "void" in journal.body
        return False

    def _finish(self, old: Sequence[Action], drop: str | None) -> None:
        try:
            self.carry_out(old, drop)
            self._store.delete(self._store.meta, self._journal)
        except LikenessError as error:
            raise type(error)(
                f"the change is made, but not everywhere yet: {error.message}",
                hint="whoever changes or opens the gallery next finishes it",
            ) from error

    def carry_out(self, old: Sequence[Action], drop: str | None) -> None:
        """Step 4. What conflicts was done before, by this writer or one that finished its work."""
        if old:
            write(self._store.cluster, old, between=self.renew)
            self._store.refresh(*sorted({one.into for one in old} - ({drop} if drop else set())))
        if drop is not None:
            layout.point_alias(self._store, self.head.index)
            layout.drop_index(self._store, drop)

    def _undo(self, plan: Plan) -> None:
        """Undo step 2, after an error that the caller raises; what cannot be undone now, the next writer undoes."""
        with suppress(LikenessError, Overtaken):
            self._bury(plan.journal(self._token))
            self._held.stay()

    def _bury(self, journal: dict[str, Any]) -> None:
        """Put tombstones where documents were to be that do not count; their numbers are not given again.

        Each only over what was read: a request of this kind that comes late must not bury what others wrote since.
        """
        waiting: list[Sequence[Any]] = journal["fresh"]
        while waiting:
            self._held.write()  # whoever was taken over stops here
            done = write(self._store.cluster, self._burying(waiting, journal.get("token")), between=self.renew)
            again = {(one.action.into, one.action.id) for one in done if one.conflicts}  # a slow writer wrote it
            waiting = [one for one in waiting if (one[0], one[1]) in again]
        if journal["fresh"]:
            self._store.refresh(*sorted({one[0] for one in journal["fresh"]}))
        kept = self._store.get(self._store.meta, self._journal)
        if kept is not None:  # what it says of people must not stay, but nobody may write another one
            self._store.put(self._store.meta, self._journal, {"void": True}, seen=kept.seen)
        last = max(self.head.last_face, journal["last_face"])
        self._held.write(change=self.number, last_face=last)

    def _burying(self, fresh: Sequence[Sequence[Any]], token: str | None) -> list[Action]:
        there = self._store.get_many([(into, id_) for into, id_, _ in fresh], fields=["kind", "token"])
        actions = []
        for (into, id_, seen), kept in zip(fresh, there, strict=True):
            if kept is None:
                actions.append(Action("create", into, id_, GONE))
            elif (seen is not None and kept.seen == tuple(seen)) or kept.body.get("token") == token:
                actions.append(Action("index", into, id_, GONE, kept.seen))
            # else it is buried already, or another change's
        return actions

    def recover(self) -> None:
        """Finish or undo what a dead writer began."""
        store = self._store
        last = store.get(store.meta, f"change-{self.head.change}") if self.head.change == self.head.committed else None
        if last is not None and "void" not in last.body:
            self.carry_out([_action(one) for one in last.body["old"]], last.body["drop"])
            store.delete(store.meta, last.id)
        begun = self._fence()
        if begun is not None and "void" not in begun.body:
            self._bury(begun.body)
        else:
            self._held.write(change=self.number)
        self.number += 1

    def _fence(self) -> Kept | None:
        """The journal of a change that was begun; where there is none, one stands in its place now."""
        try:
            self._store.put(self._store.meta, self._journal, {"void": True}, seen=None)
        except Overtaken:
            return self._store.get(self._store.meta, self._journal)
        return None

    def _overtaken(self) -> StorageError:
        return GalleryBusy(
            f"another process took over the gallery {self._store.address.shown}, and nothing was changed",
            hint="try again",
        )


class Changes:
    """Where changes begin. Thread-safe."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lease = Lease(store, HEAD)

    @contextmanager
    def begin(self, *, importing: bool = False) -> Iterator[Change]:
        """One change after another: waits for others, finishes what a dead writer left, lets go at the end.

        With `importing` also while another gallery's contents are coming in.

        Raises:
            GalleryBusy: others took too long, or another gallery's contents are coming in.
        """
        with self._lease.hold() as held:
            change = Change(self._store, held)
            if held.after_dead:
                try:
                    change.recover()
                except BaseException:
                    held.leave()
                    raise
            if not importing:
                self.expect_not_importing(change.head)
            yield change

    def expect_not_importing(self, head: Head) -> None:
        """Raise where another gallery's contents are coming in: they are to be as they were, with nothing added."""
        if head.importing is not None:
            raise still_coming(self._store.address.shown)

    def finish_abandoned(self) -> None:
        """Finish what a dead writer left, if one did."""
        if self._lease.is_abandoned():
            with self.begin(importing=True):
                pass


def _action(kept: Sequence[Any]) -> Action:
    op, index, id_, body, seen = kept
    return Action(op, index, id_, body, None if seen is None else (seen[0], seen[1]))
