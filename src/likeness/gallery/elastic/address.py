"""Addresses of galleries on Elasticsearch: where, as whom, and with which settings.

`elasticsearch://host[:port][,host…][/prefix][?option=value&…]`, over TLS `elasticsearch+https://…`. Before the hosts
may stand `user:password@`, or `:key@` for an API key, percent-encoded; better is `api_key_file=`, or the environment
variable `ELASTIC_API_KEY`, which stands in no list of processes.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from likeness.addresses import masked
from likeness.errors import SettingsError

PREFIX = "likeness"
_PORT = 9200
_PREFIX = re.compile(r"[a-z0-9][a-z0-9_.-]{0,99}")
_HERE = re.compile(r"(localhost|127(\.\d+){3}|\[::1\])(:\d+)?")
_KINDS = ("int8_hnsw", "hnsw", "int4_hnsw", "bbq_hnsw", "int8_flat", "flat")
_LIMITS = {
    "timeout": (0.1, 600.0),
    "patience": (0.1, 3600.0),
    "lease": (0.1, 3600.0),
    "shards": (1, 1024),
    "m": (2, 512),
    "ef_construction": (1, 3200),
    "exact": (0, 10_000_000),
    "candidates": (10, 10_000),
    "oversample": (1.0, 10.0),
    "bulk_bytes": (10_000, 90_000_000),
    "bulk_count": (1, 10_000),
    "parallel": (1, 64),
}


@dataclass(frozen=True, slots=True)
class Options:
    """What the query of an address may say; see docs/elasticsearch.md.

    Attributes:
        timeout: seconds for one request.
        patience: seconds in which what is refused as too much, or not answered, is tried again; and how long a writer
            waits for others.
        lease: seconds after which a writer of whom nothing is heard is taken for dead.
        shards, replicas: of the index of faces; `replicas` also `0-1`, as `auto_expand_replicas`.
        index: how vectors are indexed; `m` and `ef_construction` are its graph's.
        exact: up to how many faces each is compared.
        candidates: at least so many are looked at in each shard's graph.
        oversample: so many times more than asked for are scored again with full precision.
        bulk_bytes, bulk_count: the most that one bulk request carries.
        parallel: how many searches of one call run at once.
        ca_certs, verify: whose certificates are trusted, and whether that is looked at.
        fingerprint: SHA-256 of the only certificate that is trusted.
        api_key_file: a file that holds an API key.
        allow_plain: whether a password or key may travel without TLS to another machine.
    """

    timeout: float = 10.0
    patience: float = 30.0
    lease: float = 30.0
    shards: int = 1
    replicas: str = "0-1"
    index: str = "int8_hnsw"
    m: int = 16
    ef_construction: int = 100
    exact: int = 10_000
    candidates: int = 200
    oversample: float = 3.0
    bulk_bytes: int = 8_000_000
    bulk_count: int = 500
    parallel: int = 8
    ca_certs: str = ""
    verify: bool = True
    fingerprint: str = ""
    api_key_file: str = ""
    allow_plain: bool = False


@dataclass(frozen=True, slots=True)
class Address:
    """A gallery's place: `nodes` as URLs, `prefix` of its indexes' names, `shown` for people and logs."""

    nodes: tuple[str, ...]
    prefix: str
    options: Options
    shown: str
    api_key: str | None = field(default=None, repr=False)
    login: tuple[str, str] | None = field(default=None, repr=False)


def parse(uri: str, environment: Mapping[str, str] | None = None) -> Address:
    """What an address says.

    Raises:
        SettingsError: it cannot be used; the message does not repeat what is secret in it.
    """
    shown = masked(uri)
    try:
        split = urlsplit(uri)
    except ValueError as error:
        raise SettingsError(f"{shown} is no address", hint="elasticsearch+https://host:9200/likeness") from error
    account, _, hosts = split.netloc.rpartition("@")
    names = [name for name in hosts.split(",") if name]
    prefix = split.path.strip("/") or PREFIX
    if not names:
        raise SettingsError(f"{shown} names no host", hint="elasticsearch+https://host:9200/likeness")
    if not _PREFIX.fullmatch(prefix):
        raise SettingsError(
            f"{shown}: {prefix!r} cannot begin the names of indexes", hint="use lower-case letters, digits and - _ ."
        )
    options = _options(split.query, shown)
    tls = split.scheme.endswith("+https")
    login, key = _account(account, options, os.environ if environment is None else environment)
    if (login or key) and not tls and not options.allow_plain and not all(map(_HERE.fullmatch, names)):
        raise SettingsError(
            f"{shown} would send a password or key over the network in the clear",
            hint="use elasticsearch+https://, or say allow_plain=yes where the network is trusted",
        )
    nodes = tuple(_node(name, "https" if tls else "http", shown) for name in names)
    return Address(nodes, prefix, options, shown, key, login)


def _node(name: str, scheme: str, shown: str) -> str:
    try:
        parts = urlsplit(f"{scheme}://{name}")
        port = parts.port or _PORT
    except ValueError as error:
        raise SettingsError(f"{shown}: {name!r} is no host and port") from error
    host = parts.hostname or ""
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


def _account(
    account: str, options: Options, environment: Mapping[str, str]
) -> tuple[tuple[str, str] | None, str | None]:
    """The name and password, or the API key, that an address or its surroundings name."""
    user, _, secret = account.partition(":")
    if user:
        return (unquote(user), unquote(secret)), None
    if secret:
        return None, unquote(secret)
    if options.api_key_file:
        try:
            return None, Path(options.api_key_file).read_text().strip()
        except OSError as error:
            raise SettingsError(f"api_key_file {options.api_key_file} cannot be read: {error.strerror}") from error
    return None, environment.get("ELASTIC_API_KEY") or None


def _options(query: str, shown: str) -> Options:
    known = {each.name: type(each.default) for each in fields(Options)}
    given: dict[str, object] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        if name not in known:
            raise SettingsError(f"{shown}: no option is called {name!r}", hint=f"known: {', '.join(sorted(known))}")
        given[name] = _value(name, value, known[name], shown)
    return Options(**given)  # type: ignore[arg-type]


def _value(name: str, value: str, kind: type, shown: str) -> object:
    if kind is bool:
        words = {"yes": True, "true": True, "1": True, "no": False, "false": False, "0": False}
        if value.lower() in words:
            return words[value.lower()]
        raise SettingsError(f"{shown}: {name} is yes or no, not {value!r}")
    if name == "index" and value not in _KINDS:
        raise SettingsError(f"{shown}: index is one of {', '.join(_KINDS)}, not {value!r}")
    if name == "replicas" and not re.fullmatch(r"\d{1,2}(-\d{1,2}|-all)?", value):
        raise SettingsError(f"{shown}: replicas is a number, or a range as 0-1, not {value!r}")
    if kind is str:
        return value
    low, high = _LIMITS[name]
    try:
        number = kind(value)
    except ValueError as error:
        raise SettingsError(f"{shown}: {name} is a number, not {value!r}") from error
    if not low <= number <= high:
        raise SettingsError(f"{shown}: {name} is from {low:,} to {high:,}, not {value}")
    return number
