"""Crops of the sample people, and small data sets without pictures."""

from __future__ import annotations

from pathlib import Path

from likeness.data.crop import Cropped, Pick, crop_dataset, open_cropper
from likeness.data.dataset import Facts
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
