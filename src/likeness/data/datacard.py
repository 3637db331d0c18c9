"""The card of a data set: the README that goes with it to a folder or a hub."""

from __future__ import annotations

import json

from likeness.data.dataset import Dataset


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
