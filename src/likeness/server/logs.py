"""The server's log: one JSON object a line, without personal data.

A line says what was asked of which route, how it ended and how long it took. It never holds names, file names, ids of
people, embeddings, keys or query strings; of a path only the route's pattern is written (`/v1/people/{person}`).
"""

from __future__ import annotations

import logging
from typing import IO

from likeness.logs import write_logs

LOGGER = logging.getLogger("likeness.server")


def set_up_logs(stream: IO[str] | None = None, level: str = "info") -> None:
    """Write the server's log, and uvicorn's remarks, to `stream` (stderr unless said) as lines of JSON."""
    write_logs((LOGGER.name, "uvicorn"), stream, level)
    remarks = logging.getLogger("uvicorn.error")
    remarks.handlers, remarks.propagate = [], True
    remarks.setLevel(level.upper())
    # Its lines hold addresses with query strings; ours take their place.
    access = logging.getLogger("uvicorn.access")
    access.handlers, access.propagate, access.disabled = [], False, True
