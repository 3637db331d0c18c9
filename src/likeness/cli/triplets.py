"""`likeness triplets`: make, list and check fixed triplets of a data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import counted
from likeness.cli.pictures import expect_pictures
from likeness.errors import PhotoMissing

if TYPE_CHECKING:
    from likeness.data.coverage import Coverage
    from likeness.data.dataset import Dataset
    from likeness.data.manifest import Row
    from likeness.data.triplets import TripletFile

DATASET = click.argument("dataset", type=click.Path(path_type=Path, file_okay=False))


@click.group()
@common_options
def triplets() -> None:
    """Make, list and check triplets: two photos of a person and one of another."""


@triplets.command(short_help="Make triplets of a data set.")
@click.argument("count", metavar="N", type=click.IntRange(min=1))
@DATASET
@click.option(
    "--split",
    type=click.Choice(["train", "validation", "test", "all"]),
    default="test",
    show_default=True,
    help="Rows to draw from.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Another seed gives other triplets.")
@common_options
@click.pass_obj
def make(flags: Flags, count: int, dataset: Path, split: str, seed: int) -> None:
    """Make N triplets of DATASET and keep them in DATASET/triplets/SPLIT-N-SEED.csv.

    People are drawn evenly, whatever the number of their photos, and no triplet comes twice as long as there is
    another. The same rows, N and seed always give the same triplets.
    """
    from likeness.data.coverage import cover
    from likeness.data.dataset import Dataset
    from likeness.data.triplets import make_triplets, triplets_path, write_triplets

    found = Dataset.read(dataset)
    rows = _rows(found, split)
    made = make_triplets(rows, count, seed)
    path = triplets_path(dataset, split, count, seed)
    write_triplets(path, made)
    coverage = cover(made, rows)
    if flags.output.as_json:
        flags.output.json({"path": str(path), "name": path.stem, **coverage.as_dict()})
        return
    flags.output.text(
        f"{path}: {counted(len(made), 'triplet', 'triplets')} of {coverage.people_used} of {coverage.people} people"
    )
    if coverage.distinct < len(made):
        flags.output.warn(f"only {coverage.distinct} different triplets can be made: the rest repeat them")


@triplets.command("list", short_help="List a data set's triplets, or those of one file.")
@DATASET
@click.argument("name", required=False)
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Show the first N triplets only.")
@common_options
@click.pass_obj
def list_command(flags: Flags, dataset: Path, name: str | None, limit: int | None) -> None:
    """List the files of triplets of DATASET, or with a NAME the triplets of that file."""
    from likeness.data.dataset import Dataset
    from likeness.data.triplets import list_triplets, read_triplets

    Dataset.read(dataset)
    files = list_triplets(dataset)
    if name is not None:
        rows = [
            (each.anchor, each.positive, each.negative) for each in read_triplets(_named(dataset, files, name).path)
        ]
        if flags.output.as_json:
            for row in rows[:limit]:
                flags.output.json(dict(zip(("anchor", "positive", "negative"), row, strict=True)))
        else:
            flags.output.table(("anchor", "positive", "negative"), rows[:limit])
        return
    if flags.output.as_json:
        for each in files:
            facts = {"name": each.name, "split": each.split, "count": each.count, "seed": each.seed}
            flags.output.json({**facts, "path": str(each.path)})
    elif files:
        cells = [(each.name, each.split, each.count, each.seed) for each in files]
        flags.output.table(("name", "split", "triplets", "seed"), cells)
    else:
        flags.output.say(f"no triplets yet: likeness triplets make 10000 {dataset}")


@triplets.command(short_help="Say which people and photos triplets use, and how often.")
@DATASET
@click.argument("name")
@click.option(
    "--plot", type=click.Path(path_type=Path, dir_okay=False), metavar="PNG", help="Write how often as a picture."
)
@click.option(
    "--sheet", type=click.Path(path_type=Path, dir_okay=False), metavar="PNG", help="Write some triplets as a picture."
)
@common_options
@click.pass_obj
def coverage(flags: Flags, dataset: Path, name: str, plot: Path | None, sheet: Path | None) -> None:
    """Say which people and photos of DATASET the triplets NAME use, and how often.

    Fails where the triplets no longer fit the data set: photos that are gone, or people who have changed.
    """
    from likeness.data.contact import triplet_sheet
    from likeness.data.coverage import cover, plot_coverage
    from likeness.data.dataset import Dataset
    from likeness.data.triplets import check_triplets, list_triplets, read_triplets
    from likeness.service.portraits import save_picture

    expect_pictures(plot, sheet)
    found = Dataset.read(dataset)
    file = _named(dataset, list_triplets(dataset), name)
    each = read_triplets(file.path)
    rows = _rows(found, file.split)
    check_triplets(each, rows, where=str(file.path))
    result = cover(each, rows)
    if plot is not None:
        plot_coverage(result, plot, title=f"{found.facts.name}: {file.name}")
    if sheet is not None:
        save_picture(triplet_sheet(found, each), sheet)
    if flags.output.as_json:
        flags.output.json({"name": file.name, **result.as_dict()})
    else:
        _tell(flags, file, result)


def _tell(flags: Flags, file: TripletFile, found: Coverage) -> None:
    per_anchor, per_photo = found.spread_of(found.per_anchor), found.spread_of(found.per_photo)
    rows: list[tuple[str, object]] = [
        ("triplets", f"{found.triplets}, {found.distinct} of them different"),
        ("people", f"{found.people_used} of {found.people} used"),
        ("anchors", f"{found.anchors_used} of {len(found.per_anchor)} people with two photos or more"),
        ("negatives", f"{found.negatives_used} of {found.people} people"),
        ("photos", f"{found.photos_used} of {len(found.per_photo)} used"),
        ("triplets per anchor's person", _words(per_anchor)),
        ("triplets per photo", _words(per_photo)),
    ]
    flags.output.facts(rows, title=file.name)


def _words(spread: dict[str, float]) -> str:
    return f"{spread['min']} to {spread['max']}, median {spread['median']:g}, mean {spread['mean']:.2f}"


def _rows(dataset: Dataset, split: str) -> tuple[Row, ...]:
    """Rows of a split by its name in commands and file names."""
    from likeness.data.manifest import SPLITS
    from likeness.data.triplets import EVERYTHING

    if split == EVERYTHING:
        return dataset.rows
    return next((dataset.of_split(known) for known in SPLITS if known == split), ())


def _named(dataset: Path, files: list[TripletFile], name: str) -> TripletFile:
    """The file of that name, with or without its ending."""
    for each in files:
        if each.name == name.removesuffix(".csv"):
            return each
    known = ", ".join(each.name for each in files) or "none yet: `likeness triplets make` makes them"
    raise PhotoMissing(f"the data set {str(dataset)!r} has no triplets {name!r}", hint=f"it has {known}")
