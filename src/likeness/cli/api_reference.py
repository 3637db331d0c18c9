"""The reference part of docs/api.md, made from the code: routes, errors, settings, options. So for other pages.

`python -m likeness.cli.api_reference docs/api.md` writes it anew between its marks; a test says when that is due.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import click
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import SecretStr

from likeness.cli.bot import bot
from likeness.cli.serve import serve
from likeness.errors import LikenessError
from likeness.server.access import scope_of
from likeness.server.app import NATIVE
from likeness.server.parts import COMPATIBLE, compatible_part
from likeness.settings import Settings

BEGIN, END = "<!-- reference: begin -->", "<!-- reference: end -->"
_TITLES = {"compreface": "CompreFace", "deepface": "DeepFace"}
_SETTINGS = ("serve_", "keys", "max_photo_", "photo_side_px", "threads", "profiles")


def reference() -> str:
    """The page's part: four tables."""
    parts = (
        "### Routes",
        *_routes(native_routes()),
        "",
        "### Errors",
        *_errors(),
        "",
        "### Settings",
        *_settings(),
        "",
        "### Options",
        *_options(),
    )
    return "\n".join(parts)


def compatible_reference() -> str:
    """The part of docs/compatible.md: a table for each product."""
    tables = [
        line
        for name in COMPATIBLE
        for line in (f"### {_TITLES[name]}", *_routes(_of(compatible_part(name).routers)), "")
    ]
    return "\n".join(tables[:-1])


def bot_reference() -> str:
    """The part of docs/bot.md: settings and options of the bot."""
    return "\n".join(("### Settings", *_settings(("bot_",)), "", "### Options", *_options(bot)))


def routes_reference() -> str:
    """All routes of our own."""
    return "\n".join(_routes(native_routes()))


def errors_reference() -> str:
    """All errors."""
    return "\n".join(_errors())


def all_settings() -> str:
    """All settings."""
    return "\n".join(_settings(("",)))


def written(page: str, made: Callable[[], str] = reference) -> str:
    """A page with its reference as the code has it now.

    Raises:
        ValueError: the page has no marks.
    """
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"expected the marks {BEGIN} and {END} in the page")
    return f"{before}{BEGIN}\n{made()}\n{END}{after}"


def native_routes() -> Iterator[APIRoute]:
    """All routes of our own."""
    yield from _of(NATIVE)


def _of(routers: Iterable[APIRouter]) -> Iterator[APIRoute]:
    for router in routers:
        yield from (route for route in router.routes if isinstance(route, APIRoute))


def _routes(routes: Iterable[APIRoute]) -> Iterator[str]:
    yield from _head("call", "scope", "what it does")
    for route in routes:
        what = (route.endpoint.__doc__ or "").split("\n")[0]
        for method in sorted(route.methods or ()):
            yield f"| `{method} {route.path}` | {scope_of(route) or 'none'} | {what} |"


def _errors() -> Iterator[str]:
    yield from _head("code", "status", "meaning")
    rows = {kind.code: kind for kind in _all_below(LikenessError)}
    for code, kind in sorted(rows.items()):
        yield f"| `{code}` | {kind.http_status} | {_first_line(kind)} |"
    yield "| `route_not_found` | 404 | There is nothing at this address. |"
    yield "| `method_not_allowed` | 405 | This address does not take that method. |"
    yield "| `media_type_unknown` | 415 | The request's body is neither a form nor JSON. |"
    yield "| `bad_request` | 400 | The request's body cannot be read. |"
    yield "| `unexpected` | 500 | A fault of the server; the log finds it by the request's id. |"


def _settings(begins: tuple[str, ...] = _SETTINGS) -> Iterator[str]:
    yield from _head("setting", "environment", "default", "meaning")
    for name, field in Settings.model_fields.items():
        if name.startswith(begins):
            made = field.default_factory is not None
            secret = isinstance(field.default, SecretStr)
            default = "in the user's data folder" if made else "not set" if secret else f"`{field.default!r}`"
            yield f"| `{name}` | `LIKENESS_{name.upper()}` | {default} | {field.description} |"


def _options(command: click.Command = serve) -> Iterator[str]:
    """Options of a command; those that every command takes are not repeated."""
    yield from _head("option", "meaning")
    for option in command.params:
        if isinstance(option, click.Option) and option.expose_value:
            yield f"| `{', '.join(option.opts)}` | {option.help or ''} |"


def _head(*names: str) -> Iterable[str]:
    return ("", f"| {' | '.join(names)} |", f"|{'---|' * len(names)}")


def _first_line(kind: type[LikenessError]) -> str:
    return (kind.__doc__ or "").split("\n")[0]


def _all_below(kind: type[LikenessError]) -> list[type[LikenessError]]:
    return [each for sub in kind.__subclasses__() for each in (sub, *_all_below(sub))]


if __name__ == "__main__":
    target = Path(sys.argv[1])
    about = {"compatible.md": compatible_reference, "bot.md": bot_reference}.get(target.name, reference)
    target.write_text(written(target.read_text("utf-8"), about), "utf-8")
