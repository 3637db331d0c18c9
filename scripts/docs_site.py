"""Lay out the pages of the documentation's site, for the generator to build: `python scripts/docs_site.py FOLDER`.

The pages of docs/ come over; those of the reference are made from the code; and files of the repository that pages link
to become pages themselves, so that every link leads somewhere without a network. A link that leads nowhere stays as it
is, for the generator to complain about.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

from docs_reference import PAGES

ROOT = Path(__file__).resolve().parent.parent
ELSEWHERE = "repository"
"""Where in the site the files of the repository lie that are no pages of docs/."""
ALWAYS = ("CHANGELOG.md", "samples/README.md")
"""Files outside of docs/ that the navigation names."""
_LINK = re.compile(r"(?<=\]\()([^)\s#]+)(#[^)\s]*)?(?=\))")
_PICTURES = {".png", ".jpg", ".svg"}
_LANGUAGES = {".yaml": "yaml", ".yml": "yaml", ".tf": "terraform", ".py": "python", ".sh": "sh", ".json": "json"}


def lay_out(target: Path) -> None:
    """Write the site's pages below `target`, a folder that is made anew."""
    shutil.rmtree(target, ignore_errors=True)
    waiting = list(ALWAYS)
    for source in sorted((ROOT / "docs").rglob("*")):
        path = source.relative_to(ROOT).as_posix()
        if source.suffix == ".md":
            text = source.read_text("utf-8")
            waiting.extend(_linked(path, text))
            _write(target / _place(path), _relinked(path, text))
        elif source.is_file():
            _write(target / _place(path), source.read_bytes())
    for place, make in PAGES.items():
        _write(target / place, make())
    while waiting:
        path = waiting.pop()
        if not (target / _place(path)).exists():
            content = _contents(path)
            if path.endswith(".md"):
                assert isinstance(content, str)
                waiting.extend(_linked(path, content))
                content = _relinked(path, content)
            _write(target / _place(path), content)


def _write(file: Path, content: str | bytes) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def _place(path: str) -> str:
    """Where in the site a file or folder of the repository lies."""
    if path == "CHANGELOG.md":
        return "changelog.md"
    if path.startswith("docs/"):
        return path.removeprefix("docs/")
    shown = PurePosixPath(path).suffix in {".md", *_PICTURES}
    place = f"{ELSEWHERE}/{path.replace('.github/', 'github/')}"  # the generator passes over what is hidden
    return place if shown else f"{place}.md"


def _resolved(home: str, link: str) -> str | None:
    """The path in the repository that a link of the file `home` leads to; None where it leads to no file there."""
    if re.match(r"[a-z]+:", link):
        return None
    path = os.path.normpath(PurePosixPath(home).parent / link)
    return path if not path.startswith("..") and (ROOT / path).exists() else None


def _linked(home: str, text: str) -> Iterator[str]:
    for found in _LINK.finditer(text):
        path = _resolved(home, found[1])
        if path is not None and not path.startswith("docs/"):
            yield path


def _relinked(home: str, text: str) -> str:
    """The text with its links to files of the repository leading to their places in the site."""
    folder = PurePosixPath(_place(home)).parent

    def here(found: re.Match[str]) -> str:
        path = _resolved(home, found[1])
        return found[0] if path is None else os.path.relpath(_place(path), folder) + (found[2] or "")

    return _LINK.sub(here, text)


def _contents(path: str) -> str | bytes:
    """A file or folder of the repository as a page."""
    source = ROOT / path
    if source.suffix in _PICTURES:
        return source.read_bytes()
    if source.suffix == ".md":
        return source.read_text("utf-8")
    if source.is_dir():
        within = sorted(each for each in source.iterdir() if each.is_file() and not each.name.startswith("."))
        return f"# {path}\n\n" + "\n".join(f"## {each.name}\n\n{_quoted(each)}" for each in within)
    return f"# {path}\n\n{_quoted(source)}"


def _quoted(source: Path) -> str:
    language = _LANGUAGES.get(source.suffix, "text")
    return f"``````{language}\n{source.read_text('utf-8')}\n``````\n"


if __name__ == "__main__":
    lay_out(Path(sys.argv[1]))
