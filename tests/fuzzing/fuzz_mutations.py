"""Damage to files: bits, tokens, lengths, cuts, doublings, and parts of other files, at any place."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

PLACES = 1 << 16
TOKENS = (
    b"\x00", b"\xff", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff", b"\x80\x00\x00\x00", b"\x00\x00\x00\x00",
    b"\xff" * 8, b"\x00" * 16, b"-1", b"0", b"1e999", b"-1e999", b"NaN", b"Infinity", b"null", b"true", b"[]", b"{}",
    b'""', b"99999999999999999999", b"9" * 5000, b"0x10", b"1.5", b'"', b"'", b",", b"\n", b"\r\n", b"\t", b"\\",
    b"../", b"/etc/passwd", b"..\\", b"%00", b"%s%n", b"\\u0000", b"\\ud800", b"\xed\xa0\x80", b"\xc3\x28",
    "\u202e".encode(), "\u0130".encode(), b"=1+1", b"[" * 3000, b'{"a":' * 3000, b"(" * 300, b"x" * 140_000, b"#", b";",
    b"__class__", b"!!python/object", b"cos\nsystem\n(S'true'\ntR.", b"\x80\x04", b"<", b"&",
)  # fmt: skip
"""What readers trip over: ends of ranges, numbers that are none, nesting, marks of other formats."""
KINDS = ("flip", "put", "insert", "cut out", "cut off", "double", "splice", "number", "length", "swap")


@dataclass(frozen=True, slots=True)
class Step:
    """One damage: its kind, two places (parts of `PLACES`), and a number that chooses among what may be put there."""

    kind: str
    place: int
    other: int
    choice: int


def damaged(data: bytes, steps: Sequence[Step], donors: Sequence[bytes]) -> bytes:
    """`data` after all steps; `donors` give the parts that are spliced in."""
    for step in steps:
        data = _step(data, step, donors)
    return data


def _step(data: bytes, step: Step, donors: Sequence[bytes]) -> bytes:
    size = len(data)
    at = step.place * size // PLACES
    until = min(size, at + 1 + step.other * min(size, 4096) // PLACES)
    token = TOKENS[step.choice % len(TOKENS)]
    if step.kind == "flip":
        return data[:at] + bytes([data[at] ^ 1 << step.choice % 8]) + data[at + 1 :] if size else data
    if step.kind == "put":
        return data[:at] + token + data[at + len(token) :]
    if step.kind == "insert":
        return data[:at] + token + data[at:]
    if step.kind == "cut out":
        return data[:at] + data[until:]
    if step.kind == "cut off":
        return data[:at]
    if step.kind == "double":
        return data[:until] + data[at:until] * (1 + step.choice % 4) + data[until:]
    if step.kind == "swap":
        middle = (at + until) // 2
        return data[:at] + data[middle:until] + data[at:middle] + data[until:]
    if step.kind == "splice":
        donor = donors[step.choice % len(donors)]
        start = step.other * len(donor) // PLACES
        return data[:at] + donor[start:]
    if step.kind == "number":
        found = list(re.finditer(rb"-?\d+(?:\.\d+)?(?:e-?\d+)?", data[:200_000]))
        if not found:
            return data
        hit = found[step.place * len(found) // PLACES]
        return data[: hit.start()] + token + data[hit.end() :]
    value = (0, 1, 2**31 - 1, 2**32 - 1, size, size * 2, step.other, 60_000)[step.choice % 8]
    order = "big" if step.choice & 8 else "little"
    width = (2, 4, 8)[step.choice // 16 % 3]
    return data[:at] + (value % (1 << 8 * width)).to_bytes(width, order) + data[at + width :]


def steps() -> st.SearchStrategy[list[Step]]:
    """One to eight steps. Headers hold what can mislead: half of the places are in the first tenth."""
    place = st.one_of(st.integers(0, PLACES // 10), st.integers(0, PLACES - 1))
    one = st.builds(Step, st.sampled_from(KINDS), place, st.integers(0, PLACES - 1), st.integers(0, 1000))
    return st.lists(one, min_size=1, max_size=8)


def random_steps(draw: random.Random) -> list[Step]:
    """As `steps`, without hypothesis, which keeps too much of each example to make a million."""
    count = min(1 + int(draw.expovariate(0.6)), 8)
    return [
        Step(
            draw.choice(KINDS),
            draw.randrange(PLACES // 10 if draw.random() < 0.5 else PLACES),
            draw.randrange(PLACES),
            draw.randrange(1001),
        )
        for _ in range(count)
    ]
