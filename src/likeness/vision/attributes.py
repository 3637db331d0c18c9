"""Crops to apparent ages and genders: networks that tell nothing else, and what embedders tell beside embeddings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from likeness.apparent import AttributeCalibration
from likeness.bundle import ATTRIBUTES, Bundle, Library
from likeness.errors import BundleCorrupt, CalibrationError, ModelError
from likeness.types import Age, Gender, Pixels, Vector
from likeness.vision.crop_network import CropNetwork

AGE_LOGITS, GENDER_LOGIT = "age_logits", "gender_logit"
AUTO, NONE = "auto", "none"
"""Values of the setting `attributes` that name no bundle."""


@dataclass(frozen=True, slots=True, eq=False)
class AttributeLogits:
    """What a network says of `n` faces.

    Attributes:
        age: `(n, bins)` float32; the manifest says which years the bins are.
        gender: `(n,)` float32, positive for female.
    """

    age: Vector
    gender: Vector

    @classmethod
    def of(cls, outputs: Mapping[str, NDArray[Any]], bundle: Bundle) -> AttributeLogits:
        """Those among a network's outputs.

        Raises:
            BundleCorrupt: the network gives other outputs than its manifest says, or numbers that are none.
        """
        manifest = bundle.manifest
        wanted = manifest.attributes
        missing = [name for name in (AGE_LOGITS, GENDER_LOGIT) if name not in outputs]
        if wanted is None or missing:
            what = f"its network has no output {missing[0]}" if missing else "its manifest has no part `attributes`"
            raise BundleCorrupt(f"the bundle {manifest.name} tells no age and gender: {what}")
        age, gender = outputs[AGE_LOGITS], outputs[GENDER_LOGIT]
        if age.shape != (len(age), wanted.age_bins) or gender.shape != (len(age),):
            raise BundleCorrupt(
                f"the network of {manifest.name} gives {AGE_LOGITS} of shape {age.shape} and {GENDER_LOGIT} of shape "
                f"{gender.shape}; its manifest says {wanted.age_bins} ages"
            )
        if not (np.isfinite(age).all() and np.isfinite(gender).all()):
            raise BundleCorrupt(f"the network of {manifest.name} gives ages or genders that are no numbers")
        return cls(age, gender)


class TellsAttributes(Protocol):
    """A network that tells age and gender. Thread-safe."""

    def crop(self, pixels: Pixels, landmarks_px: Vector) -> Pixels:
        """The face with these landmarks `(5, 2)`, as the network takes it."""
        ...

    def attribute_logits(self, crops: Pixels) -> AttributeLogits:
        """Age and gender logits of at least one crop `(n, s, s, 3)`."""
        ...


class AttributeNetwork(CropNetwork):
    """The network of a bundle of the role `attributes`; thread-safe."""

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        super().__init__(bundle, threads=threads)
        self._bundle = bundle

    def attribute_logits(self, crops: Pixels) -> AttributeLogits:
        """Age and gender logits of at least one crop `(n, side_px, side_px, 3)`.

        Raises:
            ValueError: the crops have another shape or type.
            BundleCorrupt: the network gives other outputs than its manifest says.
        """
        return AttributeLogits.of(self.outputs(crops), self._bundle)


class Teller:
    """Turns a bundle's logits into ages and genders by its calibration.

    Raises:
        CalibrationError: the bundle carries none.
    """

    def __init__(self, bundle: Bundle) -> None:
        manifest = bundle.manifest
        if manifest.attributes is None:
            raise ModelError(
                f"the model {manifest.name} tells no age and gender",
                hint="`likeness models list` says what each model does; the setting attributes = none tells nothing",
            )
        if not bundle.has(ATTRIBUTES):
            raise CalibrationError(
                f"the model {manifest.name} carries no calibration of age and gender, so nothing is told of them",
                hint=f"fit one: likeness calibrate {manifest.name} DATASET --attributes --in-place",
            )
        self.bundle = bundle
        self._years = manifest.attributes.years
        self._calibration = AttributeCalibration.read(bundle.path(ATTRIBUTES))

    def tell(self, logits: AttributeLogits) -> list[tuple[Age, Gender]]:
        """Apparent age and gender of each face."""
        ages = self._calibration.ages(logits.age, self._years)
        return list(zip(ages, self._calibration.genders(logits.gender), strict=True))


def choose_attributes(
    wanted: str, library: Library, embedder: Bundle, say: Callable[[str], None] = lambda text: None
) -> Bundle | None:
    """The bundle that tells age and gender by the setting `attributes`; None where none does.

    `auto` takes the embedder's if it tells them, else one that came with the installation, first one that does
    nothing else; one that is not calibrated is passed over, which `say` is told.

    Raises:
        ModelNotFound, LicenceForbids: the bundle that is named cannot be had.
    """
    if wanted == NONE:
        return None
    if wanted != AUTO:
        return library.find(wanted)
    shipped = sorted(library.shipped(), key=lambda each: each.manifest.role != "attributes")
    for bundle in (embedder, *shipped):
        if bundle.manifest.attributes is None:
            continue
        if bundle.has(ATTRIBUTES):
            return bundle
        say(f"{bundle.manifest.name} tells age and gender, but is not calibrated for it (likeness calibrate).")
    return None
