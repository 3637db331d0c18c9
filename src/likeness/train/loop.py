"""One training from end to end: data set and recipe in, a folder with checkpoints, curves and a record out."""

from __future__ import annotations

import logging
import shutil
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from lightning.pytorch.loggers import TensorBoardLogger

from likeness.data.dataset import Dataset
from likeness.errors import DatasetError, InputError
from likeness.train import run as record
from likeness.train.learner import MONITORED, Feeds, Learner, training_batches
from likeness.train.material import Material, choose_material, crops_of
from likeness.train.networks import build_network
from likeness.train.recipe import Recipe
from likeness.train.run import CHECKPOINTS, DataUsed, Run
from likeness.train.tasks import Task, build_task

Say = Callable[[str], None]
Counted = Callable[[int, int], None]
MakeTask = Callable[[Recipe, int], Task]


def train(
    dataset: Dataset,
    recipe: Recipe,
    folder: Path,
    *,
    fresh: bool = False,
    say: Say = lambda text: None,
    progress: Counted = lambda done, total: None,
    make_task: MakeTask | None = None,
    started_from: str = "",
) -> Run:
    """Train, or go on with a training that was stopped; a finished one is left as it is.

    `progress` counts batches; `say` is told of weights and of each epoch's figures. `make_task` builds another task
    than the recipe's own from the recipe and the number of people.

    Raises:
        DatasetError: the data set has no crops, or too few of them.
        RunDiffers: the folder holds another training, and `fresh` is not said.
    """
    if dataset.facts.crops is None:
        raise DatasetError(f"{str(dataset.folder)!r} holds no aligned crops", hint="make them: likeness data crop")
    if fresh and (folder / record.RECORD).is_file():
        shutil.rmtree(folder)
    material = choose_material(dataset, recipe)
    run = _record(dataset, recipe, material, folder, started_from)
    if run.finished:
        say(f"This training is finished: {len(run.epochs)} epochs, the best was {run.best + 1}.")
        return run
    run.write(folder)
    (folder / record.HELD).write_text("".join(f"{path}\n" for path in run.held), "utf-8")
    with _quiet():
        _fit(dataset, recipe, material, run, folder, say, progress, make_task)
    return run


def _record(dataset: Dataset, recipe: Recipe, material: Material, folder: Path, started_from: str) -> Run:
    assert dataset.facts.crops is not None
    new = Run(
        recipe=recipe,
        data=DataUsed(
            name=dataset.facts.name,
            licence=dataset.facts.licence,
            digest=dataset.digest,
            crops=dataset.facts.crops,
            people=len(material.learnt.people),
            photos=len(material.learnt.rows),
            held_photos=len(material.held.rows),
            validation_people=len(material.validation.people),
            validation_photos=len(material.validation.rows),
        ),
        people=material.learnt.people,
        held=tuple(row.path for row in material.held.rows),
        started_from=started_from,
        commit=record.commit(),
        versions=record.versions(),
        machine=record.machine("cuda" if torch.cuda.is_available() else "cpu"),
    )
    if not (folder / record.RECORD).is_file():
        return new
    old = Run.read(folder)
    new.expect_same(old, folder)
    longer = new.recipe.loop.epochs > len(old.epochs) and not old.stopped
    return old.model_copy(update={"recipe": recipe, "finished": old.finished and not longer})


def _fit(
    dataset: Dataset,
    recipe: Recipe,
    material: Material,
    run: Run,
    folder: Path,
    say: Say,
    progress: Counted,
    make_task: MakeTask | None,
) -> None:
    lightning.seed_everything(recipe.loop.seed, verbose=False)
    learnt = crops_of(dataset, material.learnt, recipe, augment=True)
    validation = crops_of(dataset, material.validation, recipe)
    held = crops_of(dataset, material.held, recipe) if material.held.rows else None
    last = folder / CHECKPOINTS / record.LAST
    task = (make_task or _task_of(say if not last.is_file() else _nothing))(recipe, len(material.learnt.people))
    task.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    learner = Learner(task, recipe, len(training_batches(learnt, recipe)))
    keeper = _Keeper(run, folder, say, progress)
    trainer = _trainer(recipe, folder, keeper)
    if last.is_file():
        _expect_readable(last)
        say(f"Going on after {len(run.epochs)} epochs.")
    trainer.fit(
        learner,
        datamodule=Feeds(learnt, validation, held, recipe),
        ckpt_path=last if last.is_file() else None,
        weights_only=False,
    )
    if trainer.interrupted:
        raise KeyboardInterrupt
    keeper.finish(trainer)


def _expect_readable(last: Path) -> None:
    try:
        torch.load(last, map_location="cpu", weights_only=False)  # written by ourselves; it holds more than weights
    except Exception as error:  # torch raises a class of its own for each kind of damage
        raise DatasetError(
            f"the checkpoint {str(last)!r} cannot be read: {type(error).__name__}",
            hint="begin anew with --fresh, or in another folder with --run",
        ) from error


def _task_of(say: Say) -> MakeTask:
    def make(recipe: Recipe, people: int) -> Task:
        network = build_network(recipe.network, say=say)
        return build_task(network, recipe.task, people, recipe.network.dimension)

    return make


def _trainer(recipe: Recipe, folder: Path, keeper: Callback) -> lightning.Trainer:
    gpus = torch.cuda.device_count()
    devices = recipe.loop.devices or max(1, gpus)
    if gpus and devices > gpus:
        raise InputError(f"expected at most {gpus} devices, got loop.devices = {devices}")
    # At the epoch's end, after the record: who is stopped between the two has an epoch to repeat, not one that no
    # record tells of. Two of them, as one alone would keep the last only where it is the best.
    keep = partial(
        ModelCheckpoint, dirpath=folder / CHECKPOINTS, enable_version_counter=False, save_on_train_epoch_end=True
    )
    best = keep(filename=Path(record.BEST).stem, monitor=MONITORED, mode="min")
    last = keep(filename=Path(record.LAST).stem)
    return lightning.Trainer(
        accelerator="gpu" if gpus else "cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=recipe.loop.epochs,
        precision="bf16-mixed" if recipe.loop.precision == "bfloat16" else "32-true",
        gradient_clip_val=recipe.optimiser.clip,
        callbacks=[best, last, EarlyStopping(MONITORED, patience=recipe.loop.patience, mode="min"), keeper],
        logger=TensorBoardLogger(folder, name="", version="tensorboard"),
        log_every_n_steps=20,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        sync_batchnorm=devices > 1 and bool(gpus),
    )


class _Keeper(Callback):
    """Counts batches, and writes the record after every epoch."""

    def __init__(self, run: Run, folder: Path, say: Say, progress: Counted) -> None:
        self._run, self._folder, self._say, self._progress = run, folder, say, progress
        self._since = time.monotonic()

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
        errors = [epoch[MONITORED] for epoch in self._run.epochs]
        self._run.best = errors.index(min(errors))
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


def _nothing(text: str) -> None:
    """Where nobody is told."""


@contextmanager
def _quiet() -> Iterator[None]:
    """Lightning's advertisements and advice are not for our users; its errors are."""
    loggers = [logging.getLogger(name) for name in ("lightning", "lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            for module in (r"lightning\..*", r"torch\.optim\.lr_scheduler"):
                warnings.filterwarnings("ignore", module=module)
            warnings.filterwarnings("ignore", message=r".*does not have many workers.*")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
