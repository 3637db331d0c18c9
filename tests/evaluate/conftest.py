"""Crops of the sample photos as a data set, and samples made of random vectors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from likeness.bundle import Bundle
from likeness.data.crop import crop_dataset, open_cropper
from likeness.data.dataset import Dataset, Facts
from likeness.data.sources import open_source
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.sample import Sample
from likeness.settings import Settings


@pytest.fixture(scope="session")
def bundle(home_of_their_own) -> Bundle:
    """The default embedder's bundle."""
    settings = Settings.load()
    return settings.library().find(settings.embedder)


@pytest.fixture(scope="session")
def crops(samples, home_of_their_own, tmp_path_factory) -> Dataset:
    """The twelve people of the samples, four crops each: six people test, four train, two validation."""
    out = tmp_path_factory.mktemp("crops")
    listing = open_source(samples / "people")
    cropper = open_cropper(Settings.load())
    facts = Facts(name="samples", source="folder")
    done = crop_dataset(listing.rows, listing.folder, cropper, out, facts=facts).dataset
    people = sorted({row.identity for row in done.rows})
    split = {name: "test" if at < 6 else "train" if at < 10 else "validation" for at, name in enumerate(people)}
    labelled = [
        replace(
            row, split=split[row.identity], labels={"gender": "female" if people.index(row.identity) % 2 else "male"}
        )
        for row in done.rows
    ]
    dataset = done.with_rows(labelled, step="split and labelled by the tests")
    dataset.write()
    return dataset


@pytest.fixture(scope="session")
def cache(tmp_path_factory) -> Path:
    """Where embeddings are kept for all tests."""
    return tmp_path_factory.mktemp("embeddings")


def make_sample(photos_per_person: list[int], *, spread: float = 1.0, seed: int = 0, dimension: int = 16) -> Sample:
    """People as random directions, photos scattered around them; every photo has a face."""
    rng = np.random.default_rng(seed)
    people = np.repeat([f"person {place:03d}" for place in range(len(photos_per_person))], photos_per_person)
    centres = rng.normal(size=(len(photos_per_person), dimension))
    vectors = np.repeat(centres, photos_per_person, axis=0) + spread * rng.normal(size=(len(people), dimension))
    vectors = (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
    order = rng.permutation(len(people))
    paths = [f"{number:04d}.jpg" for number in range(len(people))]
    return Sample(people[order], Embedded(vectors[order], np.ones(len(people), np.intp)), paths)


@pytest.fixture(scope="session")
def sample_of():
    """`make_sample`, for tests that want several."""
    return make_sample
