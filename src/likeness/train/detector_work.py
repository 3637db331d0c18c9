"""What trainings of the detector's two networks share: schedule, optimizer, averaged weights, checkpoint."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn

from likeness.errors import DatasetError
from likeness.train.optimisation import decayed_groups, follow, rate_factor
from likeness.train.states import read_state, write_state

_EMA = 0.998
_WARM_UP = 200
_CLIP = 10.0


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


Network = TypeVar("Network", bound=nn.Module)


class Averaged(Generic[Network]):
    """A network in training, the running average of its weights, and the optimizer."""

    def __init__(self, build: Callable[[], Network], schedule: Schedule) -> None:
        torch.manual_seed(schedule.seed)
        self.schedule = schedule
        self.network = build().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.average: Network = deepcopy(self.network).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(decayed_groups(self.network, schedule.decay), lr=schedule.rate)
        self.half = bool(torch.cpu._is_avx512_bf16_supported())

    def learn(self, loss: Tensor, step: int) -> None:
        """One step down a loss; `step` counts from 0 over all epochs."""
        steps = self.schedule.epochs * self.schedule.batches
        factor = rate_factor("cosine", step, steps=steps, warmup=min(_WARM_UP, steps // 10))
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.rate * factor
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(self.network.parameters(), _CLIP)
        self.optimizer.step()
        follow(self.average, self.network, steps=step, most=_EMA)

    def save(self, path: Path, epochs: int) -> None:
        """Write a checkpoint."""
        state = {"network": self.network.state_dict(), "average": self.average.state_dict()}
        write_state(path, {**state, "optimizer": self.optimizer.state_dict(), "epochs": epochs})

    def restore(self, path: Path) -> int:
        """Go on from a checkpoint if there is one; how many epochs are done.

        Raises:
            DatasetError: it is damaged, or of another network.
        """
        if not path.is_file():
            return 0
        kept = read_state(path, hint="delete it")
        try:
            self.network.load_state_dict(kept["network"])
            self.average.load_state_dict(kept["average"])
            self.optimizer.load_state_dict(kept["optimizer"])
            return int(kept["epochs"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise DatasetError(f"the checkpoint {str(path)!r} is of another network", hint="delete it") from error
