"""Several reports side by side: one table, and their curves in one picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

from likeness.errors import InputError
from likeness.evaluate import pictures
from likeness.evaluate.tables import interval, share

COLUMNS = ("model", "accuracy", "EER", "TAR 1e-2", "TAR 1e-3", "rank 1", "DIR 1%", "match", "class", "MB")


def compare(reports: Sequence[Mapping[str, Any]]) -> list[tuple[str, ...]]:
    """A row of `COLUMNS` for each report, intervals of 95% in brackets behind the main figures.

    Raises:
        InputError: a report is not of identities.
    """
    for report in reports:
        if "identification" not in report:
            raise InputError(f"the report of {report['model']['name']!r} is of {report['kind']}, not of identities")
    return [_row(name, report) for name, report in zip(names(reports), reports, strict=True)]


def names(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each report is called: its model, with the data or a number where that is not enough."""
    plain = [str(report["model"]["name"]) for report in reports]
    if len(set(plain)) < len(plain):
        plain = [
            f"{name} on {report['data']['name']} {report['data'].get('split', '')}".rstrip()
            for name, report in zip(plain, reports, strict=True)
        ]
    return [f"{name} ({plain[:at].count(name) + 1})" if name in plain[:at] else name for at, name in enumerate(plain)]


def differences(reports: Sequence[Mapping[str, Any]]) -> list[str]:
    """Why the figures are not quite comparable, in sentences; empty where they are."""
    found = []
    data = {report["data"].get("digest") or report["data"]["name"] for report in reports}
    if len(data) > 1:
        found.append("The reports are of different data: their figures are not comparable.")
    elif len({report["verification"]["protocol"] for report in reports}) > 1:
        found.append("The reports compare different pairs of the same data.")
    return found


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """The table in Markdown."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows]
    return "".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n" for line in lines)


def draw_comparison(reports: Sequence[Mapping[str, Any]]) -> bytes:
    """A PNG with all ROC curves left and all DET curves right."""
    from PIL import Image

    found = {name: report["verification"] for name, report in zip(names(reports), reports, strict=True)}
    halves = [Image.open(io.BytesIO(draw(found))).convert("RGB") for draw in (pictures.roc, pictures.det)]
    whole = Image.new("RGB", (sum(half.width for half in halves), max(half.height for half in halves)), "white")
    whole.paste(halves[0], (0, 0))
    whole.paste(halves[1], (halves[0].width, 0))
    data = io.BytesIO()
    whole.save(data, "PNG", optimize=True)
    return data.getvalue()


def _row(name: str, report: Mapping[str, Any]) -> tuple[str, ...]:
    verified, found = report["verification"], report["identification"]
    closed, opened = found["closed"], found["open"]
    tar = verified["tar_at_fmr"]
    return (
        name,
        _with(verified["accuracy"], verified["accuracy_interval"]),
        _with(verified["equal_error_rate"], verified["equal_error_rate_interval"]),
        share(tar.get("1e-02")),
        _with(tar.get("1e-03"), verified["tar_at_fmr_interval"].get("1e-03")),
        _with(closed["rank_1"], closed["rank_1_interval"]) if closed else "—",
        share(opened["dir_at_fpir"]["0.01"]) if opened else "—",
        share(report["triplets"]["match_accuracy"]) if "triplets" in report else "—",
        share(report["classes"]["top_1"]) if "classes" in report else "—",
        f"{report['model'].get('megabytes', 0):g}" if report["model"].get("megabytes") else "—",
    )


def _with(value: float | None, ends: Sequence[float] | None) -> str:
    return f"{share(value)} ({interval(ends)})" if ends is not None else share(value)
