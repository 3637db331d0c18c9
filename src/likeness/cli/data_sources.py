"""`likeness data list`, `inspect`, `import` and `download`: sources of photos."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import counted

if TYPE_CHECKING:
    from likeness.data.download import Fetched
    from likeness.data.manifest import Row
    from likeness.data.sources import Listing, Skipped

SET = click.option(
    "--set", "options", metavar="KEY=VALUE", multiple=True, help="An option of the source; may be given several times."
)
SOURCE = click.option("--source", metavar="NAME", help="Layout of the folder; unless said, it is recognised.")


@click.command("list", short_help="List the sources that can be read.")
@common_options
@click.pass_obj
def list_sources(flags: Flags) -> None:
    """List the sources that can be read: their terms, what they know, and whether they can be downloaded."""
    from likeness.data.sources import options_of, sources

    for_people = []
    for kind in sources():
        if flags.output.as_json:
            downloads = [entry.file for entry in kind.downloads]
            flags.output.json(
                {
                    "name": kind.name,
                    "title": kind.title,
                    "licence": kind.licence,
                    "home": kind.home,
                    "layout": kind.layout,
                    "has": list(kind.has),
                    "downloads": downloads,
                    "how_to_get": kind.how_to_get,
                    "options": options_of(kind),
                }
            )
        download = "yes" if kind.downloads else "no"
        for_people.append((kind.name, kind.title, ", ".join(kind.has), download, kind.licence))
    if not flags.output.as_json:
        flags.output.table(("name", "title", "has", "download", "licence"), for_people)


@click.command(short_help="Show what is in a source's folder or a data set.")
@click.argument("place", metavar="FOLDER|SOURCE:FOLDER")
@SOURCE
@SET
@click.option("--plot", type=click.Path(path_type=Path, dir_okay=False), help="Draw histograms as a PNG here.")
@click.option(
    "--examples", type=click.IntRange(min=0), default=3, show_default=True, metavar="N", help="How many rows to show."
)
@progress_option
@common_options
@click.pass_obj
def inspect(
    flags: Flags, place: str, source: str | None, options: tuple[str, ...], plot: Path | None, examples: int
) -> None:
    """Show what is in a source's folder or a data set.

    People, photos per person, labels with their ranges, splits, and which files give no row and why. FOLDER may also
    be a CSV, or hf://OWNER/NAME on a hub. A folder with dataset.json is read as a data set unless --source says
    otherwise.
    """
    from likeness.data.inspection import draw, inspect_rows
    from likeness.service.portraits import expect_writable, save_bytes

    if plot is not None:
        expect_writable(plot)
    title, rows, skipped, more = _contents(flags, place, source, options)
    figures = inspect_rows(rows, skipped, examples=examples)
    if plot is not None:
        save_bytes(draw(rows), plot)
    if flags.output.as_json:
        flags.output.json(more | figures)
        return
    flags.output.facts(_lines(more | figures), title=title)
    for example in figures["examples"]:
        labels = ", ".join(f"{name} {_number(value)}" for name, value in example["labels"].items())
        words = [example["path"], example["identity"] or "nobody named", example["split"], labels]
        flags.output.text("  ".join(word for word in words if word))


@click.command("import", short_help="Make a data set of a source's photos.")
@click.argument("place", metavar="FOLDER|SOURCE:FOLDER")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@SOURCE
@SET
@click.option("--copy", is_flag=True, help="Copy the photos, even where hard links could be made.")
@progress_option
@common_options
@click.pass_obj
def import_source(
    flags: Flags, place: str, out: Path, source: str | None, options: tuple[str, ...], copy: bool
) -> None:
    """Make the data set OUT of a source's photos as they are: the files, manifest.csv and dataset.json.

    Photos are hard links where the disk allows, else copies. If OUT is the folder itself, only the two files are
    written. To train or evaluate, faces must be cut out: `likeness data crop` does that from either.
    """
    from likeness.data.importing import import_photos

    listing = listing_of(flags, place, source, options)
    words = shlex.join(["likeness", "data", "import", place, str(out), "--source", listing.source.name])
    words += set_words(options)
    with flags.output.progress("importing") as progress:
        dataset = import_photos(listing, out, copy=copy, step=words, progress=progress)
    facts = {"dataset": str(out), **dataset.summary(), "skipped": len(listing.skipped)}
    if flags.output.as_json:
        flags.output.json(facts)
        return
    photos, people = counted(facts["rows"], "photo", "photos"), counted(facts["identities"], "person", "people")
    flags.output.text(f"{out}: {photos} of {people}")
    for reason, count in listing.reasons().items():
        flags.output.say(f"{count} left out: {reason}")


@click.command(short_help="Download a public data set, where its terms allow.")
@click.argument("name")
@click.argument("out", type=click.Path(path_type=Path, file_okay=False))
@click.option("--url", metavar="URL", default="", help="Fetch this file instead, such as a mirror's or your own.")
@click.option("--sha256", metavar="HEX", default="", help="Digest that the (first) file must have.")
@click.option("--keep", is_flag=True, help="Keep archives after unpacking, in OUT/.downloads.")
@progress_option
@common_options
@click.pass_obj
def download(flags: Flags, name: str, out: Path, url: str, sha256: str, keep: bool) -> None:
    """Download the source NAME into OUT, where its terms allow; verify and unpack it.

    A download that broke off goes on when started again. Files whose digest nobody has published are not verified:
    that is said, with the digest of what came.
    """
    from likeness.data.download import download as fetch
    from likeness.data.download import downloads_of
    from likeness.data.sources import source_class
    from likeness.web import shown

    source = source_class(name)
    entries = downloads_of(source, url=url, sha256=sha256)
    flags.output.say(f"terms of {source.title}: {source.licence}")
    for entry in entries:
        flags.output.say(f"{entry.file} from {shown(entry.url)}")
        with flags.output.progress(f"MiB of {entry.file}") as progress:
            done = fetch(entry, out, keep=keep, progress=lambda here, total: progress(*_mebibytes(here, total)))
        _tell(flags, done, out)
    if not flags.output.as_json:
        flags.output.say(f"next: likeness data inspect {shlex.quote(str(out))} --source {name}")


def _mebibytes(here: int, total: int) -> tuple[int, int]:
    """Bytes as MiB; where nobody knows how many there will be, there is always one to come."""
    return here >> 20, max(total >> 20, 1) if total else (here >> 20) + 1


def _tell(flags: Flags, done: Fetched, out: Path) -> None:
    if flags.output.as_json:
        flags.output.json(
            {
                "file": done.file,
                "folder": str(out),
                "bytes": done.size_bytes,
                "sha256": done.sha256,
                "verified": done.verified,
                "resumed_at_bytes": done.resumed_at_bytes,
                "unpacked": done.unpacked,
                "already": done.already,
            }
        )
        return
    state = "was here already" if done.already else f"{done.size_bytes / (1 << 20):.1f} MiB"
    state += f", {counted(done.unpacked, 'file', 'files')} unpacked" if done.unpacked else ""
    flags.output.text(f"{done.file}: {state}")
    flags.output.text(f"sha256 {done.sha256} ({'verified' if done.verified else 'not verified: no digest is known'})")


def without_torch() -> None:
    """Keep the library `datasets` from importing torch, which nothing here needs and which takes seconds."""
    os.environ.setdefault("USE_TORCH", "0")


def _contents(
    flags: Flags, place: str, source: str | None, options: tuple[str, ...]
) -> tuple[str, tuple[Row, ...], tuple[Skipped, ...], dict[str, Any]]:
    """Title, rows, what was skipped, and further facts of a data set or a source's folder."""
    from likeness.data.dataset import FACTS, Dataset

    if source is None and not options and (Path(place) / FACTS).is_file():
        dataset = Dataset.read(Path(place))
        missing = sum(not dataset.path(row).is_file() for row in dataset.rows)
        facts = dataset.facts
        more = {"dataset": facts.name, "source": facts.source, "digest": dataset.digest, "files_missing": missing}
        more["steps"] = list(facts.steps)
        if facts.crops is not None:
            more["crops"] = {"side_px": facts.crops.side_px, "detector": facts.crops.detector}
        return f"data set {facts.name}", dataset.rows, (), more
    listing = listing_of(flags, place, source, options)
    kind = listing.source
    more = {"source": kind.name, "folder": str(listing.folder)}
    return f"{kind.title} in {listing.folder}", listing.rows, listing.skipped, more


def listing_of(flags: Flags, place: str, source: str | None, options: tuple[str, ...]) -> Listing:
    """What a source gives for a place, which may name the source before a colon."""
    from likeness import plugins
    from likeness.data.sources import open_source

    without_torch()
    name, colon, rest = place.partition(":")
    if source is None and colon and name in plugins.targets("source") and not Path(place).exists():
        place, source = rest, name
    pairs = [option.partition("=") for option in options]
    for key, equals, _ in pairs:
        if not (key and equals):
            raise click.UsageError(f"--set takes KEY=VALUE, got {key!r}")
    with flags.output.progress("reading images") as progress:
        return open_source(place, source, progress=progress, **{key: value for key, _, value in pairs})


def set_words(options: tuple[str, ...]) -> str:
    """A source's options as they were given, for the record of a step."""
    return "".join(f" --set {shlex.quote(option)}" for option in options)


def _lines(figures: dict[str, Any]) -> list[tuple[str, object]]:
    """The figures for people."""
    lines: list[tuple[str, object]] = [
        (name.replace("_", " "), figures[name]) for name in ("source", "digest") if name in figures
    ]
    if "crops" in figures:
        lines.append(("crops", f"{figures['crops']['side_px']} px, found by {figures['crops']['detector']}"))
    lines += [("rows", figures["rows"]), ("people", figures["people"])]
    if figures["rows_without_identity"]:
        lines.append(("rows that name nobody", figures["rows_without_identity"]))
    if spread := figures["photos_per_person"]:
        lines.append(
            (
                "photos per person",
                f"{spread['least']} to {spread['most']}, median {spread['median']:g}, mean {spread['mean']:g}",
            )
        )
        names = {"one": "one", "2_to_4": "2 to 4", "5_to_19": "5 to 19", "20_or_more": "20 or more"}
        shares = [f"{words}: {spread[f'people_with_{key}']}" for key, words in names.items()]
        lines.append(("people by photos", ", ".join(shares)))
    for name, facts in figures["splits"].items():
        if figures["splits"].keys() != {"none"}:
            words = f"{counted(facts['rows'], 'row', 'rows')} of {counted(facts['people'], 'person', 'people')}"
            lines.append((f"split {name}", words))
    lines += [(f"label {name}", _label(facts)) for name, facts in figures["labels"].items()]
    if figures["rows_with_box"]:
        lines.append(("rows with a box", figures["rows_with_box"]))
    lines += [("licence", f"{words} ({count} rows)") for words, count in figures["licences"].items()][:5]
    if figures.get("files_missing"):
        lines.append(("files missing", figures["files_missing"]))
    for entry in figures["skipped"]:
        lines.append(("left out", f"{entry['count']}: {entry['reason']} (as {', '.join(entry['examples'][:3])})"))
    lines += [("made by", step) for step in figures.get("steps", [])]
    return lines


def _label(facts: dict[str, Any]) -> str:
    if facts["kind"] == "number":
        return f"{facts['least']:g} to {facts['most']:g}, median {facts['median']:g} ({facts['rows']} rows)"
    shown = ", ".join(f"{name} {count}" for name, count in list(facts["values"].items())[:8])
    return shown + (f", … ({facts['different']} different)" if facts["different"] > 8 else "")


def _number(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)
