"""Reports as tables of words: the same rows for the page, the terminal and the comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from likeness.evaluate.weaknesses import data_weaknesses

Interval = Sequence[float] | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table of words under a title, with a line that says how it was measured."""

    title: str
    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    note: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """What a page shows: title, a line below, headline figures (name, value, small print), tables, weaknesses."""

    title: str
    subtitle: str
    headlines: Sequence[tuple[str, str, str]]
    tables: Sequence[Table]
    weaknesses: Sequence[str] = ()
    skipped: Sequence[tuple[str, str]] = ()
    footer: str = ""


def page_of(report: Mapping[str, Any]) -> Page:
    """The page of a report of any kind."""
    if report["kind"] == "attributes":
        from likeness.evaluate.attribute_tables import attributes_page

        return attributes_page(report)
    if report["kind"] == "forgetting":
        from likeness.evaluate.forgetting_page import forgetting_page

        return forgetting_page(report)
    model, data = report["model"], report["data"]
    where = f", split {data['split']}" if data.get("split") else ""
    return Page(
        title=f"{model['name']} on {data['name']}",
        subtitle=f"{data['people']:,} people, {data['photos']:,} photos{where} · {report['date']}",
        headlines=headlines(report),
        tables=[
            _verification(report["verification"]),
            *_identification(report["identification"]),
            *_nearness(report),
            *_probabilities(report),
            *_groups(report),
            _facts(report),
        ],
        weaknesses=[*data_weaknesses(data), *report["weaknesses"]],
        skipped=list(report["skipped"].items()),
        footer=f"Likeness {report['likeness']}, seed {report['seed']}. Intervals are 95%, from {report['rounds']} "
        "rounds of drawing the people again (bootstrap).",
    )


def headlines(report: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """The main figures: name, value, interval."""
    verified, closed = report["verification"], report["identification"]["closed"]
    found = [("verification accuracy", share(verified["accuracy"]), interval(verified["accuracy_interval"]))]
    for rate in ("1e-03", "1e-02"):
        if rate in verified["tar_at_fmr"]:
            tar = share(verified["tar_at_fmr"][rate])
            found.append((f"accepted at FMR {plain_rate(rate)}", tar, interval(verified["tar_at_fmr_interval"][rate])))
            break
    error = share(verified["equal_error_rate"])
    found.append(("equal error rate", error, interval(verified["equal_error_rate_interval"])))
    if closed is not None:
        found.append(("rank-1 identification", share(closed["rank_1"]), interval(closed["rank_1_interval"])))
    if "triplets" in report:
        triplets = report["triplets"]
        found.append(
            ("match accuracy", share(triplets["match_accuracy"]), interval(triplets["match_accuracy_interval"]))
        )
    if "classes" in report:
        classes = report["classes"]
        found.append(("class accuracy", share(classes["top_1"]), interval(classes["top_1_interval"])))
    return found


def summary(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The page as rows of (what, value) for a terminal."""
    page = page_of(report)
    rows = [("measured on", page.subtitle)]
    rows += [(name, f"{value}  {small}".rstrip()) for name, value, small in page.headlines]
    opened = report["identification"]["open"]
    if opened is not None:
        rows += [
            (f"found at FPIR {plain_rate(rate)}", f"{share(found)}  {interval(opened['dir_at_fpir_interval'][rate])}")
            for rate, found in opened["dir_at_fpir"].items()
        ]
    if "probabilities" in report:
        honest = {True: "on people it has not seen", False: "NOT honest: it has seen people", None: "honesty unknown"}
        known = report["probabilities"]
        rows.append(
            ("calibration error, Brier", f"{known['expected_calibration_error']:.4f}, {known['brier']:.4f} "
             f"({honest[known['honest']]})")
        )  # fmt: skip
    return rows + [("" if at else "to know", sentence) for at, sentence in enumerate(page.weaknesses)]


def share(value: float | None) -> str:
    """`98.58%`, `—`."""
    return "—" if value is None else f"{value:.2%}"


def interval(ends: Interval) -> str:
    """`97.84–99.27%`, empty where there is none."""
    return "" if ends is None else f"{ends[0] * 100:.2f}–{ends[1]:.2%}"


def small(rate: float | None) -> str:
    """A rate that may be tiny: `0.0012`, `—`."""
    return "—" if rate is None else f"{rate:.2g}"


def plain_rate(rate: float | str) -> str:
    """A round rate: `0.001`, `1e-5`."""
    return f"{float(rate):g}".replace("e-0", "e-")


def _verification(found: Mapping[str, Any]) -> Table:
    rows = [
        ("accuracy, threshold from the other folds", share(found["accuracy"]), interval(found["accuracy_interval"])),
        ("equal error rate", share(found["equal_error_rate"]), interval(found["equal_error_rate_interval"])),
        (
            "area under the ROC curve",
            f"{found['auc']:.5f}",
            f"{found['auc_interval'][0]:.5f}–{found['auc_interval'][1]:.5f}" if found["auc_interval"] else "",
        ),
    ]
    for rate, tar in found["tar_at_fmr"].items():
        threshold = found["threshold_at_fmr"][rate]
        rows.append(
            (
                f"true-accept rate at FMR {plain_rate(rate)} (similarity ≥ {threshold:.4f})",
                share(tar),
                interval(found["tar_at_fmr_interval"][rate]),
            )
        )
    rows += [
        (f"true-accept rate at FMR {plain_rate(rate)}", "refused", why) for rate, why in found["refused_rates"].items()
    ]
    note = (
        f"{found['genuine_pairs']:,} genuine and {found['impostor_pairs']:,} impostor pairs: {found['protocol']}. "
        f"{len(found['accuracy_by_fold'])} folds."
    )
    return Table("Verification", ("figure", "value", "95% interval"), rows, note)


def _identification(found: Mapping[str, Any]) -> list[Table]:
    tables, closed, opened = [], found["closed"], found["open"]
    if closed is not None:
        rows = [(f"rank {k}", share(closed[f"rank_{k}"]), interval(closed[f"rank_{k}_interval"])) for k in (1, 5)]
        rows.append(("rank 1, each person counting alike", share(closed["rank_1_each_person_alike"]), ""))
        rows.append(("rank 1 by chance", share(closed["chance"]), ""))
        note = f"{closed['enrolled']:,} people enrolled, {closed['probes']:,} probes: {closed['protocol']}."
        tables.append(Table("Identification among known people", ("figure", "value", "95% interval"), rows, note))
    if opened is not None:
        rows = [
            (
                f"found where {float(rate):.0%} of strangers are named"
                + (" (rough: few strangers)" if rate in opened["rough_rates"] else ""),
                share(value),
                interval(opened["dir_at_fpir_interval"][rate]),
            )
            for rate, value in opened["dir_at_fpir"].items()
        ]
        if "default" in opened:
            at = opened["default"]
            low, high = at["false_positive_identification_range"]
            rows += [
                (
                    "by default: strangers named",
                    share(at["false_positive_identification_rate"]),
                    f"draws: {low:.2%}–{high:.2%}",
                ),
                ("by default: promised at most", share(at["fpir_promised"]), ""),
                ("by default: enrolled people named rightly", share(at["true_positive_identification_rate"]), ""),
                ("by default: enrolled people named wrongly", share(at["wrong_person_rate"]), ""),
                ("by default: unsure, enrolled people", share(at["unsure_rate"]), ""),
                ("by default: unsure, strangers", share(at["strangers_unsure_rate"]), ""),
            ]
        note = (
            f"{opened['enrolled']:,} people enrolled, {opened['probes']:,} probes, {opened['strangers']:,} photos of "
            f"strangers: {opened['protocol']}."
        )
        tables.append(Table("Identification with strangers", ("figure", "value", "95% interval"), rows, note))
    return tables


def _nearness(report: Mapping[str, Any]) -> list[Table]:
    rows, notes = [], []
    if "triplets" in report:
        found = report["triplets"]
        rows.append(
            (
                "match: the anchor is nearer to its positive",
                share(found["match_accuracy"]),
                interval(found["match_accuracy_interval"]),
            )
        )
        notes.append(f"{found['protocol']}, chance 50%.")
    if "classes" in report:
        found = report["classes"]
        rows += [
            (
                f"class: right identity among the first {k}",
                share(found[f"top_{k}"]),
                interval(found[f"top_{k}_interval"]),
            )
            for k in (1, 5)
        ]
        notes.append(f"{found['classes']:,} classes, {found['photos']:,} photos, chance {found['chance']:.2%}.")
    if not rows:
        return []
    return [Table("Match and class accuracy", ("figure", "value", "95% interval"), rows, " ".join(notes))]


def _probabilities(report: Mapping[str, Any]) -> list[Table]:
    if "probabilities" not in report:
        return []
    found = report["probabilities"]
    honest = {
        True: "None of the people evaluated fitted the calibration: these figures are honest.",
        False: f"{found['people_shared']} of the people evaluated fitted the calibration: not an honest measure.",
        None: "Whom the calibration was fitted on is not recorded: whether this is honest cannot be told.",
    }[found["honest"]]
    rows = [
        ("expected calibration error", f"{found['expected_calibration_error']:.4f}", ""),
        ("Brier score", f"{found['brier']:.4f}", ""),
    ]
    rows += [
        (
            f"false-match rate stated {plain_rate(row['stated'])}",
            small(row["observed"]),
            f"{row['matched']:,} of {row['impostor_pairs']:,} pairs",
        )
        for row in found["false_match_rates"]
    ]
    return [Table("Probabilities", ("figure", "observed", ""), rows, f"{honest} Fitted on: {found['fitted_on']}.")]


def _groups(report: Mapping[str, Any]) -> list[Table]:
    if "groups" not in report:
        return []
    found = report["groups"]
    tables = []
    for label, table in found["labels"].items():
        rows = [
            (
                name,
                f"{group['people']:,}",
                share(group["tar"]) if group["tar"] is not None else "too few",
                interval(group.get("tar_interval")),
                small(group["fmr"]) if group["fmr"] is not None else "too few",
                "" if not group.get("fmr_interval") else "–".join(small(end) for end in group["fmr_interval"]),
            )
            for name, group in table["groups"].items()
        ]
        words = {"fmr_largest_over_smallest": "FMR", "miss_rate_largest_over_smallest": "miss rate"}
        gaps = [f"{words[name]} {ratio:.2f}" for name, ratio in table["ratios"].items() if ratio is not None]
        rate = plain_rate(found["global_fmr"])
        note = (
            f"At one threshold for all, {found['threshold']:.4f} (FMR {rate} over everybody); "
            "impostor pairs within the group." + (f" Largest over smallest: {', '.join(gaps)}." if gaps else "")
        )
        columns = ("group", "people", "TAR", "95% interval", "FMR", "95% interval")
        tables.append(Table(f"Groups by {label}", columns, rows, note))
    return tables


def _facts(report: Mapping[str, Any]) -> Table:
    model, data = report["model"], report["data"]
    rows = [(f"model: {key.replace('_', ' ')}", _plain(value)) for key, value in model.items()]
    rows += [(f"data: {key.replace('_', ' ')}", _plain(value)) for key, value in data.items()]
    return Table("What was measured on what", ("fact", "value"), rows)


def _plain(value: Any) -> str:
    if value is None:
        return "—"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else str(value)
