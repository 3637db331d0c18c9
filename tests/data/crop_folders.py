"""Crops of the sample people, and small data sets without pictures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from likeness.data.crop import Cropped, Pick, crop_dataset, open_cropper
from likeness.data.dataset import Dataset, Facts
from likeness.data.manifest import Row
from likeness.data.sources import open_source
from likeness.settings import Settings


def crop_folder(
    photos: Path, out: Path, *, pick: Pick = "central", side_px: int | None = None, rows: list[Row] | None = None
) -> Cropped:
    """Crop a folder for each person with the default models."""
    listing = open_source(photos, "folder")
    cropper = open_cropper(Settings.load(), pick=pick, side_px=side_px)
    facts = Facts(name=out.name, source="folder", steps=("test",))
    return crop_dataset(listing.rows if rows is None else rows, listing.folder, cropper, out, facts=facts)


def named(*counts: tuple[str, int]) -> list[Row]:
    """Rows of people with so many photos each; there are no files."""
    return [Row(path=f"crops/{name}/{at}.jpg", identity=name) for name, count in counts for at in range(count)]


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
