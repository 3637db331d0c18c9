"""Bulk requests with back-pressure: bounded in bytes and count, smaller and later where the cluster has too much to do.

Only the items that were refused as too much are sent again, after a wait with jitter. Every item has an outcome.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

from likeness.errors import GalleryBusy, StorageError
from likeness.gallery.elastic.cluster import Cluster, Pause, TooMuch, of_item

_LATER = (429, 503)


class Action(NamedTuple):
    """One item: what is done to which document; with `seen`, only if the document is the one that was seen then.

    Attributes:
        op: `create` fails where there is a document of that id, `index` replaces it.
        into: the index.
        body: the document, or for `update` the fields to replace in it; None for `delete`.
        seen: sequence number and primary term of the document as it was read.
    """

    op: Literal["create", "index", "update", "delete"]
    into: str
    id: str
    body: dict[str, Any] | None = None
    seen: tuple[int, int] | None = None

    def as_lines(self) -> list[bytes]:
        """The item as a bulk request carries it."""
        told: dict[str, Any] = {"_index": self.into, "_id": self.id}
        if self.seen is not None:
            told |= {"if_seq_no": self.seen[0], "if_primary_term": self.seen[1]}
        found: list[dict[str, Any]] = [{self.op: told}]
        if self.body is not None:
            found.append({"doc": self.body} if self.op == "update" else self.body)
        return [
            json.dumps(each, ensure_ascii=False, allow_nan=False).encode("utf-8", "surrogatepass") for each in found
        ]


class Done(NamedTuple):
    """What became of an item: its status, where 409 is a conflict and 404 a document that is not there."""

    action: Action
    status: int
    error: object = None

    @property
    def conflicts(self) -> bool:
        """Whether the document is another one than the item expects."""
        return self.status == 409

    @property
    def lacks(self) -> bool:
        """Whether the document that is to be changed or deleted is not there; where one is to be written, its index."""
        return self.status == 404 and self.action.op in ("update", "delete")


_Item = tuple[int, Action, list[bytes]]
"""An item with its place, as it was given and as it is sent."""


def write(cluster: Cluster, actions: Iterable[Action], *, between: Callable[[], None] = lambda: None) -> list[Done]:
    """Carry out actions in bulk requests; outcomes in order. `between` is called before each request.

    Raises:
        StorageError: some failed otherwise than by a conflict or a missing document, or were not taken in time; others
            may have been carried out.
    """
    options = cluster.address.options
    waiting = [(at, action, action.as_lines()) for at, action in enumerate(actions)]
    outcomes: dict[int, Done] = {}
    total, most, pause = len(waiting), options.bulk_count, Pause(options.patience)
    while waiting:
        between()
        part = _first(waiting, most, options.bulk_bytes)
        later = _taken(part, _send(cluster, part), outcomes)
        waiting = later + waiting[len(part) :]
        if not later:
            most = min(options.bulk_count, 2 * most)
            pause = Pause(options.patience)
            continue
        if not pause.left():
            raise GalleryBusy(
                f"{cluster.address.shown} took {total - len(waiting):,} of {total:,} documents and then no more",
                hint="try again later, or give it more time: patience=120",
            )
        most = max(1, min(most, len(part)) // 2)
        pause.wait()
    done = [outcomes[at] for at in range(total)]
    expect_done(cluster, done)
    return done


def _taken(part: list[_Item], items: list[dict[str, Any]] | None, outcomes: dict[int, Done]) -> list[_Item]:
    """Note what became of a request's items; those that are to be sent again."""
    if items is None:
        return part
    later = []
    for each, item in zip(part, items, strict=True):
        (answer,) = item.values()
        if answer["status"] in _LATER:
            later.append(each)
        else:
            outcomes[each[0]] = Done(each[1], answer["status"], answer.get("error"))
    return later


def expect_done(cluster: Cluster, outcomes: Sequence[Done]) -> None:
    """Raise for the first item that failed otherwise than by a conflict or a missing document."""
    failed = [each for each in outcomes if each.status >= 400 and each.status != 409 and not each.lacks]
    if failed:
        said = of_item(cluster.address.shown, failed[0].status, failed[0].error)
        raise type(said)(f"{len(failed):,} of {len(outcomes):,} documents: {said.message}", hint=said.hint)


def _first(waiting: Sequence[_Item], count: int, size: int) -> list[_Item]:
    """The items that fit into one request; at least one."""
    part: list[_Item] = []
    held = 0
    for each in waiting[:count]:
        held += sum(map(len, each[2])) + len(each[2])
        if part and held > size:
            break
        part.append(each)
    return part


def _send(cluster: Cluster, part: Sequence[_Item]) -> list[dict[str, Any]] | None:
    """The items of the answer; None where all was refused as too much."""
    lines = [line for _, _, each in part for line in each]
    try:
        answer = cluster.ask(lambda client: client.bulk(operations=lines), whole=False)  # type: ignore[arg-type] # encoded here
    except TooMuch:
        return None
    items: list[dict[str, Any]] = answer["items"]
    if len(items) != len(part):
        raise StorageError(f"{cluster.address.shown} told of {len(items)} documents, {len(part)} were sent")
    return items
