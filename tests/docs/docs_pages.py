"""The command lines that pages show."""

from __future__ import annotations

import re

from docs_tours import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
FENCED = re.compile(r"^ *```(\w*)\n(.*?)^ *```$", re.MULTILINE | re.DOTALL)
NOT_OURS = re.compile(r"(docker|helm|kubectl|pip|[\d*]+ [\d*]+)\b")
"""There `likeness` is the name of an image, a release or a package, or in a table of cron an account's."""


def told(text: str) -> list[str]:
    """The lines of the blocks that hold commands, whole; of blocks with output those behind `$ `."""
    lines = []
    for language, body in FENCED.findall(text):
        joined = body.replace("\\\n", " ")
        if language in ("", "sh", "console"):
            shown = [line.strip() for line in joined.splitlines()]
            prompted = [line.removeprefix("$ ") for line in shown if line.startswith("$ ")]
            lines += prompted or ([] if language == "console" else shown)
    # SIZE holds options, or nothing.
    return [re.sub(r"(^|\s)#.*$", "", line.replace(" $SIZE", "")) for line in lines if not NOT_OURS.match(line)]
