"""Enrolled pictures are kept in a storage as well, under the person's name, and go when the person goes."""

from __future__ import annotations

import io
import os
import secrets
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from likeness.errors import ExtraMissing, SettingsError, StorageError
from likeness.gallery import open_gallery
from likeness.gallery.base import NewFace
from likeness.service import EnrolOptions, People, find_photos
from likeness.service.media import folder_of, pictures_of
from likeness.service.strips import joined
from likeness.storage import open_storage
from likeness.vision.decode import decode_photo
from s3_server import CREDENTIALS


@pytest.fixture(params=["folder", "s3"])
def uri(request, tmp_path, monkeypatch):
    """Where pictures are to be kept."""
    if request.param == "folder":
        return str(tmp_path / "kept")
    import boto3

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    address = request.getfixturevalue("s3_address")
    bucket = f"kept-{secrets.token_hex(4)}"
    boto3.client("s3", endpoint_url=address).create_bucket(Bucket=bucket)
    return f"s3://{bucket}/people?endpoint_url={address}"


@pytest.fixture
def opened(recognizer, tmp_path):
    """Opens a gallery whose pictures are kept at a storage's URI."""
    galleries = []

    def call(uri):
        settings = recognizer.settings.model_copy(update={"storage": uri})
        from likeness.recognizer import Recognizer

        gallery = open_gallery(tmp_path / "own.gallery", space=recognizer.space, dimension=recognizer.dimension)
        people = People(gallery, Recognizer(settings, threads=1), actor="tests")
        galleries.append(people)
        return people

    yield call
    for people in galleries:
        people.close()


@pytest.fixture
def photos(samples):
    """Two photos of the first sample person, one of the second."""
    first, second, *_ = sorted((samples / "people").iterdir())
    return sorted(first.glob("*.jpg"))[:2], sorted(second.glob("*.jpg"))[:1]


def enrol(people, photos, name):
    return list(people.enroll(find_photos([str(path) for path in photos], name=name), EnrolOptions(pick="largest")))


def keys(uri):
    with open_storage(uri) as storage:
        try:
            return [each.key for each in storage.list()]
        except StorageError:
            return []


def test_enrolled_pictures_lie_in_a_folder_of_the_persons_name_and_go_with_them(opened, uri, photos):
    people = opened(uri)
    first = enrol(people, photos[0], "Anna Lee")
    assert [outcome.status for outcome in first] == ["added", "added"]
    enrol(people, photos[1], "Bo Ng")
    kept = keys(uri)
    assert [key.partition("/")[0] for key in kept] == ["anna_lee", "anna_lee", "bo_ng"]
    with open_storage(uri) as storage:
        for face in _faces(people, "Anna Lee"):
            ((key, crop),) = pictures_of("Anna Lee", face)
            data = storage.read(key)
            assert data.startswith(b"\x89PNG")
            assert np.array_equal(np.asarray(Image.open(io.BytesIO(data))), decode_photo(crop).pixels)

    people.forget_picture("Anna Lee", first[0].face_id)
    assert len(keys(uri)) == 2
    people.forget("Anna Lee")
    assert [key.partition("/")[0] for key in keys(uri)] == ["bo_ng"]
    people.forget("Bo Ng")
    assert keys(uri) == []


def test_pictures_follow_a_new_name_and_a_merge(opened, uri, photos):
    people = opened(uri)
    enrol(people, photos[0], "Anna Lee")
    enrol(people, photos[1], "Bo Ng")
    people.rename("Anna Lee", "Ann O'Hara")
    folders = {key.partition("/")[0] for key in keys(uri)}
    assert folders == {"bo_ng", folder_of("Ann O'Hara")}
    people.merge("Ann O'Hara", "Bo Ng")
    assert [key.partition("/")[0] for key in keys(uri)] == ["bo_ng"] * 3
    assert people.compare_media().missing == []
    people.forget("Bo Ng")
    assert keys(uri) == []


def test_a_name_spelled_otherwise_stays_in_its_folder(opened, tmp_path, photos):
    people = opened(str(tmp_path / "kept"))
    enrol(people, photos[0], "Anna Lee")
    before = keys(str(tmp_path / "kept"))
    people.rename("Anna Lee", "ANNA LEE")
    assert keys(str(tmp_path / "kept")) == before
    enrol(people, photos[1], "anna lee")
    assert len(keys(str(tmp_path / "kept"))) == 3


def test_a_storage_that_fails_refuses_the_photo_with_a_reason_and_the_next_run_takes_it(opened, tmp_path, photos):
    (tmp_path / "kept").write_text("a file where the folder should be")
    people = opened(str(tmp_path / "kept"))
    refused = enrol(people, photos[0], "Anna Lee")
    assert [outcome.status for outcome in refused] == ["refused", "refused"]
    assert all(outcome.error["code"].startswith("storage_") and outcome.person_id is None for outcome in refused)
    assert people.gallery.info().faces == 0
    (tmp_path / "kept").unlink()
    assert [outcome.status for outcome in enrol(people, photos[0], "Anna Lee")] == ["added", "added"]
    assert len(keys(str(tmp_path / "kept"))) == 2


def test_a_storage_that_is_away_does_not_keep_the_gallery_from_forgetting_and_mending_finishes_it(
    opened, tmp_path, photos
):
    kept = tmp_path / "kept"
    people = opened(str(kept))
    enrol(people, photos[0], "Anna Lee")
    kept.rename(tmp_path / "away")
    kept.write_text("in the way")
    with pytest.raises(StorageError, match="storage of their pictures is not there") as told:
        people.forget("Anna Lee")
    assert "gallery media --mend" in told.value.hint
    assert people.gallery.info().people == 0
    assert people.gallery.events()[-1].details["complete"] is False
    kept.unlink()
    (tmp_path / "away").rename(kept)
    assert people.compare_media().left_over == []  # young: their faces might be about to be added
    for path in kept.rglob("*.png"):
        os.utime(path, (0, 0))
    assert len(people.compare_media(mend=True).left_over) == 2
    assert list(kept.iterdir()) == []


def test_mending_makes_pictures_anew_and_touches_nobody_elses_files(opened, tmp_path, photos):
    kept = tmp_path / "kept"
    people = opened("")
    enrol(people, photos[0], "Anna Lee")
    with pytest.raises(SettingsError, match="storage"):
        people.compare_media()
    people.close()
    people = opened(str(kept))
    (kept / "anna_lee").mkdir(parents=True)
    for name in ("holiday.png", "0" * 32 + ".jpg"):
        (kept / "anna_lee" / name).write_bytes(b"theirs")
        os.utime(kept / "anna_lee" / name, (0, 0))
    compared = people.compare_media(mend=True)
    assert (compared.kept, len(compared.missing), compared.left_over) == (0, 2, [])
    assert len(keys(str(kept))) == 4
    assert people.compare_media().kept == 2
    people.forget("Anna Lee")
    assert sorted(path.name for path in (kept / "anna_lee").iterdir()) == ["0" * 32 + ".jpg", "holiday.png"]


def test_enrolling_again_keeps_the_same_keys(opened, tmp_path, photos):
    people = opened(str(tmp_path / "kept"))
    enrol(people, photos[0], "Anna Lee")
    before = keys(str(tmp_path / "kept"))
    (tmp_path / "kept" / before[0]).unlink()
    options = EnrolOptions(pick="largest", again=True)
    again = list(people.enroll(find_photos([str(path) for path in photos[0]], name="Anna Lee"), options))
    assert [outcome.status for outcome in again] == ["duplicate", "duplicate"]
    assert keys(str(tmp_path / "kept")) == before


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("Anna Lee", "anna_lee"),
        ("  ANNA LEE ", "anna_lee"),
        ("Zoë李 Müller", "zoë李_müller"),
        ("Jean-Pierre", "jean-pierre"),
        ("ハヤオ", "ハヤオ"),
        ("राम", "राम"),
    ],
)
def test_a_plain_name_is_its_own_folder(name, folder):
    assert folder_of(name) == folder


HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "-rf",
    "Anna/Lee",
    "Anna_Lee",
    "Anna  Lee",
    "Anna.Lee",
    "a\\b",
    "con:",
    "%2e%2e",
    "?*<>|",
    "😀",
    "x" * 200,
    "李" * 200,
    "Anna Lee.0123456789abcdef01234567",
    "a\u200db",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_is_a_harmless_folder(name, tmp_path):
    folder = folder_of(name)
    assert "/" not in folder
    assert folder[0] not in ".-"
    assert len(folder.encode()) <= 130
    assert all(letter.isalnum() or letter in "-_." or ord(letter) > 127 for letter in folder)
    storage = open_storage(tmp_path / "kept")
    ((key, _),) = pictures_of(name, NewFace(name, np.ones(1, np.float32), b"jpeg", "ab"))
    storage.write(key, b"x")
    assert len(list((tmp_path / "kept").iterdir())) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]


def test_two_people_never_share_a_folder():
    names = [*HOSTILE, "Anna Lee", "Anna Lee!", "Anna Lee?", "Anna-Lee", "Anna_Lee_", folder_of("Anna Lee!")]
    assert len({folder_of(name) for name in names}) == len(names)


def test_each_picture_of_a_video_is_kept_and_goes_with_its_face(opened, uri, photos, tmp_path):
    people = opened(uri)
    enrol(people, photos[0], "Anna Lee")
    crops = [face.crop_jpeg for face in _faces(people, "Anna Lee")]
    strip = replace(_new(people, "Bo Ng"), crop_jpeg=joined(crops))
    assert people.media.keep([strip]) == [None]
    people.gallery.add([strip])
    own = [key for key in keys(uri) if key.startswith("bo_ng/")]
    assert len(own) == len(set(own)) == 2
    assert people.compare_media().missing == []
    people.forget("Bo Ng")
    assert len(keys(uri)) == 2


def _new(people, name):
    (face, *_) = people.gallery.faces()
    return NewFace(name, face.embedding, face.crop_jpeg, "0" * 64)


def _faces(people, name):
    return list(people.gallery.faces(people.gallery.person(name).id))


def test_without_the_library_for_a_bucket_enrolling_says_so_at_once(opened, photos, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "s3fs", None)
    people = opened("s3://bucket/people")
    with pytest.raises(ExtraMissing, match="s3fs"):
        enrol(people, photos[0], "Anna Lee")
