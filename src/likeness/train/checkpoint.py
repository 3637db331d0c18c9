"""The network that came out of a training."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from likeness.errors import DatasetError
from likeness.train.from_onnx import OnnxNetwork
from likeness.train.networks import build_network
from likeness.train.recipe import FROM_BUNDLE, NetworkPart
from likeness.train.run import BEST, CHECKPOINTS, LAST, RECORD, Run
from likeness.train.states import read_state
from likeness.train.tasks import build_task

BASE = "base.onnx"


@dataclass(frozen=True, eq=False)
class Trained:
    """A training's record, its best network ready to run, and the classifier's rows `(people, d)` if it had one."""

    run: Run
    network: nn.Module
    classes: Tensor | None


def load_trained(folder: Path) -> Trained:
    """The best network of the training in a folder; which need not be finished.

    Raises:
        DatasetError: there is no training, it has not come to the end of an epoch, or its checkpoint is damaged.
    """
    run = Run.read(folder)
    part = run.recipe.network
    network = read_base(folder, part) if part.backbone == FROM_BUNDLE else build_network(part, blank=True)
    task = build_task(network, run.recipe.task, len(run.people), part.dimension)
    try:
        task.load_state_dict(task_state(folder, LAST if run.recipe.loop.keep == "last" else BEST))
    except RuntimeError as error:
        raise DatasetError(f"the checkpoint in {str(folder)!r} is not of the network that {RECORD} names") from error
    weights = task.class_weights()
    return Trained(run, task.network.eval(), None if weights is None else weights.detach())


def read_base(folder: Path, part: NetworkPart) -> nn.Module:
    """The network that a fine-tuning began with, from its folder."""
    return OnnxNetwork(folder / BASE, part.dimension)


def task_state(folder: Path, checkpoint: str = BEST) -> dict[str, Tensor]:
    """The state dict of the task in a checkpoint of a training, the best unless said.

    Raises:
        DatasetError: there is none yet, or it is damaged.
    """
    path = folder / CHECKPOINTS / checkpoint
    if not path.is_file():
        raise DatasetError(f"the training in {str(folder)!r} has not come to the end of an epoch yet")
    state = read_state(path).get("state_dict", {})
    return {name.removeprefix("task."): value for name, value in state.items() if name.startswith("task.")}
