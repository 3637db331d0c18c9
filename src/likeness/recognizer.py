"""Photo → faces → embeddings → matches → Answer: the library's front door.

```python
from likeness import Recognizer, open_gallery

recognizer = Recognizer()
gallery = open_gallery("people.gallery", space=recognizer.space, dimension=recognizer.dimension)
for answer in recognizer.identify("party.jpg", gallery):
    print(answer.decision, answer.match, answer.reason)
```
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import islice
from typing import TypeVar

import numpy as np

from likeness.bundle import Bundle
from likeness.calibration import Calibration
from likeness.decision import decide_pair, decide_search
from likeness.errors import CalibrationError, ModelError, NoFace, SeveralFaces, SpaceMismatch
from likeness.gallery.base import Extent, Gallery
from likeness.settings import Settings
from likeness.spread import spread
from likeness.types import Answer, Comparison, Face, Photo, Pixels, Vector
from likeness.vision.attributes import Teller, TellsAttributes, choose_attributes
from likeness.vision.crop_network import CropNetwork
from likeness.vision.decode import DecodeLimits, decode_photo, photo_from_array
from likeness.vision.detect import Detections, Detector
from likeness.vision.embed import Embedder
from likeness.vision.quality import QualityGate
from likeness.vision.session import available_cores

Source = bytes | str | os.PathLike[str] | Pixels | Photo
T = TypeVar("T")
R = TypeVar("R")

CANDIDATES = 10


@dataclass(frozen=True, slots=True, eq=False)
class CutFace:
    """A face (with crop) cut out of its photo, so that the networks can look at it without that.

    `attribute_crop` `(s, s, 3)` uint8 is the one for age and gender, where their network wants another.
    """

    face: Face
    attribute_crop: Pixels | None = None


class Recognizer:
    """Finds, describes, compares and names faces. Thread-safe; models load when first used.

    Args:
        settings: None takes `Settings.load()`: file, environment, defaults.
        say: told, in a sentence, before something slow is done for the first time.
        threads: cores for one network run; None takes `settings.threads`. `map` uses cores for photos instead.
    """

    def __init__(
        self,
        settings: Settings | None = None,
        *,
        say: Callable[[str], None] = lambda text: None,
        threads: int | None = None,
    ) -> None:
        self.settings = settings or Settings.load()
        self._library = self.settings.library(say)
        self._say = say
        self._threads = self.settings.threads if threads is None else threads
        self.gate = QualityGate()
        self.limits = DecodeLimits(max_bytes=self.settings.max_photo_bytes, max_pixels=self.settings.max_photo_pixels)

    @cached_property
    def detector(self) -> Detector:
        """The detector in use."""
        detector: Detector = self._detector_bundle.load(threads=self._threads)
        return detector

    @cached_property
    def _detector_bundle(self) -> Bundle:
        return self._in_role(self.settings.detector, "detector", "--detector")

    @cached_property
    def _embedder_bundle(self) -> Bundle:
        return self._in_role(self.settings.embedder, "embedder", "--model")

    def _in_role(self, name: str, role: str, option: str) -> Bundle:
        bundle = self._library.find(name)
        if bundle.manifest.role != role:
            given, wanted = (
                f"an {each}" if each[0] in "aeiou" else f"a {each}" for each in (bundle.manifest.role, role)
            )
            raise ModelError(
                f"{name} is {given}; the setting {role} ({option}) takes {wanted}",
                hint="`likeness models list` says what each model does",
            )
        return bundle

    @cached_property
    def embedder(self) -> Embedder:
        """The embedder in use."""
        embedder: Embedder = self._embedder_bundle.load(threads=self._threads)
        return embedder

    @cached_property
    def teller(self) -> Teller | None:
        """What tells apparent age and gender by the setting `attributes`; None where nothing does.

        Raises:
            ModelError: the bundle that is named tells none. CalibrationError: it is not calibrated for it.
        """
        bundle = choose_attributes(self.settings.attributes, self._library, self._embedder_bundle, self._say)
        return None if bundle is None else Teller(bundle)

    @cached_property
    def attribute_network(self) -> TellsAttributes | None:
        """The network behind `teller`: the embedder itself where that tells them."""
        if self.teller is None or self.teller.bundle == self._embedder_bundle:
            return None if self.teller is None else self.embedder
        network: TellsAttributes = self.teller.bundle.load(threads=self._threads)
        return network

    @cached_property
    def calibration(self) -> Calibration:
        """What similarities of this embedder mean.

        Raises:
            CalibrationError: the bundle carries none, or one of another embedding space.
        """
        if not self._embedder_bundle.has("calibration"):
            raise CalibrationError(
                f"the model bundle {self.settings.embedder} carries no calibration, so it gives no probabilities"
            )
        calibration = Calibration.read(self._embedder_bundle.path("calibration"))
        if calibration.space != self.space:
            raise CalibrationError(
                f"the calibration of the model bundle {self.settings.embedder} was fitted for embeddings of "
                f"{calibration.space!r}, not of {self.space!r}"
            )
        return calibration

    @property
    def fingerprint(self) -> tuple[str, ...]:
        """What faces and embeddings depend on: the models' files and parameters, and the settings for looking."""
        bundles = (self._detector_bundle, self._embedder_bundle)
        return (
            *(bundle.fingerprint for bundle in bundles),
            f"{self.settings.photo_side_px} {self.settings.min_face_px}",
        )

    @property
    def model_names(self) -> dict[str, str]:
        """Names of the bundles in use, by role; `attributes` only where one tells age and gender."""
        names = {"detector": self._detector_bundle, "embedder": self._embedder_bundle}
        if self.teller is not None:
            names["attributes"] = self.teller.bundle
        return {role: bundle.manifest.name for role, bundle in names.items()}

    @property
    def space(self) -> str:
        """Embedding space of the vectors made here."""
        return self.embedder.space

    @property
    def dimension(self) -> int:
        """Numbers in an embedding."""
        return self.embedder.dimension

    def photo(self, source: Source) -> Photo:
        """Decode a photo from a path, a file's bytes or an array `(h, w, 3)`; a `Photo` passes through.

        Raises:
            PhotoError: it cannot be decoded; the class says why.
        """
        if isinstance(source, Photo):
            return source
        if isinstance(source, np.ndarray):
            return photo_from_array(source)
        return decode_photo(source, limits=self.limits, target_side_px=self.settings.photo_side_px)

    def faces(
        self, source: Source, *, embed: bool = True, attributes: bool = True, largest: bool = False
    ) -> list[Face]:
        """All faces in a photo, largest first; with `largest` that one only.

        Without `embed` no embeddings, without `attributes` no apparent age and gender: neither runs a network then.

        Raises:
            PhotoError: the photo cannot be decoded.
        """
        [faces] = self.faces_of([self.photo(source)], embed=embed, attributes=attributes, largest=largest)
        return faces

    def faces_of(
        self, photos: Sequence[Photo], *, embed: bool = True, attributes: bool = True, largest: bool = False
    ) -> list[list[Face]]:
        """All faces of each photo, as `faces`; the networks look at all photos' crops together."""
        found = [self.cut(photo, attributes=attributes, largest=largest) for photo in photos]
        looked = iter(self.look_at([cut for cuts in found for cut in cuts], embed=embed, attributes=attributes))
        return [list(islice(looked, len(cuts))) for cuts in found]

    def cut(self, photo: Photo, *, attributes: bool = True, largest: bool = False) -> list[CutFace]:
        """The faces that are found on a photo, largest first, cut out: what `look_at` needs, and no more."""
        faces = self._found(photo)[: 1 if largest else None]
        network = self.attribute_network if attributes else None
        if network is None or self._crops_serve(network):
            return [CutFace(face) for face in faces]
        return [
            CutFace(face, network.crop(photo.pixels, (face.landmarks_px / photo.scale).astype(np.float32)))
            for face in faces
        ]

    def look_at(self, cuts: Sequence[CutFace], *, embed: bool = True, attributes: bool = True) -> list[Face]:
        """Faces that were cut out, with what the networks say of them; one pass where one network says all.

        Raises:
            ValueError: a face has no crop, or lacks the one for age and gender.
        """
        faces = [cut.face for cut in cuts]
        network = self.attribute_network if attributes else None
        if not faces or not (embed or network is not None):
            return faces
        crops = np.stack([_given(face.crop) for face in faces])
        if network is None:
            return _with_embeddings(faces, self.embedder.embed(crops))
        vectors: Vector | None
        if network is self.embedder and embed:
            vectors, logits = self.embedder.embed_and_tell(crops)
        else:
            serve = self._crops_serve(network)
            logits = network.attribute_logits(crops if serve else np.stack([_given(c.attribute_crop) for c in cuts]))
            vectors = self.embedder.embed(crops) if embed else None
        if vectors is not None:
            faces = _with_embeddings(faces, vectors)
        assert self.teller is not None  # there is a network
        told = self.teller.tell(logits)
        return [replace(face, age=age, gender=gender) for face, (age, gender) in zip(faces, told, strict=True)]

    def _crops_serve(self, network: TellsAttributes) -> bool:
        """Whether the embedder's crops are those that the network for age and gender wants."""
        return network is self.embedder or (isinstance(network, CropNetwork) and network.crops_like(self.embedder))

    def _found(self, photo: Photo) -> list[Face]:
        """The faces that the detector finds, largest first, as yet without what other networks say of them."""
        least = self.settings.min_face_px
        found = self.detector.detect(photo.pixels, min_face_px=None if least is None else least / photo.scale)
        return sorted(self._describe(photo, found), key=lambda face: -face.area_px)

    def face(self, source: Source, *, only: bool = False) -> Face:
        """The largest face of a photo; with `only` it must be the only one.

        Raises:
            NoFace: there is none.
            SeveralFaces: there are more, and `only` was asked for.
        """
        photo = self.photo(source)
        found = self.faces(photo)
        if not found:
            raise self.no_face(photo)
        if only and len(found) > 1:
            raise SeveralFaces(f"the photo shows {len(found)} faces where one is needed", hint="crop it to one face")
        return found[0]

    def no_face(self, photo: Photo) -> NoFace:
        """The error for a photo on which no face was found; its hint says how large a face must be there."""
        least, hint = self.settings.min_face_px, "a face should not be far in profile"
        if least is not None:
            return NoFace("no face was found", hint=f"{hint}, and at least {least:.0f} pixels wide (min_face_px)")
        least = self.detector.smallest_face_px(photo.pixels) * photo.scale
        return NoFace(
            "no face was found",
            hint=f"{hint}, and on this photo at least {least:.0f} pixels wide; "
            "the setting min_face_px looks for smaller ones",
        )

    def identify(self, source: Source, gallery: Gallery) -> list[Answer]:
        """Who each face of a photo is, largest face first; empty for a photo without faces.

        Raises:
            PhotoError: the photo cannot be decoded.
        """
        return self.name(self.faces(source), gallery)

    def name(self, faces: Sequence[Face], gallery: Gallery, *, candidates: int = CANDIDATES) -> list[Answer]:
        """Who each of these faces (with embeddings) is; the match and runners-up are the nearest `candidates` people.

        Raises:
            SpaceMismatch: the gallery holds vectors of another model; similarities to them would mean nothing.
        """
        if not faces:
            return []
        extent = gallery.extent()
        self.expect_space(extent)
        hits = gallery.search(embeddings_of(faces), candidates)
        return [
            decide_search(face, found, extent.people, extent.faces, self.calibration, self.settings)
            for face, found in zip(faces, hits, strict=True)
        ]

    def expect_space(self, held: Extent) -> None:
        """Refuse a gallery whose vectors are of another model: similarities to them would mean nothing.

        Raises:
            SpaceMismatch: they are.
        """
        if held.space != self.space:
            raise SpaceMismatch(
                f"{held.uri} holds vectors of {held.space!r}, this recognizer makes vectors of {self.space!r}",
                hint="use the model it was made with, or re-embed it: likeness gallery re-embed",
            )

    def verify(self, first: Source | Face, second: Source | Face) -> Comparison:
        """Whether two faces (with embeddings) are one person's; of a photo the largest face is taken.

        Raises:
            NoFace: one of the photos shows none.
        """
        one, other = (given if isinstance(given, Face) else self.face(given) for given in (first, second))
        return decide_pair(one, other, self.calibration, self.settings)

    def map(self, work: Callable[[T], R], items: Iterable[T], *, workers: int | None = None) -> Iterator[R]:
        """Run `work` on many items with one photo per core at a time, and give the results in order.

        Fastest where `threads=1`: whole photos spread better over cores than single networks do.
        """
        yield from spread(work, items, workers or self.settings.threads or available_cores())

    def _describe(self, photo: Photo, found: Detections) -> Iterator[Face]:
        scale = photo.scale
        for box, landmarks, score in zip(found.boxes_xyxy_px, found.landmarks_px, found.scores, strict=True):
            crop = self.embedder.crop(photo.pixels, landmarks)
            x1, y1, x2, y2 = (float(value) * scale for value in box)
            places = (landmarks * scale).astype(np.float32)
            quality = self.gate.judge(crop, places, (x1, y1, x2, y2), float(score), photo.size_px)
            yield Face((x1, y1, x2, y2), places, float(score), quality, crop=crop)


def _given(crop: Pixels | None) -> Pixels:
    if crop is None:
        raise ValueError("expected faces with crops, got one without")
    return crop


def _with_embeddings(faces: Sequence[Face], vectors: Vector) -> list[Face]:
    return [replace(face, embedding=vector) for face, vector in zip(faces, vectors, strict=True)]


def embeddings_of(faces: Sequence[Face]) -> Vector:
    """The embeddings of faces as rows `(n, d)`.

    Raises:
        ValueError: a face has none.
    """
    vectors = [face.embedding for face in faces if face.embedding is not None]
    if len(vectors) != len(faces):
        raise ValueError(f"expected faces with embeddings, got {len(faces) - len(vectors)} without")
    return np.stack(vectors)
