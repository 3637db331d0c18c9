"""What is known of each model bundle, made or not: role, licences, and whether its files are as they should be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from likeness.bundle import Bundle, Library, Manifest
from likeness.errors import BundleCorrupt, LikenessError, ModelNotFound
from likeness.settings import Settings
from likeness.types import Vector
from likeness.vision.attributes import AUTO, NONE, choose_attributes

State = Literal["ready", "not made yet", "damaged"]


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """A bundle as far as it is known: `folder` is None for one that is made at its first use."""

    name: str
    state: State
    manifest: Manifest | None
    folder: Path | None = None
    error: LikenessError | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"name": self.name, "state": self.state, "folder": self.folder and str(self.folder)}
        if self.manifest is not None:
            data |= self.manifest.model_dump(mode="json")
        if self.error is not None:
            data["error"] = self.error.as_dict()
        return data


def all_models(library: Library, *, verify: bool = False) -> Iterator[ModelFacts]:
    """All bundles that can be found or made, by name."""
    return (model_facts(library, name, verify=verify) for name in sorted(library.names()))


def model_facts(library: Library, name: str, *, verify: bool = False) -> ModelFacts:
    """One bundle, without making it; with `verify` its files are read and compared with the manifest.

    Raises:
        ModelNotFound: there is no such bundle and no entry for it.
    """
    if not library.ready(name) and name in library.names():
        return ModelFacts(name, "not made yet", library.manifest(name))
    bundle: Bundle | None = None
    try:
        bundle = library.find(name, to_use=False)
        if verify:
            bundle.verify()
    except ModelNotFound:
        raise
    except LikenessError as error:
        if bundle is None:
            return ModelFacts(name, "damaged", None, error=error)
        return ModelFacts(name, "damaged", bundle.manifest, bundle.folder, error)
    return ModelFacts(name, "ready", bundle.manifest, bundle.folder)


def names_in_use(settings: Settings) -> set[str]:
    """Names of the bundles that the settings take; what tells age and gender is found as a recognizer finds it."""
    library, names = settings.library(), {settings.detector, settings.embedder}
    if settings.attributes not in (AUTO, NONE) or not library.ready(settings.embedder):
        return names | ({settings.attributes} - {AUTO, NONE})
    try:
        chosen = choose_attributes(settings.attributes, library, library.find(settings.embedder, to_use=False))
    except LikenessError:
        return names
    return names if chosen is None else names | {chosen.manifest.name}


def alignment_of_space(library: Library, space: str) -> tuple[Vector, int]:
    """How crops of an embedding space are aligned: the template `(5, 2)` and the crop's side, both in pixels.

    Raises:
        ModelNotFound: no bundle of that space is known.
    """
    for facts in all_models(library):
        manifest = facts.manifest
        if manifest is not None and manifest.embedding is not None and manifest.embedding.space == space:
            return alignment_of(manifest)
    raise ModelNotFound(
        f"no model bundle with the embedding space {space!r} is known, so the stored crops' alignment is not either",
        hint="put the bundle that the gallery was made with into the folder of your own models",
    )


def alignment_of(manifest: Manifest) -> tuple[Vector, int]:
    """How an embedder's crops are aligned: the template `(5, 2)` and the crop's side, both in pixels.

    Raises:
        BundleCorrupt: the manifest does not say.
    """
    if manifest.alignment is None or manifest.input is None:
        raise BundleCorrupt(f"the bundle {manifest.name} lacks alignment or input in its manifest")
    return np.array(manifest.alignment.template_px, np.float32), manifest.input.side_px
