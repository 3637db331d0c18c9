"""Networks come back from ONNX as they were, and can be trained further."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.nn import functional

from likeness.bundle import PACKAGED, Bundle
from likeness.data.dataset import Dataset
from likeness.errors import ModelError
from likeness.train.crops import load_crops
from likeness.train.from_onnx import OnnxNetwork
from likeness.train.networks import build_network
from likeness.train.onnx_export import export_onnx, run_onnx
from likeness.train.recipe import NetworkPart, load_recipe

SMOKE = [
    load_recipe(name, smoke=True).network
    for name in ("triplet-efficientnet-b0", "softmax-resnet50", "softmax-inception-resnet-v1")
]
MOBILE = NetworkPart(backbone="mobilenetv3_small_050", dimension=32, side_px=64, pretrained=False)


def settled(part: NetworkPart) -> nn.Module:
    """A network whose normalisations have seen numbers, and none of whose branches begins at nothing."""
    torch.manual_seed(0)
    network = build_network(part).train()
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
    with torch.no_grad():
        for _ in range(3):
            network(torch.randn(8, 3, part.side_px, part.side_px) * 2)
    return network.eval()


@pytest.mark.parametrize("part", [*SMOKE, MOBILE], ids=lambda part: part.backbone)
def test_an_exported_network_comes_back_with_equal_outputs_and_all_of_it_can_learn(part, tmp_path):
    path = tmp_path / "model.onnx"
    export_onnx(settled(part), part.input, path)
    pixels = np.random.default_rng(0).integers(0, 256, (3, part.side_px, part.side_px, 3), np.uint8)
    network = OnnxNetwork(path, part.dimension)
    found = network(torch.from_numpy(pixels).permute(0, 3, 1, 2).float())
    expected = torch.from_numpy(run_onnx(path, pixels))
    torch.testing.assert_close(functional.normalize(found), functional.normalize(expected), atol=1e-5, rtol=0)

    (functional.normalize(found) * torch.randn(3, part.dimension)).sum().backward()
    assert len(network.weights) > 10
    still = [name for name, value in network.named_parameters() if value.grad is None or not value.grad.any()]
    # Units that are at rest for all three pictures learn nothing from them, but no more than a few.
    assert len(still) <= 0.1 * len(network.weights), still
    assert all(value.grad is not None for value in network.parameters())


def test_one_picture_and_many_pass(tmp_path):
    part = SMOKE[1]
    export_onnx(settled(part), part.input, tmp_path / "model.onnx")
    network = OnnxNetwork(tmp_path / "model.onnx", part.dimension)
    pixels = torch.rand(7, 3, part.side_px, part.side_px) * 255
    with torch.inference_mode():
        many, one = network(pixels), network(pixels[:1])
    torch.testing.assert_close(many[:1], one, atol=1e-4, rtol=1e-4)


def test_the_packaged_network_of_eight_bits_comes_back_nearly_the_same(sample_crops: Dataset):
    bundle = Bundle.read(PACKAGED / "dlib-resnet-int8")
    manifest = bundle.manifest
    assert manifest.input is not None
    assert manifest.embedding is not None
    crops = load_crops(sample_crops, sample_crops.rows[::6], manifest.input.side_px)
    network = OnnxNetwork(bundle.path("model"), manifest.embedding.dimension)
    embedder = bundle.load(threads=1)
    with torch.inference_mode():
        ours = functional.normalize(network(torch.from_numpy(crops).permute(0, 3, 1, 2).float())).numpy()
    assert (ours * embedder.embed(crops)).sum(axis=1).min() > 0.998, "the rounding between layers is left out"


def test_a_further_trained_network_can_be_exported_again_and_kept_as_a_state(tmp_path):
    part = SMOKE[0]
    export_onnx(settled(part), part.input, tmp_path / "model.onnx")
    network = OnnxNetwork(tmp_path / "model.onnx", part.dimension)
    with torch.no_grad():
        for value in network.parameters():
            value += torch.randn_like(value) * 0.01
    plain = part.model_copy(update={"normalise": "none"})
    parity = export_onnx(network, plain.input, tmp_path / "again.onnx")
    assert parity.max_difference < 1e-4

    other = OnnxNetwork(tmp_path / "model.onnx", part.dimension)
    other.load_state_dict(network.state_dict())
    pixels = torch.rand(2, 3, part.side_px, part.side_px) * 255
    with torch.inference_mode():
        assert torch.equal(other(pixels), network(pixels))


def graph_with(operator: str, path: Path, **attributes: object) -> Path:
    pixels = onnx.helper.make_tensor_value_info("faces", onnx.TensorProto.FLOAT, ["n", 4, 4, 3])
    out = onnx.helper.make_tensor_value_info("embeddings", onnx.TensorProto.FLOAT, None)
    node = onnx.helper.make_node(operator, ["faces"], ["embeddings"], **attributes)
    graph = onnx.helper.make_graph([node], "test", [pixels], [out])
    onnx.save(onnx.helper.make_model(graph), path)
    return path


def test_an_operator_that_is_not_known_is_named(tmp_path):
    with pytest.raises(ModelError, match="Softplus") as caught:
        OnnxNetwork(graph_with("Softplus", tmp_path / "model.onnx"), 8)
    assert "train a recipe" in (caught.value.hint or "")


def test_padding_that_is_not_known_is_refused(tmp_path):
    path = graph_with("MaxPool", tmp_path / "model.onnx", kernel_shape=[2, 2], auto_pad="SAME_UPPER")
    network = OnnxNetwork(path, 8)
    with pytest.raises(ModelError, match="auto_pad"):
        network(torch.zeros(1, 3, 4, 4))


@pytest.mark.parametrize("content", [None, b"", b"no network"])
def test_a_file_that_is_no_network_is_refused(tmp_path, content):
    path = tmp_path / "model.onnx"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"model\.onnx"):
        OnnxNetwork(path, 8)
