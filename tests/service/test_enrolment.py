from __future__ import annotations

import shutil
from datetime import UTC, date, datetime

import numpy as np
import pytest
from PIL import Image

from likeness.gallery import open_gallery
from likeness.service import EnrolOptions, FoundPhoto, People, find_photos
from likeness.types import Consent


@pytest.fixture
def empty(tmp_path, recognizer):
    gallery = open_gallery(tmp_path / "new.gallery", space=recognizer.space, dimension=recognizer.dimension)
    with People(gallery, recognizer, actor="tests") as opened:
        yield opened


def enrol(people, paths, name=None, **options):
    return list(people.enroll(find_photos(paths, name=name, named=True), EnrolOptions(**options)))


@pytest.fixture
def album(samples, names):
    return sorted((samples / "people" / names[0].replace(" ", "_")).glob("*.jpg"))


def test_a_folder_of_folders_enrols_everybody_under_their_folders_name(people, names):
    assert [person.name for person in people.find()] == names
    assert all(person.faces >= 2 for person in people.find())


def test_enrolling_again_adds_nothing_and_decodes_nothing(empty, album, monkeypatch):
    first = enrol(empty, album, "Anna", pick="largest")
    monkeypatch.setattr(empty.recognizer, "photo", lambda source: pytest.fail("decoded a photo that is enrolled"))
    again = enrol(empty, album, "Anna", pick="largest")
    assert {outcome.status for outcome in first} == {"added"}
    assert [(outcome.status, outcome.face_id, outcome.earlier) for outcome in again] == [
        ("duplicate", outcome.face_id, True) for outcome in first
    ]


def test_a_copy_under_another_file_name_is_a_duplicate(empty, album, tmp_path):
    shutil.copy(album[0], tmp_path / "other.jpg")
    outcomes = enrol(empty, [album[0], tmp_path / "other.jpg"], "Anna", pick="largest")
    assert [outcome.status for outcome in outcomes] == ["added", "duplicate"]


def test_one_face_under_two_names_is_refused_within_a_run_and_in_a_later_one(empty, album, tmp_path):
    shutil.copy(album[0], tmp_path / "Bo.jpg")
    shutil.copy(album[0], tmp_path / "Anna.jpg")
    outcomes = enrol(empty, [tmp_path], pick="largest")
    assert [(o.status, o.error and o.error["code"]) for o in outcomes] == [
        ("added", None),
        ("refused", "face_of_another"),
    ]
    assert enrol(empty, [album[0]], "Cleo", pick="largest")[0].error["code"] == "face_of_another"


def test_refused_photos_are_remembered_until_settings_change_or_again_is_said(empty, samples, monkeypatch):
    photo = [samples / "landscape.jpg"]
    assert enrol(empty, photo, "Anna")[0].error["code"] == "no_face"
    later = enrol(empty, photo, "Anna")[0]
    assert (later.status, later.earlier, later.error["code"]) == ("refused", True, "no_face")
    assert not enrol(empty, photo, "Anna", again=True)[0].earlier
    assert not enrol(empty, photo, "Anna", pick="largest")[0].earlier
    assert not enrol(empty, photo, "Bo")[0].earlier


def test_several_faces_are_refused_unless_one_is_picked(empty, samples):
    photo = [samples / "group.jpg"]
    assert enrol(empty, photo, "Anna")[0].error["code"] == "several_faces"
    taken = enrol(empty, photo, "Anna", pick="largest")[0]
    assert taken.status == "added"
    assert taken.note.startswith("the largest of")


def test_a_poor_face_is_refused_with_its_reasons_and_passes_without_the_gate(empty, album, tmp_path):
    dark = np.asarray(Image.open(album[0]).convert("RGB")) // 8
    Image.fromarray(dark).save(tmp_path / "dark.png")
    refused = enrol(empty, [tmp_path / "dark.png"], "Anna", pick="largest")[0]
    assert refused.error["code"] == "face_rejected"
    assert "too dark" in refused.error["message"]
    assert enrol(empty, [tmp_path / "dark.png"], "Anna", pick="largest", gate=False)[0].status == "added"


def test_a_bad_file_is_refused_with_its_reason_and_the_rest_is_done(empty, album, tmp_path):
    (tmp_path / "empty.jpg").touch()
    (tmp_path / "text.jpg").write_text("hello")
    (tmp_path / "cut.jpg").write_bytes(album[0].read_bytes()[:2000])
    paths = [tmp_path / "empty.jpg", tmp_path / "text.jpg", tmp_path / "cut.jpg", tmp_path / "gone.jpg", album[0]]
    outcomes = enrol(empty, paths, "Anna", pick="largest")
    assert [outcome.error and outcome.error["code"] for outcome in outcomes] == [
        "photo_empty",
        "photo_unsupported",
        "photo_truncated",
        "photo_missing",
        None,
    ]


def test_notes_on_refusals_hold_no_name(empty, tmp_path):
    photo = tmp_path / "Anna_Lee.jpg"
    photo.write_text("not a picture")
    [outcome] = enrol(empty, [photo])
    assert "Anna" not in outcome.error["message"]


def test_consent_and_retention_are_stored(empty, album):
    consent = Consent("signed form 12", datetime.now(UTC), "tests")
    enrol(empty, album[:1], "Anna", pick="largest", consent=consent, retain_until=date(2040, 1, 1))
    person = empty.gallery.person("Anna")
    assert person.consent == consent
    assert person.retain_until == date(2040, 1, 1)


def test_consent_stated_later_reaches_people_enrolled_before(empty, album):
    enrol(empty, album, "Anna", pick="largest")
    enrol(empty, album, "Anna", pick="largest", retain_until=date(2041, 1, 1))
    assert empty.gallery.person("Anna").retain_until == date(2041, 1, 1)


@pytest.mark.parametrize("name", ["p_0123456789abcdef", "Anna\x1b[31m", " "])
def test_a_name_that_cannot_be_one_is_refused_and_the_rest_is_done(empty, album, name):
    photos = [FoundPhoto(str(album[0]), name), FoundPhoto(str(album[1]), "Anna")]
    refused, done = empty.enroll(photos, EnrolOptions(pick="largest"))
    assert (refused.status, refused.error["code"]) == ("refused", "input_invalid")
    assert done.status == "added"


def test_a_file_name_in_another_encoding_is_enrolled(empty, album, tmp_path):
    shutil.copy(album[0], str(tmp_path).encode() + b"/caf\xe9.jpg")
    [outcome] = enrol(empty, [tmp_path], "Anna", pick="largest")
    assert outcome.status == "added"


def test_asked_to_stop_it_writes_what_was_looked_at_and_goes_on_from_there_later(empty, samples):
    photos = list(find_photos([samples / "people"], named=True))
    seen = []

    def stop() -> bool:
        seen.append(1)
        return len(seen) == 5

    options = EnrolOptions(pick="largest")
    first = list(empty.enroll(photos, options, stop=stop))
    assert len(first) == 5
    assert empty.gallery.info().faces == 5
    rest = list(empty.enroll(photos, options))
    assert [outcome.status for outcome in rest] == ["duplicate"] * 5 + ["added"] * (len(photos) - 5)


def test_what_was_finished_before_an_unexpected_error_is_written_and_the_error_goes_on(empty, album, monkeypatch):
    work = empty.recognizer.photo

    def photo(source):
        decoded = work(source)
        if decoded.sha256 == last:
            raise RuntimeError("the network broke")
        return decoded

    last = work(album[-1]).sha256
    monkeypatch.setattr(empty.recognizer, "photo", photo)
    run = empty.enroll(find_photos(album, name="Anna"), EnrolOptions(pick="largest"))
    outcomes = [next(run) for _ in album[:-1]]
    with pytest.raises(RuntimeError, match="broke"):
        next(run)
    assert [outcome.path for outcome in outcomes] == [str(path) for path in album[:-1]]
    assert {face.id for face in empty.gallery.faces()} == {outcome.face_id for outcome in outcomes}
    assert empty.gallery.events()[-1].action == "enroll"


def test_the_audit_trail_tells_who_was_enrolled_by_ids_only(empty, album):
    [outcome] = enrol(empty, album[:1], "Anna", pick="largest")
    [event] = [event for event in empty.gallery.events() if event.action == "enroll"]
    assert event.actor == "tests"
    assert event.details == {"faces": {outcome.person_id: [outcome.face_id]}}


def test_a_photo_that_names_nobody_is_refused_and_the_rest_is_done(empty, album, tmp_path):
    shutil.copy(album[0], tmp_path / "IMG_0001.jpg")
    shutil.copy(album[0], tmp_path / "Anna_1.jpg")
    outcomes = enrol(empty, [tmp_path], pick="largest")
    assert [outcome.error and outcome.error["code"] for outcome in outcomes] == [None, "name_missing"]
