"""The values that travel through Likeness: frozen, slotted, checked once at birth.

Coordinates are pixels of the upright photo (after its EXIF rotation) at full size, x to the right and y down, the
top-left corner of the top-left pixel at (0, 0). Similarities are cosines in [-1, 1]. Probabilities and rates are in
[0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date, datetime
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Vector = NDArray[np.float32]
Decision = Literal["match", "unknown", "unsure"]

LANDMARK_NAMES = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")
"""Order of the five landmarks; left and right are the viewer's."""


@dataclass(frozen=True, slots=True, eq=False)
class Photo:
    """A decoded photo: upright RGB pixels, possibly smaller than the file's picture.

    Attributes:
        pixels: `(h, w, 3)` uint8, RGB.
        size_px: `(width, height)` of the upright picture at full size.
        sha256: hex digest of the file's bytes (of the pixels, for a photo made from an array).
        kind: the file's kind: `jpeg`, `png`, `webp`, `heif`, `tiff`, `gif`, `bmp`, `avif` or `array`.
        frames: how many pictures the file holds; the first one is used.
    """

    pixels: Pixels
    size_px: tuple[int, int]
    sha256: str
    kind: str
    frames: int = 1

    def __post_init__(self) -> None:
        _expect_shape("pixels", self.pixels, (None, None, 3), np.uint8)
        if min(self.pixels.shape[:2]) < 1:
            raise ValueError(f"expected at least one pixel, got shape {self.pixels.shape}")

    @property
    def scale(self) -> float:
        """Full-size pixels per decoded pixel (1.0 where the photo was decoded whole)."""
        return float(self.size_px[0] / self.pixels.shape[1])


@dataclass(frozen=True, slots=True)
class Quality:
    """How well a face can serve as a gallery picture.

    Attributes:
        score: 0 (useless) to 1 (as good as a passport photo).
        reasons: short codes of what is wrong (`small`, `blurred`, `dark`, `bright`, `flat`, `turned`, `cut_off`,
            `faint`); empty for a face that passes the gate.
        measures: the numbers behind them, by name.
    """

    score: float
    reasons: tuple[str, ...] = ()
    measures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        _expect_unit("quality score", self.score)

    @property
    def passes(self) -> bool:
        """Whether the face may be enrolled."""
        return not self.reasons

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "score": round(self.score, 4),
            "passes": self.passes,
            "reasons": list(self.reasons),
            "measures": {name: round(value, 4) for name, value in self.measures.items()},
        }


@dataclass(frozen=True, slots=True)
class Age:
    """Apparent age: `years`, and an interval that holds it for 80% of faces (`low` to `high`), all in years."""

    years: float
    low: float
    high: float

    def __post_init__(self) -> None:
        if not self.low <= self.years <= self.high:
            raise ValueError(f"expected low <= years <= high, got {self.low}, {self.years}, {self.high}")


@dataclass(frozen=True, slots=True)
class Gender:
    """Apparent gender (`male` or `female`, as labelled in the training data) and the probability of it, ≥ 0.5."""

    label: Literal["male", "female"]
    probability: float

    def __post_init__(self) -> None:
        _expect_unit("gender probability", self.probability)


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One face in one photo.

    Attributes:
        box_xyxy_px: `(x1, y1, x2, y2)` in pixels of the full-size photo; may reach past its edge.
        landmarks_px: `(5, 2)` float32, in the order of `LANDMARK_NAMES`.
        score: the detector's confidence, 0 to 1.
        quality: whether and why (not) the face may be enrolled.
        crop: `(s, s, 3)` uint8 RGB, aligned as the embedder wants it; None where it was not asked for.
        embedding: `(d,)` float32 of unit length; None where it was not asked for.
        age, gender: None where the models in use do not tell.
    """

    box_xyxy_px: tuple[float, float, float, float]
    landmarks_px: Vector
    score: float
    quality: Quality
    crop: Pixels | None = None
    embedding: Vector | None = None
    age: Age | None = None
    gender: Gender | None = None

    def __post_init__(self) -> None:
        x1, y1, x2, y2 = self.box_xyxy_px
        if not (x1 < x2 and y1 < y2):
            raise ValueError(f"expected x1 < x2 and y1 < y2, got {self.box_xyxy_px}")
        _expect_shape("landmarks_px", self.landmarks_px, (5, 2), np.float32)
        _expect_unit("face score", self.score)
        if self.crop is not None:
            _expect_shape("crop", self.crop, (None, None, 3), np.uint8)
        if self.embedding is not None:
            check_unit_vectors(self.embedding[None])

    @property
    def area_px(self) -> float:
        """Area of the box in square pixels."""
        x1, y1, x2, y2 = self.box_xyxy_px
        return (x2 - x1) * (y2 - y1)

    def as_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """Plain data for JSON: `box`, `landmarks`, `score`, `quality`, and what else is known of the face."""
        data: dict[str, Any] = {
            "box": [round(float(value), 2) for value in self.box_xyxy_px],
            "landmarks": [[round(float(x), 2), round(float(y), 2)] for x, y in self.landmarks_px],
            "score": round(float(self.score), 4),
            "quality": self.quality.as_dict(),
        }
        if self.age is not None:
            data["age"] = {"years": self.age.years, "low": self.age.low, "high": self.age.high}
        if self.gender is not None:
            data["gender"] = {"label": self.gender.label, "probability": _stated(self.gender.probability)}
        if embedding and self.embedding is not None:
            data["embedding"] = [float(value) for value in self.embedding]
        return data


@dataclass(frozen=True, slots=True)
class Consent:
    """Why a person's biometric data may be kept: `basis` in words, given `at` a time (with zone), through `source`."""

    basis: str
    at: datetime
    source: str = ""

    def __post_init__(self) -> None:
        if self.at.tzinfo is None:
            raise ValueError("expected a time with a zone")


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in a gallery.

    Attributes:
        id: stable, never used again.
        name: as shown; unique in the gallery.
        faces: how many pictures are enrolled.
        profile: what else is known (occupation, birthday …), plain JSON values.
        consent: why the data may be kept, where recorded.
        retain_until: the day after which the person must be erased; None keeps without end.
    """

    id: str
    name: str
    faces: int
    created_at: datetime
    profile: dict[str, Any] = field(default_factory=dict)
    consent: Consent | None = None
    retain_until: date | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        consent = self.consent and {
            "basis": self.consent.basis,
            "at": self.consent.at.isoformat(),
            "source": self.consent.source,
        }
        return {
            "id": self.id,
            "name": self.name,
            "faces": self.faces,
            "created_at": self.created_at.isoformat(),
            "profile": self.profile,
            "consent": consent,
            "retain_until": self.retain_until.isoformat() if self.retain_until else None,
        }


@dataclass(frozen=True, slots=True)
class Match:
    """One candidate for a probe.

    Attributes:
        person_id, name: who.
        face_id: the enrolled picture that is nearest to the probe.
        similarity: cosine between the two embeddings.
        probability: that the probe shows this person, among all in the gallery and strangers (`likeness.calibration`).
        fmr: false-match rate at this similarity: share of pairs of strangers that are at least as similar.
        fpir: false-positive identification rate at it: share of strangers of whom somebody in this gallery would
            be at least as similar.
    """

    person_id: str
    name: str
    face_id: int
    similarity: float
    probability: float
    fmr: float
    fpir: float

    def __post_init__(self) -> None:
        _expect_unit("probability", self.probability)
        _expect_unit("false-match rate", self.fmr)
        _expect_unit("false-positive identification rate", self.fpir)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "person_id": self.person_id,
            "name": self.name,
            "face_id": self.face_id,
            "similarity": round(self.similarity, 4),
            "probability": _stated(self.probability),
            "fmr": float(f"{self.fmr:.3g}"),
            "fpir": float(f"{self.fpir:.3g}"),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """Who a face is: a decision with its reason, the best match and the runners-up.

    `match` is None only where the gallery is empty or the face could not be used.
    """

    face: Face
    decision: Decision
    reason: str
    match: Match | None = None
    runners_up: tuple[Match, ...] = ()

    def __post_init__(self) -> None:
        if self.decision == "match" and self.match is None:
            raise ValueError("expected a match for the decision 'match', got None")

    def as_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """Plain data for JSON."""
        best = self.match
        return {
            "decision": self.decision,
            "reason": self.reason,
            "person": {"id": best.person_id, "name": best.name} if best and self.decision == "match" else None,
            "similarity": round(best.similarity, 4) if best else None,
            "probability": _stated(best.probability) if best else None,
            "fmr": float(f"{best.fmr:.3g}") if best else None,
            "fpir": float(f"{best.fpir:.3g}") if best else None,
            "candidates": [match.as_dict() for match in ((best,) if best else ()) + self.runners_up],
            "face": self.face.as_dict(embedding=embedding),
        }


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Whether two faces show one person (1:1): `match` yes, `unknown` no, `unsure` in between.

    `probability` is that they do, given the prior in the settings; `fmr` the false-match rate at this similarity.
    """

    first: Face
    second: Face
    decision: Decision
    reason: str
    similarity: float
    probability: float
    fmr: float

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "decision": self.decision,
            "reason": self.reason,
            "similarity": round(self.similarity, 4),
            "probability": _stated(self.probability),
            "fmr": float(f"{self.fmr:.3g}"),
            "faces": [self.first.as_dict(), self.second.as_dict()],
        }


@dataclass(frozen=True, slots=True)
class Twin:
    """One lookalike.

    Attributes:
        rank: 1 for the nearest person.
        match: who, which picture, how similar and how probably the same person.
        rarer_than: share of people in this gallery whose own nearest other person is less similar than this
            twin is (0 common, 1 nobody here has so near a double); None where the gallery has fewer than 2 people.
        profile: the person's profile.
    """

    rank: int
    match: Match
    rarer_than: float | None
    profile: dict[str, Any] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        rare = self.rarer_than
        return {
            "rank": self.rank,
            **self.match.as_dict(),
            "rarer_than": None if rare is None else round(rare, 4),
            "profile": self.profile,
        }


@dataclass(frozen=True, slots=True, eq=False)
class TwinAnswer:
    """A face's lookalikes in a gallery, nearest first, one per person.

    Attributes:
        left_out: who is no lookalike because the face is theirs; empty unless only others were asked for.
    """

    face: Face
    twins: tuple[Twin, ...]
    left_out: tuple[Match, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"face": self.face.as_dict(), "twins": [twin.as_dict() for twin in self.twins]}
        if self.left_out:
            data["left_out"] = [match.as_dict() for match in self.left_out]
        return data


def check_unit_vectors(vectors: Vector, dimension: int | None = None) -> None:
    """Raise ValueError unless `vectors` is `(n, dimension)` float32 with rows of unit length (to 1e-3)."""
    _expect_shape("embeddings", vectors, (None, dimension), np.float32)
    lengths = np.linalg.norm(vectors, axis=1)
    if vectors.size and not bool(np.all(np.abs(lengths - 1.0) < 1e-3)):
        worst = float(lengths[np.argmax(np.abs(lengths - 1.0))])
        raise ValueError(f"expected embeddings of unit length, got one of length {worst:.6g}")


def _stated(probability: float) -> float:
    """A probability to six digits, without making a certainty of it by rounding."""
    return min(max(float(f"{probability:.6g}"), 1e-9), 1 - 1e-6)


def _expect_shape(name: str, array: NDArray[Any], shape: tuple[int | None, ...], dtype: type) -> None:
    fits = array.ndim == len(shape) and all(want in (None, got) for want, got in zip(shape, array.shape, strict=True))
    if not fits or array.dtype != dtype:
        wanted = ", ".join("n" if size is None else str(size) for size in shape)
        raise ValueError(f"expected {name} of shape ({wanted}) {np.dtype(dtype)}, got {array.shape} {array.dtype}")


def _expect_unit(name: str, value: float) -> None:
    if not 0.0 <= value <= 1.0:
        raise ValueError(f"expected {name} in [0, 1], got {value}")
