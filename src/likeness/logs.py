"""Logs as lines of JSON, for what runs by itself; without personal data.

Whoever logs gives an event, and facts as `extra`. Of an exception its type and where it came from are written; its
message may name people or files, and is not.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import IO, Any

_STANDARD = set(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName", "color_message"}


class JsonLines(logging.Formatter):
    """A record as one line of JSON: `at`, `level`, `event`, and what was given as `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
        }
        line |= {name: value for name, value in vars(record).items() if name not in _STANDARD}
        if record.exc_info and record.exc_info[0] is not None:
            line |= _where(record.exc_info[1])
        return json.dumps(line, ensure_ascii=True, default=str)


def _where(error: BaseException | None) -> dict[str, Any]:
    """Where an exception came from: its type, and functions with lines; its message may name people or files."""
    frames = []
    trace = error.__traceback__ if error is not None else None
    while trace is not None:
        module = trace.tb_frame.f_globals.get("__name__", "?")
        frames.append(f"{module}.{trace.tb_frame.f_code.co_name}:{trace.tb_lineno}")
        trace = trace.tb_next
    return {"error": type(error).__name__, "trace": frames[-12:]}


class _Stderr(logging.Handler):
    """Writes to what is stderr when a line is written: whoever runs the server may have put another in its place."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)
        except Exception:  # as all handlers do: a log that cannot be written must not end a request
            self.handleError(record)


def write_logs(names: Iterable[str], stream: IO[str] | None = None, level: str = "info") -> logging.Handler:
    """Write the logs of these names to `stream` (stderr unless said) as lines of JSON, and nowhere else."""
    handler = _Stderr() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name in names:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [handler], False
        logger.setLevel(level.upper())
    return handler
