"""Train, validation and test by person: nobody is in two of them, whatever the order of the rows."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache

from likeness.data.manifest import SPLITS, Row, Split
from likeness.errors import InputError

DEFAULT_SHARES = (0.6, 0.2, 0.2)


def split_by_person(
    rows: Iterable[Row],
    *,
    shares: Sequence[float] = DEFAULT_SHARES,
    min_photos: int = 2,
    seed: int = 0,
    fixed: Mapping[str, Split] | None = None,
    nameless: bool = False,
    together: Iterable[Sequence[Row]] = (),
) -> tuple[Row, ...]:
    """The rows with their split: people in the order of a hash of seed and name, cut where the shares say.

    A person is what `person_key` says, so that names written differently stay together. Rows of people with fewer
    than `min_photos`, and those without identity, are in no split. `fixed` puts people (by identity) into a split;
    the shares then hold of all people, as far as the others suffice. With `nameless` each photo without identity is
    placed by itself, as if it were a person's only one and that were enough; but those of a group `together` (no row
    in two of them) go into one split, that of the person whom the group names, if it names one.

    Args:
        shares: of train, validation and test; they are scaled to sum to 1.

    Raises:
        InputError: the shares cannot be used, or `fixed` names one person's variants for two splits.
    """
    listed = tuple(rows)
    fractions = _fractions(shares)
    photos = Counter(person_key(row.identity) for row in listed if row.identity)
    bound = _by_key(fixed or {})
    counted = sorted(key for key, count in photos.items() if count >= min_photos)
    placed = {key: bound[key] for key in counted if key in bound}
    placed |= _place([key for key in counted if key not in bound], fractions, seed, tuple(placed.values()))
    leaders = _leaders(together, placed) if nameless else {}
    keys = [person_key(row.identity) if row.identity else _leader(row, leaders) for row in listed]
    if nameless:
        alone = {key for row, key in zip(listed, keys, strict=True) if not row.identity} - placed.keys()
        placed |= _place(sorted(alone), fractions, seed)
    return tuple(replace(row, split=placed.get(key, "")) for row, key in zip(listed, keys, strict=True))


@lru_cache(maxsize=1 << 16)
def person_key(identity: str) -> str:
    """A name without what two writings of it may differ in: case, accents' form, width, spaces, underscores, dashes.

    `Anna_Smith`, `anna smith` and `Anna-Smith ` have one key.
    """
    plain = unicodedata.normalize("NFKC", identity).casefold()
    return re.sub(r"[\s_\-.]+", " ", plain).strip() or identity


def parse_shares(text: str) -> tuple[float, float, float]:
    """`60/20/20` as shares of train, validation and test.

    Raises:
        InputError: it is not three numbers that can be shares.
    """
    try:
        train, validation, test = _fractions([float(part) for part in re.split(r"[/,:]", text)])
    except ValueError:
        raise InputError(
            f"the shares {text!r} are not three numbers", hint="write train/validation/test, as 60/20/20"
        ) from None
    return train, validation, test


def _fractions(shares: Sequence[float]) -> list[float]:
    total = sum(shares)
    if len(shares) != len(SPLITS) or not all(0 <= share < float("inf") for share in shares) or total <= 0:
        raise InputError(
            f"expected three shares of at least 0 that are not all 0, got {list(shares)}",
            hint="give train, validation and test, as 60/20/20",
        )
    return [share / total for share in shares]


def _by_key(fixed: Mapping[str, Split]) -> dict[str, Split]:
    bound: dict[str, Split] = {}
    for identity, split in fixed.items():
        key = person_key(identity)
        if bound.setdefault(key, split) != split:
            raise InputError(f"a person is to be in {bound[key]!r} and in {split!r}: {identity!r}")
    return bound


def _place(keys: Sequence[str], fractions: Sequence[float], seed: int, taken: Sequence[Split] = ()) -> dict[str, Split]:
    """A split for each key, in order of their hashes, so that the shares hold with those that are `taken` already."""
    wanted = _whole(fractions, len(keys) + len(taken))
    room = [max(count - sum(split == name for split in taken), 0) for count, name in _named(wanted)]
    ordered = sorted(keys, key=lambda key: hashlib.sha256(f"{seed}\0{key}".encode("utf-8", "surrogatepass")).digest())
    placed: dict[str, Split] = {}
    for count, name in _named(_whole(room if sum(room) else fractions, len(keys))):
        placed |= dict.fromkeys(ordered[:count], name)
        ordered = ordered[count:]
    return placed


def _lone_key(row: Row) -> str:
    """What a photo without identity is placed by; no person's key begins so."""
    return f"\0{row.photo or row.path}"


def _leader(row: Row, leaders: Mapping[str, str]) -> str:
    key = _lone_key(row)
    return leaders.get(key, key)


def _leaders(together: Iterable[Sequence[Row]], placed: Mapping[str, Split]) -> dict[str, str]:
    """What each nameless photo of a group is placed by: a person of the group who has a split, or its first photo."""
    found: dict[str, str] = {}
    for group in together:
        named = sorted({person_key(row.identity) for row in group if row.identity} & placed.keys())
        alone = sorted(_lone_key(row) for row in group if not row.identity)
        for key in alone:
            found[key] = (named or alone)[0]
    return found


def _named(counts: Sequence[int]) -> list[tuple[int, Split]]:
    return list(zip(counts, SPLITS, strict=True))


def _whole(weights: Sequence[float], total: int) -> list[int]:
    """`total` in whole parts nearest to the weights: largest remainders (Hamilton's method)."""
    exact = [weight / sum(weights) * total for weight in weights]
    counts = [int(part + 1e-9) for part in exact]
    by_remainder = sorted(range(len(exact)), key=lambda at: counts[at] - exact[at])
    for at in by_remainder[: total - sum(counts)]:
        counts[at] += 1
    return counts
