"""A network in eight bits: smaller, near, and measured on crops that had no part in it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import numpy_helper
from PIL import Image
from torch import Tensor, nn

from likeness.bundle import InputSpec
from likeness.errors import InputError
from likeness.train.onnx_export import export_onnx, run_onnx
from likeness.train.parity import cosines
from likeness.train.quantize import LEAST_CROPS, quantize_onnx
from likeness.types import Pixels

SIDE = 32
SPEC = InputSpec(side_px=SIDE, mean=(127.5,) * 3, scale=(1 / 128,) * 3)


class Small(nn.Module):
    """A small network of convolutions; `wild` makes one layer's channels differ by a factor of thousands."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 16, 3, 2, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.block = nn.Sequential(nn.Conv2d(16, 16, 3, 1, 1, bias=False), nn.BatchNorm2d(16), nn.ReLU())
        self.tail = nn.Sequential(nn.Conv2d(16, 64, 3, 2, 1, bias=False), nn.BatchNorm2d(64), nn.ReLU())
        self.head = nn.Linear(64, 24)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        return self.head(self.tail(x + self.block(x)).mean((2, 3)))


@pytest.fixture(scope="module")
def crops(samples) -> Pixels:
    """Windows of the sample photos: (n, 32, 32, 3)."""
    found = []
    for path in sorted((samples / "people").glob("*/0[12].jpg")):
        pixels = np.asarray(Image.open(path).convert("RGB").resize((SIDE * 3, SIDE * 3)))
        found += [pixels[y : y + SIDE, x : x + SIDE] for y in (16, 32, 48) for x in (16, 48)]
    return np.stack(found)


@pytest.fixture(scope="module")
def trained(crops) -> nn.Module:
    """Fitted for a few steps to tell the people of the samples apart, so that its numbers are like a real one's."""
    torch.manual_seed(0)
    network = Small()
    inputs = torch.from_numpy((crops.transpose(0, 3, 1, 2).astype(np.float32) - 127.5) / 128)
    people = torch.arange(len(crops)) // 12
    head = nn.Linear(24, int(people.max()) + 1)
    optimizer = torch.optim.Adam([*network.parameters(), *head.parameters()], 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        nn.functional.cross_entropy(head(network(inputs)), people).backward()
        optimizer.step()
    return network.eval()


@pytest.fixture(scope="module")
def floats(trained, tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("floats") / "model.onnx"
    export_onnx(trained, SPEC, path)
    return path


def test_eight_bits_stay_near_the_floats_and_take_less_room(floats: Path, crops: Pixels, tmp_path: Path) -> None:
    found = quantize_onnx(floats, crops, tmp_path / "int8.onnx")
    assert found.mean_cosine > 0.995
    assert found.bytes_after < found.bytes_before / 1.8  # a network this small is a good part names
    assert found.bytes_after == (tmp_path / "int8.onnx").stat().st_size
    assert found.crops == len(crops) // 4
    assert min(found.ms_before, found.ms_after) > 0
    assert [path.name for path in tmp_path.iterdir()] == ["int8.onnx"]
    assert [path.name for path in floats.parent.iterdir()] == ["model.onnx"]
    near = cosines(run_onnx(tmp_path / "int8.onnx", crops), run_onnx(floats, crops))
    assert near.min() > 0.98


def test_weights_take_seven_bits_so_that_no_processor_overflows(floats: Path, crops: Pixels, tmp_path: Path) -> None:
    quantize_onnx(floats, crops, tmp_path / "int8.onnx")
    model = onnx.load(tmp_path / "int8.onnx")
    weights = [numpy_helper.to_array(one) for one in model.graph.initializer]
    quantized = [one for one in weights if one.dtype == np.int8 and one.ndim >= 2]
    assert len(quantized) == 4
    assert max(int(np.abs(one.astype(int)).max()) for one in quantized) <= 64
    assert not [node for node in model.graph.node if node.doc_string or node.metadata_props]


def test_layers_that_spoil_it_keep_their_floats_and_are_named(
    trained: nn.Module, crops: Pixels, tmp_path: Path
) -> None:
    """Channels whose sizes differ thousandfold share one scale of activations, in which the small ones vanish."""
    spoiled = Small()
    spoiled.load_state_dict(trained.state_dict())
    factors = torch.logspace(-2, 2, 16)
    with torch.no_grad():
        for name in ("stem", "block"):
            norm = getattr(spoiled, name)[1]
            norm.weight.mul_(factors)
            norm.bias.mul_(factors)
        spoiled.block[0].weight.div_(factors[None, :, None, None])
        spoiled.tail[0].weight.div_(factors[None, :, None, None])
    export_onnx(spoiled.eval(), SPEC, tmp_path / "floats.onnx")
    said: list[str] = []
    everything = quantize_onnx(tmp_path / "floats.onnx", crops, tmp_path / "all.onnx", goal=-1, centred_goal=-1)
    chosen = quantize_onnx(tmp_path / "floats.onnx", crops, tmp_path / "int8.onnx", say=said.append)
    assert everything.kept_float == ()
    assert chosen.kept_float
    assert chosen.mean_cosine > everything.mean_cosine
    assert any(chosen.kept_float[0] in line for line in said)


def test_too_few_crops_are_refused(floats: Path, crops: Pixels, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=str(LEAST_CROPS)):
        quantize_onnx(floats, crops[: LEAST_CROPS - 1], tmp_path / "int8.onnx")
    assert not list(tmp_path.iterdir())
