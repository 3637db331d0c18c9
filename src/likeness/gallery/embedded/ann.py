"""The approximate index of large galleries: a derived file beside the gallery, rebuildable at any time.

usearch's HNSW over int8 copies of the vectors, face id as key. It only proposes candidates: who they belong
to, whether they still exist and how similar they are is read from the record. The gallery's meta row `index`
holds the file's sha256 and the last face id in it; a file with other bytes is not used. The file is never
changed in place: a new one is written aside and takes its name, so that processes which have the old one
mapped go on with it.
"""

from __future__ import annotations

import hashlib
import json
import mmap
import secrets
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from likeness.errors import ExtraMissing, GalleryBusy
from likeness.gallery.embedded import faces
from likeness.gallery.embedded.matrix import Ids
from likeness.gallery.embedded.schema import get_meta, last_number, set_meta
from likeness.gallery.embedded.sealed import Cells, cells_of
from likeness.gallery.embedded.storage import Store
from likeness.runtime import load_onnxruntime
from likeness.sqlite import create_private, mapped_errors, sync_file
from likeness.types import Vector

if TYPE_CHECKING:
    from usearch.index import Index

NAME = "usearch-hnsw-i8"
_EXPANSION_SEARCH, _EXPANSION_FACES = 1024, 100_000
"""How widely the graph of so many faces is searched; a larger one more widely, by the root of its size. Strangers at
ranks 2 to 10 lie almost equally far from a probe, which is hard: at 100,000 faces, 128 finds 78% of the ten nearest
people, 512 95% and 1024 99%, in 0.6, 2.5 and 4 ms; at a million, 1024 finds 82%, 2048 92% and 3200 96%, in 14, 24 and
35 ms (exact search: 80)."""
_PAGE = 4_000
_ALONE = 10_000
_FILLER = 2**62
"""Keys from here on are no faces: they fill, for a moment, the slots of erased ones."""


def installed() -> bool:
    """Whether the extra `ann` is installed."""
    return find_spec("usearch") is not None


def usearch_index() -> Any:
    """The module `usearch.index`, loaded after onnxruntime.

    In the other order loading onnxruntime ends the process with a segmentation fault (seen with usearch 2.26.6 and
    onnxruntime 1.31.1), and whoever opens a gallery will look at photos later.
    """
    load_onnxruntime()
    import usearch.index

    return usearch.index


@dataclass(frozen=True, slots=True)
class Tag:
    """What the record says of the index file: its bytes' digest, the newest face in it, and which writing it was."""

    sha256: str
    last_id: int
    token: str

    def as_json(self) -> str:
        """For the meta row."""
        return json.dumps(asdict(self))


def read_tag(connection: sqlite3.Connection) -> Tag | None:
    """The tag of the index that belongs to the record; None where there is none."""
    text = get_meta(connection, "index")
    return None if text is None else Tag(**json.loads(str(text)))


def index_path(gallery: Path) -> Path:
    """Where a gallery's index is kept."""
    return Path(f"{gallery}.ann")


class ApproximateIndex:
    """An index file, mapped into memory for searching."""

    def __init__(self, index: Index, tag: Tag, slots: int) -> None:
        self._index = index
        self.tag = tag
        self.slots = slots
        """How many vectors the file has room for, those of removed faces included."""

    def __len__(self) -> int:
        return len(self._index)

    def stored(self, face_ids: Ids) -> list[bytes]:
        """The bytes that the file holds of faces' vectors; of those that are not in it nothing."""
        inside = [face for face in face_ids.tolist() if face in self._index]
        return [np.asarray(self._index.get(face, dtype="i8")).tobytes() for face in inside]

    def candidates(self, probes: Vector, count: int) -> list[Ids]:
        """Ids of about the `count` nearest faces to each probe; some may exist no more."""
        if not len(self):
            return [np.empty(0, np.int64) for _ in probes]
        found: Any = self._index.search(probes, min(count, len(self)))
        if isinstance(found, usearch_index().Matches):  # a single probe
            return [np.asarray(found.keys, np.int64).reshape(-1)]
        return [np.asarray(keys[:size], np.int64) for keys, size in zip(found.keys, found.counts, strict=True)]


def load(gallery: Path, tag: Tag, *, dimension: int, cells: Cells | None, view: bool = True) -> ApproximateIndex | None:
    """The index file, if it is installed for, there, and has the bytes that the record says; else None.

    One of a sealed gallery is opened into memory, whatever `view` says.
    """
    path = index_path(gallery)
    if not installed() or not path.is_file() or _digest(path) != tag.sha256:
        return None
    if cells is None or cells.sealer is None:
        slots, index = _slots(path), usearch_index().Index.restore(str(path), view=view)
    else:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
            memoryview(mapped) as sealed,
        ):
            data = cells.sealer.open_file(f"index {tag.token}", sealed)
        slots, index = int.from_bytes(data[:4], "little"), usearch_index().Index.restore(data, view=False)
    if index is None or index.ndim != dimension:
        return None
    index.expansion_search = round(_EXPANSION_SEARCH * max(1.0, len(index) / _EXPANSION_FACES) ** 0.5)
    return ApproximateIndex(index, tag, slots)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def build(store: Store, progress: Callable[[int, int], None]) -> Tag:
    """Build the index, or add the faces that are not in it yet. Others search and write meanwhile.

    Raises:
        ExtraMissing: usearch is not installed.
        GalleryBusy: the gallery was re-embedded meanwhile.
    """
    if not installed():
        raise ExtraMissing("the approximate index needs usearch", hint="pip install 'likeness[ann]'")
    with store.read() as connection:
        dimension, generation = (
            int(str(get_meta(connection, "dimension"))),
            get_meta(connection, "generation"),
        )
        tag, newest = read_tag(connection), last_number(connection, "faces")
        total = int(connection.execute("SELECT count(*) FROM faces").fetchone()[0])
        cells = cells_of(connection)
    loaded = load(store.path, tag, dimension=dimension, cells=cells, view=False) if tag else None
    index = loaded._index if loaded else _empty(dimension)
    after = loaded.tag.last_id if loaded else 0
    slots = loaded.slots if loaded else 0
    while after < newest:
        with store.read() as connection:
            if get_meta(connection, "generation") != generation:
                raise GalleryBusy("the gallery was re-embedded while its index was built", hint="build it again")
            page = faces.vectors_page(connection, after, dimension, limit=_PAGE)
        if not len(page.face_ids):
            break
        # Threads that insert into a small graph at once leave nodes which no search reaches.
        index.add(page.face_ids.astype(np.uint64), page.vectors, threads=1 if len(index) < _ALONE else 0)
        after = int(page.face_ids[-1])
        progress(min(len(index), total), total)
    with store.maintenance():  # nobody erases while the file is written
        with store.read() as connection:
            alive = np.array([row[0] for row in connection.execute("SELECT id FROM faces")], np.int64)
        gone = np.setdiff1d(np.asarray(index.keys[:], np.int64), alive) if len(index) else alive[:0]
        _drop(index, gone, dimension, slots=max(slots, len(index)))  # faces that were added took free slots first
        return _install(store, index, after, generation)


def erase(store: Store, face_ids: Sequence[int]) -> None:
    """Take faces out of the index file, bytes and all. Called with the maintenance lock held."""
    with store.read() as connection:
        tag, dimension = read_tag(connection), int(str(get_meta(connection, "dimension")))
        generation, cells = get_meta(connection, "generation"), cells_of(connection)
    loaded = load(store.path, tag, dimension=dimension, cells=cells, view=False) if tag else None
    if loaded is None:
        discard(store)  # it cannot be read here, so it cannot be cleaned: exact search takes over
        return
    index = loaded._index
    inside = np.array([face for face in face_ids if face in index], np.int64)
    if len(inside):
        _drop(index, inside, dimension, slots=loaded.slots)
        _install(store, index, loaded.tag.last_id, generation)


def discard(store: Store) -> None:
    """Delete the index and its tag."""
    with store.write() as connection:
        set_meta(connection, index=None)
    with mapped_errors(store.path):
        delete_files(store.path)


def delete_files(gallery: Path) -> None:
    """Delete a gallery's index and what was written of a new one."""
    index_path(gallery).unlink(missing_ok=True)
    _aside(gallery).unlink(missing_ok=True)


def clear_unfinished(store: Store) -> None:
    """Delete what a killed process left of an index. Called with the maintenance lock held, so nobody writes one."""
    with mapped_errors(store.path):
        _aside(store.path).unlink(missing_ok=True)


def _empty(dimension: int) -> Index:
    index: Index = usearch_index().Index(
        ndim=dimension, metric="cos", dtype="i8", connectivity=16, expansion_add=128, expansion_search=_EXPANSION_SEARCH
    )
    return index


def _drop(index: Index, face_ids: Ids, dimension: int, *, slots: int) -> None:
    """Remove keys and overwrite their vectors: usearch only marks them, and keeps the bytes until reuse."""
    if not len(face_ids):
        return
    free = slots - len(index)  # slots that earlier removals left
    index.remove(face_ids.astype(np.uint64))
    fillers = np.arange(_FILLER, _FILLER + free + len(face_ids), dtype=np.uint64)
    noise = np.random.default_rng().standard_normal((len(fillers), dimension)).astype(np.float32)
    index.add(fillers, noise / np.linalg.norm(noise, axis=1, keepdims=True), threads=1)
    index.remove(fillers)


def _slots(path: Path) -> int:
    """How many vectors a file holds, removed ones included: the number at its start."""
    with path.open("rb") as file:
        return int.from_bytes(file.read(4), "little")


def _aside(gallery: Path) -> Path:
    return Path(f"{gallery}.ann.new")


def _install(store: Store, index: Index, last_id: int, generation: object) -> Tag:
    """Write the index aside, force it onto the disk, and let it take its name together with its tag."""
    aside, token = _aside(store.path), secrets.token_hex(8)
    with store.read() as connection:
        cells = cells_of(connection)
    with mapped_errors(store.path):
        create_private(aside)
        if cells is None or cells.sealer is None:
            index.save(str(aside))
        else:
            with aside.open("wb") as file, memoryview(index.save() or b"") as data:
                file.writelines(cells.sealer.seal_file(f"index {token}", data))
        sync_file(aside)
        tag = Tag(_digest(aside), last_id, token)
        with store.write() as connection:
            if get_meta(connection, "generation") != generation:
                raise GalleryBusy("the gallery was re-embedded while its index was built", hint="build it again")
            now = cells_of(connection)
            if (now and now.sealing.new) != (cells and cells.sealing.new):
                raise GalleryBusy("the gallery was given another key while its index was built", hint="build it again")
            set_meta(connection, index=tag.as_json())
            aside.replace(index_path(store.path))
    return tag


@dataclass(frozen=True, slots=True)
class Held:
    """An index in memory, taken out of its file to be written anew."""

    index: Index
    last_id: int
    generation: object


def take_out(store: Store) -> Held | None:
    """Read the index into memory and delete its file; None where there is none to keep."""
    with store.read() as connection:
        tag, dimension = read_tag(connection), int(str(get_meta(connection, "dimension")))
        generation, cells = get_meta(connection, "generation"), cells_of(connection)
    loaded = load(store.path, tag, dimension=dimension, cells=cells, view=False) if tag else None
    discard(store)
    return None if loaded is None else Held(loaded._index, loaded.tag.last_id, generation)


def put_back(store: Store, held: Held) -> None:
    """Write an index that was taken out, sealed as the gallery is now. Called with the maintenance lock held."""
    _install(store, held.index, held.last_id, held.generation)
