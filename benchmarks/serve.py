"""The server on loopback: requests per second and waiting times, beside what its engine does alone.

    python benchmarks/serve.py --json results/serve.json
    python benchmarks/serve.py --soak 10 --json results/serve-soak.json

For 1, 8 and 64 clients, and for `identify` and `index`, the engine is asked directly (in a process of its own, that
many tasks in flight) and then the server over HTTP (as many connections, each asking again as soon as it is answered).
Both take turns, so that a machine that gets slower slows both; the share is that of the medians. The clients run on
the same machine and take their part of it.

`index` enrols: each photo is another one (a byte more at its end), so each is decoded, looked at, embedded and written,
and acknowledged when it is durable. Photos are those of `--photos`, a folder of people; the samples unless said.

`--soak` asks for so many minutes with 8 clients, nine of ten requests `identify`, and writes down the server's memory
(VmRSS) every five seconds.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import machine

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = (1, 8, 64)
CALLS = ("identify", "index")
BOUNDARY = "likeness-benchmark-boundary"


class Photos:
    """The photos that are asked about, each as often as wanted."""

    def __init__(self, folder: Path) -> None:
        self.paths = sorted(folder.glob("*/*.jpg"))
        if not self.paths:
            raise SystemExit(f"there are no photos in {folder}/*/*.jpg")
        self.data = [path.read_bytes() for path in self.paths]
        self.names = [path.parent.name.replace("_", " ") for path in self.paths]
        self._fresh = count()

    def request(self, call: str, number: int) -> bytes:
        """A whole HTTP request."""
        at = number % len(self.data)
        field, fields, path = "photo", {}, "/v1/identify"
        data = self.data[at]
        if call == "index":
            field, fields, path = "image", {"name": self.names[at]}, "/api/v1/index"
            data = self.fresh(at)
        parts = [
            f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="{field}"; filename="a.jpg"\r\n\r\n'.encode()
        body = b"".join([*parts, head, data, f"\r\n--{BOUNDARY}--\r\n".encode()])
        return (
            f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(body)}\r\n"
            f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n\r\n"
        ).encode() + body

    def fresh(self, at: int) -> bytes:
        """A photo that is another one by its bytes, with the same face."""
        return self.data[at] + f"{os.getpid()}-{time.time_ns()}-{next(self._fresh)}".encode()


async def ask(address: tuple[str, int], photos: Photos, mix: list[str], clients: int, seconds: float) -> dict[str, Any]:
    """Let clients ask for a while; requests a second and how long each waited, in milliseconds."""
    waits: list[float] = []
    statuses: dict[str, int] = {}
    numbers = count()
    ends = time.perf_counter() + seconds

    async def one() -> None:
        reader, writer = await asyncio.open_connection(*address)
        while time.perf_counter() < ends:
            number = next(numbers)
            request = photos.request(mix[number % len(mix)], number)
            began = time.perf_counter()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            await reader.readexactly(int(length.split(b":")[1]))
            status = head.split(b" ", 2)[1].decode()
            statuses[status] = statuses.get(status, 0) + 1
            waits.append((time.perf_counter() - began) * 1000)
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(one() for _ in range(clients)))
    return figures(waits, time.perf_counter() - began) | {"statuses": statuses}


def figures(waits_ms: list[float], seconds: float) -> dict[str, Any]:
    """Requests a second, and percentiles of the waiting times."""
    ordered = sorted(waits_ms)
    at = {
        name: ordered[min(int(len(ordered) * share), len(ordered) - 1)] for name, share in (("p50", 0.5), ("p99", 0.99))
    }
    return {
        "requests": len(ordered),
        "per_s": round(len(ordered) / seconds, 2),
        **{f"{name}_ms": round(value, 1) for name, value in at.items()},
    }


def engine_alone(photos: Photos, call: str, clients: int, seconds: float, gallery: Path) -> dict[str, Any]:
    """The same work asked of the engine itself, that many tasks in flight."""
    from likeness.recognizer import Recognizer
    from likeness.server.engine import Engine
    from likeness.server.work import Enrol, Identify
    from likeness.service import EnrolOptions, FoundPhoto, open_people
    from likeness.settings import Settings

    recognizer = Recognizer(Settings.load({"gallery": str(gallery)}), threads=1)
    engine = Engine(open_people(recognizer=recognizer, create=True), queue=1024)
    waits: list[float] = []
    numbers = count()
    lock = threading.Lock()

    def one(number: int) -> None:
        at = number % len(photos.data)
        if call == "identify":
            engine.ask(Identify((photos.data[at],)), "benchmark").result()
        else:
            photo = FoundPhoto("a.jpg", photos.names[at], data=photos.fresh(at))
            engine.enrol(Enrol((photo,), EnrolOptions()), "benchmark").result()

    def client(ends: float) -> None:
        while (began := time.perf_counter()) < ends:
            with lock:
                number = next(numbers)
            one(number)
            waits.append((time.perf_counter() - began) * 1000)

    one(0)
    began = time.perf_counter()
    threads = [threading.Thread(target=client, args=(began + seconds,)) for _ in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    found = figures(waits, time.perf_counter() - began)
    engine.close()
    return found


@contextmanager
def server(folder: Path) -> Iterator[tuple[tuple[str, int], int]]:
    """A server in a process of its own: its address and process id."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    environment = os.environ | {
        "LIKENESS_GALLERY": str(folder / "people.gallery"),
        "LIKENESS_SERVE_ANSWERS": str(folder / "answers.db"),
        "LIKENESS_KEYS": str(folder / "api.keys"),
        "LIKENESS_SERVE_RATE_PER_MINUTE": "0",
    }
    command = [sys.executable, "-c", "from likeness.cli import main; main()", "serve", "--port", str(port)]
    process = subprocess.Popen([*command, "--log-level", "warning"], env=environment)
    try:
        while True:
            try:
                urllib.request.urlopen(f"http://127.0.0.1:{port}/v1/ready", timeout=5).close()
                break
            except OSError:
                if process.poll() is not None:
                    raise SystemExit("the server ended") from None
                time.sleep(0.1)
        yield ("127.0.0.1", port), process.pid
    finally:
        process.terminate()
        process.wait()


def memory_mb(pid: int) -> float:
    """Resident memory of a process."""
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return round(int(line.split()[1]) / 1024, 1)


def in_own_process(arguments: argparse.Namespace, call: str, clients: int, gallery: Path) -> dict[str, Any]:
    """`engine_alone`, where nothing else runs in the process."""
    command = [sys.executable, __file__, "--alone", call, "--clients", str(clients), "--gallery", str(gallery)]
    command += ["--seconds", str(arguments.seconds), "--photos", str(arguments.photos)]
    found: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    return found


def enrol_everybody(arguments: argparse.Namespace, gallery: Path) -> None:
    """Fill a gallery with the photos."""
    from likeness.recognizer import Recognizer
    from likeness.service import EnrolOptions, find_photos, open_people
    from likeness.settings import Settings

    recognizer = Recognizer(Settings.load({"gallery": str(gallery)}), threads=1)
    with open_people(recognizer=recognizer, create=True) as people:
        list(people.enroll(find_photos([arguments.photos], named=True), EnrolOptions(pick="largest")))


def measure(arguments: argparse.Namespace, photos: Photos) -> list[dict[str, Any]]:
    """Every call at every number of clients, engine and server in turns."""
    rows = []
    for call in CALLS:
        for clients in arguments.clients:
            turns: dict[str, list[dict[str, Any]]] = {"engine": [], "server": []}
            for _ in range(arguments.turns):
                with tempfile.TemporaryDirectory() as folder:
                    enrol_everybody(arguments, Path(folder) / "people.gallery")
                    turns["engine"].append(in_own_process(arguments, call, clients, Path(folder) / "people.gallery"))
                with tempfile.TemporaryDirectory() as folder:
                    enrol_everybody(arguments, Path(folder) / "people.gallery")
                    with server(Path(folder)) as (address, _):
                        asyncio.run(ask(address, photos, [call], 1, 1.0))
                        turns["server"].append(asyncio.run(ask(address, photos, [call], clients, arguments.seconds)))
            rows.append(row(call, clients, turns))
            print(json.dumps({name: rows[-1][name] for name in ("call", "clients", "share", "server")}), flush=True)
    return rows


def row(call: str, clients: int, turns: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """One line of the result: medians over the turns, and each turn."""
    medians = {
        who: {name: statistics.median(turn[name] for turn in found) for name in ("per_s", "p50_ms", "p99_ms")}
        for who, found in turns.items()
    }
    share = medians["server"]["per_s"] / medians["engine"]["per_s"]
    return {"call": call, "clients": clients, "share": round(share, 3), **medians, "turns": turns}


def soak(arguments: argparse.Namespace, photos: Photos) -> dict[str, Any]:
    """The server's memory while it is asked for long."""
    with tempfile.TemporaryDirectory() as folder:
        enrol_everybody(arguments, Path(folder) / "people.gallery")
        with server(Path(folder)) as (address, pid):
            samples: list[tuple[float, float]] = []
            began, ended = time.monotonic(), threading.Event()

            def watch() -> None:
                while not ended.wait(5):
                    samples.append((round(time.monotonic() - began, 1), memory_mb(pid)))

            watcher = threading.Thread(target=watch)
            watcher.start()
            mix = ["identify"] * 9 + ["index"]
            found = asyncio.run(ask(address, photos, mix, 8, arguments.soak * 60))
            ended.set()
            watcher.join()
    third = max(len(samples) // 3, 1)
    early, late = (statistics.median(mb for _, mb in part) for part in (samples[third : 2 * third], samples[-third:]))
    return {"minutes": arguments.soak, **found, "middle_mb": early, "last_mb": late, "memory_mb": samples}


def main() -> None:
    """Measure, print, and write what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=ROOT / "samples" / "people")
    parser.add_argument("--clients", type=lambda text: tuple(map(int, text.split(","))), default=CLIENTS)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--gallery", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    photos = Photos(arguments.photos)
    if arguments.alone:
        print(
            json.dumps(
                engine_alone(photos, arguments.alone, arguments.clients[0], arguments.seconds, arguments.gallery)
            )
        )
        return
    found = {"soak": soak(arguments, photos)} if arguments.soak else {"rows": measure(arguments, photos)}
    about = machine.describe("likeness", "fastapi", "uvicorn", "onnxruntime")
    text = json.dumps({"machine": about, "photos": len(photos.data), "seconds": arguments.seconds} | found, indent=1)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    elif arguments.soak:
        print(text)


if __name__ == "__main__":
    main()
