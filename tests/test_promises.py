"""What the threat model and the table of promises name as shown is there: every test, every measurement, every page."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PAGES = (ROOT / "docs" / "threat-model.md", ROOT / "docs" / "promises.md")


def names_of_tests() -> set[str]:
    """Names of all test functions."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"^\s*(?:async )?def (test_\w+)", path.read_text("utf-8"), re.MULTILINE))
    return found


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_test_and_measurement_that_a_page_names_is_there(page: Path) -> None:
    text = page.read_text("utf-8")
    named = set(re.findall(r"`(test_\w+)`", text))
    assert len(named) > 20
    assert sorted(named - names_of_tests()) == []
    measured = set(re.findall(r"`(benchmarks/results/[\w.-]+)`", text))
    assert sorted(name for name in measured if not json.loads((ROOT / name).read_bytes())) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_row_of_their_tables_names_what_shows_it(page: Path) -> None:
    rows = [line for line in page.read_text("utf-8").splitlines() if line.startswith("|") and "---" not in line]
    shown = [row for row in rows if row.count("|") in (3, 5) and "shown by" not in row]
    silent = [row for row in shown if not re.search(r"`(test_\w+|benchmarks/[\w./-]+)`", row.rsplit("|", 2)[1])]
    assets = [row for row in silent if page.stem == "threat-model" and row.count("|") == 3]
    assert [row for row in silent if row not in assets] == []
    assert len(shown) - len(assets) > 25


def test_the_last_long_fuzzing_found_nothing_that_was_not_mended() -> None:
    facts = json.loads((ROOT / "benchmarks" / "results" / "fuzz.json").read_bytes())
    assert facts["files"] > 10_000
    assert {name: found["findings"] for name, found in facts["readers"].items() if found["findings"]} == {}
