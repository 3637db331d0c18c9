"""`likeness models`: which models there are, under which licences, whether they are whole; to and from others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import plain

if TYPE_CHECKING:
    from likeness.bundle import Licence
    from likeness.service.models import ModelFacts

DAMAGED = 6


@click.group()
@common_options
def models() -> None:
    """List, show and verify models and their licences; push and pull them."""


@models.command("list")
@common_options
@click.pass_obj
def list_models(flags: Flags) -> None:
    """List all models, here or to be made, and their licences.

    Licences are those of the code, the weights and the training data.

    A * marks those that the settings name. Whether commercial use is allowed is what the model's card says: yes, no,
    or not documented; the setting licence = commercial refuses all but yes.
    """
    from likeness.service.models import all_models, names_in_use

    found = list(all_models(flags.settings.library()))
    if flags.output.as_json:
        for facts in found:
            flags.output.json(facts.as_dict())
        return
    settings = flags.settings
    in_use = names_in_use(settings)
    rows = [_row(facts, in_use, refused=settings.licence == "commercial") for facts in found]
    flags.output.table(("", "name", "role", "state", "code", "weights", "training data", "commercial use"), rows)


@models.command()
@click.argument("name")
@common_options
@click.pass_obj
def show(flags: Flags, name: str) -> None:
    """Show a model's inputs, licences, origin and measured figures."""
    from likeness.service.models import model_facts

    facts = model_facts(flags.settings.library(), name)
    if flags.output.as_json:
        flags.output.json(facts.as_dict())
        return
    rows: list[tuple[str, object]] = [("state", facts.state), ("folder", plain(facts.folder))]
    manifest = facts.manifest
    if manifest is not None:
        rows += [("summary", manifest.summary), ("role", manifest.role), ("engine", manifest.engine)]
        if manifest.embedding is not None:
            rows.append(("embedding", f"{manifest.embedding.dimension} numbers in space {manifest.embedding.space}"))
        if manifest.attributes is not None:
            years = manifest.attributes.years
            rows.append(
                ("apparent age and gender", f"{years[0]:g} to {years[-1]:g} years; {manifest.attributes.labels}")
            )
        licence = manifest.licence
        rows += [("licence of the code", licence.code), ("licence of the weights", licence.weights)]
        rows += [("training data", licence.data), ("commercial use", commercial_words(licence))]
        rows += [
            (f"origin: {key}", plain(manifest.origin[key]))
            for key in ("package", "version", "authors")
            if key in manifest.origin
        ]
        rows += [(metric.name, f"{metric.value} on {metric.data}") for metric in manifest.metrics]
    if facts.error is not None:
        rows.append(("error", facts.error.message))
    flags.output.facts(rows, title=name)


@models.command()
@click.argument("names", metavar="[NAME]...", nargs=-1)
@common_options
@click.pass_obj
def verify(flags: Flags, names: tuple[str, ...]) -> int:
    """Compare the files of models with their manifests.

    Of all models, or of those named. Exit code 6 if one is damaged.
    """
    from likeness.service.models import model_facts

    library = flags.settings.library()
    found = [model_facts(library, name, verify=True) for name in names or sorted(library.names())]
    for facts in found:
        if flags.output.as_json:
            error = {"error": facts.error.as_dict()} if facts.error else {}
            flags.output.json({"name": facts.name, "state": facts.state} | error)
        else:
            flags.output.text(f"{facts.name}: {facts.state}" + (f": {facts.error.message}" if facts.error else ""))
    return DAMAGED if any(facts.state == "damaged" for facts in found) else 0


@models.command()
@click.argument("name", metavar="NAME|FOLDER")
@click.argument("target", metavar="TARGET")
@click.option("--public", is_flag=True, help="Let everybody see and take the model; private unless said.")
@click.option("--revision", metavar="BRANCH", help="Push to this branch, which is made if need be.")
@click.option(
    "--report",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="A report of `likeness evaluate dataset`, for weaknesses and group gaps on the card.",
)
@common_options
@click.pass_obj
def push(flags: Flags, name: str, target: str, public: bool, revision: str | None, report: Path | None) -> None:
    """Publish a model with a model card, to a hub or a folder.

    TARGET is hf://OWNER/NAME, with @BRANCH where wanted, or a new folder. The bundle is verified first, and must state
    the licences of its weights and its training data. The hub is the one that HF_ENDPOINT names, the token is HF_TOKEN.
    """
    from likeness.service.publishing import push_model

    say = flags.output.say
    bundle = flags.settings.library(say).find(name)
    pushed = push_model(bundle, target, public=public, revision=revision, report=report, say=say)
    if flags.output.as_json:
        flags.output.json(pushed.as_dict())
        return
    seen = {True: ", for everybody to see", False: ", private", None: ""}[pushed.public]
    flags.output.text(f"{pushed.name} is in {pushed.where}{seen} ({pushed.bytes / 1e6:.1f} MB)")


@models.command()
@click.argument("source", metavar="SOURCE")
@click.option("--name", help="What the model is called here; its own name unless said.")
@progress_option
@common_options
@click.pass_obj
def pull(flags: Flags, source: str, name: str | None) -> None:
    """Fetch a model from a hub or a folder into your own models.

    SOURCE is hf://OWNER/NAME, with @REVISION (a branch, a tag or a commit) where wanted, or a bundle's folder. Each
    file is compared with its digest in the manifest before the model can be used.
    """
    from likeness.service.fetching import pull_model

    with flags.output.progress("bytes fetched") as progress:
        pulled = pull_model(source, flags.settings.library(), name=name, progress=progress)
    if flags.output.as_json:
        flags.output.json(pulled.as_dict())
        return
    manifest = pulled.bundle.manifest
    was = "is now in" if pulled.fresh else "was already in"
    flags.output.text(f"{manifest.name} {was} {pulled.bundle.folder}")
    licence = manifest.licence
    flags.output.say(
        f"Licence of the weights: {licence.weights}; training data: {licence.data}; commercial use: {licence.in_words}"
    )
    if flags.settings.licence == "commercial" and licence.objection:
        flags.output.warn(f"warning: the setting licence = commercial refuses it: its card {licence.objection}")


def commercial_words(licence: Licence) -> str:
    """`yes`, `no` or `not documented`, and what that rests on."""
    return f"{licence.in_words}: {licence.note}" if licence.note else licence.in_words


def _row(facts: ModelFacts, in_use: set[str], *, refused: bool) -> tuple[object, ...]:
    used = "*" if facts.name in in_use else ""
    manifest = facts.manifest
    if manifest is None:
        return (used, facts.name, "", facts.state, "", "", "", "")
    licence = manifest.licence
    role = f"{manifest.role}, age and gender" if manifest.attributes and manifest.embedding else manifest.role
    commercial = f"{licence.in_words} (refused)" if refused and licence.objection else licence.in_words
    return (used, facts.name, role, facts.state, licence.code, licence.weights, licence.data, commercial)
