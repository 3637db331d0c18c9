"""A student that is cut out of its teacher says nearly what the teacher says, before it has learnt anything."""

from __future__ import annotations

import copy
import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.bundle import PACKAGED
from likeness.data.dataset import Dataset
from likeness.errors import ModelError
from likeness.train.crops import load_crops
from likeness.train.cutting import cut_student, keep_channels, read_off
from likeness.train.distil_losses import centred
from likeness.train.distil_run import planes, resized
from likeness.train.onnx_export import run_onnx
from likeness.train.residual import Grid, ResidualNet, read_residual

MODEL = PACKAGED / "dlib-resnet-int8" / "model.onnx"


@pytest.fixture(scope="module")
def teacher() -> ResidualNet:
    return read_residual(MODEL)


@pytest.fixture(scope="module")
def faces(sample_crops: Dataset) -> torch.Tensor:
    """The 48 sample faces `(48, 3, 150, 150)`, people after each other."""
    return planes(load_crops(sample_crops, sample_crops.rows, 150))


def unit(network: ResidualNet, faces: torch.Tensor) -> torch.Tensor:
    with torch.inference_mode():
        return functional.normalize(network(resized(faces, network.side_px).float()), dim=1)


def test_the_packaged_network_comes_back_in_torch(teacher, faces):
    expected = torch.from_numpy(run_onnx(MODEL, faces[:6].permute(0, 2, 3, 1).contiguous().numpy()))
    cosines = (unit(teacher, faces[:6]) * functional.normalize(expected)).sum(1)
    assert float(cosines.min()) > 0.99  # the file rounds between layers, torch does not


def test_a_network_of_another_form_is_refused_with_what_to_do():
    with pytest.raises(ModelError, match="no student can be cut") as told:
        read_residual(PACKAGED / "mtcnn" / "onet.onnx")
    assert "--list" in (told.value.hint or "")


@pytest.mark.parametrize(("side", "kernel"), [(150, 7), (112, 5), (104, 3), (128, 7)])
def test_maps_are_as_large_as_their_grids_say(side, kernel):
    network = ResidualNet(side_px=side, kernel=kernel, inner=(2, 2, 2, 2, 2))
    with torch.inference_mode():
        sizes = [tuple(each.shape[2:]) for each in network.maps(torch.zeros(1, 3, side, side))]
    assert sizes == [(grid.size, grid.size) for grid in network.grids()[1:]]


def test_reading_a_map_off_gives_the_values_at_the_other_grids_places():
    source, target = Grid(20, 0.025, 0.05), Grid(13, 0.05, 0.07)
    ramp = torch.tensor([source.first + source.step * at for at in range(20)])
    maps = (ramp[:, None] * 2 + ramp[None, :] * 3).expand(1, 1, 20, 20)
    found = read_off(maps, source, target, 13)
    places = torch.tensor([target.first + target.step * at for at in range(13)])
    expected = (places[:, None] * 2 + places[None, :] * 3).clamp(max=float(maps.max()))
    torch.testing.assert_close(found[0, 0], expected, atol=1e-5, rtol=0)


def test_channels_are_kept_as_a_search_over_all_of_them_one_by_one_would():
    random = np.random.default_rng(0)
    group, channels, keep = 2, 6, 3
    inputs = random.normal(size=(300, group * channels)) @ random.normal(size=(group * channels,) * 2)
    wanted = inputs @ random.normal(size=(group * channels, 4)) + random.normal(size=(300, 4))
    gram = inputs.T @ inputs + 1e-3 * np.eye(group * channels)
    cross = inputs.T @ wanted

    def loss(alive: tuple[int, ...]) -> float:
        at = np.concatenate([np.arange(each * group, (each + 1) * group) for each in alive])
        found = np.linalg.solve(gram[np.ix_(at, at)], cross[at])
        return float(-(cross[at] * found).sum())

    alive = tuple(range(channels))
    while len(alive) > keep:
        alive = min(itertools.combinations(alive, len(alive) - 1), key=loss)
    assert keep_channels(gram, cross, group, keep) == list(alive)


SMALL = ((8, 1), (12, 2), (16, 1))


def small_teacher() -> ResidualNet:
    torch.manual_seed(0)
    return ResidualNet(side_px=96, inner=(8, 12, 16), stages=SMALL).eval()


@pytest.mark.parametrize(
    ("student", "least"),
    [
        (ResidualNet(side_px=96, inner=(8, 12, 16), stages=SMALL), 0.9999),
        (ResidualNet(side_px=96, inner=(5, 8, 10), stages=SMALL), 0.9),
        (ResidualNet(side_px=64, kernel=5, inner=(8, 12, 16), stages=SMALL), 0.8),
    ],
    ids=["as large as its teacher", "two thirds of the channels", "smaller crops"],
)
def test_a_student_says_of_faces_that_it_was_not_fitted_on_what_its_teacher_says(student, least, faces):
    teacher = small_teacher()
    student = copy.deepcopy(student)
    cut_student(teacher, student, lambda side_px: resized(faces[:36], side_px))
    mine, its = unit(student, faces[36:]), unit(teacher, faces[36:])
    mean = unit(teacher, faces[:36]).mean(0)
    assert float((centred(mine, mean) * centred(its, mean)).sum(1).mean()) >= least


def test_channels_that_are_chosen_serve_better_than_the_first(faces):
    teacher, missed = small_teacher(), []
    for choose in (True, False):
        student = ResidualNet(side_px=96, inner=(8, 12, 5), stages=SMALL)
        if choose:
            cut_student(teacher, student, lambda side_px: resized(faces[:36], side_px))
        else:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(
                    "likeness.train.cutting.keep_channels", lambda gram, cross, group, keep: list(range(keep))
                )
                cut_student(teacher, student, lambda side_px: resized(faces[:36], side_px))
        apart = unit(student, faces[36:]) - unit(teacher, faces[36:])
        missed.append(float(apart.square().sum()))
    assert missed[0] < missed[1]


def test_cutting_is_the_same_each_time(faces):
    teacher, states = small_teacher(), []
    for _ in range(2):
        student = ResidualNet(side_px=64, kernel=5, inner=(4, 4, 4), stages=SMALL)
        cut_student(teacher, student, lambda side_px: resized(faces[:6], side_px), seed=5)
        states.append(student.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], atol=0, rtol=0)
