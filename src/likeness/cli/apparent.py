"""Apparent age and gender in words."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from likeness.types import Age, Face, Gender


def apparent_line(face: Face) -> str:
    """`apparent age 34 (27 to 43 in 8 of 10 such faces), apparent gender female 97%`; empty where nothing is told."""
    parts = []
    if face.age is not None:
        years, within = age_words(face.age)
        parts.append(f"apparent age {years} ({within} in 8 of 10 such faces)")
    if face.gender is not None:
        parts.append(f"apparent gender {gender_words(face.gender)}")
    return ", ".join(parts)


def age_words(age: Age) -> tuple[str, str]:
    """`34` and `27 to 43`: whole years, which hold as many faces as the exact ends do."""
    return f"{age.years:.0f}", f"{age.low:.0f} to {age.high:.0f}"


def gender_words(gender: Gender) -> str:
    """`female 97%`; never a certainty that only rounding made."""
    return f"{gender.label} {'over 99%' if gender.probability > 0.99 else f'{gender.probability:.0%}'}"
