"""The memory that a step begins with: the one that is there, or a new one of the people whom a bundle knows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from likeness.bundle import Bundle
from likeness.data.crop import crop_facts
from likeness.data.dataset import Dataset, Facts
from likeness.data.splits import person_key
from likeness.errors import Conflict
from likeness.evaluate.classes import Classes
from likeness.evaluate.dataset import embed_dataset
from likeness.settings import Settings
from likeness.train.arrivals import arrange, place_new, read_people
from likeness.train.erasure import clear_leftovers
from likeness.train.from_bundle import Watch
from likeness.train.herding import share_of_each
from likeness.train.loop import Say
from likeness.train.memory import ARRIVED, BEGUN, LEARN, STATE, Memory, empty_memory, expect_continues, rows_used
from likeness.train.parity import unit
from likeness.train.publishing import next_state, record_of, remembered
from likeness.train.recipe import Recipe
from likeness.train.steps import EMBEDDINGS, EXEMPLARS, Asked
from likeness.types import Vector


def open_memory(
    old: Bundle, recipe: Recipe, folder: Path, asked: Asked, settings: Settings, say: Say, watch: Watch
) -> Memory:
    """The memory that is there, or one that begins with the people of `asked.old`, or with nobody.

    Raises:
        Conflict: the one that is there goes with another bundle, or people are given to it again.
        DatasetError: there are no people in `asked.old`.
        InputError: there is no room for an exemplar of each of them.
    """
    if (folder / STATE).is_file():
        memory = Memory.read(folder)
        clear_leftovers(memory)
        if asked.old is not None:
            raise Conflict(
                f"the memory {str(folder)!r} is begun already: it has people of its own", hint="leave --old out"
            )
        return expect_continues(memory, old, asked.exemplars)
    crops = crop_facts(old, settings.library(say).find(settings.detector).manifest.name)
    room = EXEMPLARS if asked.exemplars is None else asked.exemplars
    memory = empty_memory(folder, Facts(name="nobody", source="remembered", crops=crops), old, room)
    begun, centres = folder / BEGUN, dict[str, Vector]()
    dataset = Dataset(begun, memory.dataset.facts, ())
    if asked.old is not None:
        arrived = read_people(asked.old, old, begun / ARRIVED, settings, say, watch)
        rows = arrange(arrived, (), recipe, 0)
        share_of_each(room, len({row.identity for row in rows}))
        place_new(rows, arrived.folder, begun)
        facts = arrived.facts.model_copy(update={"name": memory.dataset.facts.name})
        dataset = Dataset(begun, facts, tuple(rows))
        centres = _first_centres(old, dataset, begun / EMBEDDINGS, watch)
        memory = remembered(memory, dataset, old, centres, begun / EMBEDDINGS, watch)
    assert old.manifest.embedding is not None
    record = record_of(memory, old.manifest.name, old.manifest.embedding.space, {"verification": None})
    state = next_state(memory.state, old.path("model"), record, same_space=True)
    begun_memory = Memory(folder, state, Dataset(folder, memory.dataset.facts, memory.dataset.rows), centres)
    begun_memory.write(begun, old)
    clear_leftovers(begun_memory)
    return begun_memory


def _first_centres(old: Bundle, dataset: Dataset, cache: Path, watch: Watch) -> dict[str, Vector]:
    """Of each person the row of the bundle's classifier, or where it has none the mean of the photos to learn."""
    rows = rows_used(dataset.rows, LEARN)
    with watch("remembering") as progress:
        vectors = embed_dataset(old, dataset, rows, cache, progress).vectors
    classes = Classes.of(old)
    known = {} if classes is None else {person_key(str(n)): at for at, n in enumerate(classes.identities)}
    names, centres = np.array([row.identity for row in rows]), dict[str, Vector]()
    for name in sorted(set(names.tolist())):
        at = known.get(person_key(name))
        centre = vectors[names == name].mean(axis=0) if classes is None or at is None else classes.weights[at]
        centres[name] = unit(centre)
    return centres
