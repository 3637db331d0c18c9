"""A student cut out of its teacher: layer by layer, on the teacher's feature maps.

The student walks through the teacher's layers in order. A stem of its own learns what the teacher's gives. Each
convolution of the blocks is then fitted by least squares so that, from what the student itself sees, it gives what the
teacher's gives at the same places; between the two convolutions of a block only those channels stay that the second
needs most, and a block that is left out is made up for by the next. He et al. 2017, "Channel Pruning for Accelerating
Very Deep Neural Networks", with channels eliminated few by few by what their loss costs after refitting the others
(Hassibi and Stork 1993, "Optimal Brain Surgeon", by groups of weights) in place of the LASSO. A thousand faces suffice,
and distillation goes on from there.
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

from likeness.train.distil_losses import map_loss
from likeness.train.residual import ResidualBlock, ResidualNet, WholeStem

Matrix = NDArray[np.float64]
PLACES = 24_000
"""Places of all crops' maps that a layer is fitted on, at most."""
AT_ONCE = 1 / 16
"""Share of the channels left that go together: each going changes what the others are worth."""
_BATCH = 64
_STEM_BATCH, _STEM_RATE = 24, 4e-3
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
    faces: Tensor,
    *,
    seed: int = 0,
    stem_steps: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Fitted]:
    """Fit `student`, in place, to `teacher` on aligned faces `(n, 3, 150, 150)` uint8."""
    generator = torch.Generator().manual_seed(seed)
    total = len(teacher.blocks) + 1
    found = [_fit_stem(teacher, student, faces, stem_steps, generator)]
    progress(1, total)
    with torch.inference_mode():
        x, y = _batched(student.begin, faces), _batched(teacher.begin, faces)
        blocks = dict(zip(student.kept, student.blocks, strict=True))
        for index, model in enumerate(teacher.blocks):
            assert isinstance(model, ResidualBlock)
            if (block := blocks.get(index)) is not None:
                assert isinstance(block, ResidualBlock)
                fit = _BlockFit(block, model, generator)
                found += [replace(each, layer=f"block{index}.{each.layer}") for each in fit.run(x, y)]
                x = _batched(block, x)
            y = _batched(model, y)
            progress(index + 2, total)
        student.matrix.weight.copy_(teacher.matrix.weight)
    return found


def keep_channels(inverse: Matrix, weights: Matrix, group: int, keep: int, *, at_once: float = 0.0) -> list[int]:
    """Which channels to keep of those whose inputs, `group` a channel, have the inverse Gram matrix `inverse`.

    `weights` `(inputs, outputs)` are the least squares of all inputs. Always those channels go without which the least
    squares of the others grow least: one at a time, or the share `at_once` of those that are left.
    """
    inverse, weights = inverse.copy(), weights.copy()
    alive = np.arange(len(inverse) // group)
    while len(alive) > keep:
        places = alive[:, None] * group + np.arange(group)
        blocks = inverse[places[:, :, None], places[:, None, :]]
        theirs = weights[places]
        cost = np.einsum("kgo,kgo->k", theirs, np.linalg.solve(blocks, theirs))
        going = min(len(alive) - keep, max(1, int(at_once * len(alive))))
        order = np.argsort(cost, kind="stable")
        at = places[order[:going]].ravel()
        taken = np.linalg.solve(inverse[np.ix_(at, at)], np.concatenate([inverse[at], weights[at]], axis=1))
        columns = inverse[:, at].copy()
        inverse -= columns @ taken[:, : len(inverse)]
        weights -= columns @ taken[:, len(inverse) :]
        alive = np.sort(alive[order[going:]])
    return [int(each) for each in alive]


def _fit_stem(
    teacher: ResidualNet, student: ResidualNet, faces: Tensor, steps: int, generator: torch.Generator
) -> Fitted:
    """A stem of the teacher's form is copied; another learns from gradients, as what it gives is no linear map."""
    block = student.blocks[0]
    assert isinstance(block, ResidualBlock)
    channels = block.conv1.in_channels
    if isinstance(student.stem, WholeStem):
        student.stem.load_state_dict(teacher.stem.state_dict())
        return Fitted("stem", channels, 0.0)
    optimiser = torch.optim.Adam(student.stem.parameters(), lr=_STEM_RATE)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    losses = []
    for _ in range(steps):
        batch = faces[torch.randint(len(faces), (min(_STEM_BATCH, len(faces)),), generator=generator)].float()
        with torch.no_grad():
            wanted = teacher.begin(batch)
        loss = map_loss(student.begin(batch), wanted)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
        losses.append(float(loss.detach()))
    last = losses[-max(1, steps // 10) :]
    return Fitted("stem", channels, sum(last) / len(last))


@dataclass(frozen=True, slots=True)
class _BlockFit:
    """One block of the student being fitted to the same block of the teacher."""

    block: ResidualBlock
    model: ResidualBlock
    generator: torch.Generator

    def run(self, x: Tensor, y: Tensor) -> list[Fitted]:
        """Fit on what the student's block sees `x` and the teacher's `y`, as `(n, c, s, s)` each."""
        block, model = self.block, self.model
        # First all of the teacher's inner channels, then those that the second convolution needs most.
        wide, whole = copy.deepcopy(model.conv1), copy.deepcopy(model.conv2)
        places = _Places(wide, len(x), self.generator)
        for at in _batches(len(x)):
            places.add(x[at], model.conv1(y[at]))
        missed = places.settle().solve(wide)
        places = _Places(whole, len(x), self.generator)
        for at in _batches(len(x)):
            places.add(functional.relu(wide(x[at])), self._wanted(x[at], y[at]))
        squares = places.settle()
        kept = squares.choose(whole, block.conv1.out_channels)
        _take(block.conv1, wide, kept)
        return [
            Fitted("conv1", len(kept), missed),
            Fitted("conv2", block.width, squares.solve(block.conv2, whole, kept)),
        ]

    def _wanted(self, x: Tensor, y: Tensor) -> Tensor:
        """What the second convolution should give: the teacher's, and what the skips differ by."""
        main = self.model.conv2(functional.relu(self.model.conv1(y)))
        size = main.shape[2]
        apart = self.model.joined(main, y) - self.block.joined(torch.zeros_like(main), x)
        return apart[:, :, :size, :size]


class _Places:
    """What a convolution sees at some places of all crops, and should give there: enough for its least squares.

    Rows are as many as places, at most `PLACES`: what the layer sees `(n, inputs)`, and should give `(n, outputs)`.
    """

    def __init__(self, layer: nn.Conv2d, crops: int, generator: torch.Generator) -> None:
        self.layer, self._generator, self._crops = layer, generator, crops
        self._parts: list[tuple[Tensor, Tensor]] = []

    def add(self, x: Tensor, wanted: Tensor) -> None:
        """Some places of a batch: what the layer sees `(n, c, s, s)` and should give `(n, o, s', s')`."""
        layer = self.layer
        patches = functional.unfold(x, layer.kernel_size, padding=layer.padding, stride=layer.stride)  # type: ignore[arg-type]
        count = min(wanted[:, 0].numel(), -(-PLACES * len(x) // self._crops))
        chosen = torch.randperm(wanted[:, 0].numel(), generator=self._generator)[:count]
        rows = patches.transpose(1, 2).reshape(-1, patches.shape[1])[chosen]
        self._parts.append((rows, wanted.permute(0, 2, 3, 1).reshape(-1, wanted.shape[1])[chosen]))

    def settle(self) -> _Squares:
        """The least squares over the places that were added."""
        rows, values = (torch.cat(parts) for parts in zip(*self._parts, strict=True))
        return _Squares(rows, values, self.layer.kernel_size[0] * self.layer.kernel_size[1])


class _Squares:
    """Least squares of `values` `(n, outputs)` by `rows` `(n, inputs)` and a bias, pulled towards known weights.

    With fewer rows than inputs they are solved in the rows, which gives the same and is quicker.
    """

    def __init__(self, rows: Tensor, values: Tensor, group: int) -> None:
        self._row_mean, self._value_mean = rows.mean(dim=0), values.mean(dim=0)
        self._rows, self._values, self._group = rows - self._row_mean, values - self._value_mean, group
        self._pull = float(_RIDGE * self._rows.double().square().sum() / rows.shape[1]) + 1e-9

    def solve(self, layer: nn.Conv2d, near: nn.Conv2d | None = None, kept: Sequence[int] | None = None) -> float:
        """Set the layer's weights; the share of the variance that they miss.

        Its inputs are those of the channels `kept`; `near` gives the weights that it is pulled towards, its own if
        None.
        """
        before = (near or layer).weight.flatten(1).T
        rows, row_mean = self._rows, self._row_mean
        if kept is not None:
            at = torch.from_numpy(self._inputs(kept))
            rows, row_mean, before = rows[:, at], row_mean[at], before[at]
        found = self._found(rows, before)
        layer.weight.copy_(found.T.reshape(layer.weight.shape))
        assert layer.bias is not None
        layer.bias.copy_(self._value_mean - row_mean @ found)
        missed = float((self._values - rows @ found).double().square().sum())
        return missed / max(float(self._values.double().square().sum()), 1e-12)

    def choose(self, near: nn.Conv2d, keep: int) -> list[int]:
        """The input channels that the layer needs most."""
        if keep >= near.in_channels:
            return list(range(near.in_channels))
        weights = self._found(self._rows, near.weight.flatten(1).T).double().numpy()
        return keep_channels(self._inverse(), weights, self._group, keep, at_once=AT_ONCE)

    def _found(self, rows: Tensor, before: Tensor) -> Tensor:
        rest = (self._values - rows @ before).double()
        if len(rows) < rows.shape[1]:
            moved = rows.T.double() @ torch.linalg.solve(self._pulled(rows @ rows.T), rest)
        else:
            moved = torch.linalg.solve(self._pulled(rows.T @ rows), rows.T.double() @ rest)
        found: Tensor = before + moved.float()
        return found

    def _inverse(self) -> Matrix:
        """The inverse Gram matrix, the pull included."""
        rows = self._rows
        if len(rows) < rows.shape[1]:
            part = rows.T.double() @ torch.linalg.solve(self._pulled(rows @ rows.T), rows.double())
            inverse = (torch.eye(rows.shape[1], dtype=torch.float64) - part) / self._pull
        else:
            inverse = torch.linalg.inv(self._pulled(rows.T @ rows))
        found: Matrix = inverse.numpy()
        return found

    def _pulled(self, products: Tensor) -> Tensor:
        return products.double() + self._pull * torch.eye(len(products), dtype=torch.float64)

    def _inputs(self, kept: Sequence[int]) -> NDArray[np.intp]:
        places: NDArray[np.intp] = (np.array(kept)[:, None] * self._group + np.arange(self._group)).ravel()
        return places


def _take(layer: nn.Conv2d, wide: nn.Conv2d, kept: Sequence[int]) -> None:
    layer.weight.copy_(wide.weight[list(kept)])
    assert layer.bias is not None
    assert wide.bias is not None
    layer.bias.copy_(wide.bias[list(kept)])


def _batches(count: int) -> list[slice]:
    return [slice(start, min(start + _BATCH, count)) for start in range(0, count, _BATCH)]


def _batched(layer: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return torch.cat([layer(x[at].float()) for at in _batches(len(x))])
