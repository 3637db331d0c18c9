"""How many messages a second go through a queue, by body: sent ten at a time, then taken and acknowledged one by one.

    python benchmarks/queues.py [--redis URI] [--sqs URI] [--messages N] [--json OUT]

The embedded queue is made in `--folder` (put it on the disk that is meant: each acknowledgement waits for it), the
others are measured where an address is given. `do` is one worker; `do, two workers` two processes on one queue;
`processor ms` what one message costs the worker's own processor, which other programs' load does not change much.
"""

from __future__ import annotations

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import machine
from likeness.intake.queues import open_queue

DEFAULT_OUT = Path(__file__).parent / "results" / "queues.json"
BODY = {"uri": "s3://photos/inbox/2026/11/a-photo-of-somebody.jpg", "job": "0123456789abcdef"}
WORKER = (
    "import sys, time\n"
    "from likeness.intake.queues import open_queue\n"
    "with open_queue(sys.argv[1], sys.argv[2]) as queue:\n"
    "    print('ready', flush=True); sys.stdin.readline()\n"
    "    done, began = 0, time.perf_counter()\n"
    "    while messages := queue.receive():\n"
    "        done += queue.acknowledge(messages[0])\n"
    "    print(done, time.perf_counter() - began)\n"
)


def measure(uri: str, messages: int) -> dict[str, float]:
    """Messages a second: sent, done by one worker, and done by two processes; and what one costs the first."""
    with open_queue(uri, f"bench-{secrets.token_hex(4)}") as queue:
        began = time.perf_counter()
        for _ in range(messages // 10):
            queue.send([BODY] * 10)
        sent = time.perf_counter()
        done, busy = 0, time.process_time()
        while got := queue.receive():
            done += queue.acknowledge(got[0])
        ended, busy = time.perf_counter(), time.process_time() - busy
        assert done == messages // 10 * 10, f"{done} of {messages} messages came"
        for _ in range(messages // 10):
            queue.send([BODY] * 10)
        return {
            "send": done / (sent - began),
            "do": done / (ended - sent),
            "do, two workers": together(uri, queue.name),
            "processor ms": 1000 * busy / done,
        }


def together(uri: str, name: str) -> float:
    """Messages a second that two processes do which begin at one moment."""
    command = [sys.executable, "-c", WORKER, uri, name]
    pipe = subprocess.PIPE
    workers = [subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) for _ in range(2)]
    for worker in workers:
        assert worker.stdout is not None
        worker.stdout.readline()
    for worker in workers:
        assert worker.stdin is not None
        worker.stdin.write("\n")
        worker.stdin.flush()
    ended = [worker.communicate()[0].split() for worker in workers]
    return sum(int(done) for done, _ in ended) / max(float(seconds) for _, seconds in ended)


def main() -> None:
    """Measure, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the SQLite file lies")
    parser.add_argument("--redis", help="address of a Redis server")
    parser.add_argument("--sqs", help="address of SQS, or of what speaks as it does")
    parser.add_argument("--messages", type=int, default=1000)
    parser.add_argument("--json", type=Path, default=DEFAULT_OUT, help="where to write the numbers")
    options = parser.parse_args()
    load = os.getloadavg()[0]  # of others: this has not begun
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        places = {"embedded": f"{folder}/queue.db", "redis": options.redis, "sqs": options.sqs}
        results = {kind: measure(uri, options.messages) for kind, uri in places.items() if uri}
    columns = list(next(iter(results.values())))
    print(f"{'messages a second':20}" + "".join(f"{column:>18}" for column in columns))
    for kind, row in results.items():
        print(f"{kind:20}" + "".join(f"{row[column]:18.1f}" for column in columns))
    facts = machine.describe("likeness", "redis", "boto3", "moto")
    rounded = {kind: {column: round(rate, 2) for column, rate in row.items()} for kind, row in results.items()}
    report = {"machine": facts, "load_before": round(load, 1), "messages": options.messages, "messages_per_s": rounded}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
