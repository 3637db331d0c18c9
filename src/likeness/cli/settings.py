"""`likeness settings`: every setting, its value, and where that comes from."""

from __future__ import annotations

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import plain


@click.command()
@common_options
@click.pass_obj
def settings(flags: Flags) -> None:
    """Show every setting, its value, and where that comes from.

    A setting is read from likeness.toml (or the file that LIKENESS_CONFIG names), then from the environment
    (LIKENESS_FMR for fmr, and so on), then from an option; the last one wins.
    """
    loaded = flags.settings
    fields = type(loaded).model_fields
    values = loaded.model_dump(mode="json")  # a secret is masked in it
    if flags.output.as_json:
        flags.output.json(
            {
                name: {
                    "value": values[name],
                    "origin": loaded.origin(name),
                    "description": field.description,
                }
                for name, field in fields.items()
            }
        )
        return
    rows = [(name, plain(values[name]), loaded.origin(name), field.description) for name, field in fields.items()]
    flags.output.table(("setting", "value", "from", "meaning"), rows)
