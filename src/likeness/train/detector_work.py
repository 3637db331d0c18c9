"""What trainings of the detector's two networks share: schedule, optimizer, averaged weights, checkpoint, record."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor, nn

from likeness.errors import DatasetError
from likeness.train.optimisation import decayed_groups, follow, rate_factor
from likeness.train.run import commit, machine, versions
from likeness.train.same_work import Facts, expect_same_work, facts_as_text
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

    def work(self) -> dict[str, Any]:
        """What a training that goes on must have in common with its beginning: all but how long it is to be."""
        return {"batches": self.batches, "size": self.size, "rate": self.rate, "decay": self.decay, "seed": self.seed}


Network = TypeVar("Network", bound=nn.Module)


class Averaged(Generic[Network]):
    """A network in training, the running average of its weights, and the optimizer.

    `work` says what else than the schedule it is trained on; without it any checkpoint of such a network is taken.
    """

    def __init__(self, build: Callable[[], Network], schedule: Schedule, work: Facts | None = None) -> None:
        torch.manual_seed(schedule.seed)
        self.schedule = schedule
        self._work = None if work is None else {**work, **schedule.work()}
        self._parts: list[dict[str, Any]] = []
        self._facts: dict[str, Any] = {}
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

    def save(self, path: Path, epochs: int, seconds: float = 0.0) -> None:
        """Write a checkpoint after an epoch that took so long."""
        self._note(seconds)
        state = {"network": self.network.state_dict(), "average": self.average.state_dict()}
        rest = {"epochs": epochs, "work": facts_as_text(self._work or {}), "parts": self._parts}
        write_state(path, {**state, "optimizer": self.optimizer.state_dict(), **rest})

    def _note(self, seconds: float) -> None:
        """Add an epoch to the record: to its last part, unless schedule, code or machine are others now."""
        if not self._facts:
            self._facts = {"schedule": asdict(self.schedule), "commit": commit(), "versions": versions(),
                           "machine": machine("cpu")}  # fmt: skip
        if not self._parts or any(self._parts[-1].get(name) != value for name, value in self._facts.items()):
            self._parts.append({"epochs": 0, "seconds": 0.0, **self._facts})
        self._parts[-1]["epochs"] += 1
        self._parts[-1]["seconds"] += seconds

    def restore(self, path: Path) -> int:
        """Go on from a checkpoint if there is one; how many epochs are done.

        Raises:
            DatasetError: it is damaged, or of another network. RunDiffers: it was trained on other things.
        """
        if not path.is_file():
            return 0
        kept = read_state(path, hint="delete it")
        try:
            if self._work is not None:
                expect_same_work(str(kept["work"]), self._work, path)
            self._parts = list(kept["parts"])
            self.network.load_state_dict(kept["network"])
            self.average.load_state_dict(kept["average"])
            self.optimizer.load_state_dict(kept["optimizer"])
            return int(kept["epochs"])
        except (KeyError, RuntimeError, ValueError) as error:
            raise DatasetError(f"the checkpoint {str(path)!r} is of another network", hint="delete it") from error


def course_of(path: Path) -> list[dict[str, Any]]:
    """How the network in a checkpoint was trained: each part's epochs, seconds, schedule, commit, versions, machine.

    Raises:
        DatasetError: there is none, or it is damaged.
    """
    parts: list[dict[str, Any]] = read_state(path, hint="delete it").get("parts", [])
    return [{**part, "seconds": round(part["seconds"], 1)} for part in parts]
