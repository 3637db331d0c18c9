"""The sample photos do what they are for: found, matched to their person, told from strangers, and small."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from likeness.bundle import Bundle
from likeness.settings import Settings
from likeness.types import Vector
from likeness.vision.decode import decode_photo

SAMPLES = Path(__file__).parents[1] / "samples"
RECORD: dict[str, Any] = json.loads((SAMPLES / "samples.json").read_text("utf-8"))
PORTRAITS = [
    *(path for person in RECORD["people"] for path in (*person["files"], person["probe"])),
    *RECORD["strangers"],
]


@dataclass(frozen=True)
class Seen:
    """What the models say of every portrait: detection scores, and plain and flip-averaged embeddings."""

    scores: dict[str, Vector]
    plain: dict[str, Vector]
    flipped: dict[str, Vector]


@pytest.fixture(scope="module")
def seen() -> Seen:
    library = Settings().library()
    detector = library.find("mtcnn").load(threads=1)
    bundle = library.find("dlib-resnet-int8")
    plainly = bundle.manifest.model_copy(update={"parameters": bundle.manifest.parameters | {"flip": False}})
    embedder = Bundle(bundle.folder, plainly).load(threads=1)
    scores, crops = {}, []
    for name in PORTRAITS:
        photo = decode_photo(SAMPLES / name)
        found = detector.detect(photo.pixels)
        assert len(found), f"no face in {name}"
        scores[name] = found.scores
        crops.append(embedder.crop(photo.pixels, found.landmarks_px[0]))
    plain = embedder.embed(np.stack(crops))
    mean = plain + embedder.embed(np.stack(crops)[:, :, ::-1].copy())
    mean /= np.linalg.norm(mean, axis=1, keepdims=True)
    return Seen(scores, dict(zip(PORTRAITS, plain, strict=True)), dict(zip(PORTRAITS, mean, strict=True)))


@pytest.fixture(params=["plain", "flipped"])
def vectors(seen: Seen, request: pytest.FixtureRequest) -> dict[str, Vector]:
    return getattr(seen, request.param)


def album(person: dict[str, Any], vectors: dict[str, Vector]) -> Vector:
    return np.stack([vectors[name] for name in person["files"]])


@pytest.mark.parametrize("name", PORTRAITS)
def test_every_portrait_shows_one_sure_face(seen: Seen, name: str) -> None:
    assert len(seen.scores[name]) == 1
    assert seen.scores[name][0] > 0.98


def test_photos_of_one_person_are_nearer_than_any_of_another(vectors: dict[str, Vector]) -> None:
    albums = [album(person, vectors) for person in RECORD["people"]]
    genuine = min((photos @ photos.T).min() for photos in albums)
    impostor = max((a @ b.T).max() for k, a in enumerate(albums) for b in albums[:k])
    assert genuine >= 0.955
    assert impostor <= 0.925


def test_every_probe_is_nearest_to_its_own_person(vectors: dict[str, Vector]) -> None:
    people = RECORD["people"]
    for person in people:
        nearest = max(people, key=lambda other: (album(other, vectors) @ vectors[person["probe"]]).max())
        assert nearest["name"] == person["name"]
        assert (album(person, vectors) @ vectors[person["probe"]]).min() > 0.955


def test_strangers_are_far_from_everybody(vectors: dict[str, Vector]) -> None:
    enrolled = np.concatenate([album(person, vectors) for person in RECORD["people"]])
    for name in RECORD["strangers"]:
        assert (enrolled @ vectors[name]).max() < 0.93, name


def test_the_group_photo_shows_who_it_says_from_left_to_right(seen: Seen) -> None:
    library = Settings().library()
    embedder = library.find("dlib-resnet-int8").load(threads=1)
    photo = decode_photo(SAMPLES / RECORD["group"]["file"])
    found = library.find("mtcnn").load(threads=1).detect(photo.pixels)
    truth = RECORD["group"]["left_to_right"]
    assert len(found) == len(truth) == 5
    for place, name in zip(np.argsort(found.boxes_xyxy_px[:, 0]), truth, strict=True):
        vector = embedder.embed(embedder.crop(photo.pixels, found.landmarks_px[place])[None])[0]
        best = {person["name"]: (album(person, seen.plain) @ vector).max() for person in RECORD["people"]}
        if name is None:
            assert max(best.values()) < 0.93
        else:
            assert max(best, key=lambda other: best[other]) == name
            assert best[name] > 0.945


def test_the_landscape_shows_nobody() -> None:
    photo = decode_photo(SAMPLES / RECORD["no_face"])
    assert len(Settings().library().find("mtcnn").load(threads=1).detect(photo.pixels)) == 0


def test_the_record_lists_exactly_the_files() -> None:
    on_disk = {str(path.relative_to(SAMPLES)) for path in SAMPLES.rglob("*.jpg")}
    assert on_disk == {*PORTRAITS, RECORD["group"]["file"], RECORD["no_face"]}


def test_a_dozen_people_with_photos_and_a_profile() -> None:
    assert len(RECORD["people"]) == 12
    for person in RECORD["people"]:
        assert len(person["files"]) >= 3
        assert person["profile"]["age_years"] >= 18
        assert person["mixed_from"]["faces"] >= 8
        assert person["mixed_from"]["largest_weight"] <= 0.25
        album = person["name"].replace(" ", "_")
        assert {Path(name).parent.name for name in person["files"]} == {album}
        assert json.loads((SAMPLES / "people" / album / "profile.json").read_text("utf-8")) == person["profile"]


def test_the_folder_stays_small() -> None:
    total = sum(path.stat().st_size for path in SAMPLES.rglob("*") if path.is_file() and path.suffix != ".pyc")
    assert total < 2_000_000
