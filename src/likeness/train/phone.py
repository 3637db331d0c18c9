"""What an app on a phone must know of a TensorFlow Lite file, as plain data."""

from __future__ import annotations

from typing import Any

from likeness.bundle import Alignment, Embedding, InputSpec, Licence, Manifest
from likeness.calibration import Calibration
from likeness.errors import BundleCorrupt

PHONE_INPUT, PHONE_OUTPUT = "faces", "embeddings"
FALSE_MATCH_RATE = 1e-3
LANDMARKS = (
    "eye on the left of the picture",
    "eye on the right of the picture",
    "tip of the nose",
    "corner of the mouth on the left of the picture",
    "corner of the mouth on the right of the picture",
)


def phone_facts(manifest: Manifest, calibration: Calibration | None, spec: InputSpec) -> dict[str, Any]:
    """The facts of a bundle's network `spec` (as it was trained), with the threshold at a false-match rate of 0.001.

    Where the calibration supports no rate so small, the threshold is that of the smallest it supports.

    Raises:
        BundleCorrupt: the manifest is not an embedder's, or the calibration is of another embedding space.
    """
    if manifest.embedding is None or manifest.alignment is None:
        raise BundleCorrupt(f"the bundle {manifest.name} lacks embedding or alignment in its manifest")
    if calibration is not None and calibration.space != manifest.embedding.space:
        raise BundleCorrupt(
            f"the bundle {manifest.name} is of space {manifest.embedding.space}, its calibration of {calibration.space}"
        )
    return {
        "format": 1,
        "name": manifest.name,
        "version": manifest.version,
        "summary": manifest.summary,
        "precision": "float32",
        "input": _input(spec),
        "output": _output(manifest.embedding, flip=bool(manifest.parameters.get("flip", False))),
        "alignment": _alignment(manifest.alignment),
        "threshold": None if calibration is None else _threshold(calibration),
        "licence": _licence(manifest.licence),
    }


def _input(spec: InputSpec) -> dict[str, Any]:
    return {
        "name": PHONE_INPUT,
        "shape": [1, spec.side_px, spec.side_px, 3],
        "layout": "NHWC",
        "type": "float32",
        "side_px": spec.side_px,
        "channels": "RGB",
        "range": [0, 255],
        "mean": [0.0, 0.0, 0.0],
        "scale": [1.0, 1.0, 1.0],
        "normalised_inside": {"channels": spec.channels, "mean": list(spec.mean), "scale": list(spec.scale)},
    }


def _output(embedding: Embedding, *, flip: bool) -> dict[str, Any]:
    return {
        "name": PHONE_OUTPUT,
        "shape": [1, embedding.dimension],
        "type": "float32",
        "dimension": embedding.dimension,
        "space": embedding.space,
        "unit_length": False,
        "add_mirror_image": flip,
    }


def _alignment(alignment: Alignment) -> dict[str, Any]:
    return {
        "transform": "similarity",
        "landmarks": list(LANDMARKS),
        "template_px": [list(point) for point in alignment.template_px],
    }


def _threshold(calibration: Calibration) -> dict[str, Any]:
    rate = max(FALSE_MATCH_RATE, calibration.finest_rate)
    return {
        "false_match_rate": rate,
        "cosine": round(calibration.threshold(rate), 5),
        "finest_rate": calibration.finest_rate,
        "impostor_pairs": calibration.impostor_pairs,
        "people": calibration.people,
        "data": calibration.data,
    }


def _licence(licence: Licence) -> dict[str, Any]:
    return licence.model_dump(mode="json")
