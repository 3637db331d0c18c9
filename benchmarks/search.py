"""Search and enrolment: our gallery, exact and approximate, beside bare numpy, usearch and faiss.

    python benchmarks/search.py --sizes 10000,100000 --json benchmarks/results/search.json

Vectors are synthetic and face-like: identities of ten photos each, two photos of one identity at a cosine of about
0.67, seeded. Probes are further photos of enrolled identities. Each engine runs in a process of its own. Recall of a
gallery counts people, that of a bare engine counts faces, each against exact search. Memory is the growth of the
process's own memory (RssAnon), without files that are mapped. Results of other sizes in the JSON file are kept.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.progress import Progress

from likeness.gallery.base import NewFace
from likeness.gallery.embedded import EmbeddedGallery, open_embedded

DIMENSION = 128
PHOTOS = 10
SAME_COSINE = 0.67
CROP_BYTES = 1024
BATCH = 500
K = 10
SPACE = "benchmark"
ENGINES = ("enrol", "gallery-exact", "gallery-index", "numpy", "usearch-i8", "faiss-flat")

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
    """Write vectors, probes and the exact answers (faces and people) into a folder."""
    vectors = clustered(size // PHOTOS, PHOTOS, seed=1)
    chosen = np.random.default_rng(3).choice(size // PHOTOS, probes, replace=size // PHOTOS < probes)
    wanted = clustered(size // PHOTOS, 1, seed=2)[chosen]
    np.save(folder / "vectors.npy", vectors)
    np.save(folder / "probes.npy", wanted)
    scores = wanted @ vectors.T
    np.save(folder / "faces.npy", np.argsort(-scores, axis=1)[:, :K])
    people = scores.reshape(probes, -1, PHOTOS).max(axis=2)
    np.save(folder / "people.npy", np.argsort(-people, axis=1)[:, :K])


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
    truth = np.load(folder / ("people.npy" if engine.startswith("gallery") else "faces.npy"))
    facts["p50_ms"], facts["p99_ms"] = (round(1e3 * float(np.percentile(times, q)), 3) for q in (50, 99))
    facts["recall_at_1"] = round(float(np.mean([a[0] == t[0] for a, t in zip(answers, truth, strict=True)])), 4)
    shared = [len(set(a) & set(t.tolist())) / K for a, t in zip(answers, truth, strict=True)]
    facts["recall_at_10"] = round(float(np.mean(shared)), 4)
    facts["memory_mb"] = round((own_memory() - before) / 2**20, 1)
    return facts


Search = Callable[[Array], Sequence[int]]
Started = tuple[Search | None, dict[str, Any]]


def opened(folder: Path, above: int) -> EmbeddedGallery:
    return open_embedded(folder / "gallery", space=SPACE, dimension=DIMENSION, create=True, approximate_above=above)


def enrol(folder: Path) -> Started:
    """Add all faces in batches, ten photos a person, each batch durable before the next."""
    vectors = np.load(folder / "vectors.npy")
    crop = os.urandom(CROP_BYTES)
    with opened(folder, 10**9) as gallery:
        started = time.perf_counter()
        for start in range(0, len(vectors), BATCH):
            rows = range(start, min(start + BATCH, len(vectors)))
            gallery.add([NewFace(f"P{row // PHOTOS}", vectors[row], crop, f"{row:064x}") for row in rows])
        seconds = time.perf_counter() - started
        size = gallery.info().bytes_on_disk
    facts = {"faces_per_s": round(len(vectors) / seconds), "batch": BATCH, "crop_bytes": CROP_BYTES}
    return None, {**facts, "file_mb": round(size / 2**20, 1)}


def _gallery(folder: Path, above: int) -> Started:
    gallery = opened(folder, above)
    facts: dict[str, Any] = {}
    if above == 0:
        started = time.perf_counter()
        if gallery.info().index == "exact":
            gallery.build_index()
            facts["build_s"] = round(time.perf_counter() - started, 1)
            gallery.close()
            return None, facts
        facts["index_mb"] = round(Path(f"{folder / 'gallery'}.ann").stat().st_size / 2**20, 1)
    started = time.perf_counter()
    gallery.search(np.load(folder / "probes.npy")[:1], 1)
    facts["ready_s"] = round(time.perf_counter() - started, 2)
    return lambda probe: [int(hit.name[1:]) for hit in gallery.search(probe[None], K)[0]], facts


def _numpy(folder: Path) -> Started:
    vectors = np.load(folder / "vectors.npy")

    def search(probe: Array) -> Sequence[int]:
        scores = vectors @ probe
        best = np.argpartition(scores, -K)[-K:]
        return [int(row) for row in best[np.argsort(-scores[best])]]

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


START: dict[str, Callable[[Path], Started]] = {
    "enrol": enrol,
    "gallery-exact": lambda folder: _gallery(folder, 10**9),
    "gallery-index": lambda folder: _gallery(folder, 0),
    "numpy": _numpy,
    "usearch-i8": _usearch,
    "faiss-flat": _faiss,
}


def own_memory() -> int:
    """Bytes of this process's own memory; 0 where the system does not tell."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    (line,) = (one for one in status.read_text().splitlines() if one.startswith("RssAnon:"))
    return 1024 * int(line.split()[1])


def machine() -> dict[str, Any]:
    """What the numbers were measured on."""
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    model = next((one.partition(":")[2].strip() for one in lines if one.startswith("model name")), platform.processor())
    return {"cpu": model, "cores": os.cpu_count(), "system": platform.system(), "python": platform.python_version()}


def versions() -> dict[str, str | None]:
    """The packages at work; None for one that is not installed."""
    found: dict[str, str | None] = {}
    for name in ("likeness", "numpy", "usearch", "faiss-cpu"):
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = None
    return found


def commit() -> str:
    """The state of the code."""
    command = ["git", "-C", str(Path(__file__).parent), "rev-parse", "--short", "HEAD"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()


def in_child(folder: Path, engine: str) -> dict[str, Any]:
    """`measure` in a fresh process."""
    command = [sys.executable, __file__, "--one", engine, "--folder", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    facts: dict[str, Any] = json.loads(done.stdout)
    return facts


def run(size: int, engines: Sequence[str], probes: int, work: str | None) -> list[dict[str, Any]]:
    """All engines on one size."""
    results = []
    with tempfile.TemporaryDirectory(dir=work) as name, Progress() as progress:
        folder = Path(name)
        task = progress.add_task(f"{size:,} faces: data", total=len(engines) + 1)
        prepare(folder, size, probes)
        for engine in engines:
            progress.update(task, description=f"{size:,} faces: {engine}", advance=1)
            facts = in_child(folder, engine)
            if "build_s" in facts:  # built in a process of its own; measured in another
                facts |= in_child(folder, engine)
            load = os.getloadavg()[0]
            results.append({"faces": size, "engine": engine, **facts, "load": round(load, 1)})
        progress.update(task, advance=1)
    return results


def main() -> None:
    """Measure, print, and write the results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--engines", default=",".join(ENGINES))
    parser.add_argument("--probes", type=int, default=500)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--work", help="folder for the temporary files")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.one:
        sys.stdout.write(json.dumps(measure(given.folder, given.one)))
        return
    missing = {"usearch-i8": "usearch", "gallery-index": "usearch", "faiss-flat": "faiss"}
    engines = [one for one in given.engines.split(",") if one not in missing or find_spec(missing[one])]
    stamp = {"date": datetime.now(UTC).isoformat(timespec="seconds"), "commit": commit()}
    sizes = [int(one) for one in given.sizes.split(",")]
    results = [{**one, **stamp} for size in sizes for one in run(size, engines, given.probes, given.work)]
    for one in results:
        sys.stdout.write(json.dumps(one) + "\n")
    if given.json:
        write(given.json, results, sizes)


def write(path: Path, results: list[dict[str, Any]], sizes: list[int]) -> None:
    """Replace the results of these sizes in a file."""
    old = json.loads(path.read_text())["results"] if path.exists() else []
    kept = [one for one in old if one["faces"] not in sizes]
    merged = sorted(kept + results, key=lambda one: one["faces"])
    measured = {
        size: {one["engine"] for one in merged if one["faces"] == size} for size in {one["faces"] for one in merged}
    }
    data = {
        "about": " ".join((__doc__ or "").split("\n\n")[0].split()),
        "data": {"dimension": DIMENSION, "photos_per_identity": PHOTOS, "same_identity_cosine": SAME_COSINE},
        "machine": machine(),
        "versions": versions(),
        "not_run": {size: [one for one in ENGINES if one not in had] for size, had in sorted(measured.items())},
        "results": merged,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(data, indent=1) + "\n")


if __name__ == "__main__":
    main()
