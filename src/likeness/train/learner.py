"""A task as Lightning's loop takes it: optimiser, validation between epochs, nothing of what is learnt."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import lightning
import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from likeness.errors import ModelError
from likeness.train.crops import Crops
from likeness.train.optimisation import decayed_groups, rate_factor
from likeness.train.recipe import Recipe
from likeness.train.sampling import Batches
from likeness.train.tasks import Batch, Task


class Learner(lightning.LightningModule):
    """Runs a task's batches and validates its network.

    The random generator is set anew at the start of each epoch, so that a training that was stopped and resumed ends
    with the same numbers as one that was not.
    """

    def __init__(self, task: Task, recipe: Recipe, steps_per_epoch: int) -> None:
        super().__init__()
        self.task = task
        self.recipe = recipe
        self._steps_per_epoch = steps_per_epoch
        self._seen: list[list[tuple[Tensor, Tensor]]] = [[], []]
        self._sums: dict[str, tuple[Tensor, int]] = {}

    def on_train_epoch_start(self) -> None:
        """Begin the epoch's random numbers and sums."""
        torch.manual_seed(hash((self.recipe.loop.seed, self.current_epoch, self.global_rank)) & 0xFFFFFFFF)
        self._sums = {}

    def training_step(self, batch: Batch, place: int) -> Tensor:
        """The loss of a batch."""
        values = self.task.losses(_channels_last(batch))
        for name, value in values.items():
            # Summed where it is: a number for the processor would have it wait for the GPU at every batch.
            total, count = self._sums.get(name, (torch.zeros((), device=value.device, dtype=torch.float64), 0))
            self._sums[name] = (total + value.detach(), count + 1)
        return values["loss"]

    def validation_step(self, batch: Batch, place: int, dataloader_idx: int = 0) -> None:
        """Keep what the task looks at in a batch."""
        pictures, labels = _channels_last(batch)
        self._seen[dataloader_idx].append((self.task.seen(pictures), labels))

    def on_validation_epoch_end(self) -> None:
        """Log the losses' means, the task's judgement of the validation, and how often held photos are named rightly.

        Raises:
            ModelError: the training came to numbers that are none.
        """
        # Logged here, not at the epoch's end: the record that is written then must have them.
        figures = {f"train/{name}": float(total) / count for name, (total, count) in self._sums.items()}
        for name, seen in zip(("validation", "held"), self._seen, strict=True):
            if not seen:
                continue
            unit, people = (torch.cat(parts) for parts in zip(*seen, strict=True))
            seen.clear()
            if not (unit.isfinite().all() and all(map(math.isfinite, figures.values()))):
                raise ModelError(
                    f"the training came to numbers that are none in epoch {self.current_epoch + 1}",
                    hint="learn more slowly: --set optimiser.learning_rate=… with --fresh, or in another folder",
                )
            if name == "validation":
                figures |= {f"validation/{key}": value for key, value in self.task.judge(unit, people).items()}
            elif (weights := self.task.class_weights()) is not None:
                right = (unit @ weights.float().T).argmax(1) == people
                figures["held/class_accuracy"] = float(right.float().mean())
        # Of several processes each has seen all photos; all must decide alike on when to stop.
        self.log_dict(self.trainer.strategy.broadcast(figures))

    def configure_optimizers(self) -> Any:
        """AdamW."""
        part = self.recipe.optimiser
        optimiser = torch.optim.AdamW(decayed_groups(self, part.weight_decay), lr=part.learning_rate)
        steps = self._steps_per_epoch * self.recipe.loop.epochs
        warmup = round(self._steps_per_epoch * part.warmup_epochs)
        factor = partial(rate_factor, part.schedule, steps=steps, warmup=warmup)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, factor)
        return {"optimizer": optimiser, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


class Feeds(lightning.LightningDataModule):
    """The batches of a training, shared out to its processes."""

    def __init__(self, learnt: Crops, validation: Crops, held: Crops | None, recipe: Recipe) -> None:
        super().__init__()
        self._learnt, self._validation, self._held, self._recipe = learnt, validation, held, recipe

    def train_dataloader(self) -> DataLoader[Any]:
        """Batches by the recipe's rule."""
        trainer = self.trainer
        world, rank = (trainer.world_size, trainer.global_rank) if trainer else (1, 0)
        return self._loader(self._learnt, training_batches(self._learnt, self._recipe, rank=rank, world=world))

    def val_dataloader(self) -> list[DataLoader[Any]]:
        """All photos of other people, then those held back of the people learnt."""
        parts = [self._validation, *([self._held] if self._held is not None and len(self._held) else [])]
        return [self._loader(part, _InOrder(len(part), self._recipe.data.batch_size)) for part in parts]

    def _loader(self, crops: Crops, batches: Any) -> DataLoader[Any]:
        workers = self._recipe.data.workers
        # A generator of its own: the global one must not move when a loader starts.
        return DataLoader(
            crops,
            batch_sampler=batches,
            num_workers=workers,
            persistent_workers=workers > 0,
            pin_memory=torch.cuda.is_available(),
            generator=torch.Generator().manual_seed(self._recipe.loop.seed),
        )


class _InOrder:
    """Batches of `(0, index)` in order."""

    def __init__(self, count: int, size: int) -> None:
        self._count, self._size = count, size

    def __len__(self) -> int:
        return -(-self._count // self._size)

    def __iter__(self) -> Any:
        for start in range(0, self._count, self._size):
            yield [(0, index) for index in range(start, min(start + self._size, self._count))]


def training_batches(learnt: Crops, recipe: Recipe, *, rank: int = 0, world: int = 1) -> Batches:
    """The batches of a training's epochs."""
    part = recipe.data
    # Labels that are no people's numbers put nobody's photos together.
    people = learnt.labels if learnt.labels.ndim == 1 else np.arange(len(learnt))
    return Batches(
        people,
        old=learnt.old,
        batch_size=part.batch_size,
        per_person=part.per_person,
        seed=recipe.loop.seed,
        rank=rank,
        world=world,
    )


def _channels_last(batch: Batch) -> Batch:
    pictures, people = batch
    return pictures.contiguous(memory_format=torch.channels_last), people
