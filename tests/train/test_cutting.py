"""A student that is cut out of its teacher says nearly what the teacher says, before it has learnt anything."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch.nn import functional

from likeness.bundle import PACKAGED
from likeness.data.dataset import Dataset
from likeness.errors import ModelError
from likeness.train.crops import load_crops
from likeness.train.cutting import _Squares, cut_student, keep_channels
from likeness.train.distil_losses import centred
from likeness.train.onnx_export import run_onnx
from likeness.train.residual import ResidualNet, read_residual
from likeness.train.watched import planes

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
        return functional.normalize(network(faces.float()), dim=1)


def test_the_packaged_network_comes_back_in_torch(teacher, faces):
    expected = torch.from_numpy(run_onnx(MODEL, faces[:6].permute(0, 2, 3, 1).contiguous().numpy()))
    cosines = (unit(teacher, faces[:6]) * functional.normalize(expected)).sum(1)
    assert float(cosines.min()) > 0.99  # the file rounds between layers, torch does not


def test_a_network_of_another_form_is_refused_with_what_to_do():
    with pytest.raises(ModelError, match="no student can be cut") as told:
        read_residual(PACKAGED / "mtcnn" / "onet.onnx")
    assert "--list" in (told.value.hint or "")


def test_a_stem_of_patches_has_its_cells_where_the_teachers_are():
    """One bright pixel wakes the same cells, less those whose outermost pixels alone reach it."""
    whole, patches = ResidualNet(), ResidualNet(patches=8)
    for network in (whole, patches):
        for layer in network.stem:
            if isinstance(layer, torch.nn.Conv2d):
                torch.nn.init.ones_(layer.weight)
                torch.nn.init.zeros_(layer.bias)
    dark = torch.zeros(1, 3, 150, 150)
    for place in ((0, 0), (71, 38), (75, 75), (146, 146)):
        bright = dark.clone()
        bright[0, :, *place] = 1.0
        woken = [network.stem(bright)[0, 0] > 0 for network in (whole, patches)]
        assert woken[0].shape == woken[1].shape == (35, 35)
        assert not bool((woken[0] & ~woken[1]).any())
        assert int(woken[1].sum()) <= 9


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
    inverse = np.linalg.inv(gram)
    assert keep_channels(inverse, inverse @ cross, group, keep) == list(alive)


SMALL = ((8, 1), (12, 2), (16, 1))


def small_teacher() -> ResidualNet:
    torch.manual_seed(0)
    return ResidualNet(inner=(8, 12, 16), stages=SMALL).eval()


@pytest.mark.parametrize(
    ("patches", "inner", "counts", "least"),
    [
        (None, (8, 12, 16), None, 0.9999),
        (None, (5, 8, 10), None, 0.9),
        (None, (8, 12, 16), (1, 1, 1), 0.8),
        (16, (8, 12, 16), None, 0.6),
    ],
    ids=["as large as its teacher", "two thirds of the channels", "a block left out", "a stem of patches"],
)
def test_a_student_says_of_faces_that_it_was_not_fitted_on_what_its_teacher_says(patches, inner, counts, least, faces):
    teacher = small_teacher()
    torch.manual_seed(1)
    student = ResidualNet(patches=patches, inner=inner, counts=counts, stages=SMALL)
    cut_student(teacher, student, faces[:36], stem_steps=25)
    mine, its = unit(student, faces[36:]), unit(teacher, faces[36:])
    mean = unit(teacher, faces[:36]).mean(0)
    assert float((centred(mine, mean) * centred(its, mean)).sum(1).mean()) >= least


def test_fewer_places_than_inputs_give_the_same_least_squares_as_a_naive_solve():
    torch.manual_seed(0)
    rows, values = torch.randn(20, 27), torch.randn(20, 4)
    for few in (20, 200):
        rows, values = torch.randn(few, 27), torch.randn(few, 4)
        layer = torch.nn.Conv2d(3, 4, 3)
        before = layer.weight.detach().flatten(1).T.double()
        squares = _Squares(rows, values, 9)
        x, y = (each.double() - each.double().mean(0) for each in (rows, values))
        gram = x.T @ x + squares._pull * torch.eye(27, dtype=torch.float64)
        expected = torch.linalg.solve(gram, x.T @ y + squares._pull * before)
        with torch.inference_mode():
            squares.solve(layer)
            torch.testing.assert_close(layer.weight.flatten(1).T.double(), expected, atol=2e-3, rtol=2e-3)
            inverse = torch.from_numpy(squares._inverse())
            torch.testing.assert_close(inverse @ gram, torch.eye(27, dtype=torch.float64), atol=2e-3, rtol=0)


def test_channels_that_are_chosen_serve_better_than_the_first(faces):
    teacher, missed = small_teacher(), []
    for choose in (True, False):
        student = ResidualNet(inner=(8, 12, 5), stages=SMALL)
        if choose:
            cut_student(teacher, student, faces[:36], stem_steps=600)
        else:
            with pytest.MonkeyPatch.context() as patch:
                patch.setattr("likeness.train.cutting.keep_channels", lambda *given, at_once: list(range(given[3])))
                cut_student(teacher, student, faces[:36], stem_steps=600)
        apart = unit(student, faces[36:]) - unit(teacher, faces[36:])
        missed.append(float(apart.square().sum()))
    assert missed[0] < missed[1]


def test_cutting_is_the_same_each_time(faces):
    teacher, states = small_teacher(), []
    for _ in range(2):
        torch.manual_seed(2)
        student = ResidualNet(patches=4, inner=(4, 4, 4), stages=SMALL)
        cut_student(teacher, student, faces[:6], seed=5, stem_steps=3)
        states.append(student.state_dict())
    for name, value in states[0].items():
        torch.testing.assert_close(value, states[1][name], atol=0, rtol=0)
