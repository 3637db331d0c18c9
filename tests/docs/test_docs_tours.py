"""The tours of the documentation do what they show, on the samples."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from docs_tours import ROOT, same_shape, shape, steps

TOURS = {path.stem: path for path in sorted((ROOT / "docs" / "tours").glob("*.md"))}
TRAINS = "model-maker"


def check(name: str) -> str:
    command = [sys.executable, ROOT / "scripts" / "docs_tours.py", "--check", TOURS[name]]
    done = subprocess.run(
        command, env=os.environ | {"OMP_NUM_THREADS": "1"}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("name", sorted(set(TOURS) - {TRAINS}))
def test_a_tour_prints_what_its_page_shows(name: str) -> None:
    assert "0 unlike the page" in check(name)


@pytest.mark.slow
def test_the_tour_that_trains_prints_what_its_page_shows() -> None:
    assert "0 unlike the page" in check(TRAINS)


def test_there_is_a_tour_for_each_kind_of_user_with_commands_that_show_something() -> None:
    assert set(TOURS) == {"app-developer", "model-maker", "operator", "photo-owner"}
    for page in TOURS.values():
        taken = list(steps(page.read_text("utf-8")))
        assert 10 <= len(taken) <= 25, page
        # A line of … alone would be content with anything.
        assert all(shape(step.told) != ["…"] for step in taken), page
        assert sum(bool(step.told) for step in taken) >= 8, page


def test_outputs_are_compared_but_for_numbers_ids_and_widths() -> None:
    assert same_shape("48 added   in 3.7 s\np_0b0f9d94baf11422 Ann", "4 added in 0.1 s\np_1b0f9d94baf11423    Ann")
    assert same_shape("first\n…\nlast", "first\nany\nmore\nlast")
    assert not same_shape("match Ann", "unknown Ann")
    assert not same_shape("first\n…\nlast", "first\nany")
    assert not same_shape("one line", "one line\nand another")
