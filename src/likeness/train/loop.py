"""One training from end to end: data set and recipe in, a folder with checkpoints, curves and a record out."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping
from lightning.pytorch.loggers import TensorBoardLogger

from likeness.data.dataset import Dataset
from likeness.errors import DatasetError, InputError, RunDiffers
from likeness.manifest import Manifest
from likeness.train import run as record
from likeness.train.keeping import Checkpoints, Keeper
from likeness.train.learner import Feeds, Learner, training_batches
from likeness.train.material import Material, choose_material, crops_of
from likeness.train.networks import build_network
from likeness.train.recipe import Recipe
from likeness.train.run import CHECKPOINTS, DataUsed, Run
from likeness.train.states import read_state
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
    material: Material | None = None,
    base: Manifest | None = None,
) -> Run:
    """Train, or go on with a training that was stopped; a finished one is left as it is.

    `progress` counts batches; `say` is told of weights and of each epoch's figures. `make_task` builds another task
    than the recipe's own from the recipe and the number of people; `material` are other photos than the splits';
    `base` is the bundle whose weights such a task begins with.

    Raises:
        DatasetError: the data set has no crops, or too few of them.
        RunDiffers: the folder holds another training, and `fresh` is not said.
        Conflict: another process is training in it.
        ModelError: the training came to numbers that are none.
    """
    if dataset.facts.crops is None:
        raise DatasetError(f"{str(dataset.folder)!r} holds no aligned crops", hint="make them: likeness data crop")
    material = material or choose_material(dataset, recipe)
    if os.environ.get("LOCAL_RANK", "0") != "0":  # of several processes that train together one writes and speaks
        run = _record(dataset, recipe, material, folder, base)
        with _quiet():
            _fit(dataset, recipe, material, run, folder, _nothing, lambda done, total: None, make_task)
        return run
    with record.alone(folder):
        if fresh:
            record.erase(folder)
        run = _record(dataset, recipe, material, folder, base)
        if run.finished:
            say(f"This training is finished: {len(run.epochs)} epochs, the best was {run.best + 1}.")
            return run
        run.write(folder)
        (folder / record.HELD).write_text("".join(f"{path}\n" for path in run.held), "utf-8")
        with _quiet():
            _fit(dataset, recipe, material, run, folder, say, progress, make_task)
        return run


def _record(dataset: Dataset, recipe: Recipe, material: Material, folder: Path, base: Manifest | None) -> Run:
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
        started_from=f"{base.name} {base.version}" if base else "",
        base_licence=base.licence if base else None,
        commit=record.commit(),
        versions=record.versions(),
        machine=record.machine("cuda" if torch.cuda.is_available() else "cpu"),
    )
    if not (folder / record.RECORD).is_file():
        return new
    old = Run.read(folder)
    new.expect_same(old, folder)
    if not old.finished and recipe.loop.epochs < len(old.epochs):
        raise RunDiffers(
            f"{str(folder)!r} holds a training of {len(old.epochs)} epochs already, loop.epochs = {recipe.loop.epochs}",
            hint="ask for as many or more, or begin anew with --fresh",
        )
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
    task = (make_task or _task_of(run, say, blank=last.is_file()))(recipe, len(material.learnt.people))
    task.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    keeper = Keeper(run, folder, say, progress)
    trainer = _trainer(recipe, folder, keeper)
    steps = len(training_batches(learnt, recipe, world=trainer.world_size))
    if not steps:
        raise DatasetError(
            f"an epoch of {len(learnt):,} photos has no batch for each of {trainer.world_size} devices",
            hint="take fewer: --set loop.devices=1",
        )
    learner = Learner(task, recipe, steps)
    if last.is_file():
        read_state(last, hint="begin anew with --fresh, or in another folder with --run")
        say(f"Going on after {len(run.epochs)} epochs.")
    with _interruptible():
        trainer.fit(
            learner,
            datamodule=Feeds(learnt, validation, held, recipe),
            ckpt_path=last if last.is_file() else None,
            weights_only=True,
        )
    keeper.finish(trainer)


def _task_of(run: Run, say: Say, *, blank: bool) -> MakeTask:
    """The recipe's own task; `blank` where a checkpoint brings the weights."""

    def began(words: str) -> None:
        run.started_from = words

    def make(recipe: Recipe, people: int) -> Task:
        network = build_network(recipe.network, say=say, began=began, blank=blank)
        return build_task(network, recipe.task, people, recipe.network.dimension)

    return make


def _trainer(recipe: Recipe, folder: Path, keeper: Keeper) -> lightning.Trainer:
    gpus = torch.cuda.device_count()
    devices = recipe.loop.devices or max(1, gpus)
    if gpus and devices > gpus:
        raise InputError(f"expected at most {gpus} devices, got loop.devices = {devices}")
    # At the epoch's end, after the record: who is stopped between the two has an epoch to repeat, not one that no
    # record tells of. Two of them, as one alone would keep the last only where it is the best.
    keep = partial(
        Checkpoints, dirpath=folder / CHECKPOINTS, enable_version_counter=False, save_on_train_epoch_end=True
    )
    callbacks: list[Callback] = [keep(filename=Path(record.LAST).stem), keeper]
    if recipe.loop.keep == "best":
        best = keep(filename=Path(record.BEST).stem, monitor=recipe.monitored, mode="min")
        callbacks = [best, EarlyStopping(recipe.monitored, patience=recipe.loop.patience, mode="min"), *callbacks]
    return lightning.Trainer(
        accelerator="gpu" if gpus else "cpu",
        devices=devices,
        strategy="ddp" if devices > 1 else "auto",
        max_epochs=recipe.loop.epochs,
        precision="bf16-mixed" if recipe.loop.precision == "bfloat16" else "32-true",
        gradient_clip_val=recipe.optimiser.clip,
        callbacks=callbacks,
        logger=TensorBoardLogger(folder, name="", version=record.CURVES),
        log_every_n_steps=20,
        num_sanity_val_steps=0,
        use_distributed_sampler=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        sync_batchnorm=devices > 1 and bool(gpus),
    )


def _nothing(text: str) -> None:
    """Where nobody is told."""


@contextmanager
def _interruptible() -> Iterator[None]:
    """Ctrl-C as everywhere: Lightning leaves with an exit code of its own."""
    try:
        yield
    except SystemExit as left:
        if isinstance(left.__context__, KeyboardInterrupt):
            raise KeyboardInterrupt from left
        raise


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
