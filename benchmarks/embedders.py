"""Milliseconds to embed a face: our embedders and face_recognition's network, on the same crops, in turns.

    python benchmarks/embedders.py likeness-s dlib-resnet-int8 --crops 64 --json results/embedders.json

The crops are LFW's central faces as the day-one embedder takes them (150 pixels), which are the chips that
face_recognition's network takes too; what comes before and after is nobody's part. Every round runs all of them, one
face at a time and eight together; each one's best round counts. All of it on one processor, then with as many threads
as `--threads` says on as many processors.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import machine
import peer
from likeness.recognizer import Recognizer
from likeness.settings import Settings
from likeness.types import Pixels

DATA = Path(os.environ.get("LIKENESS_DATA", "../shared/data"))
REFERENCE, PEER = "dlib-resnet-int8", "face_recognition"
TOGETHER = 8
Embed = Callable[[Pixels], Any]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundles", nargs="+", help="names or folders of embedders")
    parser.add_argument("--crops", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()
    names = list(dict.fromkeys([*options.bundles, REFERENCE]))
    crops, allowed = read_crops(options.crops), sorted(os.sched_getaffinity(0))
    found = {}
    for threads in sorted({1, options.threads}):
        os.sched_setaffinity(0, allowed[:threads])
        found[threads] = compare(names, crops, options.rounds, threads)
        show(found[threads], threads)
    report = {
        "what": "milliseconds to embed an aligned face, best of the rounds, by threads",
        "data": "LFW (deep-funneled), central faces, crops of 150 px",
        "crops": len(crops),
        "rounds": options.rounds,
        "embedders": found,
        "machine": machine.describe("likeness", "onnxruntime", "face_recognition", "dlib-bin", "numpy"),
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def show(rows: dict[str, Any], threads: int) -> None:
    """A line for each."""
    print(f"on {threads} processors" if threads > 1 else "on one processor")
    for name, row in rows.items():
        print(f"{name:24} {row['ms_a_face']:8.2f} ms a face, {row['ms_a_face_of_eight']:8.2f} of eight together, "
              f"{row['times_as_fast_as_day_one']:6.2f} times {REFERENCE}, "
              f"{row['times_as_fast_as_peer']:6.1f} times {PEER}")  # fmt: skip


def read_crops(count: int) -> Pixels:
    """Central faces of LFW photos spread over its people."""
    recognizer = Recognizer(Settings.load({"embedder": REFERENCE, "detector": "mtcnn"}), threads=1)
    photos = sorted((DATA / "lfw").glob("*/*_0001.jpg"))
    if not photos:
        sys.exit(f"no photos below {DATA / 'lfw'}: set LIKENESS_DATA")
    crops: list[Pixels] = []
    for path in photos[:: max(1, len(photos) // (2 * count))]:
        faces = recognizer.faces(path, embed=False, largest=True)
        if faces and faces[0].crop is not None:
            crops.append(faces[0].crop)
        if len(crops) == count:
            break
    return np.stack(crops)


def compare(names: list[str], crops: Pixels, rounds: int, threads: int) -> dict[str, Any]:
    """Each side's best round."""
    library = Settings().library(lambda text: print(text, file=sys.stderr))
    bundles = {name: library.find(name) for name in names}
    sides: dict[str, Embed] = {name: bundle.load(threads=threads).embed for name, bundle in bundles.items()}
    sides[PEER] = peers_embed()
    best = {name: {1: float("inf"), TOGETHER: float("inf")} for name in sides}
    for number in range(rounds):
        print(f"round {number + 1} of {rounds}", file=sys.stderr)
        for name, embed in sides.items():
            for together in (1, TOGETHER):
                best[name][together] = min(best[name][together], milliseconds(embed, crops, together))
    day_one, other = best[REFERENCE], best[PEER]
    rows = {}
    for name, found in best.items():
        files = bundles[name].manifest.files if name in bundles else {}
        rows[name] = {
            "ms_a_face": found[1],
            "ms_a_face_of_eight": found[TOGETHER],
            "times_as_fast_as_day_one": day_one[1] / found[1],
            "times_as_fast_as_peer": other[1] / found[1],
            "megabytes": files["model"].bytes / 1e6 if files else None,
            "tells_age_and_gender": bool(name in bundles and bundles[name].manifest.attributes),
        }
    return rows


def milliseconds(embed: Embed, crops: Pixels, together: int) -> float:
    """Mean over the crops, given so many at a time."""
    embed(crops[:together])
    start = time.perf_counter()
    for at in range(0, len(crops), together):
        embed(crops[at : at + together])
    return (time.perf_counter() - start) / len(crops) * 1000


def peers_embed() -> Embed:
    """face_recognition's network on chips as they are, as it calls it after aligning them."""
    encoder = peer.face_recognition().api.face_encoder
    return lambda crops: [encoder.compute_face_descriptor(crop, 1) for crop in crops]


if __name__ == "__main__":
    main()
