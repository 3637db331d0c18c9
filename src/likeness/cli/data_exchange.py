"""`likeness data push` and `pull`: versions of data sets in folders and on a hub."""

from __future__ import annotations

from pathlib import Path

import click

from likeness.cli.data_sources import without_torch
from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import counted


@click.command(short_help="Keep a version of a data set in a folder or on a hub.")
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@click.argument("target", metavar="FOLDER|hf://OWNER/NAME")
@click.option("--private/--public", default=True, show_default=True, help="Who may see a new repository on the hub.")
@click.option(
    "--revision", metavar="BRANCH", help="Branch of the repository; made if need be. The main one unless said."
)
@click.option("--tag", metavar="NAME", help="Name of this version: a tag on the hub, a folder below FOLDER.")
@click.option("--replace", is_flag=True, help="Exchange what was pushed to FOLDER before.")
@progress_option
@common_options
@click.pass_obj
def push(
    flags: Flags, dataset: Path, target: str, private: bool, revision: str | None, tag: str | None, replace: bool
) -> None:
    """Keep a version of DATASET as a Hugging Face DatasetDict, in a folder or on a hub.

    Photos with names, labels, boxes and splits, all that `likeness data pull` needs to give back the same data set;
    the package datasets reads it by itself. Which hub, and as whom, say HF_ENDPOINT and HF_TOKEN (or `hf auth login`).
    """
    from likeness.data.dataset import Dataset
    from likeness.data.exchange import push as push_dataset
    from likeness.hub import SCHEME

    without_torch()
    if revision is not None:
        if not target.startswith(SCHEME) or "@" in target:
            raise click.UsageError("--revision is the branch of hf://OWNER/NAME; name versions in a folder with --tag")
        target = f"{target}@{revision}"
    found = Dataset.read(dataset)
    with flags.output.progress("packing") as progress:
        done = push_dataset(found, target, private=private, tag=tag, replace=replace, progress=progress)
    if flags.output.as_json:
        flags.output.json({"target": done.where, "commit": done.commit, "rows": done.parts, "digest": found.digest})
        return
    parts = ", ".join(f"{part} {count}" for part, count in done.parts.items())
    flags.output.text(f"{done.where}: {counted(len(found.rows), 'photo', 'photos')} ({parts})")
    if done.commit:
        flags.output.text(f"commit {done.commit}" + (f", tag {tag}" if tag else ""))
    flags.output.text(f"digest {found.digest}")


@click.command(short_help="Get back a data set that was pushed.")
@click.argument("source", metavar="FOLDER|hf://OWNER/NAME")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--revision", metavar="NAME", help="Which version: a branch, tag or commit on the hub, a tag in a folder."
)
@progress_option
@common_options
@click.pass_obj
def pull(flags: Flags, source: str, out: Path, revision: str | None) -> None:
    """Get back, as the new folder OUT, a data set that `likeness data push` kept: the same rows, the same bytes."""
    from likeness.data.exchange import pull as pull_dataset

    without_torch()
    with flags.output.progress("unpacking") as progress:
        dataset = pull_dataset(source, out, revision=revision, progress=progress)
    facts = dataset.summary()
    if flags.output.as_json:
        flags.output.json({"dataset": str(out), **facts, "digest": dataset.digest})
        return
    photos, people = counted(facts["rows"], "photo", "photos"), counted(facts["identities"], "person", "people")
    flags.output.text(f"{out}: {photos} of {people}")
    flags.output.text(f"digest {dataset.digest}")
