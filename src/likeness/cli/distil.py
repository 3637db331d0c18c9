"""`likeness distil`: a small network learns from a bundle, on faces that need no names."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.extras import needs_torch
from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.recipe_list import list_recipes

if TYPE_CHECKING:
    from likeness.train.distillation import Distillation

_FOLDER = click.Path(path_type=Path, file_okay=False)


@click.command(short_help="Teach a small network to see faces as a bundle does.")
@click.argument("student", required=False)
@click.option("--teacher", metavar="BUNDLE", help="The bundle that teaches; the embedder in use unless said.")
@click.option("--data", type=_FOLDER, help="A data set of crops; names are not needed.")
@click.option("--photos", type=_FOLDER, help="The photos that the crops came from, to cut faces without black corners.")
@click.option("--watch", type=_FOLDER, help="A data set of named people to look at after each epoch; decides nothing.")
@click.option("--run", "folder", type=_FOLDER, help="Folder of the distillation; runs/STUDENT unless said.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="Change the recipe: schedule.epochs=3.")
@click.option("--smoke", is_flag=True, help="Teach the student's tiny form, to see that everything works.")
@click.option("--fresh", is_flag=True, help="Begin anew where the folder holds a distillation.")
@click.option("--list", "listing", is_flag=True, help="List the students that come with Likeness.")
@progress_option
@common_options
@click.pass_obj
def distil(
    flags: Flags,
    student: str | None,
    teacher: str | None,
    data: Path | None,
    photos: Path | None,
    watch: Path | None,
    folder: Path | None,
    changes: tuple[str, ...],
    smoke: bool,
    fresh: bool,
    listing: bool,
) -> None:
    """Teach a small network to see faces as a model bundle does, in the bundle's embedding space.

    STUDENT is a .toml file or one of those that come with Likeness (--list). The faces of the split train are learnt
    from, or nearly all where there are no splits; they need no names. What the teacher says of them is asked once and
    kept. A gallery that the teacher made is searched by the student as it is.

    A distillation that was stopped goes on when the same command is given again. `likeness export` makes a bundle of
    it.
    """
    from likeness.train.student_recipe import load_student, shipped_students

    if listing:
        _list(flags, shipped_students())
        return
    if student is None or data is None:
        raise click.UsageError("name a student (--list shows them) and the data set, with --data")
    recipe = load_student(student, changes, smoke=smoke)
    from likeness.data.dataset import Dataset

    dataset = Dataset.read(data)  # before torch: what is no data set is refused at once
    named = None if watch is None else Dataset.read(watch)
    settings = flags.settings
    bundle = settings.library(flags.output.say).find(teacher or settings.embedder)
    flags.output.say("Loading …")
    with needs_torch():
        from likeness.train.distil_run import distil as run_distillation
        from likeness.train.watched import Watched
    place = folder or Path("runs") / (f"{recipe.name}-smoke" if smoke else recipe.name)
    done = run_distillation(
        dataset,
        bundle,
        recipe,
        place,
        photos=photos,
        answers=Path(settings.cache).expanduser() / "distillation",
        watched=None if named is None else Watched.of(named, named.of_split("validation") or named.rows, bundle),
        fresh=fresh,
        say=flags.output.say,
        watch=flags.output.progress,
    )
    _show(flags, done, place)


def _list(flags: Flags, names: list[str]) -> None:
    from likeness.train.student_recipe import load_student

    kinds = {"cut": "cut out of its teacher", "fresh": "its own weights"}
    list_recipes(
        flags,
        [load_student(name) for name in names],
        ("student", "begins with", "what it is"),
        lambda recipe: (recipe.name, kinds[recipe.student.kind], recipe.summary),
    )


def _show(flags: Flags, done: Distillation, folder: Path) -> None:
    if flags.output.as_json:
        flags.output.json({"run": str(folder)} | done.model_dump(mode="json"))
        return
    rows: list[tuple[str, object]] = [
        ("teacher", f"{done.teacher}, embedding space {done.space}"),
        ("faces", f"{done.photos:,}"),
        ("epochs", len(done.epochs)),
        *((name, f"{value:.4f}") for name, value in done.epochs[-1].items()),
        ("time", f"{done.seconds / 60:.1f} minutes"),
        ("next", f"likeness export {folder} --data DATASET --int8"),
    ]
    flags.output.facts(rows, title=f"{done.recipe.name} in {folder}")
