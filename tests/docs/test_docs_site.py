"""The documentation's site is built without a warning, its links lead somewhere, and it asks nobody for anything."""

from __future__ import annotations

import os
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from docs_reference import prose
from docs_site import ROOT, lay_out

from likeness.cli.lazy import COMMANDS
from likeness.errors import LikenessError
from likeness.settings import Settings


class Page(HTMLParser):
    """What a page links to, what it loads, and the anchors that it has."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: set[str] = set()
        self.loads: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        told = {name: value for name, value in attributes if value is not None}
        self.anchors |= {told[name] for name in ("id", "name") if name in told}
        if tag == "a" and "href" in told:
            self.links.add(told["href"])
        elif tag == "link" and told.get("rel") not in ("canonical", "prev", "next"):
            self.loads.add(told["href"])
        elif "src" in told:
            self.loads.add(told["src"])


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    """Build the pages that lie in a folder, as `make docs` does."""
    (folder / "mkdocs.yml").write_text((ROOT / "mkdocs.yml").read_text("utf-8"), "utf-8")
    if not (folder / "src").exists():
        (folder / "src").symlink_to(ROOT / "src")
    # Proxies that are not there: whoever would fetch something fails.
    nowhere = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"), "http://127.0.0.1:9")
    command = [Path(sys.executable).parent / "zensical", "build", "--clean", "--strict"]
    environment = os.environ | nowhere | {"NO_COLOR": "1"}
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    lay_out(folder / "dist" / "docs-pages")
    done = build(folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "No issues found" in done.stdout + done.stderr
    return folder / "dist" / "docs"


@pytest.fixture(scope="module")
def pages(site) -> dict[Path, Page]:
    return {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html") if path.name != "404.html"}


def test_every_page_of_the_folder_is_on_the_site(pages, site):
    for page in (ROOT / "docs").rglob("*.md"):
        assert site / page.relative_to(ROOT / "docs").with_suffix(".html") in pages


def test_every_page_is_in_the_navigation_once():
    told = (ROOT / "mkdocs.yml").read_text("utf-8").partition("\nnav:\n")[2].split()
    for page in (ROOT / "docs").rglob("*.md"):
        assert told.count(page.relative_to(ROOT / "docs").as_posix()) == 1, f"{page} is not in mkdocs.yml"


def test_every_link_and_anchor_leads_somewhere(pages):
    inner = 0
    for path, page in pages.items():
        for link in page.links | page.loads:
            parts = urlsplit(link)
            if parts.scheme or link in ("", ".", "#"):
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            target = target / "index.html" if target.is_dir() else target
            assert target.exists(), f"{path.name} leads to {link}"
            if parts.fragment and target in pages and not parts.fragment.startswith("__"):
                assert unquote(parts.fragment) in pages[target].anchors, f"{path.name} leads to {link}"
                inner += 1
    assert inner > 300


def test_no_page_loads_anything_from_elsewhere(pages, site):
    assert sum(len(page.loads) for page in pages.values()) > len(pages)
    for path, page in pages.items():
        assert [each for each in page.loads if urlsplit(each).netloc] == [], path
    for sheet in site.rglob("*.css"):
        assert "url(http" not in sheet.read_text("utf-8")
        assert "@import" not in sheet.read_text("utf-8")


def test_no_list_or_table_is_shown_as_running_text(site):
    for path in site.rglob("*.html"):
        text = path.read_text("utf-8")
        for paragraph in text.split("<p>")[1:]:
            lines = paragraph.partition("</p>")[0].splitlines()
            assert [line for line in lines if line.startswith(("- ", "| ", "* "))] == [], path.name


def test_the_reference_names_every_command_setting_and_error(site):
    told = {
        name: (site / "reference" / f"{name}.html").read_text("utf-8") for name in ("commands", "settings", "errors")
    }
    for name in COMMANDS:
        assert f">likeness {name}<" in told["commands"], name
    for name in Settings.model_fields:
        assert f"<code>{name}</code>" in told["settings"], name
    kinds = [LikenessError]
    while kinds:
        kind = kinds.pop()
        kinds += kind.__subclasses__()
        if kind is not LikenessError and kind.__module__.startswith("likeness.errors"):
            assert f"<code>{kind.code}</code>" in told["errors"], kind


def test_the_reference_has_the_public_names_of_the_library(pages, site):
    python = pages[site / "reference" / "python.html"].anchors
    for name in ("recognizer.Recognizer.identify", "gallery.open_gallery", "types.Face", "types.Answer.as_dict"):
        assert f"likeness.{name}" in python
    contracts = pages[site / "reference" / "contracts.html"].anchors
    for name in ("gallery.base.Gallery.search", "storage.base.Storage.read", "intake.queues.base.Queue.receive"):
        assert f"likeness.{name}" in contracts


def test_a_link_that_leads_nowhere_keeps_the_site_from_being_built(tmp_path):
    pages = tmp_path / "dist" / "docs-pages"
    lay_out(pages)
    with (pages / "index.md").open("a", encoding="utf-8") as index:
        index.write("\n[nothing](nothing.md)\n")
    done = build(tmp_path)
    assert done.returncode != 0
    assert "does not exist" in done.stdout + done.stderr


def test_help_of_commands_is_text_and_no_mark_up():
    assert prose("a *b* <c> `d_e` f_g") == r"a \*b\* \<c\> `d_e` f\_g"
