"""The server on loopback: requests per second and waiting times, beside what its engine does alone.

    python benchmarks/serve.py --json results/serve.json
    python benchmarks/serve.py --soak 10 --json results/serve-soak.json

For 1, 8 and 64 clients, and for `identify` and `index`, the engine is asked directly (in a process of its own, that
many tasks in flight) and the server over HTTP (as many connections, each asking again as soon as it is answered). Both
take turns of a few seconds, so that a machine that gets slower slows both; the share is the median of the turns'. The
clients run on the same machine and take their part of it. Where the machine is a guest whose host takes cores away
(`stolen` says how much of each turn), `cpu_ms` says more than wall time: it is the processor time that the process of
the engine or the server spent on a request, and `cpu_share` the engine's divided by the server's, which is the share
that is left where all cores are busy.

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
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import machine

ROOT = Path(__file__).resolve().parent.parent
CLIENTS = (1, 8, 64)
CALLS = ("identify", "index")
MEDIANS = ("per_s", "p50_ms", "p99_ms", "cpu_ms")
Turns = list[dict[str, dict[str, Any]]]
"""Of each turn the figures of `engine` and of `server`."""
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


def stolen_and_all() -> tuple[int, int]:
    """Clock ticks that the machine's host took away since the start, and all."""
    ticks = [int(each) for each in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    return ticks[7], sum(ticks)


def used_s(pid: int) -> float:
    """Processor seconds that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Spent:
    """What was spent meanwhile, as figures: processor time a request of one process, and what the host took away."""

    def __init__(self, pid: int) -> None:
        self._pid, self._used_s, self._stolen = pid, used_s(pid), stolen_and_all()

    def figures(self, requests: int) -> dict[str, float]:
        """Since the birth of this."""
        stolen, ticks = (now - then for now, then in zip(stolen_and_all(), self._stolen, strict=True))
        cpu_ms = (used_s(self._pid) - self._used_s) * 1000 / requests
        return {"cpu_ms": round(cpu_ms, 2), "stolen": round(stolen / ticks, 3)}


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


def engine_alone(photos: Photos, call: str, clients: int, gallery: Path) -> None:
    """The same work asked of the engine itself, that many tasks in flight: for each line of seconds one of figures."""
    from likeness.recognizer import Recognizer
    from likeness.server.engine import Engine
    from likeness.server.work import Enrol, Identify
    from likeness.service import EnrolOptions, FoundPhoto, open_people
    from likeness.settings import Settings

    recognizer = Recognizer(Settings.load({"gallery": str(gallery)}), threads=1)
    engine = Engine(open_people(recognizer=recognizer, create=True), queue=1024)
    numbers = count()

    def one() -> None:
        at = next(numbers) % len(photos.data)
        if call == "identify":
            engine.ask(Identify((photos.data[at],)), "benchmark").result()
        else:
            photo = FoundPhoto("a.jpg", photos.names[at], data=photos.fresh(at))
            engine.enrol(Enrol((photo,), EnrolOptions()), "benchmark").result()

    def client(ends: float, waits: list[float]) -> None:
        while (began := time.perf_counter()) < ends:
            one()
            waits.append((time.perf_counter() - began) * 1000)

    for line in sys.stdin:
        waits: list[float] = []
        spent, began = Spent(os.getpid()), time.perf_counter()
        threads = [threading.Thread(target=client, args=(began + float(line), waits)) for _ in range(clients)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        found = figures(waits, time.perf_counter() - began) | spent.figures(len(waits))
        print(json.dumps(found), flush=True)
    engine.close()


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


@contextmanager
def engine(
    arguments: argparse.Namespace, call: str, clients: int, gallery: Path
) -> Iterator[Callable[[float], dict[str, Any]]]:
    """An engine in a process of its own, where nothing else runs: what asks it for so many seconds."""
    command = [sys.executable, __file__, "--alone", call, "--clients", str(clients), "--gallery", str(gallery)]
    command += ["--photos", str(arguments.photos)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        into, out = process.stdin, process.stdout
        assert into is not None
        assert out is not None

        def go(seconds: float) -> dict[str, Any]:
            print(seconds, file=into, flush=True)
            found: dict[str, Any] = json.loads(out.readline())
            return found

        yield go


def enrol_everybody(arguments: argparse.Namespace, gallery: Path) -> None:
    """Fill a gallery with the photos."""
    from likeness.recognizer import Recognizer
    from likeness.service import EnrolOptions, find_photos, open_people
    from likeness.settings import Settings

    recognizer = Recognizer(Settings.load({"gallery": str(gallery)}), threads=1)
    with open_people(recognizer=recognizer, create=True) as people:
        list(people.enroll(find_photos([arguments.photos], named=True), EnrolOptions(pick="largest")))


def measure(arguments: argparse.Namespace, photos: Photos) -> Iterator[dict[str, Any]]:
    """Every call at every number of clients, engine and server in turns of a few seconds."""
    for call in CALLS:
        for clients in arguments.clients:
            with tempfile.TemporaryDirectory() as folder:
                own, served = Path(folder) / "engine.gallery", Path(folder) / "people.gallery"
                for gallery in (own, served):
                    enrol_everybody(arguments, gallery)
                with engine(arguments, call, clients, own) as go, server(Path(folder)) as (address, pid):
                    turns = take_turns(arguments, go, partial(asked, address, pid, photos, (call, clients)))
            yield row(call, clients, turns)


def asked(address: tuple[str, int], pid: int, photos: Photos, what: tuple[str, int], seconds: float) -> dict[str, Any]:
    """Figures of a server that is asked by so many clients for a while."""
    (call, clients), spent = what, Spent(pid)
    found = asyncio.run(ask(address, photos, [call], clients, seconds))
    return found | spent.figures(found["requests"])


def take_turns(arguments: argparse.Namespace, *both: Callable[[float], dict[str, Any]]) -> Turns:
    """The figures of both, turn by turn, after one that does not count; who begins changes from turn to turn."""
    found: Turns = [{} for _ in range(arguments.turns)]
    names = ("engine", "server")
    for go in both:
        go(1.0)
    for number, turn in enumerate(found):
        for at in (0, 1) if number % 2 else (1, 0):
            turn[names[at]] = both[at](arguments.seconds)
    return found


def row(call: str, clients: int, turns: Turns) -> dict[str, Any]:
    """One line of the result: medians over the turns, each turn, and the shares with the range of their middle half."""
    medians = {
        who: {name: statistics.median(turn[who][name] for turn in turns) for name in MEDIANS}
        for who in ("engine", "server")
    }
    shares = [turn["server"]["per_s"] / turn["engine"]["per_s"] for turn in turns]
    cpu_shares = [turn["engine"]["cpu_ms"] / turn["server"]["cpu_ms"] for turn in turns]
    found = {"share": quartiles(shares), "cpu_share": quartiles(cpu_shares)}
    return {"call": call, "clients": clients, **found, **medians, "turns": turns}


def quartiles(values: list[float]) -> dict[str, float]:
    """The median, and the quartiles below and above it."""
    low, median, high = statistics.quantiles(values, n=4, method="inclusive")
    return {"median": round(median, 3), "low": round(low, 3), "high": round(high, 3)}


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
    parser.add_argument("--seconds", type=float, default=3.0, help="of each turn")
    parser.add_argument("--turns", type=int, default=9)
    parser.add_argument("--soak", type=float, default=0.0, metavar="MINUTES")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--alone", help=argparse.SUPPRESS)
    parser.add_argument("--gallery", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    photos = Photos(arguments.photos)
    if arguments.alone:
        engine_alone(photos, arguments.alone, arguments.clients[0], arguments.gallery)
        return
    found: dict[str, Any] = {"soak": soak(arguments, photos)} if arguments.soak else {"rows": []}
    for each in () if arguments.soak else measure(arguments, photos):
        found["rows"].append(each)
        print(json.dumps({name: value for name, value in each.items() if name != "turns"}), flush=True)
    about = machine.describe("likeness", "fastapi", "uvicorn", "onnxruntime")
    text = json.dumps({"machine": about, "photos": len(photos.data), "seconds": arguments.seconds} | found, indent=1)
    if arguments.json:
        arguments.json.write_text(text + "\n")
    elif arguments.soak:
        print(text)


if __name__ == "__main__":
    main()
