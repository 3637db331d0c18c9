"""`likeness worker`: answer photos that arrive by themselves."""

from __future__ import annotations

import signal
import threading
import time
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import counted
from likeness.cli.stopping import told_to_end
from likeness.errors import ExtraMissing
from likeness.intake import STEPS
from likeness.logs import write_logs

if TYPE_CHECKING:
    from likeness.intake.worker import Note

LINE_EVERY_S = 10.0


@click.command()
@click.option(
    "--steps",
    metavar="STEP[,STEP]",
    default=",".join(STEPS),
    show_default=True,
    help="Which steps of the pipeline this worker runs.",
)
@click.option("--drain", is_flag=True, help="End when nothing is left to do, instead of waiting for more.")
@click.option(
    "--lease",
    "lease_s",
    type=click.FloatRange(1, 3600),
    default=60.0,
    show_default=True,
    metavar="SECONDS",
    help="How long what a killed worker had in its hands is left with it.",
)
@click.option("--metrics-port", type=click.IntRange(1, 65535), help="Answer Prometheus there; without a key.")
@click.option("--metrics-host", default="127.0.0.1", show_default=True, help="Address that it is answered on.")
@common_options
@click.pass_obj
def worker(flags: Flags, /, steps: str, drain: bool, lease_s: float, **options: Any) -> None:
    """Answer photos that arrive by themselves: from `likeness watch`, buckets' events, or the API's jobs.

    A photo passes four queues: detect (its faces are found and cut out), identify (age, gender, who they are; the
    answer is written down), enrol (instead, where it came with a name), tell (callers are told, signed). Workers
    share queue, records, spool and gallery by the settings of those names; more of them, on one machine or many, do
    more. Ctrl-C or SIGTERM ends one after what is in its hands; killed in any other way, what it had comes again to
    another. What goes wrong is told as lines of JSON on stderr, without personal data.
    """
    wanted = _wanted(steps)
    counts: Counter[tuple[str, str]] = Counter()
    stop = threading.Event()
    # A second SIGTERM changes nothing: those who look after processes send several.
    with told_to_end(stop.set, (signal.SIGINT, signal.SIGTERM), insists=(signal.SIGINT,)):
        _work(flags, wanted, counts, stop, drain=drain, lease_s=lease_s, **options)
    if flags.output.as_json:
        for (step, outcome), count in sorted(counts.items()):
            flags.output.json({"step": step, "outcome": outcome, "messages": count})
    flags.output.say(_summary(counts) or "Nothing arrived.")


def _work(
    flags: Flags,
    wanted: Sequence[str],
    counts: Counter[tuple[str, str]],
    stop: threading.Event,
    *,
    drain: bool,
    lease_s: float,
    metrics_host: str,
    metrics_port: int | None,
) -> None:
    try:
        from likeness.intake.worker import open_worker
    except ImportError as error:
        raise ExtraMissing(f"a worker needs {error.name}", hint="pip install 'likeness[worker]'") from error
    from likeness.recognizer import Recognizer
    from likeness.service import open_people

    settings = flags.settings
    write_logs(("likeness.worker",))  # else Python prints what an unexpected error says, which may name people
    recognizer = Recognizer(settings, say=flags.output.say, threads=1)  # several photos at a time, each on one core
    note = _note(flags, counts, metrics_host, metrics_port)
    with open_people(recognizer=recognizer, create=True, actor="worker", say=flags.output.say) as people:
        working = open_worker(people, settings, wanted, note=note, lease_s=lease_s)
        try:
            flags.output.say(f"Working: {', '.join(wanted)}")
            working.run(stop, drain=drain)
        finally:
            working.close()


def _wanted(steps: str) -> Sequence[str]:
    names = [name.strip() for name in steps.split(",") if name.strip()]
    unknown = [name for name in names if name not in STEPS]
    if unknown or not names:
        raise click.BadParameter(f"known steps: {', '.join(STEPS)}", param_hint="--steps")
    return tuple(dict.fromkeys(names))


def _note(flags: Flags, counts: Counter[tuple[str, str]], metrics_host: str, metrics_port: int | None) -> Note:
    """Counts batches, says now and then how far it is, and tells Prometheus where a port is given."""
    observe: Any = None
    if metrics_port is not None:
        try:
            from likeness.intake.metrics import serve_metrics
        except ImportError as error:
            raise ExtraMissing(f"metrics need {error.name}", hint="pip install 'likeness[serve]'") from error
        observe = serve_metrics(metrics_host, metrics_port, flags.settings)
    said = [time.monotonic()]

    def note(step: str, outcome: str, count: int, seconds: float) -> None:
        counts[step, outcome] += count
        if observe is not None:
            observe(step, outcome, count, seconds)
        if time.monotonic() - said[0] >= LINE_EVERY_S:
            said[0] = time.monotonic()
            flags.output.say(_summary(counts))

    return note


def _summary(counts: Counter[tuple[str, str]]) -> str:
    parts = []
    for step in STEPS:
        done, retried, buried = (counts[step, outcome] for outcome in ("done", "retried", "buried"))
        if done or retried or buried:
            more = [f"{retried} to be tried again"] * bool(retried) + [f"{buried} dead"] * bool(buried)
            parts.append(f"{step}: {counted(done, 'message', 'messages')}" + (f" ({', '.join(more)})" if more else ""))
    return "; ".join(parts)
