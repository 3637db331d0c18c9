"""`likeness data`: sources of photos and data sets on disk."""

from __future__ import annotations

import click

from likeness.cli import data_check, data_exchange, data_sources, data_work
from likeness.cli.flags import common_options


@click.group()
@common_options
def data() -> None:
    """Get, look at, keep and share data sets."""


data.add_command(data_sources.list_sources)
data.add_command(data_sources.inspect)
data.add_command(data_sources.download)
data.add_command(data_sources.import_source)
data.add_command(data_work.crop)
data.add_command(data_check.check)
data.add_command(data_work.split)
data.add_command(data_exchange.push)
data.add_command(data_exchange.pull)
