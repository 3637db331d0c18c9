"""The queue on a Redis server (6.2 or later), or on what speaks as one, such as Valkey.

`redis://[account:password@]host[:port][/database][?prefix=likeness]`, `rediss://` over TLS, `unix://path`. Other
options of the query go to redis-py as they are. All times are the server's. A message is as durable as the server is
set up to be: with `appendonly yes` and `appendfsync everysec` it may lose a second, with `always` none; it must not
evict (`maxmemory-policy noeviction`).
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlencode, urlsplit, urlunsplit

from likeness.addresses import masked
from likeness.errors import ExtraMissing, QueueUnavailable, SettingsError
from likeness.intake.queues import redis_scripts as scripts
from likeness.intake.queues.base import (
    LEASE_S,
    MOST_ATTEMPTS,
    Body,
    DeadLetter,
    Depth,
    Message,
    Queue,
    clean_reason,
    decode,
    encode,
    silence,
)

if TYPE_CHECKING:
    import redis
    from redis.commands.core import Script

PREFIX = "likeness"
_TIMEOUT_S = 10.0
_CONNECT_S = 5.0
_TRIES = 2  # again, after the first
_AT_ONCE = 500
_LONGEST_SLEEP_S = 1.0  # whoever was woken may have been killed before it took its message: do not rely on the bell


def open_redis(uri: str, name: str) -> RedisQueue:
    """Open the queue `name` on a server.

    Raises:
        ExtraMissing: the extra `redis` is not installed.
        SettingsError: the address cannot be used.
        QueueUnavailable: the server does not answer, or refuses.
    """
    try:
        import redis
        from redis.backoff import ExponentialBackoff
        from redis.retry import Retry
    except ImportError as error:
        raise ExtraMissing("a queue on Redis needs redis", hint="pip install 'likeness[redis]'") from error
    address, prefix = _without_prefix(uri)
    again = Retry(ExponentialBackoff(cap=0.5, base=0.05), _TRIES)
    options = {"socket_timeout": _TIMEOUT_S, "socket_connect_timeout": _CONNECT_S, "retry": again}
    try:
        client = redis.Redis.from_url(address, decode_responses=True, **options)
        queue = RedisQueue(client, name, prefix=prefix, shown=masked(uri))
        queue.check()
    except (ValueError, TypeError) as error:  # an address that is none; an option that redis-py does not know
        raise SettingsError(f"queue {masked(uri)} cannot be used", hint="redis://host:6379/0") from error
    return queue


def _without_prefix(uri: str) -> tuple[str, str]:
    """An address as redis-py takes it, and what the keys begin with."""
    parts = urlsplit(uri)
    query = parse_qs(parts.query, keep_blank_values=True)
    prefix = query.pop("prefix", [PREFIX])[0] or PREFIX
    return urlunsplit(parts._replace(query=urlencode(query, doseq=True))), prefix


class RedisQueue(Queue):
    """See `likeness.intake.queues.base.Queue`. Made by `open_redis`."""

    def __init__(self, client: redis.Redis, name: str, *, prefix: str, shown: str) -> None:
        self.name = name
        self._client = client
        self._shown = shown
        # One hash tag for all keys of a queue: on a cluster they lie on one machine.
        self._keys = [f"{{{prefix}:{name}}}:{key}" for key in scripts.KEYS]
        self._bell = self._keys[-1]
        self._scripts: dict[str, Script] = {}

    def check(self) -> None:
        """Ask the server for a sign of life.

        Raises:
            QueueUnavailable: there is none.
        """
        with self._errors():
            self._client.ping()

    def send(self, bodies: Sequence[Body], *, delay_s: float = 0.0) -> list[str]:  # noqa: D102
        texts = [encode(body) for body in bodies]
        # Of messages that are due at one moment the server takes the least id first: ids begin with the time.
        begun = f"{time.time_ns() // 1000:014x}"
        ids = [f"{begun}{at:06x}{secrets.token_hex(4)}" for at in range(len(texts))]
        for first in range(0, len(ids), _AT_ONCE):
            part = zip(ids[first : first + _AT_ONCE], texts[first : first + _AT_ONCE], strict=True)
            self._run(scripts.SEND, round(delay_s * 1000), *(value for pair in part for value in pair))
        return ids

    def receive(self, most: int = 1, *, wait_s: float = 0.0, lease_s: float = LEASE_S) -> list[Message]:  # noqa: D102
        deadline = time.monotonic() + wait_s
        while True:
            found, next_ms = self._run(scripts.LEASE, most, round(lease_s * 1000), secrets.token_hex(8))
            left_s = deadline - time.monotonic()
            if found or left_s <= 0:
                return [Message(id_, decode(body), attempt, receipt) for id_, body, attempt, receipt in found]
            sleep_s = min(left_s, _LONGEST_SLEEP_S)
            if next_ms >= 0:
                sleep_s = min(sleep_s, next_ms / 1000)
            with self._errors():
                self._client.blpop([self._bell], timeout=max(sleep_s, 0.001))  # 0 would be for ever

    def extend(self, message: Message, lease_s: float = LEASE_S) -> bool:  # noqa: D102
        return bool(self._run(scripts.EXTEND, message.id, message.receipt, round(lease_s * 1000)))

    def acknowledge(self, *messages: Message) -> bool:  # noqa: D102
        held = [bool(self._run(scripts.ACKNOWLEDGE, each.id, each.receipt)) for each in messages]
        return all(held)

    def retry(self, message: Message, *, after_s: float, reason: str) -> bool:  # noqa: D102
        if message.attempt >= MOST_ATTEMPTS:
            return self.bury(message, reason)
        return bool(self._run(scripts.RETRY, message.id, message.receipt, round(after_s * 1000)))

    def bury(self, message: Message, reason: str) -> bool:  # noqa: D102
        return bool(self._run(scripts.BURY, message.id, message.receipt, clean_reason(reason)))

    def depth(self) -> Depth:  # noqa: D102
        return Depth(*self._run(scripts.DEPTH))

    def dead(self, most: int = 100) -> list[DeadLetter]:  # noqa: D102
        return [
            DeadLetter(id_, decode(body), attempts, reason, datetime.fromtimestamp(died_ms / 1000, UTC))
            for id_, body, attempts, reason, died_ms in self._run(scripts.DEAD, most)
        ]

    def revive(self, ids: Sequence[str] | None = None) -> int:  # noqa: D102
        return int(self._run(scripts.REVIVE, *_wanted(ids)))

    def drop(self, ids: Sequence[str] | None = None) -> int:  # noqa: D102
        return int(self._run(scripts.DROP, *_wanted(ids)))

    def close(self) -> None:  # noqa: D102
        self._client.close()

    def _run(self, body: str, *values: str | int) -> Any:
        """Run a script; its text crosses the wire once."""
        with self._errors():
            known = self._scripts.get(body)
            if known is None:
                known = self._scripts[body] = self._client.register_script(scripts.script(body))
            return known(keys=self._keys, args=[MOST_ATTEMPTS, silence(MOST_ATTEMPTS), *values])

    @contextmanager
    def _errors(self) -> Iterator[None]:
        from redis.exceptions import AuthenticationError, NoPermissionError, RedisError

        try:
            yield
        except (AuthenticationError, NoPermissionError) as error:
            raise QueueUnavailable(
                f"the queue {self._shown} refuses this account", hint="check the account and password in `queue`"
            ) from error
        except (RedisError, OSError) as error:
            raise QueueUnavailable(
                f"the queue {self._shown} cannot be used: {type(error).__name__}",
                hint="check that the server runs, and the setting `queue`",
            ) from error


def _wanted(ids: Sequence[str] | None) -> list[str]:
    return ["all"] if ids is None else ["these", *ids]
