"""What a driver's error says, without the statement and its values."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

_AWAY = ("08", "57P01", "57P02", "57P03", "57P05")
"""SQLSTATEs of a connection that was lost, and of a server that is ending or starting."""

_LATER = ("starting up", "shutting down", "too many", "connection slots", "recovery", "terminating connection")


def sqlstate(error: DBAPIError) -> str:
    """The five letters by which SQL names an error; empty where the server was not reached."""
    return str(getattr(error.orig, "sqlstate", None) or "")


def first_line(error: DBAPIError) -> str:
    """The error in its first line: what follows may quote values. Not for errors of values themselves."""
    lines = str(error.orig).strip().splitlines()
    return lines[0] if lines else type(error.orig).__name__


def refused_to_connect(error: DBAPIError) -> bool:
    """Whether a server answered, and lets nobody in under that name or into that database, now or later.

    Before there is a connection, the driver passes on the server's words and not its SQLSTATE.
    """
    words = str(error.orig)
    return "FATAL:" in words and not any(later in words for later in _LATER)


def connection_lost(error: DBAPIError) -> bool:
    """Whether nobody answered, or no longer; the same may succeed later."""
    state = sqlstate(error)
    return error.connection_invalidated or (
        state.startswith(_AWAY) if state else type(error.orig).__name__ == "OperationalError"
    )
