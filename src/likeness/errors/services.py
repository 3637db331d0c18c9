"""What the server cannot do now, or does not let be done."""

from __future__ import annotations

from likeness.errors.base import LikenessError


class ServiceError(LikenessError):
    """The server cannot do this now; the same request may succeed later, after `retry_after_s`."""

    code, http_status = "service_unavailable", 503
    retry_after_s: float = 1.0


class Overloaded(ServiceError):
    """Too many requests are waiting already."""

    code = "overloaded"


class TookTooLong(ServiceError):
    """The request was not done within the time limit."""

    code = "took_too_long"


class TooManyRequests(ServiceError):
    """One key or address asked more often than the rate limit allows."""

    code, http_status = "too_many_requests", 429


class ShuttingDown(ServiceError):
    """The server is about to end and takes no more work."""

    code = "shutting_down"


class AccessError(LikenessError):
    """The server does not let this be done."""

    code, http_status = "access_refused", 403


class KeyMissing(AccessError):
    """The server wants an API key."""

    code, http_status = "key_missing", 401


class KeyInvalid(AccessError):
    """The API key is unknown, expired or revoked."""

    code, http_status = "key_invalid", 401


class ScopeMissing(AccessError):
    """The API key is not good for this."""

    code = "scope_missing"


class OriginRefused(AccessError):
    """A web page of another site asks, or the request came under a name that is not this server's."""

    code = "origin_refused"
