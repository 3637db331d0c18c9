"""Print what the changelog says of this version; refuse where tag, version and changelog disagree.

python scripts/changelog.py                 # of the version in src/likeness/__init__.py
python scripts/changelog.py --tag v0.1.0    # for a release: it must be dated, and the tag be the version's
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HEADING = re.compile(r"## (?P<version>\d+\.\d+\.\d+) \((?P<date>unreleased|\d{4}-\d{2}-\d{2})\)")


def version() -> str:
    """The version that the package says it is, without importing it."""
    text = (ROOT / "src" / "likeness" / "__init__.py").read_text("utf-8")
    found = re.search(r'^__version__ = "(\d+\.\d+\.\d+)"$', text, re.MULTILINE)
    if found is None:
        raise SystemExit("src/likeness/__init__.py says no version")
    return found[1]


def sections(text: str) -> list[tuple[str, str, str]]:
    """Version, date and text of each, newest first.

    Raises:
        ValueError: a heading of the second level is none of a version.
    """
    found = []
    for part in re.split(r"^(?=## )", text, flags=re.MULTILINE)[1:]:
        heading, _, body = part.partition("\n")
        matched = HEADING.fullmatch(heading)
        if matched is None:
            raise ValueError(f"{heading!r} is not `## X.Y.Z (date)` or `## X.Y.Z (unreleased)`")
        found.append((matched["version"], matched["date"], body.strip()))
    return found


def main(arguments: list[str]) -> int:
    """Print the section of this version."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tag", help="tag that is released")
    tag = parser.parse_args(arguments).tag
    current = version()
    newest, date, body = sections((ROOT / "CHANGELOG.md").read_text("utf-8"))[0]
    if newest != current:
        sys.exit(f"CHANGELOG.md begins with {newest}, but the version is {current}")
    if tag is not None and tag != f"v{current}":
        sys.exit(f"the tag is {tag}, but the version is {current}")
    if tag is not None and date == "unreleased":
        sys.exit(f"CHANGELOG.md says that {current} is unreleased: give it the day of its release")
    if not body:
        sys.exit(f"CHANGELOG.md says nothing of {current}")
    sys.stdout.write(body + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
