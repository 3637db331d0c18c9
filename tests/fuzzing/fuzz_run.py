"""Damage files for some minutes and see how their readers end: `make fuzz`.

Each reader has a process of its own, so that one that falls over, hangs or fills the memory is told and the others go
on. What was found is kept as a file in `dist/fuzz`; the counts go into `--json`.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

import fuzz_guard
import numpy as np
from fuzz_mutations import damaged, random_steps
from fuzz_readers import READERS, Reader, is_stated, place_of

SLOWEST_S = 10.0
"""One file may take no longer."""
MOST_GROWTH_MIB = 1500.0
"""Nor may a process that reads them one by one grow by more."""
ROOT = Path(__file__).resolve().parent.parent.parent
FINDINGS = ROOT / "dist" / "fuzz"


def example(reader: Reader, number: int) -> bytes:
    """The file of a number: the same in each run."""
    draw = random.Random(f"{reader.name}:{number}")
    seeds = reader.seeds()
    return reader.repair(damaged(draw.choice(seeds), random_steps(draw), seeds))


def try_one(reader: Reader, data: bytes, folder: Path) -> tuple[str, str | None]:
    """How a reader ends (`value`, or the error's code), and what it did that it may not."""
    files = fuzz_guard.open_files()
    with fuzz_guard.watched(folder, programs=reader.starts_program) as watch:
        try:
            reader.read(data, folder)
            ended, wrong = "value", None
        except Exception as error:
            ended = getattr(error, "code", type(error).__name__)
            wrong = None if is_stated(error, reader) else f"{type(error).__name__} in {place_of(error)}: {error}"[:300]
    if watch.told:
        wrong = f"did what a reader may not: {watch.told[0]}"
    if fuzz_guard.open_files() > files:
        wrong = f"left {fuzz_guard.open_files() - files} files open"
    return ended, wrong


def run_reader(reader: Reader, seconds: float, first: int, progress: Path) -> dict[str, Any]:
    """Damage files for some seconds; how it went."""
    warnings.simplefilter("ignore")
    np.seterr(all="ignore")
    ended: Counter[str] = Counter()
    findings: dict[str, int] = {}
    slowest_s, number, began = 0.0, first, time.monotonic()
    for seed in reader.seeds():  # sound files load what is loaded late
        with tempfile.TemporaryDirectory() as folder:
            try_one(reader, seed, Path(folder))
    before_mib = fuzz_guard.peak_memory_mib()
    with progress.open("w") as told:
        while time.monotonic() - began < seconds:
            told.seek(0)
            told.write(f"{number:12d}")
            told.flush()
            data = example(reader, number)
            folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
            start = time.monotonic()
            faulthandler.dump_traceback_later(SLOWEST_S, exit=True)
            try:
                how, wrong = try_one(reader, data, folder)
            finally:
                faulthandler.cancel_dump_traceback_later()
                shutil.rmtree(folder, ignore_errors=True)
            slowest_s = max(slowest_s, time.monotonic() - start)
            ended[how] += 1
            if wrong is not None:
                findings.setdefault(wrong[:120], number)
            number += 1
    return {
        "files": number - first,
        "values": ended.pop("value", 0),
        "refused": dict(ended.most_common()),
        "slowest_s": round(slowest_s, 3),
        "memory_growth_mib": round(fuzz_guard.peak_memory_mib() - before_mib),
        "findings": [{"what": what, "number": number} for what, number in findings.items()],
    }


def in_own_process(reader: Reader, seconds: float, first: int) -> dict[str, Any]:
    """The same in a process of its own; one that ended early is a finding."""
    with tempfile.TemporaryDirectory() as folder:
        progress, out = Path(folder) / "progress", Path(folder) / "out.json"
        command = [sys.executable, __file__, "--reader", reader.name, "--seconds", str(seconds)]
        command += ["--first", str(first), "--progress", str(progress), "--json", str(out)]
        ended = subprocess.run(command, stderr=subprocess.PIPE, check=False, timeout=seconds * 3 + 120)
        if ended.returncode == 0:
            found: dict[str, Any] = json.loads(out.read_text())
        else:
            number = int(progress.read_text() or first) if progress.exists() else first
            lines = ended.stderr.decode("utf-8", "replace").strip().splitlines()
            what = f"the process ended with {ended.returncode}: {' | '.join(lines[-3:])[:200]}"
            found = {"files": number - first, "findings": [{"what": what, "number": number}]}
    if found.get("memory_growth_mib", 0) > MOST_GROWTH_MIB:
        found["findings"].append({"what": f"grew by {found['memory_growth_mib']} MiB", "number": -1})
    for finding in found["findings"]:
        if finding["number"] >= 0:
            FINDINGS.mkdir(parents=True, exist_ok=True)
            (FINDINGS / f"{reader.name.replace(' ', '-')}-{finding['number']}").write_bytes(
                example(reader, finding["number"])
            )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=20.0, help="for each reader (default 20)")
    parser.add_argument("--first", type=int, default=0, help="number of the first file; others give other files")
    parser.add_argument("--reader", action="append", help="only this one; may be repeated")
    parser.add_argument("--json", type=Path, help="where the counts go")
    parser.add_argument("--progress", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    chosen = [reader for reader in READERS if not options.reader or reader.name in options.reader]
    if options.progress:
        os.environ.setdefault("OMP_NUM_THREADS", "1")
        options.json.write_text(json.dumps(run_reader(chosen[0], options.seconds, options.first, options.progress)))
        return 0
    outcome: dict[str, Any] = {}
    for reader in chosen:
        outcome[reader.name] = in_own_process(reader, options.seconds, options.first)
        found = outcome[reader.name]
        print(f"{reader.name}: {found['files']:,} files, {len(found['findings'])} findings", flush=True)
        for finding in found["findings"]:
            print(f"  {finding['number']}: {finding['what']}", flush=True)
    if options.json:
        total = sum(found["files"] for found in outcome.values())
        facts = {"seconds_each": options.seconds, "first": options.first, "files": total, "readers": outcome}
        options.json.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", "utf-8")
    return 1 if any(found["findings"] for found in outcome.values()) else 0


if __name__ == "__main__":
    sys.exit(main())
