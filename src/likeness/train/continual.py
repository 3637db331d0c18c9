"""New people arrive in batches: a bundle learns each batch without forgetting those before, or is not published.

A step learns the new people together with exemplars of the old (rehearsal), held to what the previous network said
(distillation); then both networks are measured on photos and people that neither learnt from, and only a step that
forgot no more than its budget becomes a bundle.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from likeness.bundle import Bundle
from likeness.data.dataset import Dataset
from likeness.errors import Conflict, InputError
from likeness.evaluate.dataset import calibration_of, embed_dataset
from likeness.evaluate.report import expect_extra
from likeness.settings import Settings
from likeness.train.arrivals import compose, material_of, read_people
from likeness.train.beginning import open_memory
from likeness.train.bundling import expect_name, tell_dropped
from likeness.train.checkpoint import read_base
from likeness.train.continual_task import ContinualTask, Teacher
from likeness.train.erasure import remove
from likeness.train.from_bundle import Watch, centres_of, embed_crops, fitted_recipe, keep_base
from likeness.train.herding import share_of_each
from likeness.train.judgement import judge
from likeness.train.loop import MakeTask, Say, train
from likeness.train.material import Material, crops_of
from likeness.train.memory import ARRIVED, EXEMPLAR, LEARN, STEPS, rows_used
from likeness.train.publishing import expect_free
from likeness.train.recipe import Recipe
from likeness.train.run import alone
from likeness.train.step_figures import expect_apart
from likeness.train.steps import MADE, Asked, Places, Step, Stepped
from likeness.train.tasks import Task, build_task

IN_DOUBT = 0.05
"""Where the middle one of somebody's new photos shows them with less probability than this, the name is in doubt."""


def continue_bundle(
    old: Bundle,
    people: Path,
    recipe: Recipe,
    places: Places,
    asked: Asked,
    *,
    settings: Settings,
    say: Say,
    watch: Watch,
    fresh: bool = False,
) -> Stepped:
    """Make one step: learn the people of a folder of photos, or of a cropped data set, on top of those known.

    A step that was stopped goes on when it is asked for again; `fresh` begins it anew. One that was refused is
    measured again, and published where it is within another budget.

    Raises:
        DatasetError: nobody new arrived, too few people, or people to measure on are learnt.
        InputError: there is no room for an exemplar of each person.
        Conflict: the memory goes with another bundle, one of the name is there, or a name is another person's.
        ModelError: the bundle's network cannot be trained further.
        RunDiffers: the step's folder holds a training of other photos or another recipe.
    """
    if not 0 <= asked.budget <= 1:
        raise InputError(
            f"expected a budget from 0 to 1, got {asked.budget}", hint="0.02 allows two points of a figure"
        )
    recipe = fitted_recipe(recipe, old, "continual")
    expect_extra()
    tell_dropped(old, say)
    with alone(places.memory):
        memory = open_memory(old, recipe, places.memory, asked, settings, say, watch)
        name = places.name or f"{memory.state.series}-{memory.step + 1}"
        expect_name(name)
        folder = memory.folder / STEPS / f"{memory.step + 1:03d}"
        if fresh:
            remove(folder)
        expect_free(places.models / name, folder / MADE)
        step = Step(old, memory, folder, name, asked, say, watch)
        keep_base(old, folder)
        arrived = read_people(people, old, folder / ARRIVED, settings, say, watch)
        dataset = compose(memory, arrived, recipe, folder)
        _expect_themselves(step, dataset)
        material = material_of(dataset, list(memory.centres), rehearse=asked.rehearse)
        share_of_each(memory.state.exemplars, len(material.learnt.people))
        if asked.verify is not None:
            expect_apart(*asked.verify, material.learnt.people)
        with watch("training") as progress:
            run = train(
                dataset,
                recipe,
                folder,
                say=say,
                progress=progress,
                make_task=_maker(step, dataset, material),
                material=material,
                base=old.manifest,
            )
        return judge(step, dataset, run, places)


def _expect_themselves(step: Step, dataset: Dataset) -> None:
    """Let more photos of known people pass, unless most of somebody's do not look like them."""
    calibration = calibration_of(step.old)
    arrived = {row.identity for row in rows_used(dataset.rows, LEARN)}
    before = [row for row in rows_used(dataset.rows, EXEMPLAR) if row.identity in arrived]
    back = {row.identity for row in before}
    new = [row for row in rows_used(dataset.rows, LEARN) if row.identity in back]
    if calibration is None or not back:
        return
    with step.watch("comparing") as progress:
        one, two = (embed_dataset(step.old, dataset, rows, step.cache, progress).vectors for rows in (before, new))
    names, others = np.array([row.identity for row in before]), np.array([row.identity for row in new])
    doubtful = [
        name
        for name in sorted(back)
        if calibration.probability(np.median((two[others == name] @ one[names == name].T).max(axis=1))) < IN_DOUBT
    ]
    if doubtful:
        raise Conflict(
            f"the memory knows {len(doubtful)} people by a name under which photos of somebody else arrived: "
            f"{', '.join(map(repr, doubtful[:5]))}",
            hint="name the new people otherwise, or leave those photos out",
        )


def _maker(step: Step, dataset: Dataset, material: Material) -> MakeTask:
    """Makes the task: centres of known people as the memory has them, those of new people where their photos lie."""

    def make(recipe: Recipe, people: int) -> Task:
        part = recipe.network
        task = build_task(read_base(step.folder, part), recipe.task, people, part.dimension)
        assert isinstance(task, ContinualTask)
        learnt, known = material.learnt, list(step.memory.centres.values())
        embeddings = embed_crops(task.network, crops_of(dataset, learnt, recipe))
        new = learnt.labels >= len(known)
        with torch.no_grad():
            if known:
                task.centres[: len(known)] = torch.from_numpy(np.stack(known))
            if new.any():
                mine = embeddings[torch.from_numpy(new)]
                task.centres[len(known) :] = centres_of(mine, learnt.labels[new] - len(known), people - len(known))
        if step.asked.protect:
            old = task.centres.detach()[: len(known)].clone()
            task.teacher = Teacher(read_base(step.folder, part), embeddings.mean(dim=0), old)
        return task

    return make
