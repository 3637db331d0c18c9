"""What trainings of the detector's two networks share: schedule, optimizer, averaged weights, checkpoint."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from likeness.errors import DatasetError

_EMA = 0.998
_WARM_UP = 200
_CLIP = 10.0
_LAST_SHARE = 0.01


@dataclass(frozen=True, slots=True)
class Schedule:
    """How long and how fast a network is trained.

    Attributes:
        epochs, batches, size: epochs of so many batches of so many scenes.
        rate: peak of the learning rate, which warms up and falls by half a cosine. decay: of the weights.
        workers: other processes that compose scenes, none or one.
    """

    epochs: int = 40
    batches: int = 150
    size: int = 32
    rate: float = 2e-3
    decay: float = 0.02
    seed: int = 7
    workers: int = 1


def _average(average: Tensor, new: Tensor, count: Tensor | int) -> Tensor:
    """A running mean that forgets the beginning: over all steps at first, then over the last 500 or so."""
    kept = min(_EMA, (1.0 + float(count)) / (10.0 + float(count)))
    mean: Tensor = average * kept + new * (1 - kept)
    return mean


Network = TypeVar("Network", bound=nn.Module)


class Averaged(Generic[Network]):
    """A network in training, the running average of its weights, and the optimizer."""

    def __init__(self, build: Callable[[], Network], schedule: Schedule) -> None:
        torch.manual_seed(schedule.seed)
        self.schedule = schedule
        self.network = build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average = AveragedModel(self.network, avg_fn=_average, use_buffers=True)
        plain = [p for p in self.network.parameters() if p.ndim < 2]
        weights = [p for p in self.network.parameters() if p.ndim >= 2]
        groups = [{"params": weights, "weight_decay": schedule.decay}, {"params": plain, "weight_decay": 0.0}]
        self.optimizer = torch.optim.AdamW(groups, lr=schedule.rate)
        self.half = bool(torch.cpu._is_avx512_bf16_supported())

    def rate(self, step: int) -> float:
        """The learning rate of a step: a warm-up, then half a cosine."""
        total = self.schedule.epochs * self.schedule.batches
        warm = min(_WARM_UP, total // 10 + 1)
        if step < warm:
            return self.schedule.rate * (step + 1) / warm
        wave = (1 + math.cos(math.pi * min(1.0, (step - warm) / max(1, total - warm)))) / 2
        return self.schedule.rate * (_LAST_SHARE + (1 - _LAST_SHARE) * wave)

    def prepare(self, step: int) -> None:
        """Set the learning rate of a step."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate(step)

    def learn(self, loss: Tensor) -> None:
        """One step down a loss."""
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        self.average.update_parameters(self.network)

    def result(self) -> Network:
        """The network of the averaged weights, at rest."""
        return cast(Network, self.average.module).eval()

    def save(self, path: Path, epochs: int) -> None:
        """Write a checkpoint."""
        part = path.with_name(f".{path.name}.part")
        state = {"network": self.network.state_dict(), "average": self.average.state_dict()}
        torch.save({**state, "optimizer": self.optimizer.state_dict(), "epochs": epochs}, part)
        part.replace(path)

    def restore(self, path: Path) -> int:
        """Go on from a checkpoint if there is one; how many epochs are done.

        Raises:
            DatasetError: it is damaged, or of another network.
        """
        if not path.is_file():
            return 0
        try:
            kept = torch.load(path, map_location="cpu", weights_only=True)
            self.network.load_state_dict(kept["network"])
            self.average.load_state_dict(kept["average"])
            self.optimizer.load_state_dict(kept["optimizer"])
            return int(kept["epochs"])
        except Exception as error:  # torch raises a class of its own for each kind of damage
            raise DatasetError(f"the checkpoint {str(path)!r} cannot be gone on from", hint="delete it") from error
