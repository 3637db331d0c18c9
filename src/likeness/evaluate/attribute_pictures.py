"""The pictures of a report on ages and genders."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from likeness.apparent import COVERAGE
from likeness.evaluate.pictures import BLUE, GREEN, GREY, Picture, figure, matrix, reliability


def draw_attributes(report: Mapping[str, Any]) -> dict[str, Picture]:
    """All pictures that the report has figures for, by file name without ending."""
    found: dict[str, Picture] = {}
    if "age" in report:
        age = report["age"]
        names = age["confusion"]["names"]
        found["age-confusion"] = Picture(
            matrix(age["confusion"]["table"], names, names, rows="age, decade", columns="predicted decade"),
            "Ages",
            "Photos by known and predicted decade; shade is the share of the row.",
        )
        found["age-error"] = Picture(_age_error(age), "Age error", "Mean absolute error by decade, with 95% intervals.")
        if "coverage" in age:
            found["age-coverage"] = Picture(
                _age_coverage(age), "Ages in their interval", "Share by decade, with 95% intervals; 80% is promised."
            )
    if "gender" in report:
        gender = report["gender"]
        names = gender["confusion"]["names"]
        found["gender-confusion"] = Picture(
            matrix(gender["confusion"]["table"], names, names, rows="gender", columns="predicted gender"),
            "Apparent gender",
            "Photos by known and predicted gender.",
        )
        if gender["by_decade"]:
            found["gender-accuracy"] = Picture(
                _gender_accuracy(gender), "Gender accuracy", "By decade of age, with 95% intervals."
            )
        if "probabilities" in gender:
            stated = gender["probabilities"]
            label = f"expected calibration error {stated['expected_calibration_error']:.2%}"
            found["gender-reliability"] = Picture(
                reliability(
                    stated["reliability"],
                    label,
                    xlabel="probability stated for the predicted gender",
                    ylabel="share of such answers that are right",
                ),
                "Reliability of the gender's probability",
                "Honest probabilities lie on the diagonal.",
            )
    return found


def _age_error(age: Mapping[str, Any]) -> bytes:
    def plot(axes: Any) -> None:
        _bars(axes, age["by_decade"], "mean_absolute_error_years", "mean_absolute_error_interval", BLUE)
        mean, constant = age["mean_absolute_error_years"], age["constant_guess_error_years"]
        axes.axhline(mean, color=BLUE, ls="--", lw=1, label=f"all: {mean:.1f} years")
        axes.axhline(constant, color=GREY, ls=":", label=f"one age for all: {constant:.1f} years")
        axes.set(xlabel="age, years", ylabel="mean absolute error, years")
        axes.legend(fontsize=9)

    return figure(plot)


def _age_coverage(age: Mapping[str, Any]) -> bytes:
    def plot(axes: Any) -> None:
        _bars(axes, age["by_decade"], "coverage", "coverage_interval", BLUE)
        axes.axhline(age["coverage"], color=BLUE, ls="--", lw=1, label=f"all: {age['coverage']:.1%}")
        axes.axhline(COVERAGE, color=GREY, ls=":", label=f"promised: {COVERAGE:.0%}")
        axes.set(xlabel="age, years", ylabel="share in the interval", ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=9, frameon=True)

    return figure(plot)


def _gender_accuracy(gender: Mapping[str, Any]) -> bytes:
    def plot(axes: Any) -> None:
        _bars(axes, gender["by_decade"], "accuracy", "accuracy_interval", GREEN)
        common = gender["most_common_guess"]
        axes.axhline(gender["accuracy"], color=GREEN, ls="--", lw=1, label=f"all: {gender['accuracy']:.1%}")
        axes.axhline(common, color=GREY, ls=":", label=f"one gender for all: {common:.1%}")
        axes.set(xlabel="age, years", ylabel="share told rightly", ylim=(0, 1.02))
        axes.legend(loc="lower right", fontsize=9, frameon=True)

    return figure(plot)


def _bars(axes: Any, table: Mapping[str, Any], value: str, ends: str, colour: str) -> None:
    for place, row in enumerate(table.values()):
        if value not in row:
            continue
        low, high = row[ends] or (row[value], row[value])
        axes.bar(place, row[value], color=colour, alpha=0.55, width=0.7)
        axes.plot([place, place], [low, high], color=colour, lw=2)
    axes.set_xticks(range(len(table)), [f"{name}\n{row['photos']:,}" for name, row in table.items()], fontsize=9)
