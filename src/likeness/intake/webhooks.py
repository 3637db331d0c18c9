"""Telling callers over HTTP: a POST of JSON, signed so that they know who says it, to hosts that the settings allow.

`Likeness-Signature: t=SECONDS,v1=HEX`, where HEX is the HMAC-SHA256 of `SECONDS.` and the body under the shared key. A
caller refuses what is older than some minutes, and compares in constant time (`signed_by`).
"""

from __future__ import annotations

import hashlib
import hmac
import http.client
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from likeness.errors import CallbackRefused, RemoteError, SettingsError, Unreachable
from likeness.settings import Settings
from likeness.web import BREAKS, USER_AGENT, Line, opener, shown

SIGNATURE = "Likeness-Signature"
SHORTEST_KEY = 16
FRESH_S = 300.0
_MOST_DIGITS = 15
"""Of a time in seconds; a stranger may send a number that Python refuses to read."""
_USUAL = {"http": 80, "https": 443}


def sign(body: bytes, key: str, *, at_s: int) -> str:
    """The signature of a body that is sent at a time (seconds since 1970)."""
    mac = hmac.new(key.encode(), f"{at_s}.".encode() + body, hashlib.sha256)
    return f"t={at_s},v1={mac.hexdigest()}"


def signed_by(body: bytes, signature: str, key: str, *, now_s: float, fresh_s: float = FRESH_S) -> bool:
    """Whether a signature is the key's, of this body, and not older than `fresh_s`: for those who are told."""
    fields = dict(part.partition("=")[::2] for part in signature.split(","))
    told = fields.get("t", "")
    if not signature.isascii() or not told.isdigit() or len(told) > _MOST_DIGITS:
        return False
    at_s = int(told)
    right = sign(body, key, at_s=at_s)
    return hmac.compare_digest(right.encode(), signature.encode()) and abs(now_s - at_s) <= fresh_s


def has_key(settings: Settings) -> bool:
    """Whether there is a key to sign with, long enough to be one."""
    return len(settings.webhook_secret.get_secret_value()) >= SHORTEST_KEY


def expect_allowed(url: str, settings: Settings) -> str:
    """Let an address pass that may be told.

    Raises:
        CallbackRefused: it is none, or its host is not allowed.
        SettingsError: no key is set to sign with.
    """
    try:
        parts = urlsplit(url)
        port = parts.port or _USUAL.get(parts.scheme)
    except ValueError:
        parts, port = urlsplit(""), None
    if port is None or not parts.hostname or "@" in parts.netloc or not url.isascii() or not url.isprintable():
        raise CallbackRefused("the address to call back is none", hint="expected http:// or https:// and a host")
    names = {f"{parts.hostname}:{port}"} | ({parts.hostname} if port == _USUAL[parts.scheme] else set())
    if not names & {host.lower() for host in settings.webhook_hosts}:
        raise CallbackRefused(
            f"{parts.hostname}:{port} may not be told", hint="the operator allows hosts by the setting webhook_hosts"
        )
    if not has_key(settings):
        raise SettingsError(
            "there is no key to sign with", hint=f"set webhook_secret to {SHORTEST_KEY} characters or more, by chance"
        )
    return url


def tell(url: str, body: bytes, settings: Settings) -> None:
    """Tell a caller once; anything but an answer of 2xx is an error.

    Raises:
        CallbackRefused, SettingsError: as `expect_allowed`; settings may have changed since the address was given.
        Unreachable: nobody answers in time.
        RemoteError: it answers with an error, or sends us elsewhere.
    """
    expect_allowed(url, settings)
    signature = sign(body, settings.webhook_secret.get_secret_value(), at_s=int(time.time()))
    headers = {"Content-Type": "application/json", "User-Agent": USER_AGENT, SIGNATURE: signature}
    request = urllib.request.Request(url, data=body, headers=headers, method="POST")  # noqa: S310 - http only
    line, limit_s = Line(), settings.webhook_timeout_s
    try:
        with line.for_at_most(limit_s), opener(redirects=False, line=line).open(request, timeout=limit_s):
            return
    except urllib.error.HTTPError as error:
        with error:
            raise RemoteError(f"{shown(url)} answered with HTTP {error.code}") from None
    except http.client.InvalidURL as error:
        raise CallbackRefused("the address to call back is none") from error
    except BREAKS as error:
        raise Unreachable(f"{shown(url)} cannot be reached: {type(error).__name__}") from error
