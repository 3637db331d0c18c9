"""`likeness train`: a network from a recipe and a data set, or a bundle made better on your own people."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli import continuing
from likeness.cli.extras import needs_torch
from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.recipe_list import list_recipes

if TYPE_CHECKING:
    from likeness.train.recipe import Recipe
    from likeness.train.run import Run
    from likeness.train.verdict import Comparison

FINE_TUNE = "fine-tune"
STARTS = {FINE_TUNE: "--from", "continual": "--continue"}


@click.command(short_help="Train a network by a recipe, or fine-tune a bundle on your own people.")
@click.argument("recipe", required=False)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The data set, cropped and split; with --from and --continue the folder of your people's photos.",
)
@click.option("--from", "base", metavar="BUNDLE", help="Fine-tune this model bundle, a name or a folder.")
@click.option(
    "--name",
    metavar="NAME",
    help="Name of the new bundle; with --from the old one's and -own unless said, with --continue and the step.",
)
@click.option("--run", "folder", type=click.Path(path_type=Path, file_okay=False), help="Folder of the training.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="Change the recipe, as loop.epochs=3.")
@click.option("--smoke", is_flag=True, help="Train the recipe's tiny form, to see that everything works.")
@continuing.options
@click.option("--fresh", is_flag=True, help="Begin anew where the folder holds a training.")
@click.option("--list", "listing", is_flag=True, help="List the recipes that come with Likeness.")
@progress_option
@common_options
@click.pass_obj
def train(
    flags: Flags,
    /,
    recipe: str | None,
    data: Path | None,
    base: str | None,
    name: str | None,
    folder: Path | None,
    changes: tuple[str, ...],
    smoke: bool,
    fresh: bool,
    listing: bool,
    **continued: Any,
) -> int | None:
    """Train a network by a recipe, or a model bundle further on your own people.

    RECIPE is a .toml file or one of those that come with Likeness. A training that was stopped goes on where it was
    when the same command is given again, and ends with the same numbers.

    With --from a bundle learns the people of a folder of photos (a folder for each person), and the new bundle is
    compared with the old on photos that were held back: better, worse, or no clear difference.

    With --continue a bundle learns new people without forgetting those whom it knows: a few photos of each are kept
    in the memory and learnt again. A step that forgets more than its budget is not published, and ends with code 6.
    """
    from likeness.train.recipe import load_recipe, shipped_recipes

    if listing:
        _list(flags, shipped_recipes())
        return None
    if continuing.wanted(continued):
        steps = continuing.Wanted(**continued)
        if base is not None or folder is not None:
            raise click.UsageError("--from and --run do not go with --continue: a step lies in its memory")
        return continuing.run(flags, steps, recipe, data, name, changes, smoke=smoke, fresh=fresh)
    if base is not None:
        recipe = recipe or FINE_TUNE
    if recipe is None:
        raise click.UsageError("name a recipe (--list shows them), or a bundle to fine-tune with --from")
    if data is None:
        raise click.UsageError("name the data set with --data")
    loaded = load_recipe(recipe, changes, smoke=smoke)
    if base is not None:
        _fine_tune(flags, base, data, loaded, name, folder, fresh)
        return None
    if name is not None:
        raise click.UsageError("--name goes with --from; `likeness export --name` names the bundle of a training")
    if loaded.task.kind in STARTS:
        raise click.UsageError(f"the recipe {loaded.name} needs a bundle to begin with: {STARTS[loaded.task.kind]}")
    _train(flags, data, loaded, folder or Path("runs") / (f"{loaded.name}-smoke" if smoke else loaded.name), fresh)
    return None


def _train(flags: Flags, data: Path, recipe: Recipe, place: Path, fresh: bool) -> None:
    from likeness.data.dataset import Dataset

    dataset = Dataset.read(data)  # before torch: what is no data set is refused at once
    flags.output.say("Loading …")
    with needs_torch():
        from likeness.train.loop import train as train_folder
    with flags.output.progress("training") as progress:
        run = train_folder(dataset, recipe, place, fresh=fresh, say=flags.output.say, progress=progress)
    if os.environ.get("LOCAL_RANK", "0") == "0":  # of several processes that train together one tells
        _show(flags, run, place)


def _fine_tune(
    flags: Flags, base: str, photos: Path, recipe: Recipe, name: str | None, folder: Path | None, fresh: bool
) -> None:
    from likeness.data.sources import open_source

    open_source(photos)  # before torch and the bundle: what holds no people is refused at once
    flags.output.say("Loading …")
    with needs_torch():
        from likeness.train.finetune import Places, fine_tune

    # The crops must be those of the bundle that begins.
    flags.values["embedder"] = base
    settings = flags.settings
    old = settings.library(flags.output.say).find(base)
    chosen = name or f"{old.manifest.name}-own"
    places = Places(
        run=folder or Path("runs") / chosen,
        target=Path(settings.models).expanduser() / chosen,
        cache=Path(settings.cache).expanduser() / "evaluation",
    )
    done = fine_tune(
        old, photos, recipe, places, settings=settings, fresh=fresh, say=flags.output.say, watch=flags.output.progress
    )
    if flags.output.as_json:
        flags.output.json(done.as_dict())
        return
    flags.output.table(
        ("on", "people", "photos", "", "old", "new", "gain, 95% interval"),
        [row for each in (done.held, done.others) for row in _compared(each)],
        title=f"{chosen} against {old.manifest.name}",
    )
    flags.output.text(f"Verdict, on the photos held back: {done.held.word}.")
    if done.others.word == "worse":
        flags.output.text("On people whom it did not learn it became worse.")
    if done.remark:
        flags.output.say(f"{chosen}: {done.remark}.")
    flags.output.say(f"Use it: likeness identify --model {chosen} …; a gallery changes to it by gallery re-embed.")


def _compared(each: Comparison) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for words, key in (("nearest photo right", "rank_1"), ("genuine nearer than impostor", "match_accuracy")):
        low, high = getattr(each, f"{key}_gain")
        old, new = getattr(each.old, key), getattr(each.new, key)
        rows.append(
            (each.of, each.people, each.probes, words, f"{old:.4f}", f"{new:.4f}", f"{low:+.4f} to {high:+.4f}")
        )
    return rows


def _list(flags: Flags, names: list[str]) -> None:
    from likeness.train.recipe import load_recipe

    def row(recipe: Recipe) -> tuple[object, ...]:
        network = recipe.network
        return recipe.name, recipe.task.kind, f"{network.side_px} px", network.dimension, recipe.summary

    columns = ("recipe", "task", "input", "dimension", "what it is")
    list_recipes(flags, [load_recipe(name) for name in names], columns, row)


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
