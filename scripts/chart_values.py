"""Write the table of values into the chart's README: from values.yaml, and the descriptions in values.schema.json."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

CHART = Path(__file__).resolve().parent.parent / "deploy" / "helm" / "likeness"
MARKS = ("<!-- values -->\n", "<!-- end of values -->\n")


def rows(schema: dict[str, Any], values: dict[str, Any], above: str = "") -> Iterator[tuple[str, str, str]]:
    """Name, default and description of each value, in the order of the schema."""
    for name, of in schema["properties"].items():
        if name not in values:
            continue
        if "properties" in of:
            yield from rows(of, values[name], f"{above}{name}.")
            continue
        value = values[name]
        shown = "" if value in ("", {}, []) else f"`{json.dumps(value, ensure_ascii=False)}`"
        yield f"`{above}{name}`", shown if len(shown) < 90 else "see values.yaml", of["description"]


def table() -> str:
    """The table, as Markdown."""
    schema = json.loads((CHART / "values.schema.json").read_text("utf-8"))
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    lines = ["| value | unless said | what |", "|---|---|---|"]
    lines += (
        f"| {name} | {default} | {what} |".replace(" |  | ", " | | ") for name, default, what in rows(schema, values)
    )
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """The README with the table of today."""
    before, rest = text.split(MARKS[0])
    return before + MARKS[0] + table() + MARKS[1] + rest.split(MARKS[1])[1]


if __name__ == "__main__":
    readme = CHART / "README.md"
    text = readme.read_text("utf-8")
    if "--check" in sys.argv:
        sys.exit(0 if text == written(text) else "the table of values is of yesterday: python scripts/chart_values.py")
    readme.write_text(written(text), "utf-8")
