"""Structured logs: one JSON object a line, without personal data.

A line says what was asked of which route, how it ended and how long it took. It never holds names, file names, ids of
people, embeddings, keys or query strings; of a path only the route's pattern is written (`/v1/people/{person}`).
"""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import IO, Any

LOGGER = logging.getLogger("likeness.server")
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


def set_up_logs(stream: IO[str] | None = None, level: str = "info") -> None:
    """Write the server's log, and uvicorn's remarks, to `stream` (stderr unless said) as lines of JSON."""
    handler = _Stderr() if stream is None else logging.StreamHandler(stream)
    handler.setFormatter(JsonLines())
    for name in ("likeness.server", "uvicorn", "uvicorn.error"):
        logger = logging.getLogger(name)
        logger.handlers = [handler] if name != "uvicorn.error" else []
        logger.propagate = name == "uvicorn.error"
        logger.setLevel(level.upper())
    # Its lines hold addresses with query strings; ours take their place.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate, access.disabled = [], False, True
