"""Reports as pictures (PNG): ROC, DET, scores, CMC, reliability, confusion, groups. Drawn from the report alone."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from likeness.evaluate.curves import deviate

GREEN, RED, BLUE, GREY, INK = "#0b6e4f", "#c1440e", "#2b5c9e", "#8a8f98", "#1c1f24"
SEVERAL = (GREEN, RED, BLUE, "#8a5a00", "#6b3fa0", "#00798c", "#a3195b", "#4d4d4d")
DPI = 144


@dataclass(frozen=True, slots=True)
class Picture:
    """A PNG with its title and what to look for in it."""

    png: bytes
    title: str
    note: str


def draw(report: Mapping[str, Any]) -> dict[str, Picture]:
    """All pictures that a report has figures for, by file name without ending."""
    if report["kind"] == "attributes":
        from likeness.evaluate.attribute_pictures import draw_attributes

        return draw_attributes(report)
    if report["kind"] == "forgetting":
        from likeness.evaluate.forgetting_page import draw_forgetting

        return draw_forgetting(report)
    verified, found = report["verification"], dict[str, Picture]()
    name = report["model"]["name"]
    found["roc"] = Picture(
        roc({name: verified}), "ROC", "How many genuine pairs pass where so many impostor pairs do. Higher is better."
    )
    found["det"] = Picture(
        det({name: verified}), "DET", "Both kinds of error against each other, on normal deviates. Lower is better."
    )
    if verified["histogram"] is not None:
        found["scores"] = Picture(
            _scores(verified), "Similarities", "The less the two kinds overlap, the better they can be told apart."
        )
    closed = report["identification"]["closed"]
    if closed is not None:
        found["cmc"] = Picture(_cmc(closed), "Identification", "Share of probes whose person is among the k nearest.")
    if "probabilities" in report:
        found["reliability"] = Picture(
            _stated(report["probabilities"]),
            "Reliability",
            "Honest probabilities lie on the diagonal; large dots stand for more pairs.",
        )
    if report.get("classes", {}).get("confusion"):
        found["confusion"] = Picture(
            _confused(report["classes"]["confusion"]), "Confusion", "The identities that the classifier mixes up most."
        )
    for label in report.get("groups", {}).get("labels", {}):
        picture = _groups(report["groups"], label)
        if picture is not None:
            found[f"groups-{label}"] = Picture(
                picture, f"Groups: {label}", "Rates of each group at one threshold, with 95% intervals."
            )
    return found


def roc(found: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The ROC curves of one model or several, with the line of chance."""

    def plot(axes: Any) -> None:
        least = 1.0
        for colour, (name, verified) in zip(_colours(found), found.items(), strict=False):
            curve = verified["curve"]
            axes.plot(curve["fmr"], curve["tar"], color=colour, lw=2, label=f"{name} (AUC {verified['auc']:.4f})")
            least = min(least, *curve["fmr"])
            if len(found) == 1:
                rates = verified["tar_at_fmr"]
                axes.scatter([float(rate) for rate in rates], rates.values(), color=colour, zorder=3, s=28)
        chance = np.geomspace(least, 1, 60)
        axes.plot(chance, chance, color=GREY, ls=":", label="chance")
        axes.set_xscale("log")
        axes.set(xlabel="false-match rate", ylabel="true-accept rate", ylim=(-0.02, 1.02), xlim=(least, 1))
        axes.legend(loc="lower left", bbox_to_anchor=(0.02, 0.04), fontsize=9)

    return figure(plot)


def det(found: Mapping[str, Mapping[str, Any]]) -> bytes:
    """The DET curves of one model or several: Martin et al. 1997."""
    ticks = np.array([1e-5, 1e-4, 1e-3, 1e-2, 0.05, 0.2, 0.5])

    def plot(axes: Any) -> None:
        lowest, least = 0.02, 0.02
        for colour, (name, verified) in zip(_colours(found), found.items(), strict=False):
            fmr, missed = np.array(verified["curve"]["fmr"]), 1 - np.array(verified["curve"]["tar"])
            shown = (fmr < 1) & (missed < 1)
            floor = max(0.5 / max(verified["genuine_pairs"], 1), 1e-6)
            missed = np.maximum(missed, floor)
            # Below three pairs a curve is chance.
            lowest, least = min(lowest, floor), min(least, max(3 / verified["impostor_pairs"], 5e-6))
            label = f"{name} (EER {verified['equal_error_rate']:.2%})"
            axes.plot(deviate(fmr[shown]), deviate(missed[shown]), color=colour, lw=2, label=label)
        line = deviate(np.geomspace(1e-6, 0.95, 40))
        axes.plot(line, line, color=GREY, lw=0.8, ls="--", label="equal errors")
        middle = np.linspace(0.001, 0.999, 60)
        axes.plot(deviate(middle), deviate(1 - middle), color=GREY, ls=":", label="chance")
        for which, low in (("x", least), ("y", lowest)):
            chosen = ticks[ticks >= low]
            getattr(axes, f"set_{which}ticks")(deviate(chosen), [f"{tick * 100:g}%" for tick in chosen])
        axes.set(
            xlabel="false-match rate",
            ylabel="false-non-match rate (missed)",
            xlim=deviate([least, 0.6]),
            ylim=deviate([lowest, 0.6]),
        )
        axes.legend(loc="lower left", fontsize=9)

    return figure(plot)


def _scores(verified: Mapping[str, Any]) -> bytes:
    shares = verified["histogram"]
    edges = np.array(shares["edges"])

    def plot(axes: Any) -> None:
        for name, colour, words in (("impostor", RED, "two people"), ("genuine", GREEN, "one person")):
            axes.stairs(shares[name], edges, fill=True, alpha=0.45, color=colour, label=words)
            axes.stairs(shares[name], edges, color=colour, lw=1)
        for style, (rate, threshold) in zip(("-", "--", ":", "-."), verified["threshold_at_fmr"].items(), strict=False):
            axes.axvline(threshold, color=INK, lw=1, ls=style, label=f"threshold at FMR {float(rate):g}")
        seen = np.nonzero(np.array(shares["impostor"]) + np.array(shares["genuine"]) > 2e-4)[0]
        axes.set_xlim(edges[seen[0]], edges[min(seen[-1] + 2, len(edges) - 1)])
        axes.set(xlabel="cosine similarity", ylabel="share of pairs of its kind")
        axes.legend(loc="upper left", fontsize=9)

    return figure(plot)


def _cmc(closed: Mapping[str, Any]) -> bytes:
    ranks = np.arange(1, len(closed["cmc"]) + 1)

    def plot(axes: Any) -> None:
        axes.plot(ranks, closed["cmc"], color=GREEN, lw=2, marker="o", ms=4, label="probes found")
        axes.plot(ranks, ranks * closed["chance"], color=GREY, ls=":", label="chance")
        low = closed["cmc"][0]
        bottom = 0.0 if low < 0.6 else low - (1 - low) - 0.02
        axes.set(xlabel="rank k", ylabel="share of probes", ylim=(bottom, 1 + (1 - bottom) / 50))
        axes.set_xticks(ranks[:: max(len(ranks) // 10, 1)])
        if bottom > ranks[-1] * closed["chance"]:
            axes.annotate(
                f"chance: {closed['chance']:.2%} at rank 1, below this picture",
                (0.98, 0.03),
                xycoords="axes fraction",
                ha="right",
                color=GREY,
                fontsize=9,
            )
        axes.legend(loc="center right", fontsize=9)

    return figure(plot)


def _stated(found: Mapping[str, Any]) -> bytes:
    return reliability(
        found["reliability"],
        f"expected calibration error {found['expected_calibration_error']:.2%}, Brier score {found['brier']:.4f}",
        xlabel="probability stated that a pair shows one person",
        ylabel="share of such pairs that do",
    )


def reliability(found: Mapping[str, Any], label: str, *, xlabel: str, ylabel: str) -> bytes:
    """Stated against observed shares; dots are larger where more weight is behind them."""

    def plot(axes: Any) -> None:
        axes.plot([0, 1], [0, 1], color=GREY, ls=":", label="as stated")
        size = [18 + 500 * weight for weight in found["weight"]]
        axes.scatter(found["stated"], found["observed"], s=size, color=GREEN, alpha=0.75, label=label)
        axes.set(xlabel=xlabel, ylabel=ylabel, xlim=(-0.04, 1.04), ylim=(-0.04, 1.04))
        legend = axes.legend(loc="upper left", fontsize=9)
        for handle in legend.legend_handles[1:]:
            handle.set_sizes([30])

    return figure(plot)


def _confused(found: Mapping[str, Any]) -> bytes:
    names = [textwrap.shorten(name.replace("_", " "), 22, placeholder="…") for name in found["names"]]
    return matrix(found["table"], names, [*names, "others"], rows="who it is", columns="what was answered")


def matrix(
    table: Sequence[Sequence[int]], below: Sequence[str], across: Sequence[str], *, rows: str, columns: str
) -> bytes:
    """A confusion matrix: counts written, shares of each row as shade."""
    counts = np.array(table, np.float64)
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    side = max(4.6, 0.48 * len(across) + 2)
    tilted = max(map(len, across)) > 6

    def plot(axes: Any) -> None:
        axes.imshow(shares, cmap="Greens", vmin=0, vmax=1, aspect="auto")
        axes.set_xticks(range(len(across)), across, rotation=45 if tilted else 0, ha="right" if tilted else "center")
        axes.set_yticks(range(len(below)), below)
        axes.grid(visible=False)
        for (row, column), count in np.ndenumerate(counts):
            if count:
                colour = "white" if shares[row, column] > 0.55 else INK
                axes.text(column, row, f"{count:.0f}", ha="center", va="center", color=colour, fontsize=8)
        axes.set(xlabel=columns, ylabel=rows)

    return figure(plot, size=(side + 0.8, side * 0.86))


def _groups(groups: Mapping[str, Any], label: str) -> bytes | None:
    table = groups["labels"][label]["groups"]
    known = {name: group for name, group in table.items() if group["fmr"] is not None}
    if not known:
        return None

    def plot(panels: Any) -> None:
        for axes, kind, words in zip(panels, ("tar", "fmr"), ("true-accept rate", "false-match rate"), strict=True):
            for place, group in enumerate(known.values()):
                low, high = group[f"{kind}_interval"] or (group[kind], group[kind])
                axes.plot([low, high], [place, place], color=GREEN if kind == "tar" else RED, lw=3, alpha=0.5)
                axes.scatter([group[kind]], [place], color=GREEN if kind == "tar" else RED, zorder=3)
            axes.set(xlabel=words, ylim=(len(known) - 0.5, -0.5))
            axes.locator_params(axis="x", nbins=4)
            axes.set_yticks(range(len(known)), list(known) if kind == "tar" else [""] * len(known))
        rate = float(groups["global_fmr"])
        panels[1].axvline(rate, color=GREY, ls=":", label=f"everybody: {rate:g}")
        panels[1].legend(fontsize=9)
        panels[0].set_ylabel(label)

    return figure(plot, size=(7.2, 1.6 + 0.42 * len(known)), panels=2)


def _colours(found: Mapping[str, Any]) -> list[str]:
    return [SEVERAL[place % len(SEVERAL)] for place in range(len(found))]


def figure(plot: Callable[[Any], None], *, size: tuple[float, float] = (6.4, 4.6), panels: int = 1) -> bytes:
    """The PNG of a figure that `plot` fills; drawn without a display and without matplotlib's global state."""
    import matplotlib
    from matplotlib.figure import Figure

    style: Any = {
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.3,
        "axes.edgecolor": GREY,
        "axes.labelcolor": INK,
        "text.color": INK,
        "font.size": 10,
        "legend.frameon": False,
    }
    with matplotlib.rc_context(style):
        canvas = Figure(figsize=size, dpi=DPI, layout="constrained")
        plot(canvas.subplots() if panels == 1 else canvas.subplots(1, panels))
        data = io.BytesIO()
        # No date or version in the file: the same figures give the same bytes.
        canvas.savefig(data, format="png", metadata={"Software": None})
    return data.getvalue()
