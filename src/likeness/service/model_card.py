"""The card of a model bundle: a README of what it is, its licences, how good it is, and what it is not for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from likeness.bundle import Bundle, Manifest
from likeness.calibration import Calibration

THRESHOLD_RATE = 1e-3
LICENCES = {
    name.lower(): name.lower()
    for name in (
        "Apache-2.0",
        "MIT",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "BSL-1.0",
        "CC0-1.0",
        "CC-BY-4.0",
        "CC-BY-SA-4.0",
        "CC-BY-NC-4.0",
        "CC-BY-NC-SA-4.0",
        "GPL-3.0",
        "AGPL-3.0",
        "Unlicense",
    )
}
"""Licences that the hub knows by these identifiers; all others are `other` to it."""
_TASKS = {"embedder": "image-feature-extraction", "detector": "object-detection", "attributes": "image-classification"}
_TAGS = {
    "embedder": ["face-recognition", "face-verification"],
    "detector": ["face-detection"],
    "attributes": ["face-attributes"],
}
_USES = {"embedder": "--model", "detector": "--detector"}
_LONG = 200

INTENDED = """\
Comparing faces in photos that you may process, of people who agreed to it or whose photos you may lawfully compare:
your own albums and archives, finding lookalikes for fun, research, and testing how good face recognition is. Each
answer is a probability for a human to judge.

**Not to be used** to identify people without their knowledge or a lawful ground, for surveillance in public places,
or for decisions about a person (policing, hiring, lending, access to services) that no human takes and answers for.
Face templates are biometric data: in many places the law asks for consent before they are made or kept. A lookalike is
not the same person, and a score is not evidence."""


def write_card(
    bundle: Bundle, *, source: str, calibration: Calibration | None = None, report: Mapping[str, Any] | None = None
) -> str:
    """The card as Markdown with front matter; `source` is where others pull it from.

    `calibration` is the bundle's own; `report` is one of `likeness evaluate dataset`, for weaknesses and group gaps.
    """
    manifest = bundle.manifest
    parts = [
        "\n".join(_front_matter(manifest)),
        f"# {_plain(manifest.name)}",
        _plain(manifest.summary),
        "## What it is\n\n" + _table(("", ""), _facts(bundle)),
        "## How to use it\n\n" + _usage(manifest, source),
        "## Licences\n\n" + _table(("of", "licence"), _licences(manifest)),
        "## Training\n\n" + _training(manifest),
        "## Figures\n\n" + _figures(manifest),
        "## Calibration\n\n" + _calibration(calibration, manifest),
        "## Weaknesses\n\n" + _weaknesses(report),
        "## Intended use, and use that is not\n\n" + INTENDED,
    ]
    return "\n\n".join(parts) + "\n"


def _front_matter(manifest: Manifest) -> Iterator[str]:
    licence = LICENCES.get(manifest.licence.weights.lower())
    # A JSON string is a YAML string too, whatever it holds.
    yield "---"
    yield f"license: {licence or 'other'}"
    if licence is None:
        yield f"license_name: {json.dumps(_short(manifest.licence.weights, 80), ensure_ascii=False)}"
    yield "library_name: likeness"
    yield f"pipeline_tag: {_TASKS[manifest.role]}"
    yield "tags:"
    yield from (f"- {tag}" for tag in ("likeness", "onnx", *_TAGS[manifest.role]))
    yield "---"


def _facts(bundle: Bundle) -> Iterator[tuple[str, str]]:
    manifest = bundle.manifest
    yield "role", f"{manifest.role}, run by the engine `{manifest.engine}`"
    yield "version", manifest.version
    if manifest.input is not None:
        taken = manifest.input
        pixels = "pixels as they are" if taken.dtype == "uint8" else f"(pixel − {taken.mean}) × {taken.scale}"
        yield "input", f"{taken.side_px} × {taken.side_px} pixels, {taken.channels}, {taken.layout}, {pixels}"
    if manifest.alignment is not None:
        places = "; ".join(f"{x:g}, {y:g}" for x, y in manifest.alignment.template_px)
        yield "alignment", f"five landmarks (eyes, nose, corners of the mouth) moved to {places}"
    if manifest.embedding is not None:
        flip = "; the mean over the crop and its mirror image" if manifest.parameters.get("flip") else ""
        yield "output", f"{manifest.embedding.dimension} numbers of unit length, compared by cosine{flip}"
        yield "embedding space", f"`{manifest.embedding.space}`: vectors of another space cannot be compared with these"
    size = sum(file.bytes for file in manifest.files.values())
    yield "files", f"{', '.join(file.path for file in manifest.files.values())} ({size / 1e6:.1f} MB)"
    yield from _export_facts(manifest.origin)


def _export_facts(origin: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    parity, int8 = origin.get("parity"), origin.get("int8")
    if isinstance(parity, dict) and {"max_difference", "mean_cosine", "samples"} <= parity.keys():
        yield (
            "parity with the trained network",
            f"largest difference {parity['max_difference']:.2g} in any number of an embedding, "
            f"over {parity['samples']} crops",
        )
    if isinstance(int8, dict) and {"mean_cosine", "min_cosine", "crops"} <= int8.keys():
        yield (
            "eight bits",
            f"cosine to the floats' embeddings {int8['mean_cosine']:.4f} on average, {int8['min_cosine']:.4f} at "
            f"worst, over {int8['crops']} crops; {int8.get('method', '')}",
        )


def _usage(manifest: Manifest, source: str) -> str:
    lines = ["pip install 'likeness[hub]'", f"likeness models pull {source}"]
    option = _USES.get(manifest.role)
    lines.append(
        f"likeness {option} {manifest.name} verify one.jpg other.jpg"
        if option
        else f"likeness models show {manifest.name}"
    )
    note = (
        "\n\nEach file is compared with the digest in `manifest.json` before it is used. Embeddings need the same "
        "alignment that it was trained with; Likeness does that."
    )
    return "```sh\n" + "\n".join(lines) + "\n```" + note


def _licences(manifest: Manifest) -> list[tuple[str, str]]:
    licence = manifest.licence
    commercial = {True: "allowed", False: "not allowed", None: "not documented: ask before you do"}[licence.commercial]
    return [
        ("code", licence.code),
        ("weights", licence.weights),
        ("training data", licence.data),
        ("commercial use", f"{commercial}; {licence.note}" if licence.note else commercial),
    ]


def _training(manifest: Manifest) -> str:
    rows = list(_flat(manifest.origin))
    if not rows:
        return "The manifest says nothing of how it was trained."
    return _table(("", ""), rows)


def _flat(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Plain values by dotted name; long lists (of digests, say) are told by their length."""
    for key, value in values.items():
        name = f"{prefix}{key}"
        if isinstance(value, Mapping):
            yield from _flat(value, f"{name}.")
        elif isinstance(value, Sequence) and not isinstance(value, str):
            plain = not any(isinstance(one, (Mapping, list, tuple)) for one in value)
            yield name, ", ".join(map(str, value)) if plain and len(value) <= 8 else f"{len(value)} of them"
        elif value is not None:
            yield name, _short(str(value), _LONG)


def _figures(manifest: Manifest) -> str:
    if not manifest.metrics:
        return "No figure was measured with this bundle."
    rows = [(one.name, f"{one.value:.6g}", one.data, one.protocol, one.date) for one in manifest.metrics]
    return _table(("figure", "value", "data", "protocol", "date"), rows)


def _calibration(calibration: Calibration | None, manifest: Manifest) -> str:
    if calibration is None:
        if manifest.role != "embedder":
            return "A model of this role has none."
        return (
            "None: its similarities have no meaning yet. Fit one with `likeness calibrate`, on people it was not "
            "trained on."
        )
    rows = [
        ("data", calibration.data),
        ("people", f"{calibration.people:,}"),
        ("pairs", f"{calibration.genuine_pairs:,} of one person, {calibration.impostor_pairs:,} of two"),
        ("finest false-match rate that it supports", f"{calibration.finest_rate:.2g}"),
    ]
    for rate in sorted({max(THRESHOLD_RATE, calibration.finest_rate), calibration.finest_rate}, reverse=True):
        cosine = calibration.threshold(rate)
        missed = float(calibration.fnmr(cosine))
        rows.append((f"threshold at {rate:.2g}", f"cosine {cosine:.4f}; {missed:.1%} of genuine pairs are missed"))
    return _table(("", ""), rows)


def _weaknesses(report: Mapping[str, Any] | None) -> str:
    groups = (report or {}).get("groups")
    lines = [f"- {_plain(str(text))}" for text in (report or {}).get("weaknesses", ())]
    if report is not None:
        data, date = report.get("data", {}), report.get("date", "")
        lines.insert(0, f"Measured on {_plain(str(data.get('name', 'a data set')))}, {_plain(str(date))}.\n")
    if not groups:
        lines.append(
            "\nHow its errors differ between groups of people (age, gender, skin colour) **was not measured**. Such "
            "gaps are common, and can be large: measure them on your own people before you rely on it."
        )
        return "\n".join(lines).strip()
    for label, table in groups["labels"].items():
        rows = [
            (name, f"{group['people']:,}", _rate(group.get("fmr")), _rate(group.get("tar")))
            for name, group in table["groups"].items()
        ]
        heading = (
            f"\nBy {_plain(label)}, at one threshold for all (false-match rate {_plain(str(groups['global_fmr']))}):"
        )
        lines += [heading, "", _table(("group", "people", "false-match rate", "genuine pairs found"), rows)]
    return "\n".join(lines).strip()


def _rate(value: Any) -> str:
    return "too few to say" if value is None else f"{float(value):.3g}"


def _table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [" | ".join(columns), " | ".join("---" for _ in columns)]
    lines += [" | ".join(_plain(cell) for cell in row) for row in rows]
    return "\n".join(f"| {line} |" for line in lines)


def _plain(text: str) -> str:
    """Text of a manifest as one line that means nothing to Markdown or HTML."""
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    return re.sub(r"([\\|<\[\]*])", r"\\\1", line)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
