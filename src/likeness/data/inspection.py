"""What is in a data set: people, photos per person, labels, splits, and what was left out; as figures and a picture."""

from __future__ import annotations

import io
from collections import Counter, defaultdict
from collections.abc import Sequence
from importlib.util import find_spec
from statistics import mean, median
from typing import Any

from likeness.data.manifest import Row
from likeness.data.sources.base import Skipped
from likeness.errors import ExtraMissing

MOST_VALUES = 20
_GREEN = "#0b6e4f"


def inspect_rows(rows: Sequence[Row], skipped: Sequence[Skipped] = (), *, examples: int = 3) -> dict[str, Any]:
    """The figures of a data set as plain data."""
    photos = Counter(row.identity for row in rows if row.identity)
    counts = sorted(photos.values())
    return {
        "rows": len(rows),
        "people": len(photos),
        "rows_without_identity": sum(not row.identity for row in rows),
        "photos_per_person": _spread(counts) if counts else None,
        "splits": _splits(rows),
        "labels": {name: _label(rows, name) for name in sorted({name for row in rows for name in row.labels})},
        "rows_with_box": sum(row.face is not None for row in rows),
        "licences": dict(Counter(row.licence or "not stated" for row in rows).most_common()),
        "skipped": _skipped(skipped),
        "examples": [_example(rows[at]) for at in _places(len(rows), examples)],
    }


def expect_plots() -> None:
    """Let work begin at whose end a picture is drawn.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    if find_spec("matplotlib") is None:
        raise ExtraMissing("plots need matplotlib", hint="pip install 'likeness[evaluate]'")


def draw(rows: Sequence[Row]) -> bytes:
    """A PNG with a histogram of photos per person and of each label.

    Raises:
        ExtraMissing: matplotlib is not installed.
    """
    expect_plots()
    from matplotlib.figure import Figure

    labels = sorted({name for row in rows for name in row.labels})
    photos = Counter(row.identity for row in rows if row.identity)
    panels = ([("photos per person", list(photos.values()))] if photos else []) + [
        (name, [value for row in rows if (value := row.label(name)) is not None]) for name in labels
    ]
    figure = Figure(figsize=(7, 3.2 * max(len(panels), 1)), layout="constrained")
    for at, (title, values) in enumerate(panels, 1):
        _panel(figure.add_subplot(len(panels), 1, at), title, values)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=100)
    return file.getvalue()


def _panel(axes: Any, title: str, values: Sequence[Any]) -> None:
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) == len(values):
        whole = all(float(value).is_integer() for value in numbers) and max(numbers) - min(numbers) <= 150
        bins = [value - 0.5 for value in range(int(min(numbers)), int(max(numbers)) + 2)] if whole else 60
        axes.hist(numbers, bins, color=_GREEN)
        if title == "photos per person":
            axes.set_yscale("log")
            axes.set_ylabel("people")
        else:
            axes.set_ylabel("photos")
    else:
        common = Counter(str(value) for value in values).most_common(MOST_VALUES)
        axes.bar([_shortened(name) for name, _ in common], [count for _, count in common], color=_GREEN)
        axes.set_ylabel("photos")
        axes.tick_params(axis="x", rotation=45 if len(common) > 6 else 0)
    axes.set_title(title, parse_math=False)


def _shortened(name: str) -> str:
    # A dollar sign would begin a formula.
    return (name if len(name) <= 18 else f"{name[:17]}…").replace("$", r"\$")


def _spread(counts: Sequence[int]) -> dict[str, Any]:
    return {
        "least": counts[0],
        "median": median(counts),
        "mean": round(mean(counts), 2),
        "most": counts[-1],
        "people_with_one": sum(count == 1 for count in counts),
        "people_with_2_to_4": sum(2 <= count <= 4 for count in counts),
        "people_with_5_to_19": sum(5 <= count <= 19 for count in counts),
        "people_with_20_or_more": sum(count >= 20 for count in counts),
    }


def _splits(rows: Sequence[Row]) -> dict[str, dict[str, int]]:
    found: dict[str, dict[str, int]] = {}
    for split in ("train", "validation", "test", ""):
        of_split = [row for row in rows if row.split == split]
        if of_split:
            people = {row.identity for row in of_split} - {""}
            found[split or "none"] = {"rows": len(of_split), "people": len(people)}
    return found


def _label(rows: Sequence[Row], name: str) -> dict[str, Any]:
    values = [value for row in rows if (value := row.label(name)) is not None]
    numbers = [value for value in values if not isinstance(value, str)]
    if len(numbers) == len(values):
        facts = {
            "least": min(numbers),
            "median": median(numbers),
            "mean": round(mean(numbers), 2),
            "most": max(numbers),
        }
        return {"rows": len(values), "kind": "number", **facts}
    counts = Counter(str(value) for value in values)
    return {
        "rows": len(values),
        "kind": "words",
        "different": len(counts),
        "values": dict(counts.most_common(MOST_VALUES)),
    }


def _skipped(skipped: Sequence[Skipped]) -> list[dict[str, Any]]:
    by_reason: dict[str, list[str]] = defaultdict(list)
    for entry in skipped:
        by_reason[entry.reason].append(entry.path)
    order = sorted(by_reason.items(), key=lambda pair: -len(pair[1]))
    return [{"reason": reason, "count": len(paths), "examples": paths[:5]} for reason, paths in order]


def _example(row: Row) -> dict[str, Any]:
    return {"path": row.path, "identity": row.identity, "split": row.split, "labels": dict(row.labels)}


def _places(count: int, wanted: int) -> list[int]:
    """Places spread over all rows."""
    wanted = min(wanted, count)
    return [at * count // wanted for at in range(wanted)]
