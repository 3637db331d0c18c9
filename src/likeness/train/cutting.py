"""A student cut out of its teacher: layer by layer, by least squares on the teacher's feature maps.

The student walks through the teacher's layers in order. Each of its convolutions is fitted so that, from what the
student itself sees, it gives what the teacher's gives at the same places of the face; a student with smaller crops
reads the teacher's map off at its own cells. Between the two convolutions of a block only those channels stay that
the second needs most. He et al. 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", with channels
eliminated one by one by what their loss costs after refitting the others (Hassibi and Stork 1993, "Optimal Brain
Surgeon", by groups of weights) in place of the LASSO. No gradient is followed: a few hundred faces suffice, and
distillation goes on from there.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from likeness.convert.dlib_resnet import CHANNEL_SCALE
from likeness.train.residual import Grid, ResidualBlock, ResidualNet

Matrix = NDArray[np.float64]
PLACES = 24_000
"""Places of all crops' maps that a layer is fitted on, at most."""
_BATCH = 64
_RIDGE = 1e-3
"""Pull towards the teacher's own weights, as a share of the inputs' mean square."""


@dataclass(frozen=True, slots=True)
class Fitted:
    """How well one convolution was fitted: the share of the teacher's variance that it misses on its own data."""

    layer: str
    channels: int
    missed: float


def cut_student(
    teacher: ResidualNet,
    student: ResidualNet,
    crops: Callable[[int], Tensor],
    *,
    seed: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Fitted]:
    """Fit `student`, in place, to `teacher` on faces.

    `crops(side_px)` gives the same aligned faces `(n, 3, side_px, side_px)` uint8 at a side.
    """
    generator = torch.Generator().manual_seed(seed)
    seen, told = crops(student.side_px), crops(teacher.side_px)
    its, mine = teacher.grids(), student.grids()
    with torch.inference_mode():
        found = [_fit_stem(teacher, student, seen, told, generator)]
        x, y = _batched(student.begin, seen), _batched(teacher.begin, told)
        for index, (block, model) in enumerate(zip(student.blocks, teacher.blocks, strict=True)):
            assert isinstance(block, ResidualBlock)
            assert isinstance(model, ResidualBlock)
            fit = _BlockFit(block, model, (its[index + 2], mine[index + 2]), generator)
            found += [replace(each, layer=f"block{index}.{each.layer}") for each in fit.run(x, y)]
            x, y = _batched(block, x), _batched(model, y)
            progress(index + 1, len(student.blocks))
        student.matrix.weight.copy_(teacher.matrix.weight)
    return found


def read_off(maps: Tensor, source: Grid, target: Grid, size: int) -> Tensor:
    """Maps `(n, c, s, s)` of one grid at the `size` × `size` first cells of another, by linear interpolation."""
    across = _reading(source, maps.shape[2], target, size)
    return torch.einsum("ts,ncsr,ur->nctu", across, maps, across)


def _reading(source: Grid, cells: int, target: Grid, size: int) -> Tensor:
    """`(size, cells)`: each target cell's weights of the source's cells."""
    centres = target.first + target.step * np.arange(size)
    places = np.clip((centres - source.first) / source.step, 0, cells - 1)
    low = np.minimum(places.astype(int), max(0, cells - 2))
    weights = np.zeros((size, cells), np.float32)
    rows = np.arange(size)
    weights[rows, low] = 1 - (places - low)
    if cells > 1:
        weights[rows, low + 1] += places - low
    return torch.from_numpy(weights)


def keep_channels(gram: Matrix, cross: Matrix, group: int, keep: int) -> list[int]:
    """Which channels to keep of those whose inputs have the Gram matrix `gram`, `group` inputs a channel.

    `cross` `(inputs, outputs)` are their products with what is to be given. One channel after the other goes, always
    the one without which the least squares of the others grow least.
    """
    inverse = np.linalg.inv(gram)
    weights = inverse @ cross
    alive = list(range(len(gram) // group))
    while len(alive) > keep:
        places = np.array(alive)[:, None] * group + np.arange(group)
        blocks = inverse[places[:, :, None], places[:, None, :]]
        theirs = weights[places]
        cost = np.einsum("kgo,kgo->k", theirs, np.linalg.solve(blocks, theirs))
        gone = alive.pop(int(cost.argmin()))
        at = np.arange(gone * group, (gone + 1) * group)
        taken = np.linalg.solve(inverse[np.ix_(at, at)], np.concatenate([inverse[at], weights[at]], axis=1))
        columns = inverse[:, at].copy()
        inverse -= columns @ taken[:, : len(inverse)]
        weights -= columns @ taken[:, len(inverse) :]
    return alive


def _fit_stem(
    teacher: ResidualNet, student: ResidualNet, seen: Tensor, told: Tensor, generator: torch.Generator
) -> Fitted:
    source, target = teacher.grids()[0], student.grids()[0]
    if student.kernel == teacher.kernel:
        student.stem.load_state_dict(teacher.stem.state_dict())
    else:
        nn.init.zeros_(student.stem.weight)
    sums = _Sums(student.stem, len(seen), generator)
    for at in _batches(len(seen)):
        wanted = teacher.stem((told[at].float() - teacher.mean) / CHANNEL_SCALE)
        sums.add((seen[at].float() - student.mean) / CHANNEL_SCALE, read_off(wanted, source, target, target.size))
    return Fitted("stem", student.stem.out_channels, sums.solve(student.stem))


@dataclass(frozen=True, slots=True)
class _BlockFit:
    """One block of the student being fitted to the same block of the teacher."""

    block: ResidualBlock
    model: ResidualBlock
    grids: tuple[Grid, Grid]
    generator: torch.Generator

    def run(self, x: Tensor, y: Tensor) -> list[Fitted]:
        """Fit on what the student's block sees `x` and the teacher's `y`, as `(n, c, s, s)` each."""
        block, model = self.block, self.model
        # First all of the teacher's inner channels, then those that the second convolution needs most.
        wide = copy.deepcopy(model.conv1)
        sums = _Sums(wide, len(x), self.generator)
        size = wide(x[:1]).shape[2]
        for at in _batches(len(x)):
            sums.add(x[at], read_off(model.conv1(y[at]), *self.grids, size))
        missed = sums.solve(wide)
        whole = copy.deepcopy(model.conv2)
        sums = _Sums(whole, len(x), self.generator)
        for at in _batches(len(x)):
            sums.add(functional.relu(wide(x[at])), self._wanted(x[at], y[at], size))
        kept = sums.choose(whole, block.conv1.out_channels)
        _take(block.conv1, wide, kept)
        return [Fitted("conv1", len(kept), missed), Fitted("conv2", block.width, sums.solve(block.conv2, whole, kept))]

    def _wanted(self, x: Tensor, y: Tensor, size: int) -> Tensor:
        """What the second convolution should give: the teacher's sum less the student's own skip."""
        block, model = self.block, self.model
        total = model.joined(model.conv2(functional.relu(model.conv1(y))), y)
        skip = block.joined(torch.zeros(len(x), block.width, size, size), x)
        return (read_off(total, *self.grids, skip.shape[2]) - skip)[:, :, :size, :size]


class _Sums:
    """Gram matrix and cross products of a convolution's inputs, a column of ones for the bias among them."""

    def __init__(self, layer: nn.Conv2d, crops: int, generator: torch.Generator) -> None:
        self.layer, self._generator = layer, generator
        self._crops = crops
        inputs = layer.in_channels * layer.kernel_size[0] * layer.kernel_size[1] + 1
        self._gram = np.zeros((inputs, inputs))
        self._cross = np.zeros((inputs, layer.out_channels))
        self._square, self._sum, self._count = 0.0, np.zeros(layer.out_channels), 0

    def add(self, x: Tensor, wanted: Tensor) -> None:
        """Some places of a batch: what the layer sees `(n, c, s, s)` and should give `(n, o, s', s')`."""
        layer = self.layer
        patches = functional.unfold(x, layer.kernel_size, padding=layer.padding, stride=layer.stride)  # type: ignore[arg-type]
        count = min(wanted[:, 0].numel(), -(-PLACES * len(x) // self._crops))
        chosen = torch.randperm(wanted[:, 0].numel(), generator=self._generator)[:count]
        rows = patches.transpose(1, 2).reshape(-1, patches.shape[1])[chosen]
        values = wanted.permute(0, 2, 3, 1).reshape(-1, wanted.shape[1])[chosen]
        rows = torch.cat([rows, torch.ones(count, 1)], dim=1)
        # A batch's products in floats, their sums in doubles: as exact as the ridge asks for, ten times as fast.
        self._gram += (rows.T @ rows).numpy()
        self._cross += (rows.T @ values).numpy()
        self._square += float(values.double().square().sum())
        self._sum += values.double().sum(dim=0).numpy()
        self._count += count

    def solve(self, layer: nn.Conv2d, near: nn.Conv2d | None = None, kept: Sequence[int] | None = None) -> float:
        """Set the layer's weights to the least squares; the share of the variance that they miss.

        Its inputs are those of the channels `kept`; `near` gives the weights that it is pulled towards, its own if
        None.
        """
        gram, cross = self._pulled(near or layer)
        taken = np.arange(len(gram)) if kept is None else self._places(kept)
        found = np.linalg.solve(gram[np.ix_(taken, taken)], cross[taken])
        rest = self._square - 2 * float((found * self._cross[taken]).sum())
        rest += float((found * (self._gram[np.ix_(taken, taken)] @ found)).sum())
        layer.weight.copy_(torch.from_numpy(found[:-1].T.reshape(layer.weight.shape).astype(np.float32)))
        assert layer.bias is not None
        layer.bias.copy_(torch.from_numpy(found[-1].astype(np.float32)))
        variance = self._square - float((self._sum**2).sum()) / self._count
        return rest / max(variance, 1e-12)

    def choose(self, near: nn.Conv2d, keep: int) -> list[int]:
        """The input channels that the layer needs most."""
        if keep >= near.in_channels:
            return list(range(near.in_channels))
        gram, cross = self._pulled(near)
        # The bias stays whatever goes: it is taken out by solving for it first.
        ones, rest = gram[-1, -1], gram[-1, :-1]
        inner = gram[:-1, :-1] - np.outer(rest, rest) / ones
        return keep_channels(inner, cross[:-1] - np.outer(rest, cross[-1]) / ones, near.kernel_size[0] ** 2, keep)

    def _pulled(self, near: nn.Conv2d) -> tuple[Matrix, Matrix]:
        pull = _RIDGE * np.trace(self._gram[:-1, :-1]) / (len(self._gram) - 1)
        before = np.zeros_like(self._cross)
        if near.weight[0].numel() == len(before) - 1:
            before[:-1] = near.weight.flatten(1).T.double().numpy()
        pulls = np.full(len(self._gram), pull)
        pulls[-1] = 0.0
        return self._gram + np.diag(pulls), self._cross + pulls[:, None] * before

    def _places(self, kept: Sequence[int]) -> NDArray[np.intp]:
        group = self.layer.kernel_size[0] * self.layer.kernel_size[1]
        places = (np.array(kept)[:, None] * group + np.arange(group)).ravel()
        return np.append(places, len(self._gram) - 1)


def _take(layer: nn.Conv2d, wide: nn.Conv2d, kept: Sequence[int]) -> None:
    layer.weight.copy_(wide.weight[list(kept)])
    assert layer.bias is not None
    assert wide.bias is not None
    layer.bias.copy_(wide.bias[list(kept)])


def _batches(count: int) -> list[slice]:
    return [slice(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]


def _batched(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([layer(x[at].float()) for at in _batches(len(x))])
