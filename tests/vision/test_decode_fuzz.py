"""Whatever the bytes, decoding gives a photo or one of the house's own errors."""

from __future__ import annotations

import os

import pytest
from decode_files import KINDS, sample
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import PhotoError
from likeness.vision.decode import DecodeLimits, decode_photo

# Damaged headers may claim any size: what is allowed is kept small so that no example takes long.
LIMITS = DecodeLimits(max_bytes=100_000, max_pixels=250_000)
FUZZ = settings(max_examples=100, deadline=None, derandomize=bool(os.environ.get("CI")))


def _survives(data: bytes, target: int | None) -> None:
    try:
        photo = decode_photo(data, limits=LIMITS, target_side_px=target)
    except PhotoError:
        return
    width, height = photo.size_px
    assert min(width, height) >= LIMITS.min_side_px
    assert width * height <= LIMITS.max_pixels
    if target is None:
        assert photo.pixels.shape == (height, width, 3)


TARGETS = st.sampled_from([None, 10])


@FUZZ
@given(st.binary(max_size=400), TARGETS)
def test_random_bytes(data: bytes, target: int | None) -> None:
    _survives(data, target)


@pytest.mark.parametrize("kind", KINDS)
@FUZZ
@given(data=st.data(), target=TARGETS)
def test_random_bytes_behind_a_valid_start(kind: str, data: st.DataObject, target: int | None) -> None:
    start = data.draw(st.integers(4, min(200, len(sample(kind)))))
    _survives(sample(kind)[:start] + data.draw(st.binary(max_size=300)), target)


@pytest.mark.parametrize("kind", KINDS)
@FUZZ
@given(data=st.data(), target=TARGETS)
def test_flipped_bits(kind: str, data: st.DataObject, target: int | None) -> None:
    damaged = bytearray(sample(kind))
    # Headers hold what can mislead: half of the flips go there.
    places = st.one_of(st.integers(0, min(len(damaged), 300) - 1), st.integers(0, len(damaged) - 1))
    for place, bit in data.draw(st.lists(st.tuples(places, st.integers(0, 7)), min_size=1, max_size=8)):
        damaged[place] ^= 1 << bit
    _survives(bytes(damaged), target)


@pytest.mark.parametrize("kind", KINDS)
@FUZZ
@given(data=st.data(), target=TARGETS)
def test_parts_cut_out_or_doubled(kind: str, data: st.DataObject, target: int | None) -> None:
    whole = sample(kind)
    first, second = sorted(data.draw(st.tuples(*[st.integers(1, len(whole))] * 2)))
    parts = {
        "cut off": whole[:first],
        "cut out": whole[:first] + whole[second:],
        "doubled": whole[:second] + whole[first:],
    }
    _survives(parts[data.draw(st.sampled_from(sorted(parts)))], target)
