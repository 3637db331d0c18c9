"""`likeness flow`: pipelines that run by themselves, here or on a cluster."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.extras import needs_torch
from likeness.cli.flags import Flags, common_options, progress_option
from likeness.errors import ExtraMissing

if TYPE_CHECKING:
    from likeness.flows.order import Tell

REFUSED = 6
_FOLDER: Any = click.Path(path_type=Path, file_okay=False)


@click.group()
@common_options
def flow() -> None:
    """Keep a model up to date by itself, or train one from photos to bundle; here, or on a cluster by Metaflow."""


@flow.command(short_help="New photos in the storage become a better model, or nothing.")
@click.option("--storage", metavar="URI", help="Photos, a folder for each person: a folder, or s3://bucket/prefix.")
@click.option("--folder", type=_FOLDER, help="Folder that is kept from refresh to refresh (setting flows_folder).")
@click.option("--name", default="people", show_default=True, help="What the model in force is called.")
@click.option("--old", type=_FOLDER, help="At first: photos of people whom the first model knows already.")
@click.option("--dataset", default="", metavar="FOLDER|hf://…", help="Where versions of the data set are pushed to.")
@click.option("--licence", default="", metavar="WORDS", help="Terms of the photos, for the data set's card.")
@click.option("--recipe", default="continue", show_default=True, help="Recipe of the training.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="Change the recipe, as loop.epochs=3.")
@click.option("--shares", default="60/20/20", show_default=True, help="People to train, validate and test.")
@click.option(
    "--figure",
    type=click.Choice(["tar", "accuracy", "eer"]),
    default="tar",
    show_default=True,
    help="What must be better on people apart: true accepts at FMR 1%, accuracy, equal error rate.",
)
@click.option("--margin", type=float, default=0.005, show_default=True, help="By more than this it must be better.")
@click.option("--budget", type=float, default=0.02, show_default=True, help="How much may be forgotten.")
@click.option("--exemplars", type=int, metavar="N", help="Photos kept to learn again, of all; 2000 at first.")
@click.option("--least-people", type=int, default=2, show_default=True, help="Train when so many wait to be learnt.")
@click.option("--new-space", is_flag=True, help="Publish also a model that needs the gallery embedded anew.")
@click.option("--accept", metavar="PERSON", multiple=True, help="Take this person's photos though they are doubted.")
@click.option("--again", is_flag=True, help="Train though the same photos came to nothing before.")
@click.option("--fresh", is_flag=True, help="Drop an unfinished refresh and begin anew.")
@click.option("--strict", is_flag=True, help="Exit code 6 where a model was trained and not published.")
@click.option("--roll-back", is_flag=True, help="Let the model before the present one be in force again.")
@progress_option
@common_options
@click.pass_obj
def refresh(
    flags: Flags,
    /,
    storage: str | None,
    folder: Path | None,
    shares: str,
    fresh: bool,
    strict: bool,
    roll_back: bool,
    **rest: Any,
) -> int:
    """Let new photos of the storage become a new version of the data set, and of the model where that is better.

    Photos are verified, cropped, judged and compared; what is doubtful is set aside with its reason. People are split,
    the model in force (at first that of --model) learns those of the split train, and the new one is published where
    it is better on people apart and forgot nothing. Use it as `--model people`.

    The same command goes on with a refresh that was stopped, and changes nothing where nothing is new.
    """
    from likeness.data.splits import parse_shares
    from likeness.flows.home import Home
    from likeness.flows.order import Order

    settings = flags.settings
    home = Path(folder or settings.flows_folder).expanduser()
    if roll_back:
        with needs_torch():
            from likeness.flows.refresh import roll_back as go_back
        _show_rolled(flags, go_back(Home(home), settings, _tell(flags)))
        return 0
    where = storage or settings.storage
    if not where:
        raise click.UsageError("name the storage of the photos with --storage, or by the setting storage")
    order = Order(storage=where, home=home, shares=parse_shares(shares), **rest)
    with needs_torch():
        from likeness.flows.refresh import refresh as do_refresh

        done = do_refresh(order, settings, _tell(flags), fresh=fresh)
    _show(flags, done, order.name)
    return REFUSED if strict and done["outcome"] == "not better" else 0


@flow.command(short_help="Delete all that refreshes keep of a person.")
@click.argument("person")
@click.option("--folder", type=_FOLDER, help="Folder of the refreshes (setting flows_folder).")
@common_options
@click.pass_obj
def forget(flags: Flags, person: str, folder: Path | None) -> None:
    """Delete PERSON's crops, names and centres from the data set, the memories and the versions in the folder.

    Delete the photos in the storage before, or the next refresh fetches them again. Versions on a hub are not reached.
    """
    from likeness.flows.home import Home

    with needs_torch():
        from likeness.flows.refresh import forget as forget_person
    done = forget_person(Home(Path(folder or flags.settings.flows_folder).expanduser()), person)
    if flags.output.as_json:
        flags.output.json(done)
        return
    flags.output.text(f"Forgotten: {done['crops']} crops of the data set, {done['remembered']} of the memories.")
    flags.output.say("Networks that learnt from them keep what they became; the storage and a hub were not touched.")


@flow.command(short_help="Crop, train, export, calibrate, evaluate, card: a bundle by any recipe.")
@click.argument("recipe")
@click.option("--photos", type=_FOLDER, required=True, help="A folder for each person, or a cropped data set.")
@click.option("--folder", type=_FOLDER, help="Where the work is done; runs/NAME-flow unless said.")
@click.option("--name", default="", help="Name of the bundle; the recipe's unless said.")
@click.option("--set", "changes", metavar="KEY=VALUE", multiple=True, help="Change the recipe, as loop.epochs=3.")
@click.option("--smoke", is_flag=True, help="Train the recipe's tiny form, to see that everything works.")
@click.option("--shares", default="60/20/20", show_default=True, help="People to train, validate and test.")
@click.option("--licence", default="", metavar="WORDS", help="Licence of the weights, for the card.")
@click.option("--replace", is_flag=True, help="Exchange a bundle of that name.")
@progress_option
@common_options
@click.pass_obj
def train(flags: Flags, /, recipe: str, shares: str, folder: Path | None, **rest: Any) -> None:
    """Train by RECIPE from photos to a bundle among your models, with probabilities, a report and a card.

    A run that was stopped goes on when the same command is given again.
    """
    from likeness.data.splits import parse_shares

    with needs_torch():
        from likeness.flows.training import TrainOrder, train_bundle

        chosen = rest["name"] or Path(recipe).stem
        place = folder or Path("runs") / f"{chosen}-flow"
        order = TrainOrder(recipe=recipe, folder=place, shares=parse_shares(shares), **rest)
        done = train_bundle(order, flags.settings, _tell(flags))
    if flags.output.as_json:
        flags.output.json(done)
        return
    rows = [
        ("people", done["crop"]["identities"]),
        ("epochs", done["train"]["epochs"]),
        ("probabilities", "fitted" if done["calibrate"]["calibrated"] else "none: too few people"),
        ("report", done["evaluate"]["page"]),
        ("card", Path(done["card"]["folder"]) / "README.md"),
    ]
    flags.output.facts(rows, title=f"{order.bundle} in {done['card']['folder']}")


@flow.command(
    short_help="Run a flow by Metaflow, or deploy it to a cluster.",
    context_settings={"allow_interspersed_args": False},  # what follows the flow's name is Metaflow's
)
@click.argument("name", type=click.Choice(["refresh", "train"]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
@common_options
def metaflow(name: str, arguments: tuple[str, ...]) -> None:
    """Give ARGUMENTS to Metaflow's own command line of a flow.

    `likeness flow metaflow refresh run --storage …` runs it here; `… refresh --datastore s3 --with kubernetes
    argo-workflows create` deploys it.
    """
    if find_spec("metaflow") is None:
        raise ExtraMissing("flows on a cluster need the package metaflow", hint="pip install 'likeness[flows]'")
    file = Path(__file__).parent.parent / "flows" / f"{name}_flow.py"
    if os.getuid() == 0:  # as in a container: Metaflow asks whose runs they are, and takes nobody called root
        os.environ.setdefault("METAFLOW_USER", "likeness")
    sys.stdout.flush()
    # Its own process: Metaflow starts each step by the file's name and the arguments of the process.
    os.execv(sys.executable, [sys.executable, str(file), "--no-pylint", *arguments])  # noqa: S606


def _tell(flags: Flags) -> Tell:
    from likeness.flows.order import Tell

    return Tell(say=flags.output.say, watch=flags.output.progress)


def _show(flags: Flags, done: dict[str, Any], name: str) -> None:
    if flags.output.as_json:
        flags.output.json(done)
        return
    if "arrived" not in done:
        flags.output.text("Nothing new: nothing was changed.")
        return
    aside = ", ".join(f"{code} {count}" for code, count in done["set_aside"].items())
    rows: list[tuple[str, object]] = [
        ("photos that came", f"{done['arrived']}, of which {done['accepted']} were taken"),
        ("set aside", aside or "none"),
        ("data set", _data_words(done["data"])),
        ("verdict", done["verdict"]["why"]),
        ("in force", done["model"] or "the model that it began with"),
        ("gallery", f"{done['gallery']['embedded']} faces embedded anew"),
        ("report", done["report"]),
    ]
    flags.output.facts(rows, title=f"{name}: {done['outcome']}")
    if done["outcome"] == "published":
        flags.output.say(f"Use it: --model {name}. A server that runs takes it when it is started again.")


def _data_words(data: dict[str, Any]) -> str:
    if data["version"] is None:
        return "as before"
    splits = ", ".join(f"{split} {each['people']} people" for split, each in data["splits"].items())
    return f"version {data['version']}: {data['photos']} photos ({splits})"


def _show_rolled(flags: Flags, done: dict[str, Any]) -> None:
    if flags.output.as_json:
        flags.output.json(done)
        return
    flags.output.text(f"{done['in_force']} is in force again; {done['withdrawn']} is kept until the next is published.")
    flags.output.text(f"gallery: {done['embedded']} faces embedded anew")
