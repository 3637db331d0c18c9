"""Checking a gallery: the file, the record, the audit trail, erasures left to finish, and the index."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np

from likeness.errors import GalleryCorrupt, LikenessError
from likeness.gallery.base import Finding
from likeness.gallery.embedded import ann, audit, erasure, faces, people
from likeness.gallery.embedded.compaction import compact_if_worthwhile
from likeness.gallery.embedded.schema import get_meta
from likeness.gallery.embedded.sealed import CELL_OVERHEAD, read_sealing
from likeness.gallery.embedded.searcher import Searcher
from likeness.gallery.embedded.storage import Store
from likeness.gallery.forecast import Forecast, picture_bytes
from likeness.gallery.recall import probes_near, recall_finding
from likeness.gallery.sealing import CIPHER
from likeness.sqlite import connect, mapped_errors

_MOST_PROBES = 200
_TAIL_SHARE = 0.2
_LINKS_BYTES = 136
"""What the index holds of a face beside a byte for each number, on disk and, once searched through, in memory."""
_IN_MEMORY_BYTES = 45
_RECORD_BYTES = 470
"""What is held of a face beside its numbers, and in the file beside numbers and picture; as measured at a million."""


def run(store: Store, searcher: Searcher, *, sample: int, approximate_above: int) -> list[Finding]:
    """See `Gallery.check`. Also finishes interrupted erasures and gives back the room of erased rows."""
    findings: list[Finding] = []

    def look(name: str, glance: Callable[[], Finding]) -> None:
        try:
            findings.append(glance())
        except LikenessError as error:
            findings.append(Finding(name, False, str(error)))

    look("file", lambda: _file(store))
    if not findings[0].ok:
        return findings  # what is read from a damaged file says nothing
    look("record", lambda: _record(store))
    look("vectors", lambda: _vectors(store, sample))
    look("audit trail", lambda: _audit(store))
    look("erasures", lambda: _erasures(store))
    look("index", lambda: _index(store, searcher, approximate_above))
    look("search", lambda: _recall(store, searcher, sample))
    look("encryption", lambda: _encryption(store, sample))
    return findings


def _file(store: Store) -> Finding:
    with store.read() as connection:
        try:
            rows = [row[0] for row in connection.execute("PRAGMA integrity_check(5)")]
        except sqlite3.DatabaseError as error:
            raise GalleryCorrupt(f"{store.path} is damaged: {error}", hint="restore a snapshot of it") from error
        strangers = connection.execute("PRAGMA foreign_key_check").fetchall()
    if rows != ["ok"]:
        return Finding("file", False, f"{store.path} is damaged: {'; '.join(rows)}")
    return Finding("file", not strangers, f"{len(strangers)} faces without a person" if strangers else "no damage seen")


_FAULTS = {
    "faces without a vector": "SELECT count(*) FROM faces WHERE id NOT IN (SELECT id FROM vectors)",
    "faces without a picture": "SELECT count(*) FROM faces WHERE id NOT IN (SELECT id FROM pictures)",
    "people without a name": "SELECT count(*) FROM people WHERE facts NOT IN (SELECT id FROM facts)",
}


_WITHOUT_CROP = "SELECT count(*) FROM faces f JOIN pictures c ON c.id = f.id WHERE length(c.crop) "
_WITHOUT_CROP += f"IN (0, {CELL_OVERHEAD})"  # sealed it is longer; no picture is as small


def _record(store: Store) -> Finding:
    with store.read() as connection:
        counts = {what: int(connection.execute(query).fetchone()[0]) for what, query in _FAULTS.items()}
        imported = connection.execute(_WITHOUT_CROP).fetchone()[0]
    wrong = [f"{count} {what}" for what, count in counts.items() if count]
    well = "every face has its person, vector and picture"
    well += f", but for {imported:,} imported without one" if imported else ""
    return Finding("record", not wrong, ", ".join(wrong) or well)


def _vectors(store: Store, sample: int) -> Finding:
    """Lengths of a sample's vectors."""
    with store.read() as connection:
        dimension = int(str(get_meta(connection, "dimension")))
        sizes = connection.execute(
            "SELECT count(*) FROM faces f JOIN vectors v ON v.id = f.id WHERE length(v.vector) NOT IN (?, ?)",
            (4 * dimension, 4 * dimension + CELL_OVERHEAD),
        ).fetchone()[0]
        if sizes:
            return Finding("vectors", False, f"{sizes} vectors are not of dimension {dimension}")
        rows = faces.rows_of(connection, _sample_ids(connection, sample), dimension)
    wrong = int(np.count_nonzero(np.abs(np.linalg.norm(rows.vectors, axis=1) - 1) > 1e-3))
    looked = len(rows.face_ids)
    words = f"{wrong:,} of {looked:,} looked at are not of unit length" if wrong else f"{looked:,} looked at, all well"
    return Finding("vectors", not wrong, words)


def _sample_ids(connection: sqlite3.Connection, count: int) -> list[int]:
    ids = [row[0] for row in connection.execute("SELECT id FROM faces ORDER BY id")]
    step = max(1, len(ids) // max(1, count))
    return ids[::step][:count]


def _audit(store: Store) -> Finding:
    with store.read() as connection:
        return audit.verify(connection).finding


def _erasures(store: Store) -> Finding:
    with store.read() as connection:
        pending = sorted(erasure.tasks(connection))
    if store.readonly:
        return Finding(
            "erasures",
            not pending,
            f"unfinished in {', '.join(pending)}" if pending else "none is unfinished",
        )
    with store.maintenance():
        reached = erasure.finish(store)
        freed = compact_if_worthwhile(store)
    done = f"finished in {', '.join(pending)}" if pending else "none was unfinished"
    if reached.not_found:
        done += f"; no snapshot found at {', '.join(reached.not_found)}: a copy that was moved is out of reach"
    return Finding("erasures", True, f"{done}; {freed} bytes given back" if freed else done)


def _index(store: Store, searcher: Searcher, approximate_above: int) -> Finding:
    with store.read() as connection:
        count = int(connection.execute("SELECT count(*) FROM faces").fetchone()[0])
        tag, dimension = ann.read_tag(connection), int(str(get_meta(connection, "dimension")))
    needs = f"one of {count:,} faces takes about {count * (dimension + _LINKS_BYTES) / 1e6:,.1f} MB"
    if count <= approximate_above:
        return Finding("index", True, f"none needed: exact search is used up to {approximate_above:,} faces; {needs}")
    if not ann.installed():
        words = f"exact search over {count:,} faces: usearch is not installed (pip install 'likeness[ann]'); {needs}"
        return Finding("index", False, words)
    if searcher.mode() == "exact":
        state = "damaged or missing" if tag else "not built yet"
        words = f"exact search over {count:,} faces: the index is {state}; run `likeness gallery build-index`; {needs}"
        return Finding("index", False, words)
    tail = searcher.tail()
    message = f"{ann.NAME} of {ann.index_path(store.path).stat().st_size / 1e6:,.1f} MB"
    message += f", and {tail:,} newer faces searched exactly"
    return Finding(
        "index",
        tail <= _TAIL_SHARE * count,
        message + ("; run `likeness gallery build-index`" if tail > _TAIL_SHARE * count else ""),
    )


def forecast(connection: sqlite3.Connection, count: int, *, approximate_above: int) -> Forecast:
    """See `Gallery.forecast`: the record, and either all vectors in memory or the index, which is mapped."""
    dimension = int(str(get_meta(connection, "dimension")))
    sizes = connection.execute("SELECT length(crop) FROM pictures WHERE length(crop) > 0 LIMIT 1000").fetchall()
    picture = picture_bytes([row[0] for row in sizes])
    indexed = count > approximate_above
    index = count * (dimension + _LINKS_BYTES) if indexed else 0
    return Forecast(
        count,
        ann.NAME if indexed else "exact",
        index or count * (4 * dimension + _IN_MEMORY_BYTES),
        count * (4 * dimension + picture + _RECORD_BYTES) + index,
        picture,
    )


def _recall(store: Store, searcher: Searcher, sample: int) -> Finding:
    """The first ten people of search as people get it, against exact search over the record."""
    with store.read() as connection:
        dimension = int(str(get_meta(connection, "dimension")))
        probes = faces.rows_of(connection, _sample_ids(connection, min(sample, _MOST_PROBES)), dimension).vectors
    if not len(probes):
        return recall_finding([], [])
    probes = probes_near(probes)
    wanted = searcher.exact(probes, 10)
    got = searcher.search(probes, 10, ())
    return recall_finding(
        [[hit.similarity for hit in row] for row in got], [[one.similarity for one in row] for row in wanted]
    )


def _encryption(store: Store, sample: int) -> Finding:
    """Whether all is sealed that should be, and the cells of a sample of faces, and of everybody's facts, open."""
    with store.read() as connection:
        sealing, changing = read_sealing(connection), "; run `likeness gallery encrypt` or `decrypt` again, to its end"
        if sealing.changing:
            return Finding("encryption", False, "some rows are sealed and some are not" + changing)
        if sealing.new is None:
            words = "a key is set, but the gallery is not encrypted; `likeness gallery encrypt` does that"
            return Finding("encryption", store.key is None, words if store.key else "none: no key is set")
        paths = [Path(row[0]) for row in connection.execute("SELECT path FROM snapshots ORDER BY path")]
        known = people.names_by_key(connection, [row[0] for row in connection.execute("SELECT key FROM people")])
        looked = _sample_ids(connection, sample)
        for face in looked:
            faces.faces_after(connection, face - 1, 1)  # raises where one does not open
    plain = [str(path) for path in paths if path.exists() and not _is_sealed(path)]
    if plain:
        words = f"snapshots that are not encrypted: {', '.join(plain)}; `likeness gallery encrypt` does that"
        return Finding("encryption", False, words)
    words = f"{CIPHER}, key {sealing.new.owner}; {len(looked):,} faces and {len(known):,} names looked at, all open"
    return Finding("encryption", True, words)


def _is_sealed(path: Path) -> bool:
    with mapped_errors(path), closing(connect(path, readonly=True)) as connection:
        sealing = read_sealing(connection)
        return sealing.new is not None and not sealing.changing
