"""Addresses of databases, queues and stores (`scheme://account:password@host/…`), shown without what is secret."""

from __future__ import annotations

import re

_ACCOUNT = re.compile(r"://([^:@/?#]*):.*@", re.DOTALL)  # to the last @: an unquoted password may hold one, or a /
_QUERY = re.compile(r"([?&][^=&#]*(?:password|passwd|pwd|secret|token|key|credential)[^=&#]*=)[^&#]*", re.IGNORECASE)


def masked(address: str) -> str:
    """An address for people and logs: passwords, and what a query says of secrets, tokens and keys, read `***`."""
    return _QUERY.sub(r"\1***", _ACCOUNT.sub(r"://\1:***@", address))
