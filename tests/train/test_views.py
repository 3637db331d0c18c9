"""Views are functions of seed, round and photo, and look as their plan says."""

from __future__ import annotations

import pytest
import torch

from likeness.data.dataset import Dataset
from likeness.train.crops import load_crops
from likeness.train.views import PLANS, ViewPlan, Views
from likeness.train.watched import planes

STILL = PLANS["none"]


@pytest.fixture(scope="module")
def faces(sample_crops: Dataset) -> torch.Tensor:
    return planes(load_crops(sample_crops, sample_crops.rows, 96))


def test_a_view_does_not_depend_on_what_else_is_in_the_batch(faces):
    views = Views(faces, PLANS["strong"], seed=4)
    together = views.shared(2, torch.arange(20))
    for at in (0, 7, 19):
        torch.testing.assert_close(views.shared(2, torch.tensor([at]))[0], together[at])


def test_rounds_and_seeds_give_other_views_and_the_first_round_the_crops_as_they_are(faces):
    views = Views(faces, PLANS["strong"], seed=4)
    some = torch.arange(8)
    assert torch.equal(views.shared(0, some), faces[:8])
    assert not torch.equal(views.shared(1, some), views.shared(2, some))
    assert not torch.equal(views.shared(1, some), Views(faces, PLANS["strong"], seed=5).shared(1, some))


def test_blended_faces_lie_between_two_and_are_told_of(faces):
    views = Views(faces, ViewPlan(**{**vars_of(STILL), "blend": 0.5}), seed=1)
    places = torch.arange(48)
    seen, blended = views.shared(1, places), views.blended(1, places)
    changed = (seen != faces).flatten(1).any(1)
    assert 10 < int(blended.sum()) < 38
    assert not bool((changed & ~blended).any())
    assert int((blended & ~changed).sum()) <= 2, "only who was blended with himself is as before"


def test_a_student_without_haste_sees_the_view_or_its_mirror_image(faces):
    views = Views(faces, STILL)
    seen = views.student(faces[:16], 96, torch.Generator().manual_seed(0)).round().to(torch.uint8)
    plain = (seen == faces[:16]).flatten(1).all(1)
    mirrored = (seen == faces[:16].flip(3)).flatten(1).all(1)
    assert bool((plain | mirrored).all())
    assert 0 < int(mirrored.sum()) < 16


@pytest.mark.parametrize("what", ["stretch", "bend", "light", "grey", "blur", "noise", "cover"])
def test_each_part_of_a_plan_changes_faces_and_keeps_them_pictures(faces, what):
    plan = ViewPlan(**{**vars_of(STILL), what: 1.0 if what in ("grey", "blur", "noise", "cover") else 0.05})
    seen = Views(faces, plan).shared(1, torch.arange(12))
    assert seen.shape == faces[:12].shape
    assert seen.dtype == torch.uint8
    changed = (seen.int() - faces[:12].int()).abs().float().flatten(1).mean(1)
    assert bool((changed > 0).all())
    assert float(changed.mean()) < 60
    if what == "grey":
        assert int((seen.int().amax(1) - seen.int().amin(1)).max()) <= 1


def test_what_is_no_batch_of_crops_is_refused():
    with pytest.raises(ValueError, match="expected crops"):
        Views(torch.zeros(3, 8, 8, 3, dtype=torch.uint8), STILL)


def vars_of(plan: ViewPlan) -> dict[str, float]:
    return {name: getattr(plan, name) for name in ViewPlan.__slots__}
