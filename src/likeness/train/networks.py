"""Networks that turn crops into embeddings: timm's backbones with a projection, and our own InceptionResnetV1."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from likeness.bundle import sha256_of
from likeness.errors import ModelError, RecipeInvalid
from likeness.train.inception_resnet_v1 import InceptionResnetV1
from likeness.train.mobile_face import SIDE_STEP, MobileFace
from likeness.train.recipe import NetworkPart

INCEPTION, MOBILE_FACE = "inception-resnet-v1", "mobile-face"
OWN = (INCEPTION, MOBILE_FACE)
RANDOM = "random weights"


class ProjectedBackbone(nn.Module):
    """A backbone's pooled features, a linear layer to the embedding's size, batch normalisation without a shift.

    The shift is left out as cosines are compared: a common offset would only take room from what tells people apart.
    """

    def __init__(self, backbone: nn.Module, features: int, dimension: int, *, drop: float) -> None:
        super().__init__()
        self.backbone = backbone
        self.drop = nn.Dropout(drop)
        self.projection = nn.Linear(features, dimension, bias=False)
        self.norm = nn.BatchNorm1d(dimension)
        self.norm.bias.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        """`(n, 3, s, s)` to `(n, dimension)`, not of unit length."""
        out: Tensor = self.norm(self.projection(self.drop(self.backbone(x))))
        return out


def build_network(
    part: NetworkPart,
    *,
    say: Callable[[str], None] = lambda text: None,
    began: Callable[[str], None] = lambda words: None,
    blank: bool = False,
) -> nn.Module:
    """The network of a recipe; `blank` skips all weights, for one whose state is loaded next.

    `say` is told in a sentence which weights it starts from, `began` in words for a record.

    Raises:
        RecipeInvalid: the backbone is unknown.
        ModelError: the file `weights` cannot be loaded into it.
    """
    network, words = (_own(part), RANDOM) if part.backbone in OWN else _from_timm(part, say, blank=blank)
    if blank:
        return network
    if part.weights is not None:
        load_weights(network, part.weights)
        say(f"Starting from the weights in {part.weights}.")
        words = f"the weights in {part.weights.name}, sha256 {sha256_of(part.weights)}"
    elif part.backbone in OWN or not part.pretrained:
        say("Starting from random weights.")
    began(words)
    return network


def load_weights(network: nn.Module, path: Path) -> None:
    """Load a state dict; parameters of a classifier (`logits`, `fc`, `classifier`, `head`) are left out.

    A checkpoint of a training of this network gives all of it, a state dict of a backbone that alone.

    Raises:
        ModelError: it cannot be read, or does not fit.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises a class of its own for each kind of damage
        raise ModelError(f"the weights {str(path)!r} cannot be read: {type(error).__name__}: {error}") from error
    target = network.backbone if isinstance(network, ProjectedBackbone) else network
    if isinstance(state, dict) and (whole := _of_checkpoint(state)):
        target, state = network, whole
    if not isinstance(state, dict) or not all(isinstance(value, Tensor) for value in state.values()):
        raise ModelError(
            f"the file {str(path)!r} holds no state dict", hint="save one: torch.save(network.state_dict(), FILE)"
        )
    assert isinstance(target, nn.Module)
    heads = ("logits.", "fc.", "classifier.", "head.")
    wanted = set(target.state_dict())
    fitting = {name: value for name, value in state.items() if name in wanted or not name.startswith(heads)}
    try:
        target.load_state_dict(fitting)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise ModelError(f"the weights {str(path)!r} do not fit this network: {' '.join(lines[:3])[:300]}") from None


def _of_checkpoint(state: dict[str, Any]) -> dict[str, Tensor]:
    """The network's state in a checkpoint of a training; empty where it is none."""
    named = state.get("state_dict")
    own = "task.network."
    items = named.items() if isinstance(named, dict) else ()
    return {name.removeprefix(own): value for name, value in items if str(name).startswith(own)}


def _own(part: NetworkPart) -> nn.Module:
    if part.backbone == MOBILE_FACE:
        if part.side_px % SIDE_STEP:
            raise RecipeInvalid(
                f"{MOBILE_FACE} takes sides in steps of {SIDE_STEP}, got network.side_px = {part.side_px}"
            )
        return MobileFace(part.dimension, side_px=part.side_px, width=part.width)
    if part.side_px < 75:
        raise RecipeInvalid(f"{INCEPTION} takes crops from 75 pixels on, got network.side_px = {part.side_px}")
    return InceptionResnetV1(part.dimension, drop=part.drop, blocks=part.blocks, width=part.width)


def _from_timm(part: NetworkPart, say: Callable[[str], None], *, blank: bool) -> tuple[nn.Module, str]:
    """The network, and in words the weights that its backbone has."""
    import timm

    if part.backbone.partition(".")[0] not in timm.list_models():
        near = timm.list_models(f"*{part.backbone.partition('.')[0][:8]}*")[:5]
        raise RecipeInvalid(
            f"no backbone is called {part.backbone!r}",
            hint=f"names of timm's models, or {' or '.join(OWN)}" + (f"; near: {', '.join(near)}" if near else ""),
        )
    pretrained = part.pretrained and not blank and part.weights is None
    backbone = _pretrained(part.backbone, say) if pretrained else None
    words = RANDOM if backbone is None else f"ImageNet weights of {part.backbone}"
    if backbone is None:
        backbone = timm.create_model(part.backbone, pretrained=False, num_classes=0)
    side = part.side_px
    with torch.no_grad():
        features = backbone.eval()(torch.zeros(1, 3, side, side)).shape[1]
    return ProjectedBackbone(backbone.train(), features, part.dimension, drop=part.drop), words


def _pretrained(name: str, say: Callable[[str], None]) -> Any | None:
    """The backbone with ImageNet weights; None, after saying so, where they cannot be had."""
    import timm

    try:  # what cannot be reached, or is not published, comes as one of these two
        backbone = timm.create_model(name, pretrained=True, num_classes=0)
    except (OSError, RuntimeError) as error:
        say(
            f"ImageNet weights of {name} cannot be fetched ({type(error).__name__}): starting from random weights. "
            "A file of weights can be named with --set network.weights=FILE."
        )
        return None
    say(f"Starting from ImageNet weights of {name}.")
    return backbone
