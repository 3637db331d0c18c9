"""The indexes of a gallery: how they are laid out, made, told of and deleted."""

from __future__ import annotations

import re
import secrets
from contextlib import suppress
from dataclasses import replace
from typing import Any

from likeness.errors import Conflict, GalleryMissing
from likeness.gallery.elastic.head import Head, as_body, as_head
from likeness.gallery.elastic.store import COPIES, HEAD, TRAIL, Kept, Overtaken, Store

_META = "meta"
_KEYWORD = {"type": "keyword"}
_LONG = {"type": "long"}
_UNSEARCHED: dict[str, Any] = {"type": "object", "enabled": False}
"""Kept in the document, and in no index: crops, profiles, consent."""

_TOKEN = {"type": "keyword", "index": False, "doc_values": False}
"""Of the change that wrote the document."""
_FACES: dict[str, Any] = {
    "kind": _KEYWORD,
    "id": _LONG,
    "person": _KEYWORD,
    "photo": _KEYWORD,
    "face_index": {"type": "integer"},
    "change": _LONG,
    "token": _TOKEN,
    "held": _UNSEARCHED,
}
_PEOPLE: dict[str, Any] = {
    "kind": _KEYWORD,
    "id": _KEYWORD,
    "name_key": _KEYWORD,
    "person": _KEYWORD,
    "into": _KEYWORD,
    "change": _LONG,
    "token": _TOKEN,
    "held": _UNSEARCHED,
}
_NOTES: dict[str, Any] = {
    "kind": _KEYWORD,
    "number": _LONG,
    "name": _KEYWORD,
    "photo": _KEYWORD,
    "tag": _KEYWORD,
    "held": _UNSEARCHED,
}


def faces_index(store: Store, number: int) -> str:
    """The name of one of the gallery's indexes of faces."""
    return f"{store.alias}-{number:06d}"


def prepare(store: Store, *, space: str | None, dimension: int | None, create: bool) -> Head:
    """The head of the gallery; where there is none it is made, if `create` and the space is known.

    Raises:
        GalleryMissing: there is none, and it is not to be made.
    """
    store.cluster.version()
    head = _standing(store)
    if head is not None:
        return head
    if not create:
        raise store.missing()
    if space is None or dimension is None:
        raise GalleryMissing(
            f"there is no gallery at {store.address.shown}, and a new one needs the space and dimension of its "
            "embeddings",
            hint="open_gallery(uri, space=recognizer.space, dimension=recognizer.dimension)",
        )
    if not 1 <= dimension <= 4096:
        raise ValueError(f"expected a dimension from 1 to 4096, got {dimension}")
    return _make(store, space, dimension)


def _marked(store: Store) -> tuple[Head, Kept] | None:
    """The head, also of a gallery that is not all there yet or any more; None where there is none."""
    try:
        kept = store.get(store.meta, HEAD)
    except GalleryMissing:
        return None
    return None if kept is None else (as_head(kept.body, store.address.shown, half=True), kept)


def _standing(store: Store) -> Head | None:
    """The head of the gallery that is there; first what was half made is made, and what was half deleted deleted."""
    there = _marked(store)
    if there is not None and there[0].state == "deleting":
        _delete_marked(store)
        return None
    return None if there is None else _made(store)


def _make(store: Store, space: str, dimension: int) -> Head:
    """Make the head, then the indexes that it tells of: two who make one at once end with one."""
    make_index(store, store.meta, {"kind": _KEYWORD}, token=_META, strict=False)
    head = Head(
        space,
        dimension,
        faces_index(store, 1),
        secrets.token_hex(32),
        state="making",
        token=secrets.token_hex(8),
    )
    for id_, body in (
        (TRAIL, {"number": 0, "seal": None}),
        (COPIES, {"writer": None, "snapshots": [], "pending": []}),
        (HEAD, as_body(head)),
    ):
        with suppress(Overtaken):  # another process was faster
            store.put(store.meta, id_, body, seen=None)
    return _made(store)


def _made(store: Store) -> Head:
    """The head, after its indexes have been made where they were not."""
    there = _marked(store)
    if there is not None and there[0].state == "making":
        head, kept = there
        make_contents(store, head)
        with suppress(Overtaken):  # another process was faster
            store.put(store.meta, HEAD, as_body(replace(head, state="whole")), seen=kept.seen)
    return store.head()[0]


def make_contents(store: Store, head: Head) -> None:
    """Make the indexes of people, notes, audit trail and faces, where they are not there."""
    make_index(store, store.people, _PEOPLE, token=head.token)
    make_index(store, store.notes, _NOTES, token=head.token)
    make_index(store, store.audit, {}, token=head.token, strict=False)
    make_faces(store, head.index, head.dimension, token=head.token)
    point_alias(store, head.index)


def make_faces(store: Store, index: str, dimension: int, *, token: str) -> None:
    """Make an index of faces for vectors of some dimension, if it is not there."""
    options = store.address.options
    graph: dict[str, Any] = {"type": options.index}
    if options.index.endswith("hnsw"):
        graph |= {"m": options.m, "ef_construction": options.ef_construction}
    vector = {"type": "dense_vector", "dims": dimension, "index": True, "similarity": "cosine", "index_options": graph}
    make_index(store, index, {**_FACES, "vector": vector}, token=token, shards=options.shards)


def make_index(
    store: Store, index: str, properties: dict[str, Any], *, token: str, strict: bool = True, shards: int = 1
) -> None:
    """Make an index, if it is not there; one that an earlier gallery left behind is deleted first.

    Raises:
        Conflict: there is one of that name that was not made here, as by a write to an index that was deleted.
    """
    import elasticsearch

    replicas = store.address.options.replicas
    copies = {"auto_expand_replicas": replicas} if "-" in replicas else {"number_of_replicas": int(replicas)}
    settings = {"number_of_shards": shards, **copies}
    told = {"likeness": token}
    mappings = {"dynamic": "strict" if strict else "false", "_meta": told, "properties": properties}

    def make(client: elasticsearch.Elasticsearch) -> bool:
        try:
            client.indices.create(index=index, settings=settings, mappings=mappings)
        except elasticsearch.BadRequestError as error:
            if "resource_already_exists_exception" not in str(error):
                raise
            return False
        return True

    if store.cluster.ask(make):
        return
    there = mapping_of(store, index).get("_meta", {}).get("likeness")
    if there is None or (there != token and index == store.meta):
        raise Conflict(
            f"there is an index {index} at {store.address.shown} that Likeness did not make",
            hint="delete it, or name another prefix for the gallery",
        )
    if there != token:
        drop_index(store, index)
        store.cluster.ask(make)


def mapping_of(store: Store, index: str) -> dict[str, Any]:
    """How an index was made: its mapping.

    Raises:
        Overtaken: it is not there.
    """
    import elasticsearch

    try:
        answer = store.cluster.ask(lambda client: client.indices.get_mapping(index=index))
    except elasticsearch.NotFoundError as error:
        raise Overtaken(index) from error
    found: dict[str, Any] = answer[index]["mappings"]
    return found


def graph_of(store: Store, head: Head) -> tuple[str, int]:
    """The kind of index that the vectors in use have, and how many links a place has in it."""
    options = mapping_of(store, head.index)["properties"]["vector"]["index_options"]
    return str(options["type"]), int(options.get("m", 0))


def point_alias(store: Store, index: str) -> None:
    """Let the alias of the faces name one index and no other, in one step."""
    actions: list[dict[str, Any]] = [
        {"remove": {"index": f"{store.alias}-*", "alias": store.alias, "must_exist": False}},
        {"add": {"index": index, "alias": store.alias}},
    ]
    store.cluster.ask(lambda client: client.indices.update_aliases(actions=actions))


def drop_index(store: Store, index: str) -> None:
    """Delete an index, if it is there."""
    store.cluster.ask(lambda client: client.indices.delete(index=index, ignore_unavailable=True))


def told(store: Store) -> list[dict[str, Any]]:
    """What the cluster tells of each index of the gallery: `index`, `health`, `docs`, `bytes` (of all copies)."""
    own = re.compile(
        rf"{re.escape(store.address.prefix)}-(meta|people|notes|audit|faces-\d{{6}})"
    )  # not a-faces-people
    answer = store.cluster.ask(
        lambda client: client.cat.indices(
            index=f"{store.address.prefix}-*", h="index,health,docs.count,store.size", format="json", bytes="b"
        )
    )
    rows: list[dict[str, Any]] = answer.body  # type: ignore[assignment]
    return [
        {
            "index": row["index"],
            "health": row.get("health") or "unknown",
            "docs": int(row.get("docs.count") or 0),
            "bytes": int(row.get("store.size") or 0),
        }
        for row in sorted(rows, key=lambda row: str(row["index"]))
        if own.fullmatch(str(row["index"]))
    ]


def delete_all(store: Store) -> int:
    """Delete the gallery with all its indexes; returns how many there were.

    First it is marked, and is none for anybody from then on. Its head goes last: whoever comes after a process that
    was stopped on the way, to open it or to delete it, finishes the work.

    Raises:
        GalleryMissing: there is none.
    """
    while (there := _marked(store)) is not None:
        head, kept = there
        if head.state == "deleting":
            return _delete_marked(store)
        with suppress(Overtaken):
            store.put(store.meta, HEAD, as_body(replace(head, state="deleting")), seen=kept.seen)
    raise store.missing()


def _delete_marked(store: Store) -> int:
    names = [row["index"] for row in told(store)]
    for name in sorted(names, key=lambda name: name == store.meta):
        there = _marked(store)
        if there is None or there[0].state != "deleting":
            break  # another process has finished, and perhaps begun a new gallery
        drop_index(store, name)
    return len(names)
