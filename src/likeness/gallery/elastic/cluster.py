"""Asking a cluster: the vendor's client, with time limits, retries with jitter, and errors in our words."""

from __future__ import annotations

import math
import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeVar

from likeness.errors import (
    ExtraMissing,
    GalleryBusy,
    GalleryMissing,
    GalleryUnreachable,
    LikenessError,
    SettingsError,
    StorageError,
    StorageFull,
    StorageRefused,
)
from likeness.gallery.elastic.address import Address

if TYPE_CHECKING:
    from elasticsearch import Elasticsearch

_Answer = TypeVar("_Answer")
_AGAIN = (429, 502, 503, 504)
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
OLDEST = 9
"""The major version that the client speaks, and later ones."""


class Pause:
    """Waiting between attempts: twice as long each time, and by chance, so that many do not come back at once."""

    def __init__(self, limit_s: float, *, longest_s: float = _LONGEST_PAUSE_S) -> None:
        self._deadline = time.monotonic() + limit_s
        self._longest = _FIRST_PAUSE_S
        self._most = longest_s

    def left(self) -> bool:
        """Whether there is time for another attempt."""
        return time.monotonic() < self._deadline

    def wait(self) -> None:
        """Wait for some time below the present limit, and double that."""
        until = max(0.0, self._deadline - time.monotonic())
        time.sleep(min(until, random.uniform(self._longest / 2, self._longest)))  # noqa: S311 - no secret
        self._longest = min(self._most, 2 * self._longest)


class TooMuch(Exception):
    """A request was refused as a whole because the cluster has too much to do."""


class Cluster:
    """A cluster as the rest of the engine asks it. Thread-safe."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self.client = _connected(address)
        self._limit = threading.local()

    @contextmanager
    def within(self, limit_s: float) -> Iterator[None]:
        """Let this thread ask nothing again for longer than this: who holds a lease must be heard of before it ends."""
        before: float = getattr(self._limit, "s", math.inf)
        self._limit.s = min(before, limit_s)
        try:
            yield
        finally:
            self._limit.s = before

    def ask(self, question: Callable[[Elasticsearch], _Answer], *, whole: bool = True) -> _Answer:
        """The answer to a question that may be asked twice; asked again where the cluster is busy or silent.

        Raises:
            TooMuch: it is refused as too much, and would better be asked for less (not where it is `whole`).
            StorageError: it is not answered in time, or refused; also `GalleryMissing`.
            elasticsearch.ConflictError, elasticsearch.NotFoundError: for whoever asks to judge.
        """
        import elasticsearch

        pause = Pause(min(self.address.options.patience, getattr(self._limit, "s", math.inf)))
        while True:
            try:
                return question(self.client)
            except (elasticsearch.ConflictError, elasticsearch.NotFoundError):
                raise
            except (elasticsearch.ApiError, elasticsearch.TransportError) as error:
                if not whole and getattr(error, "status_code", None) == 429 and _may_pass(error):
                    raise TooMuch from error
                said = self.in_our_words(error)
                if not (_may_pass(error) and pause.left()):
                    raise said from error
            pause.wait()

    def version(self) -> str:
        """The server's version.

        Raises:
            SettingsError: it is older than what is spoken here.
        """
        told = str(self.ask(lambda client: client.info())["version"]["number"])
        if int(told.split(".")[0]) < OLDEST:
            raise _too_old(self.address.shown, told)
        return told

    def in_our_words(self, error: Exception) -> LikenessError:
        """What a failure is called here. Of what the server says only the kind is told: it may quote a document."""
        import elasticsearch

        place = self.address.shown
        if isinstance(error, elasticsearch.UnsupportedProductError):
            return SettingsError(f"what answers at {place} is no Elasticsearch")
        if isinstance(error, elasticsearch.ApiError):
            return _of_answer(place, error.status_code, _kind(error.body), _reason(error.body))
        if isinstance(error, elasticsearch.SSLError):
            return GalleryUnreachable(
                f"{place} does not show a certificate that is trusted here",
                hint="name the authority's file: ca_certs=/path/http_ca.crt, or fingerprint=…",
            )
        if isinstance(error, elasticsearch.ConnectionTimeout):
            limit = self.address.options.timeout
            return GalleryUnreachable(
                f"{place} did not answer within {limit:g} s", hint="try again, or give more time: timeout=30"
            )
        return GalleryUnreachable(f"nobody answers at {place}", hint="is it running, and are host and port right?")

    def close(self) -> None:
        """Close the connections."""
        self.client.close()


def _connected(address: Address) -> Elasticsearch:
    try:
        from elasticsearch import Elasticsearch
    except ImportError as error:
        raise ExtraMissing(
            "a gallery on Elasticsearch needs elasticsearch", hint="pip install 'likeness[elastic]'"
        ) from error
    options = address.options
    settings: dict[str, Any] = {}
    if address.nodes[0].startswith("https"):
        settings |= {"verify_certs": options.verify, "ssl_show_warn": False}
        settings |= {"ca_certs": options.ca_certs} if options.ca_certs else {}
        settings |= {"ssl_assert_fingerprint": options.fingerprint} if options.fingerprint else {}
    try:
        return Elasticsearch(
            list(address.nodes),
            api_key=address.api_key,
            basic_auth=address.login,
            request_timeout=options.timeout,
            max_retries=0,  # ours wait in between
            retry_on_timeout=False,
            connections_per_node=max(10, options.parallel),
            http_compress=False,
            **settings,
        )
    except (ValueError, OSError) as error:
        raise SettingsError(
            f"gallery {address.shown} cannot be used: {type(error).__name__}", hint="see docs/elasticsearch.md"
        ) from error


def _may_pass(error: Exception) -> bool:
    import elasticsearch

    if isinstance(error, elasticsearch.ApiError):
        return error.status_code in _AGAIN and not _is_full(_kind(error.body), _reason(error.body))
    silent = (elasticsearch.ConnectionError, elasticsearch.ConnectionTimeout)
    return isinstance(error, silent) and not isinstance(error, elasticsearch.SSLError)


def _kind(body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("type", "")) if isinstance(error, dict) else ""


def _reason(body: object) -> str:
    error = body.get("error") if isinstance(body, dict) else None
    return str(error.get("reason", "")) if isinstance(error, dict) else ""


def _is_full(kind: str, reason: str) -> bool:
    return kind == "cluster_block_exception" and ("flood" in reason or "read-only" in reason)


def _of_answer(place: str, status: int, kind: str, reason: str) -> LikenessError:
    if _is_full(kind, reason):
        return StorageFull(f"{place} takes no more: its disks are full", hint="make room on the cluster's disks")
    if status in (401, 403):
        words = "knows nobody of that name or key" if status == 401 else "does not allow this to that account"
        return StorageRefused(f"{place} {words}", hint="check the API key; docs/elasticsearch.md lists what it needs")
    if status in _AGAIN:
        return GalleryBusy(f"{place} is too busy or not ready ({status})", hint="try again later")
    if status == 404 and kind == "index_not_found_exception":
        return GalleryMissing(f"there is no gallery at {place}")
    if kind == "media_type_header_exception":
        return _too_old(place, "one before")
    return StorageError(f"{place} refused a request: {status} {kind or 'without a reason'}")


def _too_old(place: str, told: str) -> SettingsError:
    return SettingsError(f"{place} runs Elasticsearch {told}; {OLDEST} or later is needed", hint="upgrade the cluster")


def of_item(place: str, status: int, error: object) -> LikenessError:
    """What the failure of one item of a bulk request is called here."""
    body = {"error": error}
    return _of_answer(place, status, _kind(body), _reason(body))
