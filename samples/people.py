"""The invented people: whom their faces are mixed from, what they wear, and a profile card. None of them exists."""

from __future__ import annotations

from dataclasses import dataclass

from paint import Colour, Hair

BLACK: Colour = (0.075, 0.065, 0.06)
DARK: Colour = (0.13, 0.095, 0.075)
BROWN: Colour = (0.27, 0.17, 0.105)
BLOND: Colour = (0.62, 0.47, 0.29)
AUBURN: Colour = (0.36, 0.17, 0.09)
GREY: Colour = (0.48, 0.46, 0.44)
SALT: Colour = (0.24, 0.23, 0.225)
"""Colours of hair."""


@dataclass(frozen=True, slots=True)
class Sketch:
    """One invented person.

    Attributes:
        name: as in files, with underscores.
        ages: youngest and oldest source faces.
        gender: of the source faces, in UTKFace's terms; likewise `group`.
        hair: how they wear it.
        profile: an invented profile card; empty for strangers.
    """

    name: str
    ages: tuple[int, int]
    gender: str
    group: str
    hair: Hair
    profile: dict[str, str | int]


def _card(age: int, nationality: str, occupation: str, height_cm: int, city: str, likes: str) -> dict[str, str | int]:
    return {
        "age_years": age,
        "nationality": nationality,
        "occupation": occupation,
        "height_cm": height_cm,
        "city": city,
        "likes": likes,
    }


PEOPLE = (
    Sketch(
        "Nadia_Okafor",
        (19, 29),
        "woman",
        "Black",
        Hair(BLACK, 0.7, 0.34, 0.92, 1.0),
        _card(29, "Nigerian", "marine biologist", 171, "Lagos", "night diving"),
    ),
    Sketch(
        "Clara_Lindqvist",
        (20, 31),
        "woman",
        "White",
        Hair(BLOND, 2.6, 0.16, 0.92, 0.0, 0.3),
        _card(26, "Swedish", "cabinetmaker", 168, "Uppsala", "long-distance skating"),
    ),
    Sketch(
        "Mei_Hayashida",
        (22, 36),
        "woman",
        "Asian",
        Hair(BLACK, 1.35, 0.14, 0.9, 0.0, -0.3),
        _card(27, "Japanese", "typeface designer", 162, "Kanazawa", "hand-ground ink"),
    ),
    Sketch(
        "Anjali_Devraj",
        (22, 36),
        "woman",
        "Indian",
        Hair(DARK, 2.9, 0.17, 0.92, 0.1, 0.05),
        _card(31, "Indian", "railway engineer", 165, "Nagpur", "timetables"),
    ),
    Sketch(
        "Margit_Halloran",
        (42, 60),
        "woman",
        "White",
        Hair(AUBURN, 1.2, 0.22, 0.9, 0.25, -0.35),
        _card(52, "Irish", "orchestra librarian", 166, "Galway", "sea swimming"),
    ),
    Sketch(
        "Ruth_Nakalema",
        (40, 65),
        "woman",
        "Black",
        Hair(SALT, 0.35, 0.12, 0.98, 1.0, 0.0),
        _card(53, "Ugandan", "seed bank curator", 169, "Entebbe", "choir rehearsals"),
    ),
    Sketch(
        "Tomas_Brandvik",
        (28, 42),
        "man",
        "White",
        Hair(BROWN, -0.25, 0.16, 0.9, 0.0, 0.35),
        _card(30, "Norwegian", "bridge inspector", 184, "Bergen", "old radios"),
    ),
    Sketch(
        "Kofi_Amponsem",
        (22, 34),
        "man",
        "Black",
        Hair(BLACK, -0.35, 0.03, 0.95, 1.0, 0.0),
        _card(32, "Ghanaian", "sound engineer", 179, "Kumasi", "highlife records"),
    ),
    Sketch(
        "Jun_Ishiwara",
        (20, 36),
        "man",
        "Asian",
        Hair(BLACK, -0.15, 0.18, 0.84, 0.0, -0.3),
        _card(28, "Japanese", "bicycle frame builder", 174, "Sakai", "mountain passes"),
    ),
    Sketch(
        "Rafael_Monteagudo",
        (19, 40),
        "man",
        "Other",
        Hair(DARK, -0.15, 0.17, 0.9, 0.35, 0.3),
        _card(29, "Bolivian", "bus route planner", 175, "Sucre", "brass bands"),
    ),
    Sketch(
        "Henrik_Ashdown",
        (54, 65),
        "man",
        "White",
        Hair(GREY, -0.3, 0.07, 1.05, 0.0, 0.4),
        _card(60, "British", "clock restorer", 181, "Whitby", "tide tables"),
    ),
    Sketch(
        "Elias_Mutombwe",
        (46, 65),
        "man",
        "Black",
        Hair(SALT, -0.4, 0.0, 1.05, 1.0, 0.0),
        _card(50, "Zambian", "river pilot", 177, "Livingstone", "chess by post"),
    ),
)

STRANGERS = (
    Sketch("stranger_1", (60, 65), "woman", "White", Hair(GREY, 0.8, 0.2, 0.92, 0.2, 0.3), {}),
    Sketch("stranger_2", (36, 65), "man", "Indian", Hair(DARK, -0.25, 0.13, 0.95, 0.1, 0.35), {}),
    Sketch("stranger_3", (18, 25), "man", "White", Hair(BROWN, -0.3, 0.06, 1.0, 0.0, 0.3), {}),
)
