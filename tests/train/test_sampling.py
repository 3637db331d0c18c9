"""Batches: who stands in them depends on seed and epoch alone, and nobody is left out or doubled."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.train.sampling import Batches

photo_counts = st.lists(st.integers(1, 9), min_size=2, max_size=15)
seeds = st.integers(0, 2**31)


def labels_of(counts: list[int], seed: int = 0) -> np.ndarray:
    """Numbers of people, so many photos each, in no order."""
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(counts)), counts))


@settings(max_examples=150, deadline=None)
@given(photo_counts, st.integers(1, 5), seeds, st.data())
def test_a_batch_of_triplets_holds_p_people_with_k_photos_each(counts, each, seed, data):
    people = data.draw(st.integers(1, len(counts)))
    labels = labels_of(counts)
    batches = list(Batches(labels, batch_size=people * each, per_person=each, seed=seed))
    for batch in batches:
        found = Counter(labels[index] for _, index in batch)
        assert len(found) == people, "nobody stands twice in a batch"
        assert set(found.values()) == {each}
        for person in found:
            photos = [index for _, index in batch if labels[index] == person]
            assert len(set(photos)) == min(each, counts[person]), "a photo comes twice only where there are too few"


@settings(max_examples=100, deadline=None)
@given(photo_counts, seeds)
def test_all_people_come_up_before_anybody_comes_again(counts, seed):
    labels = labels_of(counts)
    batches = Batches(labels, batch_size=2, per_person=1, seed=seed)
    drawn = [labels[index] for batch in batches for _, index in batch]
    often = Counter(drawn)
    most, least = max(often.values()), min(often[person] for person in range(len(counts)))
    assert most - least <= 1


@settings(max_examples=150, deadline=None)
@given(photo_counts, st.integers(2, 20), seeds, st.integers(0, 50))
def test_a_shuffled_epoch_shows_every_photo_once(counts, size, seed, epoch):
    labels = labels_of(counts)
    sampler = Batches(labels, batch_size=size, seed=seed)
    sampler.set_epoch(epoch)
    batches = list(sampler)
    shown = [index for batch in batches for _, index in batch]
    assert len(shown) == len(set(shown))
    left_out = len(labels) - len(shown)
    assert left_out * 2 < size, "only a last batch of less than half the size is left out"
    assert all(len(batch) == size for batch in batches[:-1])
    assert {at for batch in batches for at, _ in batch} == {epoch}, "every place says of which epoch it is"
    assert len(sampler) == len(batches)


def test_what_is_left_out_differs_from_epoch_to_epoch():
    sampler = Batches(np.zeros(13, np.intp), batch_size=10)
    shown = set()
    for epoch in range(30):
        sampler.set_epoch(epoch)
        shown |= {index for batch in sampler for _, index in batch}
    assert shown == set(range(13))


@settings(max_examples=60, deadline=None)
@given(photo_counts, seeds, st.lists(st.integers(0, 20), max_size=5), st.integers(0, 20), st.sampled_from([0, 2]))
def test_an_epoch_has_the_same_batches_whatever_came_before(counts, seed, before, epoch, each):
    labels = labels_of(counts)
    first, second = (Batches(labels, batch_size=4, per_person=each, seed=seed) for _ in range(2))
    for other in before:
        first.set_epoch(other)
        list(first)
    first.set_epoch(epoch)
    second.set_epoch(epoch)
    assert list(first) == list(second)
    assert list(first) == list(second), "reading them does not change them"


def test_other_epochs_and_seeds_have_other_batches():
    labels = labels_of([5] * 10)
    sampler = Batches(labels, batch_size=10, per_person=2)
    first = list(sampler)
    sampler.set_epoch(1)
    plain = [[index for _, index in batch] for batch in sampler]
    assert plain != [[index for _, index in batch] for batch in first]
    assert list(Batches(labels, batch_size=10, per_person=2, seed=1)) != first


@settings(max_examples=100, deadline=None)
@given(photo_counts, seeds, st.integers(1, 4), st.sampled_from([0, 2]))
def test_processes_share_the_batches_of_an_epoch(counts, seed, world, each):
    labels = labels_of(counts)
    whole = list(Batches(labels, batch_size=4, per_person=each, seed=seed))
    shares = [
        list(Batches(labels, batch_size=4, per_person=each, seed=seed, rank=rank, world=world)) for rank in range(world)
    ]
    assert len({len(share) for share in shares}) == 1, "who has fewer batches would let the others wait"
    turns = [batch for turn in zip(*shares, strict=True) for batch in turn]
    assert turns == whole[: len(turns)]
    assert len(whole) - len(turns) < world


def test_lightning_finds_where_to_set_the_epoch():
    sampler = Batches(np.arange(4), batch_size=2)
    assert sampler.sampler is sampler


def test_more_people_than_there_are_cannot_stand_in_a_batch():
    with pytest.raises(ValueError, match="at least 3 people, got 2"):
        Batches(np.array([0, 0, 1, 1]), batch_size=6, per_person=2)
