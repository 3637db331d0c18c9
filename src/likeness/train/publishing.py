"""A step that may be published: its bundle in place, and what the memory keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from likeness.bundle import MANIFEST, Bundle, place_folder, sha256_of, write_manifest
from likeness.data.dataset import Dataset
from likeness.data.manifest import Row
from likeness.data.splits import person_key
from likeness.errors import CalibrationError, Conflict
from likeness.evaluate.calibrate import calibrate_dataset
from likeness.evaluate.calibrated import write_calibrated
from likeness.evaluate.dataset import calibration_of, embed_dataset
from likeness.train.forgetting import accuracies, outcomes
from likeness.train.from_bundle import Watch, copy_bundle
from likeness.train.herding import herd, share_of_each
from likeness.train.loop import Say
from likeness.train.memory import EXEMPLAR, HELD, LEARN, Memory, State, relabelled, rows_used
from likeness.types import Vector


def expect_free(target: Path, aside: Path) -> None:
    """Let a place pass where no bundle is yet, or the very one that this step came to.

    Raises:
        Conflict: another is there.
    """
    if not target.exists():
        return
    if (target / MANIFEST).is_file() and (aside / MANIFEST).is_file():
        mine, its = (Bundle.read(folder).manifest.files.get("model") for folder in (aside, target))
        if mine is not None and its is not None and mine.sha256 == its.sha256:
            return
    raise Conflict(f"the bundle {str(target)!r} is there already", hint="name another with --name, or remove it")


def place_step(
    made: Bundle, old: Bundle, target: Path, facts: Mapping[str, Any], *, same_space: bool, metrics: Sequence[Any]
) -> Bundle:
    """The new bundle in its place; in the old one's embedding space where that was measured to hold.

    One that this step put there before it was stopped stays, unless another budget has decided on its space since.

    Raises:
        Conflict: another is there.
    """
    assert old.manifest.embedding is not None
    told = made.manifest.model_dump(mode="json", exclude={"files"})
    told["origin"]["continued"] = dict(facts)
    told["metrics"] = list(metrics)
    if same_space:
        told["embedding"]["space"] = old.manifest.embedding.space
    roles = {key: file.path for key, file in made.manifest.files.items()}

    def fill(folder: Path) -> None:
        copy_bundle(made.folder, folder)
        (folder / MANIFEST).unlink()
        write_manifest(folder, told, roles)

    expect_free(target, made.folder)
    if target.exists():
        found = Bundle.read(target)
        if found.manifest.embedding is not None and found.manifest.embedding.space == told["embedding"]["space"]:
            return found
    return place_folder(target, fill, replace=True)


def calibrate_step(
    new: Bundle, old: Bundle, verify: Dataset | None, learnt: Sequence[str], cache: Path, say: Say, watch: Watch
) -> tuple[Bundle, str]:
    """The new bundle with probabilities, and a remark on them: fitted anew on the validation people of `verify`.

    Without such people those of the old bundle stay where the embedding space does.
    """
    if new.has("calibration"):
        return new, ""
    known = {person_key(name) for name in learnt}
    rows = [row for row in verify.rows if row.split == "validation" and row.identity] if verify else []
    if verify is not None and rows and not known & {person_key(row.identity) for row in rows}:
        try:
            with watch("calibrating") as progress:
                fitted = calibrate_dataset(new, verify, cache=cache, progress=progress)
            return write_calibrated(new, fitted, None), f"its probabilities are fitted on {fitted.data}"
        except CalibrationError as error:
            say(f"The new bundle's probabilities cannot be fitted: {error.message}")
    before = calibration_of(old)
    if before is not None and new.manifest.embedding is not None and before.space == new.manifest.embedding.space:
        return (
            write_calibrated(new, before, None),
            f"its probabilities are those of {old.manifest.name}: fit them anew with `likeness calibrate`",
        )
    return new, "without probabilities: fit them with `likeness calibrate`"


def choose_exemplars(rows: Sequence[Row], vectors: Vector, budget: int, people: int) -> list[Row]:
    """Of each person's exemplars and learnt photos those that are kept, by herding.

    Of people without new photos the first of those that were chosen before stay.
    """
    most = share_of_each(budget, people)
    places: dict[str, list[int]] = {}
    for at, row in enumerate(rows):
        places.setdefault(row.identity, []).append(at)
    kept = []
    for mine in places.values():
        if all(rows[at].label("use") == EXEMPLAR for at in mine):
            kept += [rows[at] for at in mine if float(rows[at].label("rank") or 0) <= most]
            continue
        chosen = herd(vectors[mine], most)
        kept += [relabelled(rows[mine[at]], use=EXEMPLAR, rank=rank) for rank, at in enumerate(chosen, 1)]
    return kept


def remembered(
    memory: Memory,
    dataset: Dataset,
    bundle: Bundle,
    centres: Mapping[str, Vector],
    cache: Path,
    watch: Watch,
) -> Memory:
    """The memory after a step, without its record: exemplars chosen anew, held photos with what was right of them."""
    learnt = [*rows_used(dataset.rows, EXEMPLAR), *rows_used(dataset.rows, LEARN)]
    held = rows_used(dataset.rows, HELD)
    with watch("remembering") as progress:
        vectors = embed_dataset(bundle, dataset, learnt, cache, progress).vectors
        asked = embed_dataset(bundle, dataset, held, cache, progress).vectors
    told = outcomes(asked, [row.identity for row in held], vectors, [row.identity for row in learnt], centres)
    tested = [
        relabelled(row, **{key: f"{row.label(key) or ''}{letter}" for key, letter in letters.items()})
        for row, letters in zip(held, told, strict=True)
    ]
    kept = choose_exemplars(learnt, vectors, memory.state.exemplars, len(centres))
    rows = tuple(sorted((*kept, *tested), key=lambda row: row.path))
    return replace(memory, dataset=replace(memory.dataset, rows=rows), centres=dict(centres))


def record_of(memory: Memory, bundle_name: str, space: str, more: Mapping[str, Any]) -> dict[str, Any]:
    """What is written down of a step; it names nobody."""
    rows = memory.dataset.rows
    return {
        "name": bundle_name,
        "date": datetime.now(UTC).date().isoformat(),
        "space": space,
        "people": len(memory.centres),
        "exemplars": len(rows_used(rows, EXEMPLAR)),
        "held": len(rows_used(rows, HELD)),
        **{
            key: {str(step): course[-1] for step, course in accuracies(rows, key).items()} for key in ("named", "found")
        },
        **more,
    }


def next_state(state: State, model: Path, record: Mapping[str, Any], *, same_space: bool) -> State:
    """The memory's state after a step, whose network began a new embedding space or kept the one before."""
    space_from = state.space_from if same_space else len(state.steps)
    told = {"model": sha256_of(model), "steps": (*state.steps, dict(record)), "space_from": space_from}
    return state.model_copy(update=told)
