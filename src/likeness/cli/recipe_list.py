"""Recipes that come with Likeness, as `--list` shows them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from pydantic import BaseModel

from likeness.cli.flags import Flags

Recipe = TypeVar("Recipe", bound=BaseModel)


def list_recipes(
    flags: Flags,
    recipes: Sequence[Recipe],
    columns: Sequence[str],
    row: Callable[[Recipe], Sequence[object]],
) -> None:
    """A table with a row each, or with `--json` each in full."""
    if flags.output.as_json:
        for recipe in recipes:
            flags.output.json(recipe.model_dump(mode="json"))
        return
    flags.output.table(columns, [row(recipe) for recipe in recipes])
