"""What goes with a data set to a folder or a hub: its facts without paths of this machine, and a card."""

from __future__ import annotations

import json
import re

from likeness.data.dataset import Dataset, Facts

_WORD = re.compile(r"""(?:'[^']*'|"[^"]*"|[^\s'"])+|['"]""")
_SHARES = re.compile(r"[\d.]+(?:[/,:][\d.]+){2}")


def shareable(facts: Facts) -> Facts:
    """The facts as others may see them: paths in the steps become `…`, for they tell of people and machines."""
    return facts.model_copy(update={"steps": tuple(_WORD.sub(_hidden, step) for step in facts.steps)})


def _hidden(word: re.Match[str]) -> str:
    text = word[0]
    if not re.search(r"[/\\]|^['\"]?~", text) or text.startswith("hf://") or _SHARES.fullmatch(text):
        return text
    return "…"


def card(dataset: Dataset, parts: dict[str, int], target: str) -> str:
    """The README of a pushed data set."""
    facts, counts = dataset.facts, dataset.summary()
    labels = sorted({name for row in dataset.rows for name in row.labels})
    licences = sorted({row.licence for row in dataset.rows} - {""}) or [facts.licence or "not stated"]
    files = [f"      - split: {part}\n        path: data/{part}-*" for part in parts]
    lines = [
        "---",
        f"pretty_name: {json.dumps(facts.name)}",
        "license: other",
        "task_categories: [image-classification]",
        "tags: [faces, likeness]",
        "configs:",
        "  - config_name: default",
        "    data_files:",
        *files,
        "---",
        f"# {facts.name}",
        "",
        f"{counts['rows']} photos of {counts['identities']} people, kept with Likeness. Source: {facts.source}.",
        "",
        "Photos of faces are personal data. Share them only as far as their terms and the people on them allow.",
        "",
        "Terms of the photos: " + "; ".join(licences) + ".",
        "",
        "| split | rows |",
        "|---|---|",
        *(f"| {part} | {count} |" for part, count in parts.items()),
        "",
        "Columns: `image`, `identity` (name), `path`, `source`, `licence`, `photo`, `sha256`, `position` (order of the"
        + " rows); boxes and landmarks in pixels where they are known"
        + (f"; labels: {', '.join(f'`{name}`' for name in labels)}." if labels else "."),
        "",
        *(["How it was made:", "", *(f"- {step}" for step in facts.steps), ""] if facts.steps else []),
        f"Digest of the rows: `{dataset.digest}`",
        "",
        "```sh",
        f"likeness data pull {target} FOLDER",
        "```",
        "",
    ]
    return "\n".join(lines)
