"""What Prometheus is told: messages and seconds by step, and how deep the queues are, asked when it asks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from likeness.errors import LikenessError, SettingsError
from likeness.intake import STEPS
from likeness.intake.queues import Depth, Queue, open_queue
from likeness.settings import Settings


class QueueDepths(Collector):
    """`likeness_queue_messages` by queue and state; what does not answer is left out, and `likeness_queue_up` says so.

    Args:
        settings: the queues are opened when they are first asked.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._queues: dict[str, Queue] = {}
        self._lock = threading.Lock()

    def depths(self) -> Mapping[str, Depth | LikenessError]:
        """Of each step's queue, or why it is not known."""
        found: dict[str, Depth | LikenessError] = {}
        for name in STEPS:
            try:
                found[name] = self.queue(name).depth()
            except LikenessError as error:
                found[name] = error
        return found

    def queue(self, name: str) -> Queue:
        """A step's queue, opened once.

        Raises:
            QueueUnavailable, SettingsError: it cannot be.
        """
        with self._lock:
            if name not in self._queues:
                self._queues[name] = open_queue(self._settings.queue, name)
            return self._queues[name]

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """See `Collector`."""
        messages = GaugeMetricFamily("likeness_queue_messages", "Messages in a queue.", labels=("queue", "state"))
        up = GaugeMetricFamily("likeness_queue_up", "Whether a queue answers.", labels=("queue",))
        for name, depth in self.depths().items():
            up.add_metric((name,), isinstance(depth, Depth))
            if isinstance(depth, Depth):
                for state in ("ready", "waiting", "leased", "dead"):
                    messages.add_metric((name, state), getattr(depth, state))
        yield from (messages, up)

    def close(self) -> None:
        """Close the queues that were opened."""
        with self._lock:
            for queue in self._queues.values():
                queue.close()
            self._queues.clear()


def serve_metrics(host: str, port: int, settings: Settings) -> Callable[[str, str, int, float], None]:
    """Answer Prometheus on an address; gives what is told of each batch (see `likeness.intake.worker.Note`).

    Raises:
        SettingsError: the address is none of this machine, or the port is taken.
    """
    registry = CollectorRegistry()
    labels = ("step", "outcome")
    messages = Counter("likeness_step_messages", "Messages that a step dealt with.", labels, registry=registry)
    spent = Counter("likeness_step_seconds", "Seconds spent on them.", labels, registry=registry)
    registry.register(QueueDepths(settings))
    try:
        start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        raise SettingsError(
            f"port {port} of {host!r} cannot be listened on: {error.strerror or error}", hint="give another"
        ) from error

    def note(step: str, outcome: str, count: int, seconds: float) -> None:
        messages.labels(step, outcome).inc(count)
        spent.labels(step, outcome).inc(seconds)

    return note
