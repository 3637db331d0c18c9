"""CompreFace's REST API on our gallery: `likeness serve --compatible compreface`; see docs/compatible.md."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Path, Query, Response

from likeness.recognizer import CANDIDATES
from likeness.server.access import KeyFirst
from likeness.server.app import Part
from likeness.server.compreface import collection
from likeness.server.compreface.answers import (
    BODY_FAILURES,
    FAILURES,
    PHOTO_FAILURES,
    Teller,
    plugins_of,
    rounded,
    shape,
    similar,
    tells,
)
from likeness.server.compreface.schemas import (
    DeletedAnswer,
    DetectAnswer,
    EmbeddingsBody,
    ExampleAnswer,
    ExampleQuery,
    ExamplesAnswer,
    FileForm,
    LookingQuery,
    OfSubjectQuery,
    PageQuery,
    PairAnswer,
    PairForm,
    PredictionsQuery,
    RecognizeAnswer,
    RecognizeEmbeddingsAnswer,
    RecognizeQuery,
    SubjectAnswer,
    SubjectBody,
    SubjectsAnswer,
    TargetsBody,
    UpdatedAnswer,
    VerifyEmbeddingsAnswer,
    VerifyExampleAnswer,
)
from likeness.server.compreface.work import AgainstExample, Name, Pair, Sought, ranked
from likeness.server.context import Admin, Enroller, Here, Reader
from likeness.server.enrolling import error_of, found_photo
from likeness.server.uploads import body_of, bytes_of, read
from likeness.server.work import Enrol
from likeness.service import EnrolOptions

router = APIRouter(prefix="/api/v1", route_class=KeyFirst, tags=["compreface"])

Subject = Annotated[str, Path(description="A subject's name.", min_length=1, max_length=200)]
ImageId = Annotated[UUID, Path(description="Id of an example.")]
File = Annotated[FileForm, Depends(read(FileForm))]
Embeddings = Annotated[EmbeddingsBody, Depends(read(EmbeddingsBody))]
Targets = Annotated[TargetsBody, Depends(read(TargetsBody))]
_FILE = body_of(FileForm)
_EMBEDDINGS, _TARGETS = (body_of(model, form=False) for model in (EmbeddingsBody, TargetsBody))


def part() -> Part:
    """The routes, and how their errors look."""
    families = ("recognition", "verification", "detection")
    return Part(routers=(router,), shapes={f"/api/v1/{family}": shape for family in families})


@router.post("/recognition/subjects", response_model=SubjectAnswer, status_code=201, responses=BODY_FAILURES)
async def add_subject(actor: Enroller, here: Here, asked: Annotated[SubjectBody, Body()]) -> Any:
    """Add a subject without an example."""
    person = await here.call(actor, lambda people: people.create(asked.subject))
    return {"subject": person.name}


@router.get("/recognition/subjects", response_model=SubjectsAnswer, responses=FAILURES)
async def list_subjects(actor: Reader, here: Here) -> Any:
    """List the names of all subjects."""
    return {"subjects": await here.call(actor, lambda people: [person.name for person in people.find()])}


@router.put("/recognition/subjects/{subject}", response_model=UpdatedAnswer, responses=BODY_FAILURES)
async def rename_subject(subject: Subject, actor: Enroller, here: Here, asked: Annotated[SubjectBody, Body()]) -> Any:
    """Rename a subject; where the new name is another one's, the two become one."""
    return {"updated": await here.call(actor, lambda people: collection.rename(people, subject, asked.subject))}


@router.delete("/recognition/subjects/{subject}", response_model=SubjectAnswer, responses=FAILURES)
async def delete_subject(subject: Subject, actor: Admin, here: Here) -> Any:
    """Erase a subject with all examples."""
    name = await here.call(actor, lambda people: people.gallery.person(subject).name)
    await here.call(actor, lambda people: people.forget(name))
    return {"subject": name}


@router.delete("/recognition/subjects", response_model=DeletedAnswer, responses=FAILURES)
async def delete_subjects(actor: Admin, here: Here) -> Any:
    """Erase all subjects."""
    people_gone, _ = await here.call(actor, lambda people: collection.erase(people, None))
    return {"deleted": people_gone}


@router.post(
    "/recognition/faces",
    response_model=ExampleAnswer,
    status_code=201,
    responses=PHOTO_FAILURES,
    openapi_extra=_FILE,
)
async def add_example(actor: Enroller, here: Here, query: Annotated[ExampleQuery, Query()], asked: File) -> Any:
    """Enrol a photo of a subject; answered when it is durable. A photo that is there already keeps its id."""
    photo = found_photo(asked.file, query.subject, await bytes_of(asked.file, here.fetcher))
    options = EnrolOptions(pick="only", gate=False, least_score=query.det_prob_threshold)
    [outcome] = await here.wait(here.engine.enrol(Enrol((photo,), options), actor))
    if outcome.error is not None or outcome.face_id is None:
        raise error_of(outcome.error or {"code": "input_invalid", "message": "the photo was not enrolled"})
    return {"image_id": collection.image_id_of(outcome.face_id), "subject": outcome.name}


@router.get("/recognition/faces", response_model=ExamplesAnswer, responses=FAILURES)
async def list_examples(actor: Reader, here: Here, query: Annotated[PageQuery, Query()]) -> Any:
    """List the examples of a subject, or of all, a page at a time."""
    found = await here.call(
        actor, lambda people: collection.page_of(people, query.subject or None, query.page, query.size)
    )
    return {
        "faces": [{"image_id": collection.image_id_of(face), "subject": name} for face, name in found.pictures],
        "page_number": query.page,
        "page_size": found.size,
        "total_pages": -(-found.total // found.size),
        "total_elements": found.total,
    }


@router.delete("/recognition/faces", response_model=DeletedAnswer, responses=FAILURES)
async def delete_examples(actor: Admin, here: Here, query: Annotated[OfSubjectQuery, Query()]) -> Any:
    """Erase a subject, or all, with their examples; how many examples it were."""
    _, faces = await here.call(actor, lambda people: collection.erase(people, query.subject or None))
    return {"deleted": faces}


@router.delete("/recognition/faces/{image_id}", response_model=ExampleAnswer, responses=FAILURES)
async def delete_example(image_id: ImageId, actor: Admin, here: Here) -> Any:
    """Erase an example; its subject stays."""
    face_id = collection.face_id_of(image_id)
    name = await here.call(actor, lambda people: collection.erase_picture(people, face_id))
    return {"image_id": str(image_id), "subject": name}


@router.post("/recognition/faces/delete", response_model=list[ExampleAnswer], responses=BODY_FAILURES)
async def delete_some(actor: Admin, here: Here, asked: Annotated[list[UUID], Body(max_length=1000)]) -> Any:
    """Erase examples; those that are not there are passed over."""
    gone = await here.call(actor, lambda people: collection.erase_pictures(people, asked))
    return [{"image_id": str(image_id), "subject": name} for image_id, name in gone]


@router.get(
    "/recognition/faces/{image_id}/img",
    response_class=Response,
    responses=FAILURES
    | {200: {"content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}}},
)
async def download_example(image_id: ImageId, actor: Reader, here: Here) -> Response:
    """Give an example's picture, which is the aligned face, as JPEG; no bytes where there is none."""
    data = await here.call(actor, lambda people: collection.picture_bytes(people, image_id))
    return Response(data, media_type="application/octet-stream")


@router.post(
    "/recognition/recognize",
    response_model=RecognizeAnswer,
    response_model_exclude_none=True,
    responses=PHOTO_FAILURES,
    openapi_extra=_FILE,
)
async def recognize(actor: Reader, here: Here, query: Annotated[RecognizeQuery, Query()], asked: File) -> Any:
    """Say which subjects each face of a photo is most like."""
    tell, count = Teller(query, here.engine.people.recognizer), query.prediction_count

    def work(photos: tuple[bytes, ...]) -> Name:
        limit = query.limit if query.detect_faces else 1
        return Name(photos, limit, query.det_prob_threshold, attributes=tells(query), candidates=max(count, CANDIDATES))

    found = await here.ask(work, actor, asked.file)
    return tell.whole(
        tell.face(answer.face, found.photo.size_px) | {"subjects": similar(ranked(answer, count))}
        for answer in found.answers
    )


@router.post(
    "/recognition/faces/{image_id}/verify",
    response_model=VerifyExampleAnswer,
    response_model_exclude_none=True,
    responses=PHOTO_FAILURES,
    openapi_extra=_FILE,
)
async def verify_example(
    image_id: ImageId, actor: Reader, here: Here, query: Annotated[LookingQuery, Query()], asked: File
) -> Any:
    """Say how probably each face of a photo is the one of an example."""
    tell, face_id = Teller(query, here.engine.people.recognizer), collection.face_id_of(image_id)

    def work(photos: tuple[bytes, ...]) -> AgainstExample:
        return AgainstExample(photos, query.limit, query.det_prob_threshold, attributes=tells(query), face_id=face_id)

    seen, subject, probabilities = await here.ask(work, actor, asked.file)
    return tell.whole(
        tell.face(face, seen.size_px) | {"subject": subject, "similarity": rounded(probability)}
        for face, probability in zip(seen.faces, probabilities, strict=True)
    )


@router.post(
    "/recognition/embeddings/recognize",
    response_model=RecognizeEmbeddingsAnswer,
    responses=PHOTO_FAILURES,
    openapi_extra=_EMBEDDINGS,
)
async def recognize_embeddings(
    actor: Reader, here: Here, query: Annotated[PredictionsQuery, Query()], asked: Embeddings
) -> Any:
    """Say which subjects each embedding is most like."""
    work = collection.name_vectors(asked.embeddings, max(query.prediction_count, CANDIDATES), actor)
    answers = await here.call(actor, work)
    found = [similar(ranked(answer, query.prediction_count)) for answer in answers]
    return {
        "result": [
            {"embedding": embedding, "similarities": similarities}
            for embedding, similarities in zip(asked.embeddings, found, strict=True)
        ]
    }


@router.post(
    "/recognition/embeddings/faces/{image_id}/verify",
    response_model=VerifyEmbeddingsAnswer,
    responses=PHOTO_FAILURES,
    openapi_extra=_EMBEDDINGS,
)
async def verify_embeddings_with_example(image_id: ImageId, actor: Reader, here: Here, asked: Embeddings) -> Any:
    """Say how probably each embedding is of the person of an example."""
    work = collection.compare_vectors(collection.face_id_of(image_id), asked.embeddings)
    return _matched(asked.embeddings, await here.call(actor, work))


@router.post(
    "/verification/embeddings/verify",
    response_model=VerifyEmbeddingsAnswer,
    responses=PHOTO_FAILURES,
    openapi_extra=_TARGETS,
)
async def verify_embeddings(actor: Reader, here: Here, asked: Targets) -> Any:
    """Say how probably each embedding is of the person of another one."""
    return _matched(asked.targets, await here.call(actor, collection.compare_vectors(asked.source, asked.targets)))


@router.post(
    "/verification/verify",
    response_model=PairAnswer,
    response_model_exclude_none=True,
    responses=PHOTO_FAILURES,
    openapi_extra=body_of(PairForm),
)
async def verify(
    actor: Reader,
    here: Here,
    query: Annotated[LookingQuery, Query()],
    asked: Annotated[PairForm, Depends(read(PairForm))],
) -> Any:
    """Say how probably each face of a photo is the only face of another one."""
    tell = Teller(query, here.engine.people.recognizer)

    def work(photos: tuple[bytes, ...]) -> Pair:
        return Pair(photos, query.limit, query.det_prob_threshold, attributes=tells(query))

    found = await here.ask(work, actor, asked.source_image, asked.target_image)
    matches = [
        tell.face(face, found.targets.size_px) | {"similarity": rounded(probability)}
        for face, probability in zip(found.targets.faces, found.probabilities, strict=True)
    ]
    source = tell.face(found.source, found.source_size_px)
    return {"result": [{"source_image_face": source, "face_matches": matches} | tell.versions()]}


@router.post(
    "/detection/detect",
    response_model=DetectAnswer,
    response_model_exclude_none=True,
    responses=PHOTO_FAILURES,
    openapi_extra=_FILE,
)
async def detect(actor: Reader, here: Here, query: Annotated[LookingQuery, Query()], asked: File) -> Any:
    """Find the faces of a photo."""
    tell, embed = Teller(query, here.engine.people.recognizer), "calculator" in plugins_of(query)

    def work(photos: tuple[bytes, ...]) -> Sought:
        return Sought(photos, query.limit, query.det_prob_threshold, embed=embed, attributes=tells(query))

    seen = await here.ask(work, actor, asked.file)
    return tell.whole((tell.face(face, seen.size_px) for face in seen.faces), calculates=False)


def _matched(embeddings: list[list[float]], probabilities: list[float]) -> dict[str, Any]:
    """Embeddings with their probabilities, likeliest first."""
    pairs = sorted(zip(embeddings, probabilities, strict=True), key=lambda pair: -pair[1])
    return {
        "result": [{"embedding": embedding, "similarity": rounded(probability)} for embedding, probability in pairs]
    }
