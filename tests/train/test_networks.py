"""Our InceptionResnetV1 is facenet-pytorch's; weights are loaded where they fit and refused clearly where not."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional

from likeness.errors import ModelError, RecipeInvalid
from likeness.train.inception_resnet_v1 import InceptionResnetV1
from likeness.train.networks import ProjectedBackbone, build_network
from likeness.train.recipe import NetworkPart

SMALL = NetworkPart(backbone="inception-resnet-v1", dimension=16, side_px=80, blocks=(1, 1, 1), width=0.125)
RESNET = NetworkPart(backbone="test_resnet", dimension=16, side_px=64, pretrained=False)


@pytest.fixture(scope="module")
def published() -> nn.Module:
    """facenet-pytorch's network with its classifier and weights of our own."""
    from facenet_pytorch import InceptionResnetV1 as Published

    torch.manual_seed(0)
    network = Published(classify=True, num_classes=20)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.2)
            module.running_mean.normal_(std=0.2)
            module.running_var.uniform_(0.5, 1.5)
    network.classify = False
    return network.eval()


def test_parameters_have_the_names_and_shapes_of_the_published_state_dicts(published):
    ours = {name: tuple(value.shape) for name, value in InceptionResnetV1().state_dict().items()}
    theirs = {name: tuple(value.shape) for name, value in published.state_dict().items()}
    assert {name for name in theirs if name.startswith("logits.")} == {"logits.weight", "logits.bias"}
    assert ours == {name: shape for name, shape in theirs.items() if not name.startswith("logits.")}


def test_a_published_state_dict_gives_the_published_embeddings_and_its_classifier_is_left_out(published, tmp_path):
    path = tmp_path / "published.pt"
    torch.save(published.state_dict(), path)
    said: list[str] = []
    part = NetworkPart(backbone="inception-resnet-v1", dimension=512, side_px=160, weights=path)
    network = build_network(part, say=said.append).eval()
    assert said == [f"Starting from the weights in {path}."]
    pictures = torch.stack([torch.randn(3, 160, 160) * 3, torch.linspace(-2, 2, 160).expand(3, 160, 160)])
    with torch.inference_mode():
        ours, theirs = functional.normalize(network(pictures)), published(pictures)
    assert (theirs[0] - theirs[1]).abs().max() > 1e-3, "two pictures, two embeddings"
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


@pytest.mark.parametrize("side", [75, 80, 112, 160])
def test_it_takes_crops_from_75_pixels_on(side):
    network = InceptionResnetV1(16, blocks=(1, 1, 1), width=0.125).eval()
    assert network(torch.zeros(1, 3, side, side)).shape == (1, 16)


def test_smaller_crops_are_refused_with_their_size():
    with pytest.raises(RecipeInvalid, match="74"):
        build_network(SMALL.model_copy(update={"side_px": 74}))


def test_a_backbone_of_timm_is_projected_to_the_dimension_without_a_shift():
    network = build_network(RESNET)
    assert isinstance(network, ProjectedBackbone)
    assert network(torch.randn(4, 3, 64, 64)).shape == (4, 16)
    assert not network.norm.bias.requires_grad
    assert network.training, "ready to be trained"


def test_a_backbone_that_is_not_there_names_near_ones():
    with pytest.raises(RecipeInvalid, match="resnet5x") as caught:
        build_network(NetworkPart(backbone="resnet5x"))
    assert "inception-resnet-v1" in (caught.value.hint or "")


def test_a_state_dict_of_a_timm_backbone_is_loaded_without_its_head(tmp_path):
    import timm

    whole = timm.create_model("test_resnet", pretrained=False, num_classes=7)
    assert any(name.startswith("fc.") for name in whole.state_dict())
    torch.save(whole.state_dict(), tmp_path / "weights.pt")
    network = build_network(RESNET.model_copy(update={"weights": tmp_path / "weights.pt"}))
    for name, value in network.backbone.state_dict().items():
        assert torch.equal(value, whole.state_dict()[name])


def test_weights_of_ones_own_win_over_imagenets(tmp_path):
    torch.save(build_network(RESNET).backbone.state_dict(), tmp_path / "weights.pt")
    said: list[str] = []
    part = RESNET.model_copy(update={"weights": tmp_path / "weights.pt", "pretrained": True})
    build_network(part, say=said.append)
    assert said == [f"Starting from the weights in {tmp_path / 'weights.pt'}."]


def test_a_blank_network_says_nothing_and_needs_no_file(tmp_path):
    said: list[str] = []
    part = RESNET.model_copy(update={"weights": tmp_path / "gone.pt", "pretrained": True})
    build_network(part, say=said.append, blank=True)
    assert said == []


@pytest.mark.parametrize(
    ("content", "words"),
    [
        pytest.param(None, "cannot be read", id="no file"),
        pytest.param(b"", "cannot be read", id="an empty file"),
        pytest.param(b"\x80\x02 not a state dict", "cannot be read", id="damaged"),
        pytest.param({"conv2d_1a.conv.weight": torch.zeros(1)}, "do not fit", id="of another shape"),
        pytest.param({}, "do not fit", id="nothing in it"),
        pytest.param({"other.weight": torch.zeros(1)}, "do not fit", id="of another network"),
        pytest.param(torch.zeros(3), "holds no state dict", id="a tensor"),
        pytest.param({"state_dict": {"a": 1}, "epoch": 3}, "holds no state dict", id="a checkpoint"),
    ],
)
def test_weights_that_cannot_be_used_are_refused(tmp_path, content, words):
    path = tmp_path / "weights.pt"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(ModelError, match=words) as caught:
        build_network(SMALL.model_copy(update={"weights": path}))
    assert path.name in caught.value.message


def test_a_file_that_would_run_code_is_not_run(tmp_path):
    class Harm:
        def __reduce__(self):
            return (tmp_path.joinpath("harmed").touch, ())

    torch.save({"weights": Harm()}, tmp_path / "weights.pt")
    with pytest.raises(ModelError, match="cannot be read"):
        build_network(SMALL.model_copy(update={"weights": tmp_path / "weights.pt"}))
    assert not (tmp_path / "harmed").exists()
