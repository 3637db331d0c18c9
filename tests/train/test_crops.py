"""Augmented pictures depend on seed, epoch and photo alone, and nothing else is moved by them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from patterned_people import write_patterned
from PIL import Image
from torch.utils.data import DataLoader

from likeness.bundle import InputSpec
from likeness.data.dataset import Dataset
from likeness.errors import DatasetError
from likeness.train.crops import Crops, augmentation, load_crops
from likeness.train.phone_export import some_crops

SIDE = 48
SPEC = InputSpec(side_px=SIDE, layout="NCHW", dtype="float32", mean=(120.0, 110.0, 100.0), scale=(0.02, 0.02, 0.01))
PIXELS = np.random.default_rng(0).integers(0, 256, (12, SIDE, SIDE, 3), np.uint8)
LABELS = np.arange(12) % 3


def crops(augment: str = "standard", seed: int = 0) -> Crops:
    return Crops(PIXELS, LABELS, SPEC, augment=augment, seed=seed)


def test_without_augmentation_pixels_are_normalised_and_nothing_else():
    picture, person = crops("none")[0, 5]
    assert person == 5 % 3
    expected = ((PIXELS[5].astype(np.float64) - SPEC.mean) * SPEC.scale).transpose(2, 0, 1)
    np.testing.assert_allclose(picture.numpy(), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["light", "standard"])
def test_the_same_seed_epoch_and_photo_give_the_same_picture_in_any_order(name):
    places = [(epoch, index) for epoch in range(2) for index in range(12)]
    forwards = {place: crops(name)[place][0] for place in places}
    torch.manual_seed(99)
    again = crops(name)
    for place in reversed(places):
        assert torch.equal(again[place][0], forwards[place])


def test_other_seeds_epochs_and_photos_give_other_pictures():
    same = Crops(PIXELS[[0, 0]], LABELS[:2], SPEC, augment="standard")
    pictures = [same[0, 0][0], same[1, 0][0], same[0, 1][0], crops(seed=1)[0, 0][0]]
    assert all(not torch.equal(pictures[a], pictures[b]) for a in range(4) for b in range(a))


def test_the_number_of_workers_does_not_change_the_pictures():
    batches = [[(3, 1), (3, 7)], [(3, 0), (3, 11)], [(4, 1), (3, 2)]]
    seen = []
    for workers in (0, 2):
        loader = DataLoader(crops(), batch_sampler=batches, num_workers=workers)
        seen.append([picture for pictures, _ in loader for picture in pictures])
    assert all(torch.equal(here, there) for here, there in zip(*seen, strict=True))


@pytest.mark.parametrize("name", ["none", "light", "standard"])
def test_the_global_generators_stay_where_they_were(name):
    part = crops(name)
    before, numpy_before = torch.get_rng_state(), np.random.get_state()[1].copy()
    for index in range(12):
        part[0, index]
    assert torch.equal(torch.get_rng_state(), before)
    assert np.array_equal(np.random.get_state()[1], numpy_before)


def test_augmentation_keeps_shape_and_type_and_the_face_in_the_picture():
    face = torch.zeros(3, SIDE, SIDE, dtype=torch.uint8)
    face[:, 16:32, 16:32] = 255
    for name in ("light", "standard"):
        change = augmentation(name, SIDE)
        assert change is not None
        for seed in range(30):
            torch.manual_seed(seed)
            out = change(face)
            assert out.shape == face.shape
            assert out.dtype == torch.uint8
            assert (out > 127).float().mean() > 0.03, "of the bright tenth of the picture something is left"


def test_crops_are_read_at_the_size_asked_for(sample_crops: Dataset):
    rows = sample_crops.rows[:3]
    told = []
    pixels = load_crops(sample_crops, rows, 64, progress=lambda done, total: told.append((done, total)))
    assert pixels.shape == (3, 64, 64, 3)
    assert told == [(1, 3), (2, 3), (3, 3)]
    with Image.open(sample_crops.path(rows[1])) as image:
        expected = np.asarray(image.convert("RGB").resize((64, 64), Image.Resampling.BICUBIC))
    assert np.array_equal(pixels[1], expected)
    whole = load_crops(sample_crops, rows, 150)
    with Image.open(sample_crops.path(rows[2])) as image:
        assert np.array_equal(whole[2], np.asarray(image))


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"\xff\xd8\xff\xe0 cut off"])
def test_a_crop_that_is_missing_or_damaged_is_named(sample_crops: Dataset, tmp_path, content):
    broken = replace(sample_crops, folder=tmp_path)
    path = broken.path(broken.rows[0])
    if content is not None:
        path.parent.mkdir(parents=True)
        path.write_bytes(content)
    with pytest.raises(DatasetError, match=path.name) as caught:
        load_crops(broken, broken.rows[:1], 64)
    assert caught.value.hint == "make the crops anew"


def test_crops_of_people_whom_nobody_named_are_compared_on_too(tmp_path):
    named = write_patterned(tmp_path, ["one", "two", "three"], of_each=2)
    nameless = replace(named, rows=tuple(replace(row, identity="") for row in named.rows))
    assert len(some_crops(named, 64)) == 3
    assert len(some_crops(nameless, 64)) == 6
    with pytest.raises(DatasetError, match="no crops to compare on"):
        some_crops(replace(named, rows=()), 64)
