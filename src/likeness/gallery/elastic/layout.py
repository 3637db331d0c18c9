"""The indexes of a gallery: how they are laid out, made, told of and deleted."""

from __future__ import annotations

import re
import secrets
from typing import Any

from likeness.errors import GalleryMissing
from likeness.gallery.elastic.head import Head, as_body
from likeness.gallery.elastic.store import COPIES, HEAD, TRAIL, Overtaken, Store

_KEYWORD = {"type": "keyword"}
_LONG = {"type": "long"}
_UNSEARCHED: dict[str, Any] = {"type": "object", "enabled": False}
"""Kept in the document, and in no index: crops, profiles, consent."""

_FACES: dict[str, Any] = {
    "kind": _KEYWORD,
    "id": _LONG,
    "person": _KEYWORD,
    "photo": _KEYWORD,
    "face_index": {"type": "integer"},
    "change": _LONG,
    "held": _UNSEARCHED,
}
_PEOPLE: dict[str, Any] = {
    "kind": _KEYWORD,
    "id": _KEYWORD,
    "name_key": _KEYWORD,
    "person": _KEYWORD,
    "into": _KEYWORD,
    "change": _LONG,
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
    try:
        return store.head()[0]
    except GalleryMissing:
        if not create:
            raise
    if space is None or dimension is None:
        raise GalleryMissing(
            f"there is no gallery at {store.address.shown}, and a new one needs the space and dimension of its "
            "embeddings",
            hint="open_gallery(uri, space=recognizer.space, dimension=recognizer.dimension)",
        )
    if not 1 <= dimension <= 4096:
        raise ValueError(f"expected a dimension from 1 to 4096, got {dimension}")
    return _make(store, space, dimension)


def _make(store: Store, space: str, dimension: int) -> Head:
    """Make the indexes, the head last: two who make one at once end with one."""
    make_index(store, store.meta, {"kind": _KEYWORD}, strict=False)
    index = faces_index(store, 1)
    make_contents(store, index, dimension)
    for id_, body in (
        (TRAIL, {"number": 0, "seal": None}),
        (COPIES, {"writer": None, "snapshots": [], "pending": []}),
        (HEAD, as_body(Head(space, dimension, index, secrets.token_hex(32)))),
    ):
        try:
            store.put(store.meta, id_, body, seen=None)
        except Overtaken:  # another process was faster
            continue
    return store.head()[0]


def make_contents(store: Store, index: str, dimension: int) -> None:
    """Make the indexes of people, notes, audit trail and faces, where they are not there."""
    make_index(store, store.people, _PEOPLE)
    make_index(store, store.notes, _NOTES)
    make_index(store, store.audit, {}, strict=False)
    make_faces(store, index, dimension)
    point_alias(store, index)


def make_faces(store: Store, index: str, dimension: int) -> None:
    """Make an index of faces for vectors of some dimension, if it is not there."""
    options = store.address.options
    graph: dict[str, Any] = {"type": options.index}
    if options.index.endswith("hnsw"):
        graph |= {"m": options.m, "ef_construction": options.ef_construction}
    vector = {"type": "dense_vector", "dims": dimension, "index": True, "similarity": "cosine", "index_options": graph}
    make_index(store, index, {**_FACES, "vector": vector}, shards=options.shards)


def make_index(store: Store, index: str, properties: dict[str, Any], *, strict: bool = True, shards: int = 1) -> None:
    """Make an index, if it is not there."""
    import elasticsearch

    replicas = store.address.options.replicas
    copies = {"auto_expand_replicas": replicas} if "-" in replicas else {"number_of_replicas": int(replicas)}
    settings = {"number_of_shards": shards, **copies}
    mappings = {"dynamic": "strict" if strict else "false", "properties": properties}

    def make(client: elasticsearch.Elasticsearch) -> None:
        try:
            client.indices.create(index=index, settings=settings, mappings=mappings)
        except elasticsearch.BadRequestError as error:
            if "resource_already_exists_exception" not in str(error):
                raise

    store.cluster.ask(make)


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
    """Delete the gallery with all its indexes, its head first; returns how many indexes there were.

    Raises:
        GalleryMissing: there is none.
    """
    store.head()
    names = [row["index"] for row in told(store)]
    store.delete(store.meta, HEAD)
    for name in names:
        drop_index(store, name)
    return len(names)
