"""Photos that are there twice, and balance."""

from __future__ import annotations

import io
import shutil
from dataclasses import replace

import numpy as np
import pytest
from crop_folders import named
from PIL import Image, ImageEnhance

from likeness.data.balance import balance_of
from likeness.data.dataset import Dataset
from likeness.data.duplicates import Duplicate, compare_edges, edges_of, find_duplicates, groups_of
from likeness.data.manifest import Row
from likeness.errors import DatasetError


@pytest.fixture
def crops(cropped: Dataset) -> Dataset:
    """One crop of each person: the samples of one person are one portrait in several scenes."""
    return Dataset(cropped.folder, cropped.facts, cropped.rows[::4])


def changed(picture: Image.Image, how: str) -> Image.Image:
    """The same shot as another file has it."""
    if how == "smaller":
        return picture.resize((90, 90), Image.Resampling.LANCZOS)
    if how == "brighter":
        return ImageEnhance.Brightness(picture).enhance(1.25)
    if how == "grey":
        return picture.convert("L").convert("RGB")
    if how == "shifted":
        return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, 3, 0, 1, -2))
    data = io.BytesIO()
    picture.save(data, "JPEG", quality=25)
    return Image.open(data)


def with_copy(dataset: Dataset, at: int, how: str, identity: str, split: str = "") -> Dataset:
    """The data set with one more row: row `at`'s picture, changed."""
    row = dataset.rows[at]
    path = f"crops/copy-{how}.png"
    with Image.open(dataset.path(row)) as picture:
        changed(picture, how).save(dataset.folder / path)
    new = replace(row, path=path, identity=identity, sha256="", split=split)
    return Dataset(dataset.folder, dataset.facts, (*dataset.rows, new))


def test_photos_of_different_people_are_no_duplicates(crops):
    assert find_duplicates(crops) == []


@pytest.mark.parametrize("how", ["smaller", "brighter", "grey", "shifted", "recoded"])
def test_the_same_shot_is_found_however_it_was_saved(crops, how):
    found = find_duplicates(with_copy(crops, 5, how, crops.rows[5].identity))
    assert [(pair.first.path, pair.second.path) for pair in found] == [(crops.rows[5].path, f"crops/copy-{how}.png")]
    assert not found[0].exact
    assert not found[0].conflict


def test_one_photo_under_two_names_is_a_conflict(crops):
    (found,) = find_duplicates(with_copy(crops, 5, "grey", "Somebody Else"))
    assert found.conflict
    (found,) = find_duplicates(with_copy(crops, 5, "grey", crops.rows[5].identity.upper()))
    assert not found.conflict


def test_equal_files_are_found_without_being_looked_at(crops):
    row = crops.rows[3]
    shutil.copy(crops.path(row), crops.folder / "crops" / "again.jpg")
    rows = (*crops.rows, replace(row, path="crops/again.jpg"))
    for near in (True, False):
        (found,) = find_duplicates(Dataset(crops.folder, crops.facts, rows), near=near)
        assert (found.exact, found.likeness, found.second.path) == (True, 1.0, "crops/again.jpg")


def test_small_pictures_are_kept_for_the_next_time_and_half_a_record_is_forgotten(crops):
    assert find_duplicates(crops) == []
    (kept,) = (crops.folder / "embeddings").glob("small-*")
    whole = kept.read_bytes()
    kept.write_bytes(whole[:-100])
    assert find_duplicates(crops) == []
    assert kept.read_bytes()[: len(whole) - 1000] == whole[: len(whole) - 1000]
    assert len(kept.read_bytes()) == len(whole)


def test_a_crop_that_is_gone_is_said_to_be_so(crops):
    crops.path(crops.rows[0]).unlink()
    with pytest.raises(DatasetError, match="cannot be read"):
        find_duplicates(crops)


def test_flat_pictures_are_alike_to_nothing():
    flat = edges_of(np.full((64, 64), 90, np.uint8))
    assert compare_edges(flat, flat) == 0.0


def test_pairs_that_share_a_photo_make_one_group():
    a, b, c, d, e = (Row(path=name) for name in "abcde")
    pairs = [Duplicate(b, a, 1, True), Duplicate(b, c, 1, True), Duplicate(d, e, 1, True)]
    assert [[row.path for row in group] for group in groups_of(pairs)] == [["a", "b", "c"], ["d", "e"]]


def test_balance_of_people_with_equally_many_photos():
    found = balance_of(named(("A", 3), ("B", 3), ("C", 3), ("", 2)))
    assert (found.people, found.photos, found.nameless, found.singles) == (3, 9, 2, 0)
    assert (found.gini, found.effective_people) == (pytest.approx(0), pytest.approx(3))


def test_gini_is_half_the_relative_mean_difference_of_all_pairs():
    counts = {"A": 1, "B": 1, "C": 7, "D": 20}
    values = np.array(list(counts.values()), float)
    expected = np.abs(values[:, None] - values[None]).mean() / (2 * values.mean())
    found = balance_of(named(*counts.items()))
    assert found.gini == pytest.approx(expected)
    assert 1 < found.effective_people < 4
    assert (found.least, found.median, found.largest, found.most[0]) == (1, 4.0, 20, ("D", 20))


def test_a_data_set_without_names_has_no_balance():
    assert balance_of([Row(path="a")]).as_dict()["people"] == 0
