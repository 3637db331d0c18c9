"""What encryption at rest costs: enrolling, the first search of a process, showing pictures, encrypting in place.

    python benchmarks/sealing.py --sizes 10000,100000 --json benchmarks/results/sealing.json

Galleries of synthetic faces (128 numbers, a crop of 4 KB), plain and sealed, one after the other in alternating turns,
each turn in a process of its own; the best of the turns counts. Rates of both are of the same run, so that they can be
compared with each other.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

import machine
from likeness.gallery.base import NewFace
from likeness.gallery.embedded import EmbeddedGallery, open_embedded
from likeness.gallery.keys import OwnerKey

DIMENSION = 128
CROP_BYTES = 4096
BATCH = 500
FACES_A_PERSON = 10
KEY = OwnerKey(b"k" * 32, "the benchmark")


def opened(path: Path, *, sealed: bool) -> EmbeddedGallery:
    """The gallery of a turn."""
    return open_embedded(path, space="benchmark", dimension=DIMENSION, create=True, key=KEY if sealed else None)


def faces(start: int, count: int) -> list[NewFace]:
    """The faces with these numbers."""
    chance = np.random.default_rng(start)
    vectors = chance.standard_normal((count, DIMENSION)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    crop = chance.bytes(CROP_BYTES)
    return [
        NewFace(f"Person {number // FACES_A_PERSON:06d}", vector, crop, f"{number:064x}")
        for number, vector in enumerate(vectors, start=start)
    ]


def enrol(path: Path, size: int, *, sealed: bool) -> dict[str, Any]:
    """Faces a second into a new gallery."""
    with opened(path, sealed=sealed) as gallery:
        spent = 0.0
        for start in range(0, size, BATCH):
            batch = faces(start, min(BATCH, size - start))
            began = time.perf_counter()
            gallery.add(batch)
            spent += time.perf_counter() - began
        return {"enrol_per_s": round(size / spent), "bytes": gallery.info().bytes_on_disk}


def ask(path: Path, size: int, *, sealed: bool) -> dict[str, Any]:
    """The first search of a process (it reads all vectors), a later one, a page of people, and pictures."""
    probe = faces(size, 1)[0].embedding[None]
    with opened(path, sealed=sealed) as gallery:
        began = time.perf_counter()
        gallery.search(probe, 10)
        first = time.perf_counter() - began
        later = min(_seconds(lambda: gallery.search(probe, 10)) for _ in range(5))
        page = _seconds(lambda: gallery.people(limit=100))
        next_page = min(_seconds(lambda: gallery.people(limit=100)) for _ in range(3))
        person = gallery.people(limit=1)[0].id
        pictures = min(_seconds(lambda: list(gallery.faces(person))) for _ in range(5))
    return {
        "first_search_s": round(first, 3),
        "later_search_ms": round(1000 * later, 2),
        "first_page_of_people_ms": round(1000 * page, 1),
        "page_of_people_ms": round(1000 * next_page, 1),
        "pictures_of_a_person_ms": round(1000 * pictures, 2),
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
    }


def encrypt(path: Path, size: int, *, sealed: bool) -> dict[str, Any]:
    """Encrypting a plain gallery in place, and giving it another owner's key, then another data key."""
    other = OwnerKey(b"o" * 32, "the benchmark")
    with opened(path, sealed=True) as gallery:
        in_place = _seconds(lambda: gallery.encrypt())
        rewrap = _seconds(lambda: gallery.rotate_key(other))
        anew = _seconds(lambda: gallery.rotate_key(KEY, data_key=True))
    return {"encrypt_s": round(in_place, 1), "rotate_s": round(rewrap, 2), "rotate_data_key_s": round(anew, 1)}


def _seconds(work: Any) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _in_process(what: str, path: Path, size: int, *, sealed: bool) -> dict[str, Any]:
    asked = [sys.executable, __file__, "--turn", what, str(path), str(size), "sealed" if sealed else "plain"]
    told: dict[str, Any] = json.loads(subprocess.run(asked, check=True, capture_output=True, text=True).stdout)
    return told


def _best(turns: list[dict[str, Any]]) -> dict[str, Any]:
    return {name: (max if name.endswith("per_s") else min)(turn[name] for turn in turns) for name in turns[0]}


def measure(size: int, turns: int, folder: Path) -> dict[str, Any]:
    """One size: plain and sealed in turns."""
    enrolled: dict[str, list[dict[str, Any]]] = {"plain": [], "sealed": []}
    asked: dict[str, list[dict[str, Any]]] = {"plain": [], "sealed": []}
    for turn in range(turns):
        for kind in ("plain", "sealed"):
            path = folder / f"{kind}-{size}-{turn}"
            enrolled[kind].append(_in_process("enrol", path, size, sealed=kind == "sealed"))
            asked[kind].append(_in_process("ask", path, size, sealed=kind == "sealed"))
            print(f"{size:,} {kind}: {enrolled[kind][-1]} {asked[kind][-1]}", file=sys.stderr)
    row: dict[str, Any] = {"faces": size}
    row |= {kind: _best(enrolled[kind]) | _best(asked[kind]) for kind in ("plain", "sealed")}
    return row | _in_process("encrypt", folder / f"plain-{size}-0", size, sealed=True)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes", default="10000,100000")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    parser.add_argument(
        "--turn", nargs=4, metavar=("WHAT", "PATH", "SIZE", "KIND"), help="one turn, for the run itself"
    )
    given = parser.parse_args()
    if given.turn:
        what, path, size, kind = given.turn
        turn = {"enrol": enrol, "ask": ask, "encrypt": encrypt}[what]
        print(json.dumps(turn(Path(path), int(size), sealed=kind == "sealed")))
        return
    with tempfile.TemporaryDirectory() as folder:
        rows = [measure(int(size), given.turns, Path(folder)) for size in given.sizes.split(",")]
    result = {"machine": machine.describe("likeness", "numpy", "cryptography"), "crop_bytes": CROP_BYTES, "rows": rows}
    text = json.dumps(result, indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
