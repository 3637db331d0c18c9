"""What is kept of a training while it runs: the record after every epoch, the best and the last checkpoint."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lightning
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint

from likeness.train.run import Run


class Keeper(Callback):
    """Counts batches, and writes the record after every epoch."""

    def __init__(
        self, run: Run, folder: Path, say: Callable[[str], None], progress: Callable[[int, int], None]
    ) -> None:
        self._run, self._folder, self._say, self._progress = run, folder, say, progress
        self._since = time.monotonic()

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Let the recipe decide on the patience, and not the checkpoint that a training goes on from."""
        for each in trainer.early_stopping_callbacks:
            assert isinstance(each, EarlyStopping)
            each.patience = self._run.recipe.loop.patience

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, *rest: object
    ) -> None:
        """One batch further."""
        self._progress(trainer.global_step, int(trainer.num_training_batches) * (trainer.max_epochs or 1))

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write the epoch into the record."""
        if not trainer.is_global_zero:
            return
        figures = {name: round(float(value), 6) for name, value in sorted(trainer.callback_metrics.items())}
        del self._run.epochs[trainer.current_epoch :]
        self._run.epochs.append(figures)
        errors = [epoch[self._run.recipe.monitored] for epoch in self._run.epochs]
        best = self._run.recipe.loop.keep == "best"
        self._run.best = errors.index(min(errors)) if best else len(errors) - 1
        now = time.monotonic()
        self._run.seconds = round(self._run.seconds + now - self._since, 1)
        self._since = now
        self._run.write(self._folder)
        words = ", ".join(f"{name.partition('/')[2].replace('_', ' ')} {value:.4f}" for name, value in figures.items())
        self._say(f"Epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: {words}")

    def finish(self, trainer: lightning.Trainer) -> None:
        """Say in the record that nothing more is to come."""
        if not trainer.is_global_zero:
            return
        self._run.finished = True
        early = len(self._run.epochs) < (trainer.max_epochs or 0)
        self._run.stopped = f"no better for {self._run.recipe.loop.patience} epochs" if early else ""
        self._run.write(self._folder)


class Checkpoints(ModelCheckpoint):
    """Lightning's, which goes on in a folder that was moved meanwhile.

    Its own forgets there what the best was, and keeps the next epoch as the best, however bad.
    """

    @property
    def state_key(self) -> str:
        """As Lightning's own."""
        return super().state_key.replace(type(self).__qualname__, ModelCheckpoint.__qualname__, 1)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take the state over, its files where they are now."""
        here = str(self.dirpath)

        def moved(path: str) -> str:
            return str(Path(here) / Path(path).name) if path else path

        paths = ("best_model_path", "kth_best_model_path", "last_model_path")
        super().load_state_dict(
            state_dict
            | {"dirpath": here}
            | {name: moved(state_dict[name]) for name in paths}
            | {"best_k_models": {moved(path): score for path, score in state_dict["best_k_models"].items()}}
        )
