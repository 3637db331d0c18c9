"""What can be served besides the native routes, loaded only where it is asked for.

A compatible router is a module of `likeness.server.routes` with `part() -> Part`; the web app is
`likeness.server.ui` with `part(settings, open_access) -> Part`.
"""

from __future__ import annotations

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from likeness.errors import ExtraMissing, InputError

if TYPE_CHECKING:
    from likeness.server.app import Part
    from likeness.settings import Settings

COMPATIBLE = ("compreface", "deepface")


def compatible_part(name: str) -> Part:
    """The routes that another product's clients speak to.

    Raises:
        InputError: no such product's are known.
    """
    known = [each for each in COMPATIBLE if find_spec(f"likeness.server.routes.{each}") is not None]
    if name not in known:
        raise InputError(f"no routes compatible with {name!r} are known", hint=f"known: {', '.join(known) or 'none'}")
    part: Part = import_module(f"likeness.server.routes.{name}").part()
    return part


def web_app(settings: Settings, open_access: bool) -> Part:
    """The web app's pages.

    Raises:
        ExtraMissing: the extra `ui` is not installed.
    """
    try:
        module = import_module("likeness.server.ui")
    except ImportError as error:
        raise ExtraMissing(f"the web app needs {error.name}", hint="pip install 'likeness[ui]'") from error
    part: Part = module.part(settings, open_access)
    return part
