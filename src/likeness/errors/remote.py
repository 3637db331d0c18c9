"""Servers elsewhere that did not give what was asked."""

from __future__ import annotations

from likeness.errors.base import LikenessError


class RemoteError(LikenessError):
    """A server elsewhere (a hub, a publisher's site) did not give what was asked."""

    code, exit_code, http_status = "remote_failed", 8, 502


class Unreachable(RemoteError):
    """There is no network, or nobody answers at that address."""

    code, http_status = "remote_unreachable", 503


class AccessRefused(RemoteError):
    """The server wants to know who asks, or refuses them."""

    code = "remote_access_refused"


class QueueUnavailable(RemoteError):
    """The queue of arrivals cannot be used now: its server or file does not answer, or refuses."""

    code, http_status = "queue_unavailable", 503


class RecordsUnavailable(RemoteError):
    """The database that holds the records of arrivals does not answer, or refuses."""

    code, http_status = "records_unavailable", 503


class DownloadCorrupt(RemoteError):
    """What was downloaded is not what was promised: other bytes, or an archive that must not be unpacked."""

    code = "download_corrupt"


class ApiRefused(RemoteError):
    """A Likeness server did not do what the bot asked of it; `told` is the code of its own error."""

    code = "api_refused"
    told: str = ""
