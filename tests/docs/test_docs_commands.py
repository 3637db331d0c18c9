"""Every command line of `likeness` on any page is one of ours: commands, options and the values that they take."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from docs_pages import PAGES, told
from docs_tours import ROOT

from told_commands import commands_in, expect_command

OF_OTHERS = {("flow", "metaflow")}
"""What follows is for Metaflow's own command line."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_on_a_page_is_one_of_ours(page: Path) -> None:
    for words in commands_in("\n".join(told(page.read_text("utf-8")))):
        if tuple(words[:2]) not in OF_OTHERS:
            expect_command(words)


def test_most_pages_are_seen_to_have_commands() -> None:
    found = {page.name: commands_in("\n".join(told(page.read_text("utf-8")))) for page in PAGES}
    assert sum(map(len, found.values())) > 150
    assert len([page for page in found.values() if page]) > 20


@pytest.mark.parametrize(
    "line",
    ["likeness identfy x.jpg", "likeness twins x.jpg --nearest 3", "likeness people", "likeness people rename Ann"],
)
def test_a_command_that_is_none_is_told(line: str) -> None:
    [words] = commands_in(f"{line}\n")
    with pytest.raises((AssertionError, click.UsageError)):
        expect_command(words)
