"""What all exports share: a place that is free, a network written and measured, a manifest that tells of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from likeness.bundle import MANIFEST, Bundle, place_folder, write_manifest
from likeness.errors import Conflict, DatasetError, InputError
from likeness.manifest import InputSpec, Licence
from likeness.train.onnx_export import OUTPUT, export_onnx
from likeness.train.parity import Parity
from likeness.train.quantize import Quantized, quantize_onnx
from likeness.types import Pixels
from likeness.vision.attributes import AGE_LOGITS, GENDER_LOGIT

MODEL = "model.onnx"
REAL_CROPS = 32
CALIBRATION_CROPS = 256
TOLD = (AGE_LOGITS, GENDER_LOGIT)
"""Outputs of a network that tells age and gender."""
_FORBIDS = re.compile(r"non-?commercial|research only", re.IGNORECASE)
WEIGHTS = "not stated: trained with Likeness; the licences of the data and of the weights it began with apply"
OWN_PHOTOS = "trained on your own photos"
"""Words on the weights of a bundle that was taught more."""
Say = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """A bundle that was written, how near it comes to the network, and what int8 changed where asked for."""

    bundle: Bundle
    parity: Parity
    quantized: Quantized | None

    def as_dict(self) -> dict[str, Any]:
        """Plain data."""
        facts: dict[str, Any] = {"bundle": str(self.bundle.folder), "parity": self.parity.as_dict()}
        return facts | ({"int8": self.quantized.as_dict()} if self.quantized else {})


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """A network as it is to be written.

    Attributes:
        network: to be exported. spec: of its input. outputs: their names.
        crops: `(n, s, s, 3)` real ones, to measure on, and to calibrate int8 on.
    """

    network: nn.Module
    spec: InputSpec
    crops: Pixels | None
    int8: bool
    outputs: Sequence[str] = (OUTPUT,)


def expect_name(name: str) -> None:
    """Let a name for a bundle pass: to be asked before the work.

    Raises:
        InputError: it has other letters than a bundle's name may have.
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9._-]*", name):
        raise InputError(
            f"a bundle cannot be called {name!r}", hint="small letters, digits, dots, dashes and underscores will do"
        )


def expect_target(target: Path, *, replace: bool) -> None:
    """Let a place for a bundle pass.

    Raises:
        Conflict: something is there that may not be replaced, or is no bundle.
    """
    if target.exists() and not (replace and (target / MANIFEST).is_file()):
        raise Conflict(
            f"{str(target)!r} is there already", hint="give another name, or let --replace put the new bundle there"
        )


def expect_crops(int8: bool, dataset: object | None) -> None:
    """Let a wish for int8 pass.

    Raises:
        DatasetError: there is nothing to calibrate it on.
    """
    if int8 and dataset is None:
        raise DatasetError("int8 is calibrated on faces that were learnt from", hint="name them with --data")


def place_bundle(
    written: Written,
    target: Path,
    describe: Callable[[Path], tuple[dict[str, Any], Mapping[str, str]]],
    *,
    replace: bool,
    say: Say,
) -> Exported:
    """Write a network as the bundle `target`, whole or not at all.

    `describe` is given the folder with the network in it; it may add files, and tells the manifest's facts and the
    files by their roles.
    """
    found: dict[str, Any] = {}

    def fill(aside: Path) -> None:
        say("Exporting the network …")
        found["parity"], found["quantized"] = _write_network(written, aside, say)
        facts, roles = describe(aside)
        facts["origin"]["parity"] = found["parity"].as_dict()
        if found["quantized"]:
            facts["origin"]["int8"] = found["quantized"].as_dict()
        write_manifest(aside, facts, {"model": MODEL, **roles})

    bundle = place_folder(target, fill, replace=replace)
    return Exported(bundle, found["parity"], found["quantized"])


def _write_network(written: Written, folder: Path, say: Say) -> tuple[Parity, Quantized | None]:
    """`model.onnx` as float32 or, calibrated on crops, as int8."""
    crops, outputs = written.crops, written.outputs
    few = None if crops is None else crops[:REAL_CROPS]
    if not written.int8:
        return export_onnx(written.network, written.spec, folder / MODEL, crops=few, outputs=outputs), None
    assert crops is not None
    whole = folder / "float32.onnx"
    parity = export_onnx(written.network, written.spec, whole, crops=few, outputs=outputs)
    say("Quantizing …")
    quantized = quantize_onnx(whole, crops, folder / MODEL, say=say)
    whole.unlink()
    return parity, quantized


def licence_facts(weights: str, data: str, base: Licence | None = None) -> dict[str, Any]:
    """The manifest's words on licences: of the weights, and of the data that they learnt from.

    `base` is the licence of the bundle that the weights began with, or were taught by. Nobody says here that commercial
    use is allowed; that the terms of the data, or of the base, forbid it is known, and stays.
    """
    facts = {
        "code": "Apache-2.0",
        "weights": weights,
        "data": data or "not stated",
        "commercial": False if _FORBIDS.search(f"{weights} {data}") else None,
    }
    if base is None:
        return facts
    facts |= {key: _joined(str(facts[key]), its) for key, its in (("weights", base.weights), ("data", base.data))}
    if base.commercial is False:
        rests_on = base.note or f"weights: {base.weights}; data: {base.data}"
        heading = "what this is derived from forbids commercial use: "
        facts |= {"commercial": False, "note": heading + rests_on.removeprefix(heading)}
    return facts


def _joined(own: str, base: str) -> str:
    """Words on a bundle with those on what it is derived from; what these say already is not said again."""
    return base if own in base else f"{own}; derived from: {base}"


def tell_dropped(bundle: Bundle, say: Say) -> None:
    """Say that a bundle tells age and gender, where it does, and that what is made of its network will not."""
    if bundle.manifest.attributes is not None:
        name = bundle.manifest.name
        say(f"{name} tells age and gender too; what is made of it here gives embeddings alone. Keep {name} for these.")
