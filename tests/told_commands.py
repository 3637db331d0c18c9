"""Command lines that pages, manifests and scripts tell of, held against our own CLI."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence

import click

from likeness.cli import app


def expect_command(arguments: Sequence[str], *, whole: bool = True) -> None:
    """Fail unless the command line is one of `likeness`'s: command, options, their values, number of arguments.

    Files need not exist here. One that is only spoken of is not `whole`: arguments may be missing.
    """
    command: click.Command = app
    context = click.Context(app, info_name="likeness")
    rest = list(arguments)
    while isinstance(command, click.Group):
        values, rest, _ = command.make_parser(context).parse_args(rest)
        if not rest and command.invoke_without_command:
            return
        assert rest, f"{arguments}: {context.command_path} wants a command"
        name, *rest = rest
        found = command.get_command(context, name)
        assert found is not None, f"{arguments}: {context.command_path} has no command {name!r}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    values, left, _ = command.make_parser(context).parse_args(rest)
    assert not left, f"{arguments}: {left} is too much"
    for parameter in command.params:
        value = values.get(parameter.name)
        missing = whole and parameter.required and parameter.value_is_missing(value)
        assert not missing, f"{arguments}: {parameter.name} is missing"
        if value is not None and not isinstance(parameter.type, click.Path | click.File):
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, str):
                    parameter.type.convert(each, parameter, context)


def commands_in(script: str) -> list[list[str]]:
    """The command lines of `likeness` in lines of a shell; what the shell fills in is some word."""
    filled = re.sub(r"\$\{\{.*?\}\}|\$\$?\{[^}]*\}|\$\$?\([^)]*\)|\$\$?\w+", "read", script.replace("\\\n", " "))
    found = re.findall(r"(?:^|[\s;|&(])likeness ((?:[^;|&<>()\n\"']|\"[^\"]*\"|'[^']*')*)", filled)
    return [words for text in found if (words := shlex.split(text))]
