"""What a step's training came to: measured, reported, and published where it forgot no more than it may."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from likeness import __version__
from likeness.bundle import MANIFEST, Bundle
from likeness.data.dataset import Dataset, replace_file
from likeness.errors import StepRefused
from likeness.evaluate.bootstrap import ROUNDS
from likeness.evaluate.dataset import model_facts
from likeness.evaluate.forgetting_page import markdown
from likeness.evaluate.report import write_report
from likeness.train.bundling import OWN_PHOTOS
from likeness.train.checkpoint import load_trained
from likeness.train.erasure import REPORT, tidy
from likeness.train.export import export_run
from likeness.train.forgetting import forgetting
from likeness.train.memory import EXEMPLAR, HELD, Memory, rows_used
from likeness.train.parity import unit
from likeness.train.publishing import calibrate_step, next_state, place_step, record_of, remembered
from likeness.train.run import Run
from likeness.train.step_figures import Networks, keeps_space, measure_people, measure_strangers, over_budget
from likeness.train.steps import MADE, TABLES, Places, Step, Stepped


def judge(step: Step, dataset: Dataset, run: Run, places: Places) -> Stepped:
    """Measure what was trained, write the report, and publish what is within the budget."""
    made = _made(step, dataset, run)
    networks = Networks(step.memory.first, step.old, made)
    figures = measure_people(networks, dataset, step.memory.centres, step.cache, step.watch)
    if step.asked.verify is not None:
        strangers = measure_strangers(networks, *step.asked.verify, step.cache, step.watch)
        figures["verification"] = strangers["verification"]
        figures["old_galleries"]["strangers"] = strangers["gallery"]
    asked = step.asked
    over = over_budget(figures, asked.budget, keep_space=asked.keep_space)
    same = keeps_space(figures, asked.budget)
    next_memory = _next(step, dataset, made, run, figures, same=same)
    report = _report(step, run, made, figures, next_memory, over=over, same=same)
    page = write_report(report, step.folder / REPORT)
    replace_file(page.with_name(TABLES), markdown(report).encode())
    if over:
        refusal = StepRefused(
            f"step {step.number} forgot more than its budget and was not published: {'; '.join(over)}",
            hint=f"{step.old.manifest.name} stays; {page} has the figures. More --exemplars, a smaller learning rate "
            "(--set optimiser.learning_rate=…) or a larger --budget may do",
        )
        return Stepped(report, page, None, refusal)
    facts = {"series": step.memory.state.series, "step": step.number, "from": step.old.manifest.name}
    target = places.models / step.name
    new = place_step(made, step.old, target, facts, same_space=same, metrics=_metrics(figures))
    verify = asked.verify[0] if asked.verify else None
    new, remark = calibrate_step(new, step.old, verify, run.people, step.cache, step.say, step.watch)
    next_memory.write(dataset.folder, networks.first if same else new)
    tidy(step.folder)
    remarks = [remark] if remark else []
    if not same:
        remarks.append(
            f"its embedding space is a new one: `likeness gallery re-embed --model {step.name}` moves a gallery"
        )
    return Stepped(report, page, new, None, remarks)


def _made(step: Step, dataset: Dataset, run: Run) -> Bundle:
    """The step's bundle, in its folder; one that is there is of this training, if that has not gone on since."""
    aside = step.folder / MADE
    if (aside / MANIFEST).is_file():
        found = Bundle.read(aside)
        if found.manifest.name == step.name and found.manifest.origin.get("seconds") == run.seconds:
            return found
    shutil.rmtree(aside, ignore_errors=True)
    flip = bool(step.old.manifest.parameters.get("flip", False))
    return export_run(
        step.folder, aside, dataset=dataset, name=step.name, licence=OWN_PHOTOS, flip=flip, say=step.say
    ).bundle


def _next(step: Step, dataset: Dataset, made: Bundle, run: Run, figures: dict[str, Any], *, same: bool) -> Memory:
    """The memory as it is if the step is published."""
    trained = load_trained(step.folder)
    assert trained.classes is not None
    assert made.manifest.embedding is not None
    centres = dict(zip(run.people, unit(trained.classes.numpy()), strict=True))
    memory = remembered(step.memory, dataset, made, centres, step.cache, step.watch)
    old = step.memory.state.steps[-1]
    verified = figures.get("verification")
    more = {
        "new_people": len(centres) - len(step.memory.centres),
        "photos": run.data.photos,
        "verification": verified and verified["figures"]["new"],
        "old_people": figures["old_people"] and figures["old_people"]["after_rank_1"],
        "old_galleries": {who: part and part["after_rank_1"] for who, part in figures["old_galleries"].items()},
    }
    record = record_of(memory, step.name, str(old["space"]) if same else made.manifest.embedding.space, more)
    state = next_state(memory.state, made.path("model"), record, same_space=same)
    if verified and old.get("verification") is None:
        state = state.model_copy(update={"steps": (*_with_verified(state.steps, verified["figures"]), record)})
    return Memory(memory.folder, state, memory.dataset, centres)


def _with_verified(steps: Sequence[dict[str, Any]], figures: dict[str, Any]) -> tuple[dict[str, Any], ...]:
    """The records before the last, the last of them with the figures that the previous network has been given now."""
    *before, previous, _ = steps
    return (*before, previous | {"verification": figures["previous"]})


def _report(
    step: Step, run: Run, made: Bundle, figures: dict[str, Any], after: Memory, *, over: list[str], same: bool
) -> dict[str, Any]:
    rows = after.dataset.rows
    return {
        "kind": "forgetting",
        "likeness": __version__,
        "date": datetime.now(UTC).date().isoformat(),
        "model": model_facts(made),
        "data": {
            "name": run.data.name,
            "people": run.data.people,
            "photos": run.data.photos,
            "digest": run.data.digest,
        },
        "series": step.memory.state.series,
        "step": step.number,
        "previous": step.old.manifest.name,
        "first": step.memory.first.manifest.name,
        "exemplars": len(rows_used(step.memory.dataset.rows, EXEMPLAR)) if step.asked.rehearse else 0,
        "held": len(rows_used(rows, HELD)),
        "strategy": {"rehearsal": step.asked.rehearse, "distillation": step.asked.protect},
        "budget": step.asked.budget,
        "keep_space": step.asked.keep_space,
        "published": not over,
        "over_budget": over,
        "same_space": same,
        **figures,
        "forgetting": {key: forgetting(rows, key) for key in ("named", "found")},
        "steps": list(after.state.steps),
        "training": {"epochs": run.epochs, "seconds": run.seconds, "recipe": run.recipe.model_dump(mode="json")},
        "rounds": ROUNDS,
        "seed": 0,
    }


def _metrics(figures: dict[str, Any]) -> list[dict[str, Any]]:
    verified = figures.get("verification")
    if not verified:
        return []
    today = datetime.now(UTC).date().isoformat()
    return [
        {
            "name": f"verification/{key}",
            "value": verified["figures"]["new"][key],
            "data": f"{verified['data']}, {verified['people']} people who were not learnt",
            "protocol": verified["protocol"],
            "date": today,
        }
        for key in ("accuracy", "equal_error_rate")
        if verified["figures"]["new"][key] is not None
    ]
