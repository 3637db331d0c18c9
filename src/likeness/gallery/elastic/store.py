"""Documents by their ids, read as they are at this moment and written only where they are what was seen.

A document read by its id is the present one, whether or not a search sees it yet. `Head` is the one that says what a
gallery is: which index of faces is in use, and up to which change what is written counts.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from likeness.errors import GalleryCorrupt, GalleryMissing, LikenessError, StorageError
from likeness.gallery.elastic.address import Address
from likeness.gallery.elastic.cluster import Cluster
from likeness.gallery.elastic.head import Head, as_head

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_Found = TypeVar("_Found")
HEAD, TRAIL, COPIES = "head", "trail", "copies"
"""Ids in the index `meta`."""

_KEEP = "5m"
_TOUCH_S = 60.0
"""How long a point in time may go unused before it is asked for again; far less than it is kept."""


class Overtaken(Exception):
    """A document is another one than it was when it was read."""


class Kept(NamedTuple):
    """A document, and its sequence number and primary term, by which a change of it is noticed."""

    id: str
    body: dict[str, Any]
    seen: tuple[int, int]


@dataclass(slots=True)
class Pit:
    """A point in time of one index: searches of it see what there was, and nothing later.

    Attributes:
        id: its name, which may be another one after each search.
        used: when it was last asked for; it ends some minutes after.
    """

    id: str
    used: float


class Store:
    """A gallery's indexes on a cluster. Thread-safe."""

    def __init__(self, address: Address, cluster: Cluster) -> None:
        self.address = address
        self.cluster = cluster
        self.meta, self.people, self.notes, self.audit = (
            f"{address.prefix}-{part}" for part in ("meta", "people", "notes", "audit")
        )
        self.alias = f"{address.prefix}-faces"

    def get(self, index: str, id_: str) -> Kept | None:
        """A document as it is now; None where there is none.

        Raises:
            GalleryMissing: there is no such index.
        """
        import elasticsearch

        try:
            answer = self.cluster.ask(lambda client: client.get(index=index, id=id_))
        except elasticsearch.NotFoundError as error:
            if "found" in error.body:
                return None
            raise (self.missing() if index == self.meta else self._lacking()) from error
        return _kept(answer.body)

    def get_many(self, asked: Sequence[tuple[str, str]], *, fields: Sequence[str] | None = None) -> list[Kept | None]:
        """Documents as they are now, by index and id."""
        found: list[Kept | None] = []
        for start in range(0, len(asked), 500):
            docs: list[dict[str, Any]] = [{"_index": index, "_id": id_} for index, id_ in asked[start : start + 500]]
            for doc in docs if fields is not None else ():
                doc["_source"] = {"includes": list(fields or ())}
            answer = self.cluster.ask(partial(_mget, index=self.meta, docs=docs))
            for doc in answer["docs"]:
                if "error" in doc:  # nothing is known of it: not that it is not there
                    kind = doc["error"].get("type")
                    raise self._lacking() if kind == "index_not_found_exception" else self._unread()
                found.append(_kept(doc) if doc["found"] else None)
        return found

    def _unread(self) -> StorageError:
        return StorageError(f"a part of {self.address.shown} did not answer", hint="see the cluster's health")

    def put(self, index: str, id_: str, body: dict[str, Any], *, seen: tuple[int, int] | None) -> Kept:
        """Write a document that was `seen`, or one that is new; its field `write` tells one writing from another.

        Raises:
            Overtaken: there is another one.
        """
        import elasticsearch

        body = {**body, "write": secrets.token_hex(8)}
        given: dict[str, Any] = {"index": index, "id": id_, "document": body}
        if seen is None:
            given["op_type"] = "create"
        else:
            given |= {"if_seq_no": seen[0], "if_primary_term": seen[1]}
        try:
            answer = self.cluster.ask(lambda client: client.index(**given))
        except elasticsearch.ConflictError as error:
            there = self.get(index, id_)
            if there is not None and there.body.get("write") == body["write"]:
                return there  # it was written, and the answer was lost
            raise Overtaken(id_) from error
        except elasticsearch.NotFoundError as error:
            raise self._lacking() from error
        return Kept(id_, body, (answer["_seq_no"], answer["_primary_term"]))

    def delete(self, index: str, id_: str) -> None:
        """Delete a document, if there is one."""
        import elasticsearch

        try:
            self.cluster.ask(lambda client: client.delete(index=index, id=id_))
        except elasticsearch.NotFoundError:
            return

    def refresh(self, *indexes: str) -> None:
        """Let searches see what was written."""
        import elasticsearch

        try:
            answer = self.cluster.ask(lambda client: client.indices.refresh(index=",".join(indexes)))
        except elasticsearch.NotFoundError as error:
            raise self._lacking() from error
        if answer["_shards"]["failed"]:
            raise self._unread()

    def search(self, index: str | Pit, **body: Any) -> dict[str, Any]:
        """The answer to a search.

        Raises:
            Overtaken: the index is not there (any more).
            StorageError: a shard did not answer.
        """
        import elasticsearch

        given: dict[str, Any] = {"index": index, "allow_partial_search_results": False, **body}
        if isinstance(index, Pit):  # it says itself where it looks, and whether a part may be missing
            given = {"pit": {"id": index.id, "keep_alive": _KEEP}, **body}
        try:
            answer: dict[str, Any] = self.cluster.ask(lambda client: client.search(**given)).body
        except elasticsearch.NotFoundError as error:
            raise Overtaken(str(index)) from error
        if isinstance(index, Pit):
            index.id, index.used = answer.get("pit_id", index.id), time.monotonic()
        if answer.get("timed_out") or answer["_shards"]["failed"]:
            raise self._unread()
        return answer

    @contextmanager
    def point_in_time(self, index: str) -> Iterator[Pit]:
        """What an index holds now, for searches that take long.

        Raises:
            Overtaken: the index is not there.
        """
        import elasticsearch

        try:
            answer = self.cluster.ask(lambda client: client.open_point_in_time(index=index, keep_alive=_KEEP))
        except elasticsearch.NotFoundError as error:
            raise Overtaken(index) from error
        pit = Pit(answer["id"], time.monotonic())
        try:
            yield pit
        finally:
            with suppress(LikenessError, elasticsearch.NotFoundError):  # it ends by itself
                self.cluster.ask(lambda client: client.close_point_in_time(id=pit.id))

    def keep(self, *pits: Pit) -> None:
        """Let points in time not end while others are read.

        Raises:
            Overtaken: one has ended.
        """
        for pit in pits:
            if time.monotonic() - pit.used > _TOUCH_S:
                self.search(pit, query={"match_all": {}}, size=0, track_total_hits=False)

    def pages(
        self,
        index: str | Pit,
        query: dict[str, Any],
        sort: Sequence[str],
        *,
        after: list[Any] | None = None,
        size: int = 500,
        fields: Sequence[str] | None = None,
        limit: int | None = None,
    ) -> list[dict[str, Any]]:
        """All documents of a query (or the first `limit`) in order of some fields, as hits."""
        found: list[dict[str, Any]] = []
        while limit is None or len(found) < limit:
            wanted = size if limit is None else min(size, limit - len(found))
            body: dict[str, Any] = {
                "query": query,
                "sort": [{name: "asc"} for name in sort],
                "size": wanted,
                "track_total_hits": False,
                "source": True if fields is None else {"includes": list(fields)},
            }
            if after is not None:
                body["search_after"] = after
            hits = self.search(index, **body)["hits"]["hits"]
            found += hits
            if len(hits) < wanted:
                break
            after = hits[-1]["sort"]
        return found

    def count(self, index: str | Pit, query: dict[str, Any]) -> int:
        """How many documents a query finds; as a search, which fails where a shard does not answer."""
        return int(self.search(index, query=query, size=0, track_total_hits=True)["hits"]["total"]["value"])

    def head(self) -> tuple[Head, Kept]:
        """The head as it is now.

        Raises:
            GalleryMissing: there is no gallery.
        """
        kept = self.get(self.meta, HEAD)
        if kept is None:
            raise self.missing()
        return as_head(kept.body, self.address.shown), kept

    def at_present(self, work: Callable[[Head], _Found]) -> _Found:
        """What some reading gives, begun anew where the index of faces is replaced meanwhile."""
        for _ in range(10):
            try:
                return work(self.head()[0])
            except Overtaken:
                continue
        raise self._lacking()

    def _lacking(self) -> LikenessError:
        """Why an index that the head tells of does not answer."""
        if self.get(self.meta, HEAD) is None:
            return self.missing()
        return GalleryCorrupt(
            f"an index of the gallery at {self.address.shown} is not there",
            hint="bring it back from a snapshot of the cluster, or delete the gallery: likeness gallery delete",
        )

    def missing(self) -> GalleryMissing:
        """There is no gallery here."""
        return GalleryMissing(f"there is no gallery at {self.address.shown}", hint="enrol somebody, which creates it")


def _mget(client: Elasticsearch, **asked: Any) -> Any:
    return client.mget(**asked)


def _kept(answer: dict[str, Any]) -> Kept:
    return Kept(answer["_id"], answer["_source"], (answer["_seq_no"], answer["_primary_term"]))
