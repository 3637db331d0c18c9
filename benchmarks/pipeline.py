"""Photos per second from file to answer, against face_recognition on the same photos in the same run.

Both decode each photo, find its faces, embed them and look them up among the same enrolled people. Each side runs in
a process of its own that may use one core, then two; the rounds take turns, and each side's best round counts.

    python benchmarks/pipeline.py --photos 200 --json            # JSON on standard output
    python benchmarks/pipeline.py --photos 200 --json results/pipeline.json
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import machine
import peer

DATA = Path(os.environ.get("LIKENESS_DATA", "../shared/data"))
SAMPLES = Path(__file__).parent.parent / "samples"
ENROLLED = 100
ROUNDS = 3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200, help="photos to answer (default 200)")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE", help="write JSON (to standard output)")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--cores", type=int, default=1, help=argparse.SUPPRESS)
    parser.add_argument("--list", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.side:
        run_side(options.side, options.cores, options.list)
        return
    report = compare(options.photos, options.rounds)
    if options.json:
        text = json.dumps(report, indent=2) + "\n"
        sys.stdout.write(text) if options.json == "-" else Path(options.json).write_text(text)
    if options.json != "-":
        show(report)


def compare(photos: int, rounds: int) -> dict[str, Any]:
    """Run both sides in turn on one core and on two."""
    enrolled, probes, data = choose(photos)
    cores = [count for count in (1, 2) if count <= len(os.sched_getaffinity(0))]
    runs: dict[tuple[str, int], list[dict[str, Any]]] = defaultdict(list)
    with tempfile.TemporaryDirectory() as folder:
        listing = Path(folder) / "photos.json"
        listing.write_text(json.dumps({"enrolled": enrolled, "probes": probes}))
        for number in range(rounds):
            for count in cores:
                for side in SIDES:
                    print(f"round {number + 1} of {rounds}: {side}, {count} core(s)", file=sys.stderr)
                    runs[side, count].append(_run(side, count, listing))
    best = {key: min(results, key=lambda result: result["seconds"]) for key, results in runs.items()}
    rate = {f"{side}_{count}_core": len(probes) / best[side, count]["seconds"] for side, count in best}
    return {
        "what": "photos per second, from file to answer; best of the rounds",
        "data": data,
        "photos": len(probes),
        "enrolled": len(enrolled),
        "rounds": rounds,
        "photos_per_second": rate,
        "ratio": rate["likeness_1_core"] / rate["face_recognition_1_core"],
        "ratio_two_cores": rate["likeness_2_core"] / rate["face_recognition_2_core"] if 2 in cores else None,
        "milliseconds_per_photo_by_stage": {side: best[side, 1]["stages"] for side in SIDES},
        "faces": {side: best[side, 1]["faces"] for side in SIDES},
        "models": best["likeness", 1]["models"],
        "machine": machine.describe("likeness", "onnxruntime", "face_recognition", "dlib-bin", "numpy", "pillow"),
    }


def choose(photos: int) -> tuple[list[str], list[str], str]:
    """Photos to enrol and to ask about: of LFW if it is there, else of the samples (repeated as needed)."""
    if (DATA / "lfw").is_dir():
        every = sorted(str(path) for path in (DATA / "lfw").glob("*/*_0001.jpg"))
        step = max(1, len(every) // (photos + ENROLLED))
        spread = every[::step]
        return spread[:ENROLLED], spread[ENROLLED : ENROLLED + photos], "LFW (deep-funneled), 250 x 250"
    enrolled = sorted(str(path) for path in SAMPLES.glob("people/*/*.jpg"))
    probes = sorted(str(path) for path in SAMPLES.glob("probes/*.jpg"))
    return enrolled, (probes * (photos // len(probes) + 1))[:photos], "samples"


def _run(side: str, cores: int, listing: Path) -> dict[str, Any]:
    command = [sys.executable, __file__, "--side", side, "--cores", str(cores), "--list", str(listing)]
    allowed = sorted(os.sched_getaffinity(0))[:cores]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, preexec_fn=lambda: os.sched_setaffinity(0, allowed)
    )
    if done.returncode:
        raise SystemExit(f"the {side} side failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def run_side(side: str, cores: int, listing: Path) -> None:
    photos = json.loads(listing.read_text())
    print(json.dumps(SIDES[side](photos["enrolled"], photos["probes"], cores)))


class Stages:
    """Milliseconds by stage, over all photos."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = defaultdict(float)

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.seconds[name] += time.perf_counter() - start

    def wrap(self, owner: object, method: str, name: str) -> None:
        """Let calls of a method count as a stage."""
        plain = getattr(owner, method)

        def timed(*args: Any, **kwargs: Any) -> Any:
            with self(name):
                return plain(*args, **kwargs)

        setattr(owner, method, timed)

    def report(self, photos: int, total: float) -> dict[str, float]:
        shares = {name: 1000 * seconds / photos for name, seconds in self.seconds.items()}
        shares["rest"] = 1000 * total / photos - sum(shares.values())
        return {name: round(value, 3) for name, value in shares.items()}


def run_likeness(enrolled: list[str], probes: list[str], cores: int) -> dict[str, Any]:
    from likeness.gallery import open_gallery
    from likeness.gallery.base import NewFace
    from likeness.recognizer import Recognizer
    from likeness.settings import Settings

    # The environment may name other models: LIKENESS_EMBEDDER=likeness-s LIKENESS_DETECTOR=likeness-detector
    recognizer = Recognizer(Settings.load(), threads=1)
    with tempfile.TemporaryDirectory() as folder:
        gallery = open_gallery(f"{folder}/people.gallery", space=recognizer.space, dimension=recognizer.dimension)
        faces = [(path, found[0]) for path in enrolled if (found := recognizer.faces(path, largest=True))]
        gallery.add(
            [
                NewFace(Path(path).stem, face.embedding, b"-", str(number))
                for number, (path, face) in enumerate(faces)
                if face.embedding is not None
            ]
        )
        warm = recognizer.identify(probes[0], gallery)
        assert warm
        start = time.perf_counter()
        answers = list(recognizer.map(lambda path: recognizer.identify(path, gallery), probes, workers=cores))
        seconds = time.perf_counter() - start
        stages = Stages()
        if cores == 1:
            stages.wrap(recognizer, "photo", "decode")
            stages.wrap(recognizer.detector, "detect", "detect")
            stages.wrap(recognizer.embedder, "crop", "align")
            stages.wrap(recognizer.embedder, "embed", "embed")
            stages.wrap(recognizer.gate, "judge", "quality") if hasattr(recognizer.gate, "__dict__") else None
            stages.wrap(recognizer, "name", "search and decide")
            began = time.perf_counter()
            for path in probes:
                recognizer.identify(path, gallery)
            total = time.perf_counter() - began
        gallery.close()
    return {
        "seconds": seconds,
        "models": recognizer.settings.model_dump(include={"detector", "embedder", "attributes"}),
        "faces": sum(len(answer) for answer in answers),
        "stages": stages.report(len(probes), total) if cores == 1 else {},
    }


def _peer_answer(path: str, known: Any, stages: Stages) -> int:
    library = peer.face_recognition()
    with stages("decode"):
        picture = library.load_image_file(path)
    with stages("detect"):
        boxes = library.face_locations(picture)
    with stages("embed"):
        encodings = library.face_encodings(picture, boxes)
    with stages("search and decide"):
        for encoding in encodings:
            library.face_distance(known, encoding).argmin()
    return len(boxes)


def _peer_work(job: tuple[str, Any]) -> int:
    return _peer_answer(job[0], job[1], Stages())


def run_face_recognition(enrolled: list[str], probes: list[str], cores: int) -> dict[str, Any]:
    library = peer.face_recognition()
    known = [encodings[0] for path in enrolled if (encodings := library.face_encodings(library.load_image_file(path)))]
    stages = Stages()
    if cores == 1:
        start = time.perf_counter()
        faces = sum(_peer_answer(path, known, stages) for path in probes)
        seconds = time.perf_counter() - start
    else:
        # As its own command does with --cpus: one process a core.
        from multiprocessing import get_context

        with get_context("forkserver").Pool(cores) as pool:
            pool.map(_peer_work, [(path, known) for path in probes[: 2 * cores]])
            start = time.perf_counter()
            faces = sum(pool.map(_peer_work, [(path, known) for path in probes], chunksize=4))
            seconds = time.perf_counter() - start
    report = stages.report(len(probes), seconds) if cores == 1 else {}
    return {"seconds": seconds, "faces": faces, "stages": report}


def show(report: dict[str, Any]) -> None:
    for name, value in report["photos_per_second"].items():
        print(f"{name.replace('_', ' '):32} {value:8.1f} photos/s")
    two = report["ratio_two_cores"]
    print(f"likeness over face_recognition: {report['ratio']:.1f} times on one core", end="")
    print(f", {two:.1f} on two" if two else "")
    for side, stages in report["milliseconds_per_photo_by_stage"].items():
        print(f"{side}: " + ", ".join(f"{name} {value:.2f} ms" for name, value in stages.items()))


SIDES: dict[str, Callable[[list[str], list[str], int], dict[str, Any]]] = {
    "likeness": run_likeness,
    "face_recognition": run_face_recognition,
}

if __name__ == "__main__":
    main()
