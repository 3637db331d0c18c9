"""Options of commands that write a report, and whether it can be written."""

from __future__ import annotations

import os
from pathlib import Path

import click

from likeness.errors import StorageError

out_option = click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    help="Write report.html, report.json and pictures into this folder.",
)
seed_option = click.option("--seed", default=0, show_default=True, help="Seed of everything that is drawn.")
rounds_option = click.option(
    "--rounds",
    type=click.IntRange(20, 10_000),
    default=200,
    show_default=True,
    help="Rounds of the bootstrap behind the intervals.",
)


def expect_report(folder: Path | None) -> None:
    """Let a folder for a report pass, and what reports need: known before the work.

    Raises:
        ExtraMissing: a package is not installed.
        StorageError: the folder cannot be written.
    """
    from likeness.evaluate.report import expect_extra

    if folder is None:
        return
    expect_extra()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{str(folder)!r} cannot be written: {error.strerror}") from error
    if not os.access(folder, os.W_OK):
        raise StorageError(f"{str(folder)!r} cannot be written")
