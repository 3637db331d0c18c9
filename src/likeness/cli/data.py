"""`likeness data`: sources of photos and data sets on disk."""

from __future__ import annotations

import click

from likeness.cli import data_check, data_work
from likeness.cli.flags import common_options


@click.group()
@common_options
def data() -> None:
    """Get, look at, keep and share data sets."""


data.add_command(data_work.crop)
data.add_command(data_check.check)
data.add_command(data_work.split)
