"""What licences the packages have that an installation brings, with every extra; fails at one that was not weighed.

python scripts/licences.py                       # a table; exit code 1 at a surprise
python scripts/licences.py --out licences.md     # into a file
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, distribution, metadata
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent

PERMISSIVE = (
    "0BSD", "Apache", "BSD", "BSL-1.0", "Boost", "CC0", "CNRI", "HPND", "ISC", "MIT", "PSF",
    "Python Software Foundation", "Unlicense", "ZPL", "Zlib",
)  # fmt: skip
"""What a licence's name may be made of without anybody asking."""

_PERMISSIVE = re.compile(rf"\b({'|'.join(map(re.escape, PERMISSIVE))})\b", re.IGNORECASE)

WEIGHED = {
    "certifi": "MPL-2.0: a list of certificates, used unchanged",
    "orjson": "MPL-2.0 beside Apache-2.0 or MIT, used unchanged",
    "psycopg": "LGPL-3.0: imported, not changed, and can be exchanged; only with the extra postgres",
    "psycopg-binary": "LGPL-3.0, as psycopg",
    "tqdm": "MPL-2.0 and MIT, used unchanged",
}
"""Packages whose licence is no permissive one, and why they may come along."""

LEFT_OUT = {"tflite"}
"""Extras that are installed apart (see the Makefile); a package of them that is here is looked at all the same."""


def brought() -> dict[str, set[str]]:
    """Canonical name of each installed package that an installation brings, with the extras by which (`` for any)."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    found: dict[str, set[str]] = {}
    for extra, lines in {"": project["dependencies"], **project["optional-dependencies"]}.items():
        waiting = [Requirement(line) for line in lines if extra not in LEFT_OUT]
        seen: set[tuple[str, frozenset[str]]] = set()
        while waiting:
            wanted = waiting.pop()
            name, asked = canonicalize_name(wanted.name), frozenset(wanted.extras)
            if (name, asked) in seen:
                continue
            seen.add((name, asked))
            if name == "likeness":  # an extra that takes others in
                waiting += [Requirement(line) for each in asked for line in project["optional-dependencies"][each]]
                continue
            try:
                further = [Requirement(line) for line in distribution(name).requires or []]
            except PackageNotFoundError:
                continue  # not for this machine, or not installed here
            found.setdefault(name, set()).add(extra)
            waiting += [each for each in further if _applies(each, asked)]
    return found


def _applies(wanted: Requirement, extras: frozenset[str]) -> bool:
    return wanted.marker is None or any(wanted.marker.evaluate({"extra": each}) for each in extras | {""})


def told(names: list[str]) -> dict[str, tuple[str, str]]:
    """Version and licence of each package, as its metadata tells."""
    shown = [metadata(name)["Name"] for name in names]
    done = subprocess.run(
        [sys.executable, "-m", "piplicenses", "--format", "json", "--from", "mixed", "--packages", *shown],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    return {canonicalize_name(row["Name"]): (row["Version"], row["License"]) for row in json.loads(done.stdout)}


def is_permissive(licence: str) -> bool:
    """Whether each part of a licence's name is one that nobody need weigh."""
    parts = [part.strip() for part in re.split(r";| AND | OR | and | or |/|,", licence) if part.strip(" ()")]
    return bool(parts) and all(_PERMISSIVE.search(part) for part in parts)


def main(arguments: list[str]) -> int:
    """Write the report; the code says whether there was a surprise."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, help="Markdown file; standard output unless given")
    out = parser.parse_args(arguments).out
    by_extra = brought()
    rows = told(sorted(by_extra))
    lines = ["| package | version | licence | with | weighed |", "|---|---|---|---|---|"]
    surprises = []
    for name, (version, licence) in sorted(rows.items()):
        licence = " ".join(licence.split())
        weighed = WEIGHED.get(name, "")
        if not weighed and not is_permissive(licence):
            surprises.append(f"{name} {version}: {licence}")
        kind = "every installation" if "" in by_extra[name] else ", ".join(sorted(by_extra[name]))
        lines.append(f"| {name} | {version} | {licence[:80]} | {kind} | {weighed} |")
    text = "\n".join(lines) + "\n"
    if out is None:
        sys.stdout.write(text)
    else:
        out.write_text(text, "utf-8")
    for each in surprises:
        sys.stderr.write(f"not weighed yet: {each}\n")
    return 1 if surprises else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
