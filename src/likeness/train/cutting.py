"""A student cut out of its teacher: layer by layer, on the teacher's feature maps.

The student walks through the teacher's layers in order. A stem of its own learns what the teacher's gives. Each
convolution of the blocks is then fitted by least squares so that, from what the student itself sees, it gives what the
teacher's gives at the same places; between the two convolutions of a block only those channels stay that the second
needs most. He et al. 2017, "Channel Pruning for Accelerating Very Deep Neural Networks", with channels eliminated few
by few by what their loss costs after refitting the others (Hassibi and Stork 1993, "Optimal Brain Surgeon", by groups
of weights) in place of the LASSO. A thousand faces suffice, and distillation goes on from there.
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
STEM_STEPS = 600
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
    stem_steps: int = STEM_STEPS,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[Fitted]:
    """Fit `student`, in place, to `teacher` on aligned faces `(n, 3, 150, 150)` uint8."""
    generator = torch.Generator().manual_seed(seed)
    total = len(student.blocks) + 1
    found = [_fit_stem(teacher, student, faces, stem_steps, generator)]
    progress(1, total)
    with torch.inference_mode():
        x, y = _batched(student.begin, faces), _batched(teacher.begin, faces)
        for index, (block, model) in enumerate(zip(student.blocks, teacher.blocks, strict=True)):
            assert isinstance(block, ResidualBlock)
            assert isinstance(model, ResidualBlock)
            fit = _BlockFit(block, model, generator)
            found += [replace(each, layer=f"block{index}.{each.layer}") for each in fit.run(x, y)]
            x, y = _batched(block, x), _batched(model, y)
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
        wide = copy.deepcopy(model.conv1)
        sums = _Sums(wide, len(x), self.generator)
        for at in _batches(len(x)):
            sums.add(x[at], model.conv1(y[at]))
        missed = sums.solve(wide)
        whole = copy.deepcopy(model.conv2)
        sums = _Sums(whole, len(x), self.generator)
        for at in _batches(len(x)):
            sums.add(functional.relu(wide(x[at])), self._wanted(x[at], y[at]))
        kept = sums.choose(whole, block.conv1.out_channels)
        _take(block.conv1, wide, kept)
        return [Fitted("conv1", len(kept), missed), Fitted("conv2", block.width, sums.solve(block.conv2, whole, kept))]

    def _wanted(self, x: Tensor, y: Tensor) -> Tensor:
        """What the second convolution should give: the teacher's, and what the skips differ by."""
        main = self.model.conv2(functional.relu(self.model.conv1(y)))
        size = main.shape[2]
        apart = self.model.joined(main, y) - self.block.joined(torch.zeros_like(main), x)
        return apart[:, :, :size, :size]


class _Sums:
    """What a convolution sees at some places of all crops, and should give there: enough for its least squares."""

    def __init__(self, layer: nn.Conv2d, crops: int, generator: torch.Generator) -> None:
        self.layer, self._generator, self._crops = layer, generator, crops
        inputs, outputs = layer.weight[0].numel(), layer.out_channels
        self._gram, self._cross = np.zeros((inputs, inputs)), np.zeros((inputs, outputs))
        self._inputs, self._outputs, self._square = np.zeros(inputs), np.zeros(outputs), 0.0
        self._count = 0

    def add(self, x: Tensor, wanted: Tensor) -> None:
        """Some places of a batch: what the layer sees `(n, c, s, s)` and should give `(n, o, s', s')`."""
        layer = self.layer
        patches = functional.unfold(x, layer.kernel_size, padding=layer.padding, stride=layer.stride)  # type: ignore[arg-type]
        count = min(wanted[:, 0].numel(), -(-PLACES * len(x) // self._crops))
        chosen = torch.randperm(wanted[:, 0].numel(), generator=self._generator)[:count]
        rows = patches.transpose(1, 2).reshape(-1, patches.shape[1])[chosen]
        values = wanted.permute(0, 2, 3, 1).reshape(-1, wanted.shape[1])[chosen]
        # A batch's products in floats, their sums in doubles: as exact as the pull asks for, ten times as fast.
        self._gram += (rows.T @ rows).numpy()
        self._cross += (rows.T @ values).numpy()
        self._inputs += rows.double().sum(dim=0).numpy()
        self._outputs += values.double().sum(dim=0).numpy()
        self._square += float(values.double().square().sum())
        self._count += count

    def solve(self, layer: nn.Conv2d, near: nn.Conv2d | None = None, kept: Sequence[int] | None = None) -> float:
        """Set the layer's weights to the least squares; the share of the variance that they miss.

        Its inputs are those of the channels `kept`; `near` gives the weights that it is pulled towards, its own if
        None.
        """
        gram, cross = self._centred()
        before, pull = self._before(near or layer), self._pull(gram)
        at = np.arange(len(gram)) if kept is None else self._places(kept)
        gram, cross, before = gram[np.ix_(at, at)], cross[at], before[at]
        found = np.linalg.solve(gram + pull * np.eye(len(gram)), cross + pull * before)
        bias = (self._outputs - self._inputs[at] @ found) / self._count
        layer.weight.copy_(torch.from_numpy(found.T.reshape(layer.weight.shape).astype(np.float32)))
        assert layer.bias is not None
        layer.bias.copy_(torch.from_numpy(bias.astype(np.float32)))
        variance = self._square - float((self._outputs**2).sum()) / self._count
        rest = variance - 2 * float((found * cross).sum()) + float((found * (gram @ found)).sum())
        return rest / max(variance, 1e-12)

    def choose(self, near: nn.Conv2d, keep: int) -> list[int]:
        """The input channels that the layer needs most."""
        if keep >= near.in_channels:
            return list(range(near.in_channels))
        gram, cross = self._centred()
        pull = self._pull(gram)
        inverse: Matrix = np.linalg.inv(gram + pull * np.eye(len(gram))).astype(np.float64)
        weights = inverse @ (cross + pull * self._before(near))
        return keep_channels(inverse, weights, near.kernel_size[0] ** 2, keep, at_once=AT_ONCE)

    def _centred(self) -> tuple[Matrix, Matrix]:
        """Gram matrix and cross products about the means: what is left when the bias is solved for."""
        means = self._inputs / self._count
        return self._gram - np.outer(means, self._inputs), self._cross - np.outer(means, self._outputs)

    def _pull(self, gram: Matrix) -> float:
        return float(_RIDGE * np.trace(gram) / len(gram)) + 1e-9

    def _before(self, near: nn.Conv2d) -> Matrix:
        """Weights that are pulled towards; nothing where the layer given has other inputs than these."""
        if near.weight[0].numel() != len(self._gram):
            return np.zeros_like(self._cross)
        weights: Matrix = near.weight.flatten(1).T.double().numpy()
        return weights

    def _places(self, kept: Sequence[int]) -> NDArray[np.intp]:
        group = self.layer.kernel_size[0] * self.layer.kernel_size[1]
        places: NDArray[np.intp] = (np.array(kept)[:, None] * group + np.arange(group)).ravel()
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
