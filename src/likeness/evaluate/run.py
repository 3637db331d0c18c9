"""The evaluation on LFW from end to end: photos in, one report out."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from likeness.calibration import Calibration
from likeness.errors import CalibrationError
from likeness.evaluate.embeddings import Embedded, embed_central_faces
from likeness.evaluate.lfw import Lfw
from likeness.evaluate.protocols import false_match_rates, open_set, open_set_split, verification
from likeness.recognizer import Recognizer


def evaluate_lfw(
    recognizer: Recognizer, lfw: Lfw, cache: Path, *, progress: Callable[[int, int], None]
) -> tuple[dict[str, Any], Embedded]:
    """Verification by the official folds, stated against observed false-match rates, and open-set identification.

    Identification is run twice: by the whole protocol, and without the people who calibrated the bundle, which is
    the figure to quote for what happens at the threshold.
    """
    _ = lfw.pairs  # a malformed pairs file should be known before minutes of work
    embedded = embed_central_faces(recognizer, lfw.photos, cache, progress=progress)
    calibration = _calibration(recognizer)
    settings = recognizer.settings
    everyone = np.ones(len(lfw.photos), bool)
    verified = verification(lfw, embedded, calibration, settings)
    report: dict[str, Any] = {
        "data": "LFW (deep-funneled)",
        "photos": len(lfw.photos),
        "people": len(np.unique(lfw.people)),
        "photos_without_a_face": int((~embedded.found).sum()),
        "models": {"detector": settings.detector, "embedder": settings.embedder},
        "date": datetime.now(UTC).date().isoformat(),
        "accuracy": verified["accuracy"],
        "verification": verified,
        "false_match_rates": false_match_rates(lfw, embedded, calibration) if calibration else None,
        "identification": {
            "whole_protocol": open_set(
                lfw.people, embedded, open_set_split(lfw.people, everyone), calibration, settings
            ),
            "without_calibration_people": open_set(
                lfw.people, embedded, open_set_split(lfw.people, ~lfw.outside_pairs), calibration, settings
            ),
        },
    }
    return report, embedded


def _calibration(recognizer: Recognizer) -> Calibration | None:
    try:
        return recognizer.calibration
    except CalibrationError:
        return None


def summarise(report: dict[str, Any]) -> list[tuple[str, str]]:
    """The report's main figures as rows of (what, value)."""
    verified, searched = report["verification"], report["identification"]
    rows = [
        ("Verification, 6,000 official pairs, 10 folds", ""),
        ("  accuracy", f"{verified['accuracy']:.4f} ± {verified['accuracy_standard_error']:.4f} (standard error)"),
        ("  true-accept rate at FMR 1e-3", f"{verified['tar_at_fmr_1e-3']:.4f}"),
        ("  equal error rate", f"{verified['equal_error_rate']:.4f}"),
        ("  pairs with a face not found (errors)", str(verified["pairs_without_a_face"])),
    ]
    if "calibration" in verified:
        known = verified["calibration"]
        rows += [
            ("Probabilities, on people who did not calibrate", ""),
            ("  expected calibration error", f"{known['expected_calibration_error']:.4f}"),
            ("  Brier score", f"{known['brier']:.4f}"),
        ]
        rows += [
            (f"  FMR stated {row['stated']:.2g}", f"observed {row['observed']:.2g}")
            for row in report["false_match_rates"] or ()
        ]
    for name, words in (
        ("whole_protocol", "Open-set identification, whole protocol"),
        ("without_calibration_people", "Open-set identification, without the people who calibrated"),
    ):
        found = searched[name]
        rows.append((f"{words}: {found['enrolled']:,} enrolled, {found['strangers']:,} strangers", ""))
        rows.append(("  rank-1", f"{found['rank_1']:.4f} of {found['probes']:,} probes"))
        if "default" in found:
            at = found["default"]
            rows += [
                ("  strangers named (FPIR)", f"{at['false_positive_identification_rate']:.4f}, promised at most "
                 f"{at['fpir_promised']:.4f}"),
                ("  enrolled people named rightly", f"{at['true_positive_identification_rate']:.4f}"),
                ("  enrolled people named wrongly", f"{at['wrong_person_rate']:.4f}"),
                ("  unsure: enrolled, strangers", f"{at['unsure_rate']:.4f}, {at['strangers_unsure_rate']:.4f}"),
                ("  calibration error of the probability", f"{at['identification_calibration_error']:.4f}"),
            ]  # fmt: skip
    return rows
