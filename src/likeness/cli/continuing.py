"""`likeness train --continue`: a step of continual learning, and people whom a memory forgets."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from likeness.cli.extras import needs_torch
from likeness.cli.flags import Flags

if TYPE_CHECKING:
    from likeness.data.dataset import Dataset
    from likeness.train.steps import Stepped

F = TypeVar("F", bound=Callable[..., Any])
RECIPE = "continue"
_FOLDER: Any = click.Path(path_type=Path, file_okay=False)
_OPTIONS = (
    click.option("--continue", "bundle", metavar="BUNDLE", help="Teach this model bundle new people."),
    click.option("--memory", type=_FOLDER, help="Folder of what is kept of people; runs/NAME-memory unless said."),
    click.option("--old", type=_FOLDER, help="With --continue, at first: people whom the bundle knows already."),
    click.option("--verify", type=_FOLDER, help="With --continue: a data set, whose split test is measured on."),
    click.option("--budget", type=float, metavar="SHARE", help="How much a figure may fall; 0.02 unless said."),
    click.option("--exemplars", type=int, metavar="N", help="Photos kept to learn again, of all; 2000 at first."),
    click.option("--keep-space", is_flag=True, help="Refuse a step that cannot search old galleries."),
    click.option("--report", type=_FOLDER, help="With --continue: a copy of the report goes here."),
    click.option("--forget", metavar="PERSON", help="With --memory: delete all that it keeps of a person."),
)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The options of steps."""

    bundle: str | None
    memory: Path | None
    old: Path | None
    verify: Path | None
    budget: float | None
    exemplars: int | None
    keep_space: bool
    report: Path | None
    forget: str | None


def options(command: F) -> F:
    """Give a command the options of steps."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def wanted(given: Mapping[str, Any]) -> bool:
    """Whether a step, or forgetting somebody, is asked for.

    Raises:
        click.UsageError: options of steps are given without either.
    """
    if given["bundle"] is not None or given["forget"] is not None:
        return True
    stray = [field.name for field in fields(Wanted) if given[field.name]]
    if stray:
        raise click.UsageError(f"--{stray[0].replace('_', '-')} goes with --continue")
    return False


def run(
    flags: Flags,
    asked: Wanted,
    recipe: str | None,
    data: Path | None,
    name: str | None,
    changes: tuple[str, ...],
    *,
    smoke: bool,
    fresh: bool,
) -> int:
    """Make a step, or forget somebody; gives the exit code."""
    if asked.forget is not None:
        return _forget(flags, asked)
    if data is None:
        raise click.UsageError("name the new people's photos with --data")
    from likeness.data.dataset import FACTS
    from likeness.data.sources import open_source
    from likeness.train.recipe import load_recipe

    loaded = load_recipe(recipe or RECIPE, changes, smoke=smoke)
    if not (data / FACTS).is_file():
        open_source(data)  # before torch and the bundle: what holds no people is refused at once
    verify = _verify(asked.verify)
    flags.output.say("Loading …")
    with needs_torch():
        from likeness.train.continual import continue_bundle
        from likeness.train.steps import Asked, Places

    assert asked.bundle is not None
    flags.values["embedder"] = asked.bundle  # the crops must be those of the bundle that begins
    settings = flags.settings
    old = settings.library(flags.output.say).find(asked.bundle)
    series = old.manifest.origin.get("continued", {}).get("series", old.manifest.name)
    places = Places(
        memory=asked.memory or Path("runs") / f"{series}-memory",
        models=Path(settings.models).expanduser(),
        name=name,
    )
    step = Asked(
        budget=Asked().budget if asked.budget is None else asked.budget,
        exemplars=asked.exemplars,
        old=asked.old,
        verify=verify,
        keep_space=asked.keep_space,
    )
    done = continue_bundle(
        old,
        data,
        loaded,
        places,
        step,
        settings=settings,
        fresh=fresh,
        say=flags.output.say,
        watch=flags.output.progress,
    )
    return _show(flags, done, places.memory, asked.report)


def _verify(folder: Path | None) -> tuple[Dataset, str] | None:
    """The data set to measure on, and its split: test where it is split, else all of it."""
    if folder is None:
        return None
    from likeness.data.dataset import Dataset

    dataset = Dataset.read(folder)
    return dataset, "test" if any(row.split for row in dataset.rows) else "all"


def _show(flags: Flags, done: Stepped, memory: Path, report: Path | None) -> int:
    if report is not None:
        shutil.copytree(done.page.parent, report, dirs_exist_ok=True)
    page = done.page if report is None else report / done.page.name
    if flags.output.as_json:
        flags.output.json(done.as_dict() | {"memory": str(memory), "page": str(page)})
    else:
        from likeness.evaluate.tables import page_of

        found = page_of(done.report)
        for table in found.tables[:2]:
            flags.output.table(table.columns, table.rows, title=table.title)
        for sentence in found.weaknesses:
            flags.output.text(sentence)
    if done.refusal is not None:
        raise done.refusal
    name = done.report["model"]["name"]
    for remark in done.remarks:
        flags.output.say(f"{name}: {remark}.")
    if not flags.output.as_json:
        flags.output.text(f"Published as {name}; the report is {page}.")
        flags.output.say(f"Next: likeness train --continue {name} --memory {memory} --data …")
    return 0


def _forget(flags: Flags, asked: Wanted) -> int:
    if asked.memory is None or asked.forget is None or asked.bundle is not None:
        raise click.UsageError("--forget PERSON goes with --memory FOLDER alone")
    from likeness.train.erasure import forget_person

    photos = forget_person(asked.memory, asked.forget)
    if flags.output.as_json:
        flags.output.json({"memory": str(asked.memory), "photos_deleted": photos})
    else:
        flags.output.text(f"Forgotten: {photos} photos deleted, with name and centre.")
        flags.output.say("Networks that learnt from them keep what they became; a new start forgets that too.")
    return 0
