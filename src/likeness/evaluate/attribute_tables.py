"""The page of a report on ages and genders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likeness.evaluate.tables import Interval, Page, Table, interval, share


def attributes_page(report: Mapping[str, Any]) -> Page:
    """What the page shows: errors of age, accuracy of gender, both by decade."""
    data = report["data"]
    heads: list[tuple[str, str, str]] = []
    tables: list[Table] = []
    if "age" in report:
        age = report["age"]
        heads.append(
            (
                "age error, mean",
                f"{age['mean_absolute_error_years']:.2f} years",
                _years(age["mean_absolute_error_interval"]),
            )
        )
        heads.append(("within 5 years", share(age["within_5_years"]), interval(age["within_5_years_interval"])))
        if "coverage" in age:
            heads.append(("ages in their 80% interval", share(age["coverage"]), interval(age["coverage_interval"])))
        tables.append(_ages(age))
    if "gender" in report:
        gender = report["gender"]
        heads.append(("gender accuracy", share(gender["accuracy"]), interval(gender["accuracy_interval"])))
        tables.append(_genders(gender))
    skipped = [(kind, "not both known and predicted of any photo") for kind in ("age", "gender") if kind not in report]
    return Page(
        title=f"Ages and genders: {report['model']['name']} on {data['name']}",
        subtitle=f"{data['photos']:,} photos, {data['people']:,} people · {report['date']}",
        headlines=heads,
        tables=tables,
        weaknesses=list(report["weaknesses"]),
        skipped=skipped,
        footer=f"Likeness {report['likeness']}, seed {report['seed']}. Intervals are 95%, from {report['rounds']} "
        "rounds of drawing the people again (bootstrap). "
        "Age and gender are what a face looks like to the model, measured against what people noted or guessed; they "
        "do not say who somebody is.",
    )


def attributes_summary(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The page as rows of (what, value) for a terminal."""
    page = attributes_page(report)
    rows = [("measured on", page.subtitle)]
    rows += [(name, f"{value}  {small}".rstrip()) for name, value, small in page.headlines]
    for table in page.tables:
        rows.append((table.title, "  ".join(table.columns[1:])))
        rows += [(f"  {row[0]}", "  ".join(row[1:])) for row in table.rows]
    return rows + [("" if at else "to know", sentence) for at, sentence in enumerate(page.weaknesses)]


def _ages(age: Mapping[str, Any]) -> Table:
    stated = "coverage" in age
    rows = [
        (
            name,
            f"{row['photos']:,}",
            f"{row['mean_absolute_error_years']:.2f}",
            _years(row["mean_absolute_error_interval"]),
            f"{row['bias_years']:+.2f}",
            share(row["within_5_years"]),
            *(_covered(row) if stated else ()),
        )
        for name, row in {
            "all": age,
            **age["by_decade"],
            **{f"told {name}": row for name, row in age["by_decade_told"].items() if stated},
            **age["by_group"],
        }.items()
    ]
    note = f"Years. Saying one age of everybody would be {age['constant_guess_error_years']:.2f} off on average."
    columns = ("age", "photos", "mean error", "95% interval", "bias", "within 5 years")
    return Table("Age", (*columns, *(("in the 80% interval", "its width") if stated else ())), rows, note)


def _covered(row: Mapping[str, Any]) -> tuple[str, str]:
    return (share(row["coverage"]), f"{row['mean_width_years']:.1f}") if "coverage" in row else ("", "")


def _genders(gender: Mapping[str, Any]) -> Table:
    parts = {"all": gender, **gender["by_gender"], **gender["by_decade"], **gender["by_group"]}
    judged = "probabilities" in gender
    rows = [
        (
            name,
            f"{row['photos']:,}",
            share(row["accuracy"]),
            interval(row["accuracy_interval"]),
            *((f"{row['expected_calibration_error']:.3f}" if "expected_calibration_error" in row else "",) * judged),
        )
        for name, row in parts.items()
    ]
    note = f"Saying the commoner gender of everybody would be right for {gender['most_common_guess']:.2%}."
    if "probabilities" in gender:
        stated = gender["probabilities"]
        note += (
            f" Stated probabilities: expected calibration error {stated['expected_calibration_error']:.4f}, "
            f"Brier score {stated['brier']:.4f}."
        )
    columns = ("of", "photos", "accuracy", "95% interval", *(("calibration error",) * judged))
    return Table("Apparent gender", columns, rows, note)


def _years(ends: Interval) -> str:
    return "" if ends is None else f"{ends[0]:.2f}–{ends[1]:.2f}"
