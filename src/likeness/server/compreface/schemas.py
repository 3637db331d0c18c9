"""Requests and answers as CompreFace 1.2 has them."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from likeness.server.schemas import Answering, Unit
from likeness.server.uploads import DataField, PhotoForm

_Number = Annotated[float, Field(ge=-1e6, le=1e6)]
LONGEST_VECTOR = 4096
MOST_PREDICTIONS = 1000
MOST_EMBEDDINGS = 1000
Vector = Annotated[list[_Number], Field(min_length=1, max_length=LONGEST_VECTOR, fail_fast=True)]
_MOST_PARTS = MOST_EMBEDDINGS * LONGEST_VECTOR + LONGEST_VECTOR


class FileForm(PhotoForm):
    """A photo."""

    model_config = ConfigDict(extra="ignore")

    file: DataField


class PairForm(PhotoForm):
    """A photo of one person, and one on which they are looked for."""

    model_config = ConfigDict(extra="ignore")

    source_image: DataField
    target_image: DataField


class SubjectBody(BaseModel):
    """A subject's name."""

    subject: str = Field(min_length=1, max_length=200)


class EmbeddingsBody(PhotoForm):
    """Embeddings, as the plugin `calculator` gives them."""

    model_config = ConfigDict(extra="ignore")
    most_parts = _MOST_PARTS

    embeddings: list[Vector] = Field(max_length=MOST_EMBEDDINGS, fail_fast=True)


class TargetsBody(PhotoForm):
    """An embedding, and those it is compared with."""

    model_config = ConfigDict(extra="ignore")
    most_parts = _MOST_PARTS

    source: Vector
    targets: list[Vector] = Field(max_length=MOST_EMBEDDINGS, fail_fast=True)


class LookingQuery(BaseModel):
    """Which faces, and what of them."""

    limit: int = Field(0, ge=0, description="How many faces, largest first; 0 is all.")
    det_prob_threshold: float = Field(0.0, ge=0, le=1, description="Faces that are less certainly faces are left out.")
    face_plugins: str = Field("", max_length=200, description="Of age, gender, landmarks, calculator; by commas.")
    status: bool = Field(False, description="Tell the time it took, and the models.")


class RecognizeQuery(LookingQuery):
    """The same, and how many subjects."""

    prediction_count: int = Field(1, ge=1, le=MOST_PREDICTIONS, description="How many subjects for each face.")
    detect_faces: bool = Field(True, description="False: the photo is one face; the largest that is found is taken.")


class PredictionsQuery(BaseModel):
    """How many subjects."""

    prediction_count: int = Field(1, ge=1, le=MOST_PREDICTIONS, description="How many subjects for each embedding.")


class ExampleQuery(BaseModel):
    """Whose example it is."""

    subject: str = Field(min_length=1, max_length=200)
    det_prob_threshold: float = Field(0.0, ge=0, le=1, description="Faces that are less certainly faces are left out.")


class PageQuery(BaseModel):
    """Which part of the list."""

    page: int = Field(0, ge=0)
    size: int = Field(20, ge=1, description="At most 1000 are given.")
    subject: str | None = Field(None, max_length=200)


class OfSubjectQuery(BaseModel):
    """Whose."""

    subject: str | None = Field(None, max_length=200, description="All subjects, where none is named.")


class FailedAnswer(Answering):
    """An error."""

    message: str
    code: int


class SubjectAnswer(Answering):
    """A subject."""

    subject: str


class SubjectsAnswer(Answering):
    """All subjects."""

    subjects: list[str]


class UpdatedAnswer(Answering):
    """Whether the name is another one now."""

    updated: bool


class DeletedAnswer(Answering):
    """How many went."""

    deleted: int


class ExampleAnswer(Answering):
    """An example of a subject."""

    image_id: str
    subject: str


class ExamplesAnswer(Answering):
    """A page of examples."""

    faces: list[ExampleAnswer]
    page_number: int
    page_size: int
    total_pages: int
    total_elements: int


class BoxAnswer(Answering):
    """Where a face is, in pixels, and how certainly it is one."""

    probability: Unit
    x_max: int
    y_max: int
    x_min: int
    y_min: int


class AgeAnswer(Answering):
    """A range of years, and the share of faces whose apparent age lies in theirs."""

    probability: Unit
    high: int
    low: int


class GenderAnswer(Answering):
    """Apparent gender."""

    probability: Unit
    value: str


class FoundFace(Answering):
    """A face, with what the plugins that were named tell."""

    box: BoxAnswer
    age: AgeAnswer | None = None
    gender: GenderAnswer | None = None
    landmarks: list[list[int]] | None = None
    embedding: list[float] | None = None
    execution_time: dict[str, float] | None = None


class SimilarSubject(Answering):
    """A subject, and the probability that it is the one asked for."""

    subject: str
    similarity: Unit


class RecognizedFace(FoundFace):
    """A face, and whom it may show, likeliest first."""

    subjects: list[SimilarSubject]


class MatchedFace(FoundFace):
    """A face, and the probability that it is the other one's person."""

    similarity: Unit


class VerifiedFace(MatchedFace):
    """The same against an example of a subject."""

    subject: str


class DetectAnswer(Answering):
    """Faces."""

    result: list[FoundFace]
    plugins_versions: dict[str, str] | None = None


class RecognizeAnswer(Answering):
    """Faces and whom they may show."""

    result: list[RecognizedFace]
    plugins_versions: dict[str, str] | None = None


class VerifyExampleAnswer(Answering):
    """Faces against an example."""

    result: list[VerifiedFace]
    plugins_versions: dict[str, str] | None = None


class PairResult(Answering):
    """The source's face, and the target's faces against it."""

    source_image_face: FoundFace
    face_matches: list[MatchedFace]
    plugins_versions: dict[str, str] | None = None


class PairAnswer(Answering):
    """One result."""

    result: list[PairResult]


class RecognizedEmbedding(Answering):
    """An embedding, and whom it may show."""

    embedding: list[float]
    similarities: list[SimilarSubject]


class RecognizeEmbeddingsAnswer(Answering):
    """Embeddings and whom they may show."""

    result: list[RecognizedEmbedding]


class MatchedEmbedding(Answering):
    """An embedding, and the probability that it is the other one's person."""

    embedding: list[float]
    similarity: Unit


class VerifyEmbeddingsAnswer(Answering):
    """Embeddings, likeliest first."""

    result: list[MatchedEmbedding]
