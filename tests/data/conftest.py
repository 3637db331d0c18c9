"""Crops of the sample people."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from crop_folders import crop_folder

from likeness.data.dataset import Dataset


@pytest.fixture(scope="session")
def _cropped_samples(samples: Path, home_of_their_own: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("crops") / "samples"
    crop_folder(samples / "people", out)
    return out


@pytest.fixture
def cropped(_cropped_samples: Path, tmp_path: Path) -> Dataset:
    """The sample people's crops, this test's own copy."""
    shutil.copytree(_cropped_samples, tmp_path / "samples")
    return Dataset.read(tmp_path / "samples")


@pytest.fixture
def few(samples: Path, tmp_path: Path) -> Callable[[int], Path]:
    """Makes a folder with the first two photos of so many people."""

    def make(people: int) -> Path:
        for person in sorted((samples / "people").iterdir())[:people]:
            (tmp_path / "photos" / person.name).mkdir(parents=True)
            for photo in sorted(person.iterdir())[:2]:
                shutil.copy(photo, tmp_path / "photos" / person.name / photo.name)
        return tmp_path / "photos"

    return make
