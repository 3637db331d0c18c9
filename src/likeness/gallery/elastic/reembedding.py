"""Re-embedding without a pause: new vectors fill an index of their own, and the gallery goes over to it at once.

While the new index is filled, searches answer from the old one, and who removes or merges people does it in both. The
switch is one write of the head, which names the index in use and its embedding space together: no search can ask one
index with the other's vectors. The alias `…-faces` follows in the same change, for whoever looks from outside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
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
_COMPARED = 2_000


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
        layout.make_faces(store, index, aim.dimension, token=head.token)
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
        new = store.get_many([(going["index"], str(face)) for face in face_ids], fields=["kind"])
        actions = []
        for kept, other, vector in zip(there, new, vectors, strict=True):
            if kept is None or kept.body.get("kind") != "face":
                continue
            exact = faces.encoded(np.ascontiguousarray(vector, np.float32).tobytes())
            held = {**kept.body["held"], "embedding": exact}
            body = {**kept.body, "held": held, **faces.vector_fields(vector)}
            if other is None:
                actions.append(Action("create", going["index"], kept.id, body))
            else:
                actions.append(Action("index", going["index"], kept.id, body, other.seen))
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
    """Whether every face has its new vector, and nothing else one; what the new index has beyond is deleted from it.

    A writer that was taken for dead may have written late: what the index in use holds is what counts.
    """
    head, index = change.head, going["index"]
    later = {"bool": {"filter": [{"range": {"id": {"gt": going["done"]}}}, *_counting(head)]}}
    if store.count(head.index, later):
        return False
    lacking, actions = _differences(store, change, index)
    if actions:
        bulk.write(store.cluster, actions, between=change.renew)
        store.refresh(index)
    if lacking is not None:
        change.note(reembedding={**going, "done": lacking - 1})
    return lacking is None and not actions


def _differences(store: Store, change: Change, index: str) -> tuple[int | None, list[Action]]:
    """The first face that an index lacks, and what makes all others there be as they are in the index in use."""
    here, there = _owned(store, change, change.head.index), _owned(store, change, index)
    old, new = next(here, None), next(there, None)
    lacking: int | None = None
    strange: list[int] = []
    given: dict[str, list[int]] = {}
    while old is not None or new is not None:
        if new is None or (old is not None and old[0] < new[0]):
            assert old is not None  # one of the two is there
            lacking = old[0] if lacking is None else lacking
            old = next(here, None)
        elif old is None or new[0] < old[0]:
            strange.append(new[0])
            new = next(there, None)
        else:
            if old[1] != new[1]:
                given.setdefault(old[1], []).append(old[0])
            old, new = next(here, None), next(there, None)
    actions = faces.erasing(store, [index], strange)
    for person, ids in given.items():
        actions += faces.giving(store, [index], ids, person)
    return lacking, actions


def _owned(store: Store, change: Change, index: str) -> Iterator[tuple[int, str]]:
    """Faces in an index in the order of their ids, with whose they are."""
    query = {"bool": {"filter": _counting(change.head)}}
    after: list[Any] | None = None
    while page := store.pages(
        index, query, ("id",), after=after, size=_COMPARED, limit=_COMPARED, fields=("id", "person")
    ):
        change.renew()
        yield from ((hit["_source"]["id"], hit["_source"]["person"]) for hit in page)
        after = page[-1]["sort"]
