"""The pages for operators and releases: their links lead somewhere, their commands are ours."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from deployed import DEPLOY, ROOT

from likeness.settings import NOT_SETTINGS, Settings
from told_commands import commands_in, expect_command

PAGES = [ROOT / "docs" / "deployment.md", ROOT / "docs" / "releasing.md", DEPLOY / "helm" / "likeness" / "README.md"]
EVERY = pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")


@EVERY
def test_links_lead_to_files_that_are_there(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")):
        if not target.startswith("https://"):
            assert (page.parent / target).exists(), target


@EVERY
def test_commands_and_settings_are_ours(page: Path) -> None:
    text = page.read_text("utf-8")
    shells = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    spoken = re.findall(r"`((?:likeness|docker|helm|up) [^`\n]+)`", text)
    joined = "\n".join([*shells, *spoken]).replace("\\\n", " ")
    # There `likeness` is the name of an image or a release.
    lines = "\n".join(line for line in joined.splitlines() if not re.match(r"helm|docker build|kubectl", line))
    assert shells or spoken or page.stem == "releasing"
    for words in commands_in(lines):
        if len(words) > 1 and not {"…", "COMMAND"} & set(words):  # of a group alone there is nothing to check
            expect_command([word for word in words if not word.startswith("#")], whole=False)
    for name in set(re.findall(r"\bLIKENESS_[A-Z_]+\b", text)) - {"LIKENESS_"}:
        assert name in NOT_SETTINGS or name.removeprefix("LIKENESS_").lower() in Settings.model_fields, name


@EVERY
def test_what_make_is_told_is_a_target(page: Path) -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for target in re.findall(r"`make (\w+)`", page.read_text("utf-8")):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_the_page_counts_the_alerts_as_they_are() -> None:
    groups = yaml.safe_load((DEPLOY / "prometheus" / "alerts.yml").read_text("utf-8"))["groups"]
    assert len([rule for group in groups for rule in group["rules"]]) == 7
    assert "has seven alerts" in PAGES[0].read_text("utf-8")
