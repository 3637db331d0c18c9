"""What studies on a data set of crops share: their arguments, their file of results, and tables in Markdown."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import machine
from likeness.data.dataset import Dataset


def arguments(words: str | None) -> argparse.ArgumentParser:
    """A parser whose help is a script's own words, with the data and the file of results."""
    parser = argparse.ArgumentParser(description=words, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="A data set of crops, split by person.")
    parser.add_argument("--json", type=Path, help="The results go here.")
    return parser


def write_results(path: Path | None, dataset: Dataset, rows: list[dict[str, Any]], packages: str, **more: Any) -> None:
    """Write the rows, with what they were measured on and with which versions of `packages`, where a file is named."""
    if path is None:
        return
    report = {
        **more,
        "data": {"name": dataset.facts.name, "digest": dataset.digest},
        "machine": machine.describe(*packages.split()),
        "rows": rows,
    }
    path.write_text(json.dumps(report, indent=1) + "\n", "utf-8")


def table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table in Markdown."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in lines)
