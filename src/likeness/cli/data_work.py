"""`likeness data crop`, `check` and `split`: from photos to crops that can be trained on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import counted

if TYPE_CHECKING:
    from likeness.data.crop import Cropped
    from likeness.data.dataset import Dataset

UNUSABLE = 3


@click.command()
@click.argument("photos", metavar="SOURCE_FOLDER", type=click.Path())
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--source", metavar="NAME", help="Layout of the folder; unless said, it is recognised.")
@click.option(
    "--pick",
    type=click.Choice(["central", "largest", "only"]),
    default="central",
    show_default=True,
    help="Of several faces: take the most central or the largest, or use photos with a single one only.",
)
@click.option("--side", type=click.IntRange(16, 2048), metavar="N", help="Side of the crops in pixels.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N photos only.")
@progress_option
@common_options
@click.pass_obj
def crop(
    flags: Flags, photos: str, out: Path, source: str | None, pick: Any, side: int | None, limit: int | None
) -> int:
    """Cut out and align the face of each photo of SOURCE_FOLDER, into the data set OUT.

    OUT gets crops/IDENTITY/NAME.jpg, manifest.csv with boxes and landmarks, dataset.json and refused.csv, which says
    why photos could not be used. Crops are aligned for the model (--model), in its size unless --side says another.
    A run that was stopped goes on when started again. Exit code 3 if photos could not be used.
    """
    from likeness.data.crop import crop_dataset, open_cropper
    from likeness.data.dataset import Facts
    from likeness.data.sources import open_source

    listing = open_source(photos, source)
    cropper = open_cropper(flags.settings, side_px=side, pick=pick, say=flags.output.say)
    words = ["likeness", "data", "crop", photos, str(out)]
    if limit is not None:
        words += ["--limit", str(limit)]
    facts = Facts(
        name=out.resolve().name or "crops",
        source=listing.source.name,
        licence=listing.source.licence,
        steps=(shlex.join(words),),
    )
    with flags.output.progress("cropping") as progress:
        done = crop_dataset(
            listing.rows[:limit],
            listing.folder,
            cropper,
            out,
            facts=facts,
            workers=flags.settings.threads,
            progress=progress,
        )
    _tell_crops(flags, out, done)
    return UNUSABLE if done.refused else 0


def _tell_crops(flags: Flags, out: Path, done: Cropped) -> None:
    facts = {"cut": done.cut, "kept": done.kept, "refused": done.refused, **done.dataset.summary()}
    if flags.output.as_json:
        flags.output.json({"dataset": str(out), **facts})
        return
    people, rows = facts["identities"], facts["rows"]
    flags.output.text(f"{out}: {counted(rows, 'crop', 'crops')} of {counted(people, 'person', 'people')}")
    if done.refused:
        flags.output.warn(
            f"{counted(done.refused, 'photo', 'photos')} could not be used: {out / 'refused.csv'} says why"
        )


@click.command()
@click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--shares", default="60/20/20", show_default=True, metavar="A/B/C", help="People to train, validate and test."
)
@click.option(
    "--min-photos",
    type=click.IntRange(min=1),
    default=2,
    show_default=True,
    metavar="N",
    help="People with fewer photos are in no split.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives another split.")
@common_options
@click.pass_obj
def split(flags: Flags, dataset: Path, shares: str, min_photos: int, seed: int) -> int:
    """Split DATASET by person into train, validation and test: nobody is in two of them.

    The same people, seed and shares always give the same split, whatever the order of the rows.
    """
    from likeness.data.dataset import Dataset
    from likeness.data.splits import parse_shares, split_by_person

    found = Dataset.read(dataset)
    rows = split_by_person(found.rows, shares=parse_shares(shares), min_photos=min_photos, seed=seed)
    step = f"likeness data split {dataset} --shares {shares} --min-photos {min_photos} --seed {seed}"
    done = found.with_rows(rows, step=step)
    done.write()
    _tell_splits(flags, done)
    return 0


def _tell_splits(flags: Flags, dataset: Dataset) -> None:
    rows = []
    for name in ("train", "validation", "test", ""):
        of_split = [row for row in dataset.rows if row.split == name]
        rows.append((name or "in none", len({row.identity for row in of_split} - {""}), len(of_split)))
    if flags.output.as_json:
        flags.output.json({"splits": {name: {"people": people, "photos": photos} for name, people, photos in rows}})
    else:
        flags.output.table(("split", "people", "photos"), rows)
