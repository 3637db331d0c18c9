"""How near an exported file comes to the network it was made from, measured by running both on the same crops."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from likeness.bundle import InputSpec
from likeness.errors import ExportFailed
from likeness.types import Pixels, Vector

LARGEST_DIFFERENCE = 1e-4
"""A file whose unit-length embeddings differ by more than this in any number is not the network."""
_MADE = 16
_BATCH = 16


@dataclass(frozen=True, slots=True)
class Parity:
    """Largest difference in any number of the unit-length embeddings, their mean cosine, and over how many crops."""

    max_difference: float
    mean_cosine: float
    samples: int

    def as_dict(self) -> dict[str, float]:
        """Plain data for a manifest."""
        return asdict(self)


def check_parity(what: str, expected: Vector, found: Vector) -> Parity:
    """Compare embeddings `(n, d)`, raw or of unit length.

    Raises:
        ExportFailed: they differ by more than `LARGEST_DIFFERENCE`, or are not finite.
    """
    if expected.shape != found.shape:
        raise ExportFailed(f"{what} gives numbers of shape {found.shape}, the network {expected.shape}")
    ours, theirs = unit(expected), unit(found)
    parity = Parity(float(np.abs(ours - theirs).max()), float(cosines(found, expected).mean()), len(ours))
    if not parity.max_difference <= LARGEST_DIFFERENCE:
        raise ExportFailed(
            f"{what} gives other embeddings than the network: they differ by up to {parity.max_difference:.2g} "
            f"over {parity.samples} crops, {LARGEST_DIFFERENCE:.0e} is allowed",
            hint="a layer of the network may be exported wrongly: try another network, or another version of torch",
        )
    return parity


def check_numbers(what: str, expected: Vector, found: Vector) -> None:
    """Compare other numbers than embeddings, by their range.

    Raises:
        ExportFailed: they differ by more than a thousandth of it, or are not finite.
    """
    apart = float(np.abs(expected - found).max()) if expected.shape == found.shape else float("inf")
    if not apart <= 1e-3 * max(1.0, float(np.ptp(expected))):
        raise ExportFailed(f"{what} differs from the network's by up to {apart:.2g}")


def unit(raw: Vector) -> Vector:
    """Rows `(…, d)` at length one."""
    lengths = np.linalg.norm(raw, axis=-1, keepdims=True)
    scaled: Vector = (raw / np.maximum(lengths, 1e-12)).astype(np.float32)
    return scaled


def cosines(found: Vector, expected: Vector) -> Vector:
    """Cosine of each embedding `(n, d)` to the one expected: `(n,)`."""
    products: Vector = (unit(found) * unit(expected)).sum(axis=1)
    return products


def ms_a_face(run: Callable[[], object], faces: int, *, runs: int = 7) -> float:
    """Milliseconds for one of the faces that `run` embeds; the quickest of some runs, after one that does not count."""
    run()
    quickest = float("inf")
    for _ in range(runs):
        start = time.perf_counter()
        run()
        quickest = min(quickest, time.perf_counter() - start)
    return quickest / faces * 1000


def probe_crops(side_px: int, crops: Pixels | None = None, *, seed: int = 0) -> Pixels:
    """Crops to compare on: the given real ones, noise, smooth colours, and plain black and white.

    Raises:
        ValueError: the given ones are not `(n, side_px, side_px, 3)` uint8.
    """
    random = np.random.default_rng(seed)
    noise = random.integers(0, 256, (_MADE // 2, side_px, side_px, 3), np.uint8)
    coarse = random.integers(0, 256, (_MADE // 2, 7, 7, 3)).astype(np.float64)
    plain = np.stack([np.full((side_px, side_px, 3), value, np.uint8) for value in (0, 255)])
    made = np.concatenate([noise, _enlarge(coarse, side_px), plain])
    if crops is None:
        return made
    if crops.shape[1:] != (side_px, side_px, 3) or crops.dtype != np.uint8:
        raise ValueError(f"expected crops (n, {side_px}, {side_px}, 3) uint8, got {crops.shape} {crops.dtype}")
    return np.concatenate([crops, made])


def _enlarge(coarse: NDArray[np.float64], side_px: int) -> Pixels:
    """Images `(n, k, k, 3)` to `(n, side_px, side_px, 3)`, linearly."""
    at = np.linspace(0, coarse.shape[1] - 1, side_px)
    low = np.minimum(at.astype(int), coarse.shape[1] - 2)
    part = at - low
    rows = coarse[:, low] * (1 - part)[:, None, None] + coarse[:, low + 1] * part[:, None, None]
    both = rows[:, :, low] * (1 - part)[:, None] + rows[:, :, low + 1] * part[:, None]
    pixels: Pixels = both.astype(np.uint8)
    return pixels


def run_network(network: nn.Module, spec: InputSpec, crops: Pixels) -> list[Vector]:
    """What the network itself gives, its one output or all; its input is prepared by numpy, not by the graph."""
    planes = spec.model_copy(update={"layout": "NCHW", "dtype": "float32"})
    parts = []
    with torch.inference_mode():
        for start in range(0, len(crops), _BATCH):
            inputs = torch.from_numpy(planes.prepare(crops[start : start + _BATCH]))
            given = network(inputs)
            parts.append([each.float().numpy() for each in (given if isinstance(given, tuple) else (given,))])
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


class MeanPool(nn.Module):
    """The mean over each plane, `(n, c, h, w)` to `(n, c, 1, 1)`."""

    def forward(self, x: Tensor) -> Tensor:
        """One number a plane."""
        return x.mean((2, 3), keepdim=True)


class Normalised(nn.Module):
    """A network that takes pixels as they are, `(n, side, side, 3)` RGB of 0 to 255 in any type, and normalises."""

    mean: Tensor
    scale: Tensor

    def __init__(self, network: nn.Module, spec: InputSpec) -> None:
        super().__init__()
        self.network = network
        self.swap = spec.channels == "BGR"
        self.plain = not any(spec.mean) and set(spec.scale) == {1.0}
        self.register_buffer("mean", torch.tensor(spec.mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("scale", torch.tensor(spec.scale, dtype=torch.float32).view(1, 3, 1, 1))

    def forward(self, faces: Tensor) -> Any:
        """Raw embeddings `(n, d)`, or whatever the network gives."""
        # Floats first: onnxruntime moves bytes about more slowly than floats.
        planes = faces.to(torch.float32).permute(0, 3, 1, 2)
        if self.swap:
            planes = planes.flip(1)
        # A network that takes pixels as they are is spared two passes over them, which cost as much as a few layers.
        return self.network(planes if self.plain else (planes - self.mean) * self.scale)


def frozen_copy(network: nn.Module) -> nn.Module:
    """The network at rest on the CPU in float32; the one given stays as it is."""
    return copy.deepcopy(network).cpu().float().eval().requires_grad_(False)


def exportable(quiet: nn.Module, spec: InputSpec) -> nn.Module:
    """A network of `frozen_copy` as it is exported: it takes pixels, and pools in words that all formats have."""
    for parent in list(quiet.modules()):
        for name, child in parent.named_children():
            # torch exports these, when they pool to one number, as a dozen nodes that gather by computed addresses.
            if isinstance(child, nn.AdaptiveAvgPool2d) and child.output_size in (1, (1, 1)):
                setattr(parent, name, MeanPool())
    return Normalised(quiet, spec).eval()
