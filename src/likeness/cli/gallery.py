"""`likeness gallery`: looking after the gallery."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.gallery_delete import delete
from likeness.cli.gallery_key import COMMANDS as KEY_COMMANDS
from likeness.cli.gallery_migrate import migrate
from likeness.cli.gallery_snapshots import snapshots
from likeness.cli.output import plain

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.gallery.base import Finding

UNWELL = 7


@click.group()
@common_options
def gallery() -> None:
    """Look after the gallery: its facts, its health, copies, encryption, and embeddings made anew."""


@gallery.command()
@common_options
@click.pass_obj
def info(flags: Flags) -> None:
    """Show what the gallery holds and how it answers."""
    with flags.people(with_model=False) as opened:
        facts = opened.gallery.info()
    if flags.output.as_json:
        flags.output.json(asdict(facts))
        return
    rows: list[tuple[str, object]] = [
        ("people", f"{facts.people:,}"),
        ("faces", f"{facts.faces:,}"),
        ("embedding space", f"{facts.space}, {facts.dimension} numbers a face"),
        ("engine", facts.engine),
        ("search", facts.index),
        ("size", f"{facts.bytes_on_disk / 1e6:.1f} MB"),
        *((name.replace("_", " "), _worded(value)) for name, value in facts.details.items()),
    ]
    flags.output.facts(rows, title=facts.uri)


@gallery.command()
@common_options
@click.pass_obj
def create(flags: Flags) -> None:
    """Make the gallery, empty, before anybody is enrolled.

    Enrolling makes it too. It takes on the embedding space of the model in use and, on a server, what its address says
    of shards and index.
    """
    with flags.people(create=True) as opened:
        facts = opened.gallery.info()
    if flags.output.as_json:
        flags.output.json(asdict(facts))
    else:
        held = f"it holds {facts.people:,} people" if facts.people else "it is empty"
        flags.output.text(f"{facts.uri} is there, for {facts.dimension} numbers a face of {facts.space}; {held}")


@gallery.command()
@click.option("--sample", type=click.IntRange(1, 1_000_000), default=1000, show_default=True, help="Faces looked at.")
@click.option("--faces", type=click.IntRange(1, 10**10), metavar="N", help="Also say what N faces would need.")
@common_options
@click.pass_obj
def check(flags: Flags, sample: int, faces: int | None) -> int:
    """Verify the gallery, and finish erasures that were cut short.

    Looks at the file, the record, the audit trail and the index, and compares search with exact search. Exit code 7
    if something is wrong.
    """
    with flags.people(with_model=False) as opened:
        findings = opened.check(sample=sample)
        forecast = None if faces is None else opened.gallery.forecast(faces)
    show_findings(flags.output, findings, **({} if forecast is None else {"forecast": asdict(forecast)}))
    if forecast is not None and not flags.output.as_json:
        flags.output.text(str(forecast))
    return 0 if all(finding.ok for finding in findings) else UNWELL


@gallery.command()
@click.argument("target", required=False, type=click.Path(path_type=Path))
@common_options
@click.pass_obj
def snapshot(flags: Flags, target: Path | None) -> None:
    """Write a whole copy, while others go on working.

    TARGET is a new file; without it the copy is put beside the gallery. Forgetting a person reaches copies too.
    """
    with flags.people(with_model=False) as opened:
        path = opened.snapshot(target)
    if flags.output.as_json:
        flags.output.json({"snapshot": str(path), "bytes": path.stat().st_size})
    else:
        flags.output.text(f"written to {path} ({path.stat().st_size / 1e6:.1f} MB)")


@gallery.command("re-embed")
@progress_option
@common_options
@click.pass_obj
def re_embed(flags: Flags) -> None:
    """Compute all embeddings anew with the present model.

    It reads the pictures that the gallery keeps; no photo is needed. Searches answer as before until all is done. A
    run that was stopped goes on where it was.
    """
    with (
        flags.people(with_model=False, many=True) as opened,
        flags.output.progress("re-embedding") as progress,
    ):
        count = opened.reembed(progress=progress)
        space = opened.recognizer.space
    if flags.output.as_json:
        flags.output.json({"embedded": count, "space": space})
    elif count:
        flags.output.text(f"{count} faces embedded; the gallery's embedding space is {space} now")
    else:
        flags.output.text(f"nothing to do: the gallery's embedding space is {space}")


@gallery.command()
@click.option("--mend", is_flag=True, help="Write what is missing and delete what is left over.")
@common_options
@click.pass_obj
def media(flags: Flags, mend: bool) -> int:
    """Compare the pictures kept in the storage with the gallery.

    The setting `storage` names a place where enrolled pictures are kept as well. Missing are those that were enrolled
    before it was set, left over those of a run that was killed or of people who were erased while it was away. Files
    that are not named as ours are not touched. One storage is to be used by one gallery only.
    """
    with flags.people(with_model=False) as opened:
        compared = opened.compare_media(mend=mend)
    facts = {"kept": compared.kept, "missing": len(compared.missing), "left_over": len(compared.left_over)}
    if flags.output.as_json:
        flags.output.json(facts | {"mended": mend})
    else:
        done = ("written", "deleted") if mend else ("missing", "left over")
        flags.output.text(
            f"{facts['kept']} as they should be, {facts['missing']} {done[0]}, {facts['left_over']} {done[1]}"
        )
        if not mend and (compared.missing or compared.left_over):
            flags.output.say("--mend puts that right")
    return 0 if mend or not (compared.missing or compared.left_over) else UNWELL


@gallery.command("build-index")
@progress_option
@common_options
@click.pass_obj
def build_index(flags: Flags) -> None:
    """Build the approximate index of a large gallery.

    An index that is there is brought up to date. In smaller galleries exact search is fast enough and used all the
    same: `likeness gallery info` says from how many faces on the index pays.
    """
    with (
        flags.people(with_model=False) as opened,
        flags.output.progress("indexing") as progress,
    ):
        used = opened.build_index(progress=progress)
    if flags.output.as_json:
        flags.output.json({"index": used})
    else:
        flags.output.text(f"the index is up to date; searches use: {used}")


gallery.add_command(migrate)
gallery.add_command(delete)
gallery.add_command(snapshots)
for command in KEY_COMMANDS:
    gallery.add_command(command)


def _worded(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else plain(value)


def show_findings(output: Output, findings: list[Finding], **more: object) -> None:
    """Findings one a line, or as one JSON object with whatever `more` there is."""
    if output.as_json:
        ok = all(finding.ok for finding in findings)
        output.json({"ok": ok, "findings": [asdict(each) for each in findings], **more})
        return
    rows = [("ok" if finding.ok else "NOT OK", finding.name, finding.message) for finding in findings]
    output.table(("", "what", "seen"), rows)
