"""A report on disk: `report.json`, pictures, and one page `report.html` that holds everything."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from likeness.data.dataset import replace_file
from likeness.errors import DatasetError, ExtraMissing, StorageError
from likeness.evaluate import pictures, tables

TEMPLATE = Path(__file__).with_name("report.html.j2")
JSON = "report.json"
HTML = "report.html"


def write_report(report: Mapping[str, Any], folder: Path) -> Path:
    """Write `report.json`, a PNG for each picture, and `report.html`, which holds them all; gives the page's path.

    Raises:
        ExtraMissing: matplotlib or Jinja2 is not installed.
        StorageError: the folder cannot be written.
    """
    expect_extra()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        drawn = pictures.draw(report)
        page = render(report, drawn)
        for name, picture in drawn.items():
            replace_file(folder / f"{name}.png", picture.png)
        replace_file(folder / JSON, (json.dumps(report, indent=1, allow_nan=False) + "\n").encode())
        replace_file(folder / HTML, page.encode())
    except OSError as error:
        raise StorageError(f"the report cannot be written to {str(folder)!r}: {error.strerror}") from error
    return folder / HTML


def expect_extra() -> None:
    """Let pass where what reports need is installed: to be asked before the work.

    Raises:
        ExtraMissing: it is not.
    """
    try:
        import jinja2  # noqa: F401
        import matplotlib as _  # noqa: F401
    except ImportError as error:
        raise ExtraMissing(f"reports need {error.name}", hint="pip install 'likeness[evaluate]'") from error


def render(report: Mapping[str, Any], drawn: Mapping[str, pictures.Picture]) -> str:
    """The page as text; everything that comes from data or models is escaped."""
    from jinja2 import Environment, StrictUndefined

    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    template = environment.from_string(TEMPLATE.read_text("utf-8"))
    shown = [
        {"title": each.title, "note": each.note, "data": base64.b64encode(each.png).decode("ascii"), "about": name}
        for name, each in drawn.items()
    ]
    return template.render(page=tables.page_of(report), pictures=shown)


def read_report(path: Path) -> dict[str, Any]:
    """A report that `write_report` wrote: the JSON file, or its folder.

    Raises:
        DatasetError: it is none.
    """
    file = path / JSON if path.is_dir() else path
    try:
        report = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DatasetError(f"the report {str(file)!r} cannot be read: {error}") from None
    if not isinstance(report, dict) or not {"kind", "model", "data"} <= report.keys():
        raise DatasetError(f"{str(file)!r} is no report of `likeness evaluate`")
    return report
