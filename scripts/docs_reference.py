"""The pages of the documentation's reference that are made from the code: commands, settings, errors, routes."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

import click

from likeness.cli import app
from likeness.cli.api_reference import all_settings, compatible_reference, errors_reference, routes_reference

_CODES = (
    (0, "all well"),
    (1, "an unexpected error; `--debug` shows where"),
    (2, "wrong arguments or settings"),
    (3, "some photos are unusable; the rest is done"),
    (4, "not found"),
    (5, "conflict with what is there"),
    (6, "a model or its calibration"),
    (7, "a storage"),
    (8, "a server elsewhere"),
    (130, "interrupted"),
    (141, "nobody reads the output any more"),
)


def commands_page() -> str:
    """Every command with its usage, help, arguments and options."""
    codes = "\n".join(f"| {code} | {meaning} |" for code, meaning in _CODES)
    parts = [
        "# Commands",
        "Made from the code. These options stand before or after any command:",
        _options(_common(app)),
        f"Exit codes:\n\n| code | meaning |\n|---|---|\n{codes}",
    ]
    context = click.Context(app, info_name="likeness")
    for name in app.list_commands(context):
        parts.extend(_sections(app, context, name, level=2))
    return "\n\n".join(parts) + "\n"


def settings_page() -> str:
    """Every setting with its variable, default and meaning."""
    text = (
        "# Settings\n\nMade from the code. Options of a command go before the environment, the environment before the "
        "file (`likeness settings` says where it is, and where each value comes from)."
    )
    return f"{text}\n{all_settings()}\n"


def errors_page() -> str:
    """Every error with its code and the status that the API answers with."""
    text = (
        "# Errors\n\nMade from the code. The code stands in `error.code` of what the API answers and of what commands "
        "print with `--json`; each comes with a message and mostly with a hint what to do next."
    )
    return f"{text}\n{errors_reference()}\n"


def routes_page() -> str:
    """Every route, native and compatible."""
    text = "# Routes\n\nMade from the code. What they take and give: [the API](../api.md)."
    more = "## Compatible\n\nWith `likeness serve --compatible`: [moving over](../compatible.md)."
    return f"{text}\n{routes_reference()}\n\n{more}\n\n{compatible_reference()}\n"


PAGES: Mapping[str, Callable[[], str]] = {
    "reference/commands.md": commands_page,
    "reference/settings.md": settings_page,
    "reference/errors.md": errors_page,
    "reference/routes.md": routes_page,
}
"""Page → what makes it."""


def _sections(group: click.Group, above: click.Context, name: str, *, level: int) -> Iterator[str]:
    command = group.get_command(above, name)
    if command is None or command.hidden:
        return
    context = click.Context(command, info_name=name, parent=above)
    yield f"{'#' * level} {context.command_path}"
    yield f"```text\n{command.get_usage(context).removeprefix('Usage: ')}\n```"
    yield from _paragraphs(command.help or "")
    own = [each for each in command.params if each.expose_value and not getattr(each, "hidden", False)]
    if own:
        yield _options(own)
    if isinstance(command, click.Group):
        for each in command.list_commands(context):
            yield from _sections(command, context, each, level=level + 1)


def _common(command: click.Command) -> list[click.Parameter]:
    return [each for each in command.params if isinstance(each, click.Option) and not each.hidden]


def _options(parameters: list[click.Parameter]) -> str:
    rows = ["| option | meaning |", "|---|---|"]
    for each in parameters:
        meaning = prose(getattr(each, "help", None) or "")
        rows.append(f"| `{_name(each)}` | {meaning.replace('|', chr(92) + '|')} |")
    return "\n".join(rows)


def _name(parameter: click.Parameter) -> str:
    if isinstance(parameter, click.Argument):
        return parameter.make_metavar(click.Context(app)).replace("|", "/")
    names = ", ".join([*parameter.opts, *parameter.secondary_opts])
    wants = "" if getattr(parameter, "is_flag", False) or getattr(parameter, "count", False) else _value(parameter)
    return f"{names}{wants}".replace("|", "/")


def _value(parameter: click.Parameter) -> str:
    return f" {parameter.make_metavar(click.Context(app))}"


def _paragraphs(text: str) -> Iterator[str]:
    """Help as Markdown: paragraphs that click keeps as they stand become blocks of text."""
    for paragraph in text.replace("\f", "").split("\n\n"):
        if paragraph.lstrip().startswith("\b"):
            block = paragraph.partition("\b")[2].strip("\n")
            yield f"```text\n{block}\n```"
        elif paragraph.strip():
            yield prose(" ".join(paragraph.split()))


def prose(text: str) -> str:
    """Plain text as Markdown: outside of backticks nothing is mark-up."""
    parts = re.split(r"(`[^`]*`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([\\*_<>\[\]])", r"\\\1", part) for part in parts)
