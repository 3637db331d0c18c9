"""`likeness train`: a network from a recipe and a data set, or a bundle made better on your own people."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options, progress_option

if TYPE_CHECKING:
    from likeness.train.run import Run


@click.command()
@click.argument("recipe", required=False)
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The data set, cropped and split.")
@click.option("--run", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the training.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="Change the recipe, as loop.epochs=3.")
@click.option("--smoke", is_flag=True, help="Train the recipe's tiny form, to see that everything works.")
@click.option("--fresh", is_flag=True, help="Begin anew where the folder holds a training.")
@click.option("--list", "listing", is_flag=True, help="List the recipes that come with Likeness.")
@progress_option
@common_options
@click.pass_obj
def train(
    flags: Flags,
    recipe: str | None,
    data: Path | None,
    folder: Path | None,
    changes: tuple[str, ...],
    smoke: bool,
    fresh: bool,
    listing: bool,
) -> None:
    """Train a network by a recipe.

    RECIPE is a .toml file or one of those that come with Likeness. A training that was stopped goes on where it was
    when the same command is given again, and ends with the same numbers.
    """
    from likeness.train.recipe import load_recipe, shipped_recipes

    if listing:
        return _list(flags, shipped_recipes())
    if recipe is None:
        raise click.UsageError("name a recipe, or list them with --list")
    if data is None:
        raise click.UsageError("name the data set with --data")
    loaded = load_recipe(recipe, changes, smoke=smoke)
    place = folder or Path("runs") / (f"{loaded.name}-smoke" if smoke else loaded.name)
    from likeness.data.dataset import Dataset

    with needs_torch():
        from likeness.train.loop import train as train_folder
    with flags.output.progress("training") as progress:
        run = train_folder(Dataset.read(data), loaded, place, fresh=fresh, say=flags.output.say, progress=progress)
    _show(flags, run, place)


@contextmanager
def needs_torch() -> Iterator[None]:
    """Imports of what only the extra `train` installs.

    Raises:
        ExtraMissing: it is not installed.
    """
    from likeness.errors import ExtraMissing

    try:
        yield
    except ImportError as error:
        raise ExtraMissing(f"this needs {error.name}", hint="pip install 'likeness[train]'") from error


def _list(flags: Flags, names: list[str]) -> None:
    from likeness.train.recipe import load_recipe

    recipes = [load_recipe(name) for name in names]
    if flags.output.as_json:
        for recipe in recipes:
            flags.output.json(recipe.model_dump(mode="json"))
        return
    rows = [
        (recipe.name, recipe.task.kind, f"{recipe.network.side_px} px", recipe.network.dimension, recipe.summary)
        for recipe in recipes
    ]
    flags.output.table(("recipe", "task", "input", "dimension", "what it is"), rows)


def _show(flags: Flags, run: Run, folder: Path) -> None:
    if flags.output.as_json:
        flags.output.json({"run": str(folder)} | run.without_names())
        return
    best = run.epochs[run.best]
    rows: list[tuple[str, object]] = [
        ("people, photos", f"{run.data.people:,}, {run.data.photos:,}"),
        ("epochs", f"{len(run.epochs)}{f', stopped: {run.stopped}' if run.stopped else ''}"),
        ("best epoch", run.best + 1),
        *((name, f"{value:.4f}") for name, value in best.items()),
        ("time", f"{run.seconds / 60:.1f} minutes"),
        ("next", f"likeness export {folder}"),
    ]
    flags.output.facts(rows, title=f"{run.recipe.name} in {folder}")
