"""Re-embedding without a pause: new vectors fill an index of their own, and the gallery goes over to it at once.

While the new index is filled, searches answer from the old one, and who removes or merges people does it in both. The
switch is one write of the head, which names the index in use and its embedding space together: no search can ask one
index with the other's vectors. The alias `…-faces` follows in the same change, for whoever looks from outside.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness.errors import GalleryBusy
from likeness.gallery.elastic import bulk, faces, layout, people
from likeness.gallery.elastic.bulk import Action
from likeness.gallery.elastic.changes import Change, Changes, Plan
from likeness.gallery.elastic.head import Head
from likeness.gallery.elastic.store import Store
from likeness.types import Vector, check_unit_vectors

_BATCH = 64


@dataclass(frozen=True, slots=True)
class _Aim:
    """The embedding space that is wanted, and the network where it matters which one of the space."""

    space: str
    dimension: int
    maker: str

    def __str__(self) -> str:
        return f"{self.dimension} {self.space} {self.maker}".rstrip()


def run(
    store: Store,
    changes: Changes,
    aim: tuple[str, int, str],
    embed: Callable[[list[bytes]], Vector],
    progress: Callable[[int, int], None],
) -> int:
    """See `Gallery.reembed`; `aim` is space, dimension and maker."""
    wanted = _Aim(*aim)
    if not _begin(store, changes, wanted):
        return 0
    embedded = 0
    while True:
        batch, done, total = store.at_present(lambda head: _next_batch(store, head, wanted))
        progress(done, total)
        if not batch:
            if _switch(store, changes, wanted):
                return embedded
            continue  # somebody enrolled a face after the last look
        vectors = embed([face.crop_jpeg for face in map(faces.as_face, batch)])
        check_unit_vectors(vectors, wanted.dimension)
        if len(vectors) != len(batch):
            raise ValueError(f"expected {len(batch)} embeddings, got {len(vectors)}")
        _keep(store, changes, wanted, [body["id"] for body in batch], vectors)
        embedded += len(batch)


def _begin(store: Store, changes: Changes, aim: _Aim) -> bool:
    """Note the aim; an earlier run's vectors towards it are kept. False where it is reached already."""
    with changes.begin() as change:
        head = change.head
        there = (head.space, head.dimension) == (aim.space, aim.dimension)
        if there and (not aim.maker or head.maker == aim.maker):
            return False
        if head.reembedding is not None and head.reembedding["aim"] == str(aim):
            return True
        if head.reembedding is not None:
            layout.drop_index(store, head.reembedding["index"])
        number = head.made + 1
        index = layout.faces_index(store, number)
        layout.drop_index(store, index)  # of a run that was killed before it was noted
        layout.make_faces(store, index, aim.dimension)
        change.note(made=number, reembedding={"aim": str(aim), "index": index, "done": 0})
    return True


def _expect_aim(head: Head, aim: _Aim) -> dict[str, Any]:
    if head.reembedding is None or head.reembedding["aim"] != str(aim):
        raise GalleryBusy("another process re-embeds this gallery, or has done so", hint="let one of them do it")
    return head.reembedding


def _next_batch(store: Store, head: Head, aim: _Aim) -> tuple[list[dict[str, Any]], int, int]:
    done = _expect_aim(head, aim)["done"]
    batch = faces.page_after(store, head, done, _BATCH)
    left = store.count(head.index, {"bool": {"filter": [{"range": {"id": {"gt": done}}}, *_counting(head)]}})
    return batch, head.faces - left, head.faces


def _counting(head: Head) -> list[dict[str, Any]]:
    return [{"term": {"kind": {"value": "face"}}}, people.visible(head)]


def _keep(store: Store, changes: Changes, aim: _Aim, face_ids: list[int], vectors: Vector) -> None:
    """Write new vectors beside the old; none of faces that were erased meanwhile."""
    with changes.begin() as change:
        head = change.head
        going = _expect_aim(head, aim)
        there = store.get_many([(head.index, str(face)) for face in face_ids], fields=(*faces.FIELDS, "kind"))
        actions = []
        for kept, vector in zip(there, vectors, strict=True):
            if kept is None or kept.body.get("kind") != "face":
                continue
            exact = faces.encoded(np.ascontiguousarray(vector, np.float32).tobytes())
            held = {**kept.body["held"], "embedding": exact}
            body = {**kept.body, "held": held, **faces.vector_fields(vector)}
            actions.append(Action("index", going["index"], kept.id, body))
        bulk.write(store.cluster, actions, between=change.renew)
        change.note(reembedding={**going, "done": max([going["done"], *face_ids])})


def _switch(store: Store, changes: Changes, aim: _Aim) -> bool:
    """Let the new vectors take over, unless a face lacks one."""
    with changes.begin() as change:
        head = change.head
        going = _expect_aim(head, aim)
        store.refresh(going["index"])
        if not _complete(store, change, going):
            return False
        told = {
            "space": aim.space,
            "dimension": aim.dimension,
            "maker": aim.maker,
            "generation": head.generation + 1,
            "index": going["index"],
            "reembedding": None,
        }
        change.commit(Plan(head=told, drop=head.index))
    return True


def _complete(store: Store, change: Change, going: dict[str, Any]) -> bool:
    """Whether every face has its new vector; where the new index lacks some, all are looked at anew."""
    head = change.head
    counting = {"bool": {"filter": _counting(head)}}
    here, there = store.count(head.index, counting), store.count(going["index"], counting)
    later = {"bool": {"filter": [{"range": {"id": {"gt": going["done"]}}}, *_counting(head)]}}
    if store.count(head.index, later):
        return False
    if here != there:
        change.note(reembedding={**going, "done": 0})
        return False
    return True
