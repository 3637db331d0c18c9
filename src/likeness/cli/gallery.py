"""`likeness gallery`: looking after the gallery."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import plain

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.gallery.base import Finding

UNWELL = 7


@click.group()
@common_options
def gallery() -> None:
    """Look after the gallery: info, check, snapshot, re-embed."""


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
        ("people", facts.people),
        ("faces", facts.faces),
        ("embedding space", f"{facts.space}, {facts.dimension} numbers"),
        ("engine", facts.engine),
        ("search", facts.index),
        ("size", f"{facts.bytes_on_disk / 1e6:.1f} MB"),
        *((name.replace("_", " "), plain(value)) for name, value in facts.details.items()),
    ]
    flags.output.facts(rows, title=facts.uri)


@gallery.command()
@common_options
@click.pass_obj
def check(flags: Flags) -> int:
    """Verify record, index and audit trail; finish erasures that were cut short."""
    with flags.people(with_model=False) as opened:
        findings = opened.check()
    show_findings(flags.output, findings)
    return 0 if all(finding.ok for finding in findings) else UNWELL


@gallery.command()
@click.argument("target", required=False, type=click.Path(path_type=Path))
@common_options
@click.pass_obj
def snapshot(flags: Flags, target: Path | None) -> None:
    """Write a whole copy, while others go on working; forgetting a person reaches it too."""
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
    """Compute all embeddings anew with the present model, from the stored pictures.

    Searches answer as before until all is done. A run that was stopped goes on where it was.
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


@gallery.command("build-index")
@progress_option
@common_options
@click.pass_obj
def build_index(flags: Flags) -> None:
    """Build or catch up the approximate index that pays in large galleries."""
    with (
        flags.people(with_model=False) as opened,
        flags.output.progress("indexing") as progress,
    ):
        used = opened.build_index(progress=progress)
    if flags.output.as_json:
        flags.output.json({"index": used})
    else:
        flags.output.text(f"searches use: {used}")


def show_findings(output: Output, findings: list[Finding]) -> None:
    """Findings one a line, or as one JSON object."""
    if output.as_json:
        output.json({"ok": all(finding.ok for finding in findings), "findings": [asdict(each) for each in findings]})
        return
    rows = [("ok" if finding.ok else "NOT OK", finding.name, finding.message) for finding in findings]
    output.table(("", "what", "seen"), rows)
