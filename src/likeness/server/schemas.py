"""Answers of the native routes, as OpenAPI describes them. Faces, answers and people are those of `likeness.types`."""

from __future__ import annotations

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Unit = Annotated[float, Field(ge=0, le=1)]


class Answering(BaseModel):
    """Base of all answers."""

    model_config = ConfigDict(extra="forbid")


class ErrorBody(Answering):
    """What went wrong."""

    code: str = Field(description="Stable, snake case; docs/api.md lists all of them.")
    message: str
    details: dict[str, Any] = Field(description="`hint`: what to do; `fields`: which fields are wrong.")


class ErrorAnswer(Answering):
    """The one shape of errors."""

    error: ErrorBody
    request_id: str


class Reason(Answering):
    """Why one photo was not used."""

    code: str
    message: str
    hint: str | None = None


class QualityAnswer(Answering):
    """How well a face can serve as a gallery picture."""

    score: Unit
    passes: bool
    reasons: list[str]
    measures: dict[str, float]


class AgeAnswer(Answering):
    """Apparent age in years, and an interval that holds 8 of 10 such faces."""

    years: float
    low: float
    high: float


class GenderAnswer(Answering):
    """Apparent gender."""

    label: Literal["male", "female"]
    probability: Unit


class FaceAnswer(Answering):
    """One face; pixels are those of the upright photo."""

    box: list[float] = Field(description="x1, y1, x2, y2 in pixels.", min_length=4, max_length=4)
    landmarks: list[list[float]] = Field(description="Left eye, right eye, nose, mouth's left and right, as seen.")
    score: Unit
    quality: QualityAnswer
    age: AgeAnswer | None = None
    gender: GenderAnswer | None = None
    embedding: list[float] | None = Field(None, description="Of unit length; where it was asked for.")


class FacesAnswer(Answering):
    """The faces of a photo, largest first."""

    size: list[int] = Field(description="Width and height of the upright photo in pixels.")
    faces: list[FaceAnswer]


class Candidate(Answering):
    """Somebody in the gallery a face may show."""

    person_id: str
    name: str
    face_id: int
    similarity: float = Field(description="Cosine of the two embeddings.")
    probability: Unit
    fmr: Unit = Field(description="Share of pairs of strangers at least as similar.")
    fpir: Unit = Field(description="Share of strangers of whom somebody in this gallery would be as similar.")


class Named(Answering):
    """A person's id and name."""

    id: str
    name: str


class IdentityAnswer(Answering):
    """Who one face is."""

    decision: Literal["match", "unknown", "unsure"]
    reason: str
    person: Named | None
    similarity: float | None
    probability: Unit | None
    fmr: Unit | None
    fpir: Unit | None
    candidates: list[Candidate]
    face: FaceAnswer


class IdentifyAnswer(Answering):
    """Who the faces of a photo are, largest first."""

    size: list[int]
    answers: list[IdentityAnswer]


class TwinEntry(Candidate):
    """One lookalike."""

    rank: int
    rarer_than: Unit | None = Field(description="Share of people here whose own nearest double is less alike.")
    profile: dict[str, Any]


class TwinsAnswer(Answering):
    """A face's lookalikes, nearest first."""

    face: FaceAnswer
    twins: list[TwinEntry]
    left_out: list[Candidate] = Field([], description="Whose face it is, where only others were asked for.")


class VerifyAnswer(Answering):
    """Whether two faces show one person."""

    decision: Literal["match", "unknown", "unsure"]
    reason: str
    similarity: float
    probability: Unit
    fmr: Unit
    faces: list[FaceAnswer]


class ConsentAnswer(Answering):
    """Why a person's data may be kept."""

    basis: str
    at: datetime
    source: str


class PersonAnswer(Answering):
    """Somebody in the gallery."""

    id: str
    name: str
    faces: int
    created_at: datetime
    profile: dict[str, Any]
    consent: ConsentAnswer | None
    retain_until: date | None


class ProfileAnswer(Answering):
    """A person's profile card, and where it was asked for, what a source of such cards knows."""

    id: str
    name: str
    profile: dict[str, Any]
    looked_up: dict[str, Any] | None = None


class PictureAnswer(Answering):
    """An enrolled picture's facts."""

    id: int
    source: str
    quality: Unit
    photo_sha256: str
    created_at: datetime


class PersonWithPictures(PersonAnswer):
    """A person and the facts of their pictures."""

    pictures: list[PictureAnswer]


class PeopleAnswer(Answering):
    """A page of people, by name."""

    people: list[PersonAnswer]
    next: str | None = Field(description="Cursor of the next page; null on the last one.")


class FrameOutcome(Answering):
    """What became of one frame of a video."""

    time_s: float
    outcome: Literal["kept", "spare", "refused"]
    code: str | None = None
    message: str | None = None


class FramePicture(Answering):
    """A frame that was kept."""

    time_s: float
    quality: Unit


class ClipOutcome(Answering):
    """What became of a video's frames."""

    frames: int = Field(description="Looked at.")
    kept: int
    spare: int = Field(description="Good ones that show nothing which those kept do not.")
    refused: dict[str, int] = Field(description="By reason.")
    each_frame: list[FrameOutcome]
    people: int | None = None
    pictures: list[FramePicture] | None = Field(None, description="Best first.")
    read_s: float | None = Field(None, description="So much of a longer video was looked at.")


class PhotoOutcome(Answering):
    """What became of one photo."""

    index: int = Field(description="Which photo of the request, from 0.")
    photo: str = Field(description="The name of its file, where it came with one.")
    status: Literal["added", "duplicate", "refused"]
    face_id: int | None = None
    quality: Unit | None = None
    note: str | None = None
    error: Reason | None = None
    clip: ClipOutcome | None = Field(None, description="Of a video.")


class EnrolAnswer(Answering):
    """What became of photos offered for one person; some may be refused while others are added."""

    person: PersonAnswer | None = Field(description="null where nobody has that name, as no photo could be used.")
    photos: list[PhotoOutcome]
    added: int
    refused: int


class ProofAnswer(Answering):
    """What was looked for after an erasure, in which places, and what was found."""

    at: datetime
    proved: bool
    method: Literal["files", "answers"]
    files_scanned: int
    bytes_scanned: int
    patterns: int = Field(description="Pieces of what identified the person that were looked for, and questions asked.")
    found: int
    shared: int = Field(description="Pieces that are there because they are also somebody else's who stays.")
    covers: str = Field(description="What the proof is about, and what not.")
    audit_seal: str = Field(description="Of the audit trail, this proof included.")


class ErasedAnswer(Answering):
    """What an erasure reached."""

    person_id: str
    faces_erased: int
    snapshots_purged: int
    snapshots_not_found: int = Field(description="Snapshots not at their place any more; one moved still holds them.")
    proof: ProofAnswer | None = Field(None, description="Where one was asked for.")


class GalleryAnswer(Answering):
    """What the gallery holds."""

    engine: str
    space: str
    dimension: int
    people: int
    faces: int
    index: str
    bytes_on_disk: int
    snapshots: int | None = None
    readonly: bool = False


class ModelAnswer(Answering):
    """A model bundle."""

    name: str
    state: Literal["ready", "not made yet", "damaged"]
    in_use: bool
    role: str | None = None
    version: str | None = None
    space: str | None = None
    dimension: int | None = None
    licence: dict[str, Any] | None = None
    metrics: Any = None


class ModelsAnswer(Answering):
    """All model bundles."""

    models: list[ModelAnswer]


class HealthAnswer(Answering):
    """The process lives."""

    status: Literal["ok"]
    version: str


class ReadyAnswer(Answering):
    """Whether requests are answered, and what waits."""

    status: Literal["ready", "not ready"]
    waiting: int
    reasons: list[str] = []
