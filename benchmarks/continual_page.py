"""What `continual.py` measured, for people: a table in Markdown, and the forgetting plot."""

from __future__ import annotations

from typing import Any

import numpy as np

import telling
from likeness.evaluate import pictures

COLOURS = {"protected": pictures.GREEN, "naive": pictures.RED, "retrained": pictures.BLUE}


def table(rows: list[dict[str, Any]]) -> str:
    """The figures in Markdown."""
    columns = [
        "rate",
        "strategy",
        "after step",
        "old people named",
        "new people named",
        "forgetting",
        "strangers: accuracy, TAR at FMR 1%",
        "rank-1 in old galleries: old people, strangers",
        "at a budget of 2%",
    ]
    return telling.table(columns, map(_line, rows))


def _line(row: dict[str, Any]) -> list[object]:
    old = np.mean([share for batch, share in row["named"].items() if int(batch) < row["step"]])
    verified, galleries = row["verification"]["figures"]["new"], row["old_galleries"]
    return [
        f"{row['learning_rate']:g}",
        row["strategy"],
        row["step"],
        f"{old:.1%}",
        f"{row['named'][str(row['step'])]:.1%}",
        f"{row['average_forgetting']:+.1%}",
        f"{verified['accuracy']:.1%}, {verified['tar']:.1%}",
        f"{galleries['old people']['after_rank_1']:.1%}, {galleries['strangers']['after_rank_1']:.1%}",
        "refused" if row["refused"] else "published, new space" if row["new_space"] else "published",
    ]


def draw(rows: list[dict[str, Any]]) -> bytes:
    """The forgetting plot: those known from the start, strangers, and galleries of the first network."""
    panels: list[tuple[str, Any, Any]] = [
        ("named rightly: people known from the start", lambda row: row["named"]["0"], lambda row: row["at_start"]["0"]),
        (
            "strangers: true accepts at FMR 1%",
            lambda row: row["verification"]["figures"]["new"]["tar"],
            lambda row: _first(row)["tar"],
        ),
        (
            "strangers found in a gallery of the first network",
            lambda row: row["old_galleries"]["strangers"]["after_rank_1"],
            lambda row: row["old_galleries"]["strangers"]["before_rank_1"],
        ),
    ]
    rates = sorted({row["learning_rate"] for row in rows})

    def plot(axes: Any) -> None:
        for panel, (words, value, before) in zip(axes, panels, strict=True):
            for style, rate in zip(("-", "--", ":", "-."), rates, strict=False):
                for strategy, colour in COLOURS.items():
                    mine = [row for row in rows if (row["strategy"], row["learning_rate"]) == (strategy, rate)]
                    if mine:
                        values = [before(mine[0]), *map(value, mine)]
                        label = f"{strategy}, rate {rate:g}"
                        steps = range(len(values))
                        panel.plot(steps, [100 * each for each in values], style, color=colour, marker="o", label=label)
            panel.set(title=words, xlabel="batches of new people learnt", ylabel="%")
            panel.title.set_fontsize(9.5)
            panel.set_xticks(range(max(row["step"] for row in rows) + 1))
        axes[0].legend(fontsize=8)

    return pictures.figure(plot, size=(12.6, 4.2), panels=3)


def _first(row: dict[str, Any]) -> dict[str, Any]:
    figures: dict[str, Any] = row["verification"]["figures"]
    return dict(figures.get("first", figures["previous"]))
