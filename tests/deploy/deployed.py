"""What the tests of the deployment share: command lines held against our own CLI, variables against our settings."""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from likeness.cli import app
from likeness.settings import NOT_SETTINGS, PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
HEALTH = {"/v1/health", "/v1/ready"}


def expect_command(arguments: Sequence[str]) -> None:
    """Fail unless the command line is one of `likeness`'s: command, options, their values, number of arguments.

    Files need not exist here.
    """
    command: click.Command = app
    context = click.Context(app, info_name="likeness")
    rest = list(arguments)
    while isinstance(command, click.Group):
        values, rest, _ = command.make_parser(context).parse_args(rest)
        assert rest, f"{arguments}: {context.command_path} wants a command"
        name, *rest = rest
        found = command.get_command(context, name)
        assert found is not None, f"{arguments}: {context.command_path} has no command {name!r}"
        command, context = found, click.Context(found, parent=context, info_name=name)
    values, left, _ = command.make_parser(context).parse_args(rest)
    assert not left, f"{arguments}: {left} is too much"
    for parameter in command.params:
        value = values.get(parameter.name)
        assert value is not None or not parameter.required, f"{arguments}: {parameter.name} is missing"
        if value is not None and not isinstance(parameter.type, click.Path | click.File):
            for each in value if isinstance(value, list | tuple) else [value]:
                if isinstance(each, str):
                    parameter.type.convert(each, parameter, context)


def commands_in(script: str) -> list[list[str]]:
    """The command lines of `likeness` in lines of a shell; what the shell fills in is some word."""
    filled = re.sub(r"\$\{\{.*?\}\}|\$\$?\{[^}]*\}|\$\$?\([^)]*\)|\$\$?\w+", "read", script.replace("\\\n", " "))
    found = re.findall(r"(?:^|[\s;|&(])likeness ((?:[^;|&<>()\n\"']|\"[^\"]*\"|'[^']*')*)", filled)
    return [words for text in found if (words := shlex.split(text))]


def expect_settings(environment: Mapping[str, Any], *, config: str | None = None) -> Settings:
    """Fail unless every LIKENESS_ variable is a setting, and its value can be one; the settings that follow."""
    ours = {name: str(value) for name, value in environment.items() if name.startswith(PREFIX)}
    for name in ours:
        known = name in NOT_SETTINGS or name.removeprefix(PREFIX).lower() in Settings.model_fields
        assert known, f"{name} is no setting"
    return Settings.load(environment={n: v for n, v in ours.items() if n not in NOT_SETTINGS}, config=config)


def expect_schema(schema: str, *paths: Path) -> None:
    """Fail unless the files follow one of the schemas that check-jsonschema brings."""
    from check_jsonschema.cli import main
    from click.testing import CliRunner

    done = CliRunner().invoke(main, ["--builtin-schema", schema, *map(str, paths)])
    assert done.exit_code == 0, done.output


def interpolated(value: Any) -> Any:
    """A value of a compose file with the defaults of its variables, as compose fills them in where nothing is set."""
    if isinstance(value, str):
        return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", value).replace("$$", "$")
    if isinstance(value, dict):
        return {key: interpolated(each) for key, each in value.items()}
    return [interpolated(each) for each in value] if isinstance(value, list) else value


def health_paths(texts: Iterable[str]) -> set[str]:
    """The paths of HTTP addresses in these texts."""
    return {path for text in texts for path in re.findall(r"https?://[^/\s'\"]+(/[^\s'\"]*)", text)}


def missing(what: str) -> None:
    """Skip where a tool is not there; fail where everything has to be."""
    import pytest

    if os.environ.get("CI"):
        pytest.fail(what)
    pytest.skip(what)
