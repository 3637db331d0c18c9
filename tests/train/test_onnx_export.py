"""A network as an ONNX file: the same numbers, and nothing of this machine inside."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

from likeness.bundle import Bundle, InputSpec, write_manifest
from likeness.errors import ExportFailed
from likeness.train.onnx_export import OPSET, export_onnx, onnx_input, run_onnx
from likeness.train.parity import LARGEST_DIFFERENCE, check_parity, probe_crops, run_network, unit

SIDE = 48
SPEC = InputSpec(side_px=SIDE, mean=(127.5, 120.0, 110.0), scale=(1 / 128, 1 / 120, 1 / 110))


class Small(nn.Module):
    """A few layers of the kinds that the recipes' networks have."""

    def __init__(self, pool: nn.Module | None = None) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.Hardswish(),
            nn.Conv2d(8, 8, 3, padding=1, groups=8),
            nn.ReLU(),
            pool or nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(8, 16),
            nn.BatchNorm1d(16),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def lively(network: nn.Module) -> nn.Module:
    """A network whose statistics are not those that it was born with."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)
    return network


@pytest.fixture(scope="module")
def exported(tmp_path_factory) -> tuple[nn.Module, Path]:
    path = tmp_path_factory.mktemp("exported") / "deep" / "model.onnx"
    network = lively(Small()).train()
    parity = export_onnx(network, SPEC, path)
    assert parity.max_difference <= LARGEST_DIFFERENCE
    assert parity.mean_cosine > 0.99999
    assert parity.samples == len(probe_crops(SIDE))
    assert network.training  # the one given stays as it is
    assert isinstance(network.layers[5], nn.AdaptiveAvgPool2d)
    assert [entry.name for entry in path.parent.iterdir()] == ["model.onnx"]
    return network.eval(), path


@pytest.mark.parametrize("count", [1, 2, 3, 16, 17])
def test_any_number_of_faces_gives_the_networks_own_embeddings(exported, count: int) -> None:
    network, path = exported
    crops = np.random.default_rng(count).integers(0, 256, (count, SIDE, SIDE, 3), np.uint8)
    found, expected = run_onnx(path, crops), run_network(network, SPEC, crops)[0]
    assert found.shape == (count, 16)
    assert np.abs(unit(found) - unit(expected)).max() <= LARGEST_DIFFERENCE
    assert np.abs(np.linalg.norm(found, axis=1) - 1).max() > 0.1  # not of unit length: the embedder sees to that


def test_the_file_is_sound_whole_and_tells_nothing_of_this_machine(exported) -> None:
    _, path = exported
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", OPSET)]
    assert not [one for one in model.graph.initializer if one.data_location == onnx.TensorProto.EXTERNAL]
    assert not [node for node in model.graph.node if node.doc_string or node.metadata_props]
    data = path.read_bytes()
    for trace in (str(Path.home()), str(Path(__file__).parent), "/likeness/", ".py", "site-packages", "forward"):
        assert trace.encode() not in data
    assert [entry.name for entry in model.graph.input] == ["faces"]


def test_a_pool_to_one_number_is_one_node(exported) -> None:
    kinds = [node.op_type for node in onnx.load(exported[1]).graph.node]
    assert "Range" not in kinds
    assert "Gather" not in kinds


def test_the_same_network_gives_the_same_bytes(exported, tmp_path: Path) -> None:
    network, path = exported
    export_onnx(network, SPEC, tmp_path / "again.onnx")
    assert (tmp_path / "again.onnx").read_bytes() == path.read_bytes()


def test_the_manifest_of_an_exported_network_runs_it_as_a_bundle(exported, tmp_path: Path, samples: Path) -> None:
    network, path = exported
    (tmp_path / "model.onnx").write_bytes(path.read_bytes())
    template = [[16, 18], [32, 18], [24, 28], [18, 36], [30, 36]]
    facts = {"name": "small", "version": "1", "role": "embedder", "engine": "aligned-crop", "summary": "Small."}
    facts |= {"input": onnx_input(SPEC).model_dump(), "alignment": {"template_px": template}}
    facts |= {"embedding": {"dimension": 16, "space": "small-1"}}
    write_manifest(tmp_path, facts | {"licence": {"code": "x", "weights": "x", "data": "x"}}, {"model": "model.onnx"})
    crops = probe_crops(SIDE)
    found = Bundle.read(tmp_path).load().embed(crops)
    assert np.abs(found - unit(run_network(network, SPEC, crops)[0])).max() <= LARGEST_DIFFERENCE


def test_bgr_and_real_crops_agree_too(tmp_path: Path, samples: Path) -> None:
    from PIL import Image

    photos = sorted((samples / "people").glob("*/01.jpg"))
    crops = np.stack([np.asarray(Image.open(path).convert("RGB").resize((SIDE, SIDE))) for path in photos])
    spec = SPEC.model_copy(update={"channels": "BGR"})
    parity = export_onnx(lively(Small()).eval(), spec, tmp_path / "bgr.onnx", crops=crops)
    assert parity.samples == len(photos) + len(probe_crops(SIDE))


def test_a_file_that_gives_other_numbers_is_refused() -> None:
    expected = np.random.default_rng(0).normal(size=(4, 8)).astype(np.float32)
    assert check_parity("it", expected, expected * 3).max_difference < 1e-6  # length does not count
    with pytest.raises(ExportFailed, match="other embeddings"):
        check_parity("it", expected, expected + np.float32(0.01))
    with pytest.raises(ExportFailed, match="nan"):
        check_parity("it", expected, expected * np.float32("nan"))
    with pytest.raises(ExportFailed, match="shape"):
        check_parity("it", expected, expected[:, :4])


class Branching(Small):
    """A network that cannot be exported: what it does depends on what it sees."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x if x.mean() > 0 else -x)


def test_a_network_that_cannot_be_exported_is_an_error_and_leaves_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").write_bytes(b"the old one")
    with pytest.raises(ExportFailed, match="torch cannot export"):
        export_onnx(Branching(), SPEC, tmp_path / "model.onnx")
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("model.onnx", b"the old one")]


def test_crops_of_another_size_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="expected crops"):
        export_onnx(Small(), SPEC, tmp_path / "model.onnx", crops=np.zeros((1, 8, 8, 3), np.uint8))
