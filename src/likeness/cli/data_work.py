"""`likeness data crop` and `split`: from photos to crops that can be trained on."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.data_sources import SET, SOURCE, listing_of, set_words
from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import counted, printable

if TYPE_CHECKING:
    from likeness.data.coherence import Alike
    from likeness.data.crop import Cropped
    from likeness.data.dataset import Dataset
    from likeness.data.leaks import Leaks
    from likeness.data.manifest import Row, Split

UNUSABLE = 3


@click.command(short_help="Cut out and align the face of each photo.")
@click.argument("photos", metavar="FOLDER|SOURCE:FOLDER")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@SOURCE
@SET
@click.option(
    "--pick",
    type=click.Choice(["central", "largest", "only"]),
    default="central",
    show_default=True,
    help="Of several faces: take the most central or the largest, or use photos with a single one only.",
)
@click.option("--side", type=click.IntRange(16, 2048), metavar="N", help="Side of the crops in pixels.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Take the first N photos only.")
@click.option(
    "--sheet",
    type=click.IntRange(0, 2000),
    default=48,
    show_default=True,
    metavar="N",
    help="Crops on the contact sheet; 0 makes none.",
)
@progress_option
@common_options
@click.pass_obj
def crop(
    flags: Flags,
    photos: str,
    out: Path,
    source: str | None,
    options: tuple[str, ...],
    pick: Any,
    side: int | None,
    limit: int | None,
    sheet: int,
) -> int:
    """Cut out and align the face of each photo of a source, into the data set OUT.

    OUT gets crops/IDENTITY/NAME.jpg, manifest.csv with boxes and landmarks, dataset.json, refused.csv, which says
    why photos could not be used, and contact.png, a sheet to check the boxes by eye. Crops are aligned for the model
    (--model), in its size unless --side says another. Where the source knows the face's box, the face found there is
    taken. A run that was stopped goes on when started again. Exit code 3 if photos could not be used.
    """
    from likeness.data.contact import crop_sheet
    from likeness.data.crop import crop_dataset, open_cropper
    from likeness.data.dataset import Facts
    from likeness.service.portraits import save_picture

    listing = listing_of(flags, photos, source, options)
    flags.output.say(f"Taken as {listing.source.name}: {listing.source.title} (another: --source).")
    for reason, count in listing.reasons().items():
        flags.output.warn(f"{counted(count, 'photo', 'photos')} left out: {reason}")
    cropper = open_cropper(flags.settings, side_px=side, pick=pick, say=flags.output.say)
    words = f"likeness data crop {shlex.quote(photos)} {shlex.quote(str(out))} --source {listing.source.name}"
    words += set_words(options)
    words += f" --pick {pick} --side {cropper.facts.side_px} --model {shlex.quote(flags.settings.embedder)}"
    facts = Facts(
        name=out.resolve().name or "crops",
        source=listing.origin,
        licence=listing.licence,
        steps=(words + (f" --limit {limit}" if limit else ""),),
    )
    rows = listing.rows[:limit]
    with flags.output.progress("cropping") as progress:
        done = crop_dataset(
            rows, listing.folder, cropper, out, facts=facts, workers=flags.settings.threads, progress=progress
        )
    target = out / "contact.png"
    if sheet and done.dataset.rows and (done.cut or not target.exists()):
        save_picture(crop_sheet(done.dataset, listing.folder, sheet)[0], target)
    _tell_crops(flags, out, done, left_out=len(listing.skipped))
    return UNUSABLE if done.refused else 0


def _tell_crops(flags: Flags, out: Path, done: Cropped, *, left_out: int) -> None:
    facts = {"cut": done.cut, "kept": done.kept, "refused": done.refused, **done.dataset.summary()}
    facts["left_out"] = left_out
    if flags.output.as_json:
        flags.output.json({"dataset": str(out), **facts})
        return
    people, rows = facts["identities"], facts["rows"]
    before = f" ({done.kept} photos were looked at before)" if done.kept else ""
    flags.output.text(f"{out}: {counted(rows, 'crop', 'crops')} of {counted(people, 'person', 'people')}{before}")
    if done.refused:
        flags.output.warn(
            f"{counted(done.refused, 'photo', 'photos')} could not be used: {out / 'refused.csv'} says why"
        )


@click.command(short_help="Split a data set by person.")
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
@click.option("--keep", is_flag=True, help="People who are in a split stay there; only the others are placed.")
@click.option(
    "--test-people",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="People who must be in the test split, a name a line.",
)
@click.option(
    "--nameless",
    is_flag=True,
    help="Place photos without identity, which else are in no split; the same photo twice stays together.",
)
@click.option("--quick", is_flag=True, help="Compare files only, not pictures, when looking for leaks.")
@click.option(
    "--embeddings",
    is_flag=True,
    help="Look for people in two splits who look like one, by the model; with --nameless keep those together.",
)
@progress_option
@common_options
@click.pass_obj
def split(
    flags: Flags,
    dataset: Path,
    shares: str,
    min_photos: int,
    seed: int,
    keep: bool,
    test_people: Path | None,
    nameless: bool,
    quick: bool,
    embeddings: bool,
) -> int:
    """Split DATASET by person into train, validation and test: nobody is in two of them.

    The same people, seed and shares always give the same split, whatever the order of the rows. Names that differ in
    case, spaces, underscores or dashes only are taken for one person. Says afterwards what is in two splits all the
    same: the same photo under two names, or names that may be one person's.

    Photos that name nobody are placed with --nameless: each by itself, but copies of one photo together; with
    --embeddings also faces that are each other's nearest and more similar than strangers are.
    """
    from likeness.data.check import coherence_of, present_rows
    from likeness.data.dataset import Dataset
    from likeness.data.duplicates import find_duplicates, in_rows
    from likeness.data.leaks import find_leaks
    from likeness.data.splits import parse_shares, split_by_person
    from likeness.data.together import rows_together

    found = Dataset.read(dataset)
    wanted, fixed = parse_shares(shares), _fixed(found, keep, test_people)
    bundle = flags.settings.library(flags.output.say).find(flags.settings.embedder) if embeddings else None
    workers, there = flags.settings.threads, present_rows(found)
    with flags.output.progress("looking for photos that are there twice") as progress:
        duplicates = find_duplicates(there, near=not quick, workers=workers, progress=progress)
    together: list[list[Row]] = []
    if nameless:
        with flags.output.progress("embedding crops") as progress:
            together = rows_together(there, duplicates, bundle, workers=workers, progress=progress)
    rows = split_by_person(
        found.rows,
        shares=wanted,
        min_photos=min_photos,
        seed=seed,
        fixed=fixed,
        nameless=nameless,
        together=together,
    )
    said = {"keep": keep, "nameless": nameless, "quick": quick, "embeddings": embeddings}
    words = f"likeness data split {shlex.quote(str(dataset))} --shares {shares} --min-photos {min_photos} --seed {seed}"
    words += "".join(f" --{name}" for name, given in said.items() if given)
    words += f" --test-people {shlex.quote(str(test_people))}" if test_people else ""
    done = found.with_rows(rows, step=words)
    done.write()
    alike: tuple[Alike, ...] = ()
    if bundle is not None and any(row.identity for row in rows):
        alike = coherence_of(present_rows(done), bundle, watch=flags.output.progress, workers=workers).alike
    _tell_splits(flags, done, find_leaks(done.rows, in_rows(duplicates, done.rows), alike))
    return 0


def _fixed(dataset: Dataset, keep: bool, test_people: Path | None) -> dict[str, Split]:
    """Whose split is settled beforehand."""
    fixed: dict[str, Split] = (
        {row.identity: row.split for row in dataset.rows if row.identity and row.split} if keep else {}
    )
    return fixed if test_people is None else fixed | _named_for_test(dataset, test_people)


def _named_for_test(dataset: Dataset, file: Path) -> dict[str, Split]:
    """The identities of the data set that a file names, for the test split."""
    from likeness.data.splits import person_key
    from likeness.errors import InputError, PhotoMissing

    try:
        lines = [line.strip() for line in file.read_text("utf-8-sig").splitlines()]
    except FileNotFoundError:
        raise PhotoMissing(f"there is no file {str(file)!r}") from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{str(file)!r} cannot be read as names: {error}") from error
    wanted = {person_key(line) for line in lines if line and not line.startswith("#")}
    found = {row.identity for row in dataset.rows if row.identity and person_key(row.identity) in wanted}
    if not found:
        raise InputError(
            f"{str(file)!r} names nobody of the data set", hint="write one identity of the data set a line"
        )
    return dict.fromkeys(sorted(found), "test")


def _tell_splits(flags: Flags, dataset: Dataset, leaks: Leaks) -> None:
    rows = []
    for name in ("train", "validation", "test", ""):
        of_split = [row for row in dataset.rows if row.split == name]
        rows.append((name or "none", len({row.identity for row in of_split} - {""}), len(of_split)))
    if flags.output.as_json:
        counts = {name: {"people": people, "photos": photos} for name, people, photos in rows}
        flags.output.json({"splits": counts, "leaks": leaks.as_dict()})
        return
    flags.output.table(("split", "people", "photos"), rows)
    nameless = sum(not row.identity for row in dataset.rows)
    if nameless and all(photos == 0 for name, _, photos in rows if name != "none"):
        flags.output.warn(f"{counted(nameless, 'photo', 'photos')} name nobody: --nameless places each by itself")
    for line in leak_lines(leaks):
        flags.output.text(line)


def leak_lines(leaks: Leaks) -> list[str]:
    """What is in two splits, for people."""
    lines = [f"one person in two splits: {', '.join(names)}" for names in leaks.people]
    lines += [
        f"one photo in two splits: {pair.first.path} ({pair.first.split}) and {pair.second.path} ({pair.second.split})"
        for pair in leaks.photos
    ]
    lines += [f"perhaps one person in two splits, by their names: {', '.join(names)}" for names in leaks.variants]
    lines += [
        f"perhaps one person in two splits, by their faces: {pair.first} ({pair.splits[0]}) and "
        f"{pair.second} ({pair.splits[1]}), similarity {pair.similarity:.3f}"
        for pair in leaks.alike
    ]
    return [printable(line) for line in lines] or ["no person and no photo is in two splits"]
