from __future__ import annotations

import json
import zipfile
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from likeness.bundle import Bundle, write_manifest
from likeness.errors import (
    Conflict,
    InputError,
    NoFace,
    PersonExists,
    PersonNotFound,
    PictureNotFound,
    SpaceMismatch,
    StorageError,
)
from likeness.gallery.base import NewFace, PhotoNote
from likeness.recognizer import Recognizer
from likeness.service import find_photos, open_people, verify
from likeness.service.elsewhere import Elsewhere
from likeness.service.people import People
from likeness.settings import Settings
from likeness.types import Consent


def probe(samples, name):
    return samples / "probes" / f"{name.replace(' ', '_')}_new.jpg"


def actions(people):
    return [event.action for event in people.gallery.events()]


def test_new_photos_of_everybody_are_named_rightly(people, samples, names):
    found = list(people.identify(find_photos([probe(samples, name) for name in names])))
    best = [item.answers[0].match.name for item in found]
    assert best == names
    assert sum(item.answers[0].decision == "match" for item in found) >= 0.75 * len(names)


def test_a_stranger_is_not_matched(people, samples):
    strangers = [path for path in sorted((samples / "probes").glob("*.jpg")) if not path.stem.endswith("_new")]
    found = list(people.identify(find_photos(strangers)))
    assert found
    assert all(item.answers[0].decision != "match" for item in found)


def test_identifying_is_recorded_once_for_many_photos_and_without_names(people, samples, names):
    before = len(people.gallery.events())
    list(people.identify(find_photos([samples / "probes"])))
    [event] = people.gallery.events()[before:]
    assert event.action == "identify"
    assert not any(name in json.dumps(dict(event.details)) for name in names)


def test_identifying_half_of_the_photos_is_recorded_too(people, samples):
    for _ in people.identify(find_photos([samples / "probes"])):
        break
    assert actions(people)[-1] == "identify"


def test_twins_are_ranked_people_each_once(people, samples, names):
    answer = people.twins(probe(samples, names[0]), k=4)
    similarities = [twin.match.similarity for twin in answer.twins]
    assert answer.twins[0].match.name == names[0]
    assert similarities == sorted(similarities, reverse=True)
    assert len({twin.match.person_id for twin in answer.twins}) == 4
    assert all(0 <= twin.rarer_than <= 1 for twin in answer.twins)


def test_somebody_excluded_is_no_twin(people, samples, names):
    answer = people.twins(probe(samples, names[0]), k=20, exclude=[names[0]])
    assert len(answer.twins) == len(names) - 1
    assert names[0] not in {twin.match.name for twin in answer.twins}


def test_of_others_only_the_face_itself_is_left_out_and_said_to_be(people, samples, names):
    everybody = people.twins(probe(samples, names[0]), k=4)
    answer = people.twins(probe(samples, names[0]), k=3, others=True)
    assert [match.name for match in answer.left_out] == [names[0]]
    assert [twin.match.name for twin in answer.twins] == [twin.match.name for twin in everybody.twins[1:]]
    assert [twin.rank for twin in answer.twins] == [1, 2, 3]
    assert answer.as_dict()["left_out"][0]["name"] == names[0]


def test_of_others_a_stranger_has_all_and_nobody_is_left_out(people, samples):
    stranger = samples / "probes" / "stranger_1.jpg"
    answer = people.twins(stranger, k=3, others=True)
    assert answer.left_out == ()
    assert [t.match.name for t in answer.twins] == [t.match.name for t in people.twins(stranger, k=3).twins]


def test_a_twins_picture_is_the_stored_crop(people, samples, names):
    match = people.twins(probe(samples, names[0]), k=1).twins[0].match
    assert people.picture(match.person_id, match.face_id).startswith(b"\xff\xd8")
    with pytest.raises(PictureNotFound, match="has no picture"):
        people.picture(match.person_id, 10**9)


def test_rarity_is_the_share_of_people_with_a_less_similar_double(people, names):
    best = {p.id: max(people.gallery.faces(p.id), key=lambda face: face.quality).embedding for p in people.find()}
    every = [(face.person_id, face.embedding) for face in people.gallery.faces()]
    doubles = [max(float(mine @ other) for owner, other in every if owner != who) for who, mine in best.items()]
    middle = float(np.median(doubles))
    expected = np.mean([double < middle for double in doubles])
    assert people._rarity.rarer_than([middle, 2.0, -2.0]) == pytest.approx([expected, 1.0, 0.0])


def test_rarity_is_asked_anew_when_the_gallery_changes_and_none_without_others(people, samples, names):
    for name in names[1:]:
        people.forget(name)
    [twin] = people.twins(probe(samples, names[0])).twins
    assert twin.rarer_than is None


def test_rarity_is_asked_anew_when_faces_change_hands_and_their_number_does_not(people, names, monkeypatch):
    asked = []
    ask = people._rarity._ask
    monkeypatch.setattr(people._rarity, "_ask", lambda: (asked.append(1), ask())[1])
    people._rarity.rarer_than([0.9])
    people.gallery.record("look", actor="tests")
    people._rarity.rarer_than([0.9])
    assert len(asked) == 1, "an event is no change of the gallery"
    face = next(people.gallery.faces(people.gallery.person(names[0]).id))
    people.gallery.remove(face_id=face.id)
    opposite = NewFace(names[0], -face.embedding, face.crop_jpeg, face.photo_sha256)
    people.gallery.add([opposite])
    people._rarity.rarer_than([0.9])
    assert len(asked) == 2


def test_a_photo_without_a_face_has_no_twins(people, samples):
    with pytest.raises(NoFace):
        people.twins(samples / "landscape.jpg")


def test_two_photos_of_one_person_verify_and_of_two_people_do_not(recognizer, samples, names):
    same = verify(recognizer, probe(samples, names[0]), sorted((samples / "people").glob("*/*.jpg"))[0])
    other = verify(recognizer, probe(samples, names[0]), probe(samples, names[1]))
    assert same.similarity > other.similarity
    assert other.decision != "match"


def test_a_person_is_renamed_and_a_taken_name_refused(people, names):
    before = people.gallery.person(names[0])
    assert people.rename(names[0], "Somebody Else").id == before.id
    with pytest.raises(PersonExists):
        people.rename("Somebody Else", names[1])


def test_merged_people_are_one(people, names):
    first, second = (people.gallery.person(name) for name in names[:2])
    assert people.merge(names[0], names[1]).faces == first.faces + second.faces
    with pytest.raises(PersonNotFound):
        people.gallery.person(names[0])
    with pytest.raises(InputError, match="same person"):
        people.merge(names[1], second.id)


def test_a_forgotten_person_is_found_nowhere_and_snapshots_are_purged(people, samples, names, tmp_path):
    person = people.gallery.person(names[0])
    people.snapshot(tmp_path / "copy.gallery")
    done = people.forget(names[0])
    assert (done.faces, done.snapshots_not_found) == (person.faces, ())
    assert done.snapshots_purged == (str(tmp_path / "copy.gallery"),)
    [found] = people.identify(find_photos([probe(samples, names[0])]))
    assert names[0] not in {match.name for match in (found.answers[0].match, *found.answers[0].runners_up)}
    assert actions(people)[-2] == "forget"
    from likeness.gallery import open_gallery

    with open_gallery(tmp_path / "copy.gallery") as copy, pytest.raises(PersonNotFound):
        copy.person(names[0])


def test_what_is_kept_elsewhere_is_erased_before_a_person_is_and_once_more_when_nobody_finds_them(people, names):
    """Else what a worker writes down while the gallery is being changed would stay."""
    person, there = people.gallery.person(names[0]), []

    class Noted(Elsewhere):
        def erase(self, gone):
            assert gone == person
            there.append(any(each.id == gone.id for each in people.find()))

    people.elsewhere = Noted()
    people.forget(names[0])
    assert there == [True, False]


def test_an_erasure_that_could_not_be_finished_is_in_the_audit_trail(people, names, tmp_path):
    person = people.gallery.person(names[0])
    people.snapshot(tmp_path / "copy.gallery").write_bytes(b"rubbish" * 1000)
    with pytest.raises(StorageError, match=r"copy\.gallery"):
        people.forget(names[0])
    event = people.gallery.events()[-1]
    assert (event.action, event.person_id, event.details["complete"]) == ("forget", person.id, False)
    assert event.details["error"] == "gallery_corrupt"


def test_people_whose_retention_date_has_passed_are_told(people, names):
    today = date(2030, 1, 2)
    for name, day in ((names[0], today - timedelta(days=1)), (names[1], today)):
        people.gallery.update(people.gallery.person(name).id, retain_until=day)
    assert [person.name for person in people.expired(today)] == [names[0]]


@pytest.mark.parametrize("ending", ["", ".zip"])
def test_an_export_holds_everything_of_one_person_and_nobody_else(people, names, tmp_path, ending):
    consent = Consent("signed form", datetime(2026, 1, 2, tzinfo=UTC), "paper")
    person = people.gallery.person(names[0])
    person = people.gallery.update(person.id, consent=consent, retain_until=date(2030, 1, 1))
    people.gallery.note_photos(names[0], [PhotoNote("ab", "no_face", "no face was found")], settings_tag="t")
    target = people.export(names[0], tmp_path / f"out{ending}")
    if ending:
        zipfile.ZipFile(target).extractall(tmp_path)
    folder = tmp_path / "out"
    data = json.loads((folder / "person.json").read_text())
    assert data["id"] == person.id
    assert len(data["pictures"]) == person.faces
    assert all((folder / picture["picture"]).read_bytes()[:2] == b"\xff\xd8" for picture in data["pictures"])
    for picture, face in zip(data["pictures"], people.gallery.faces(person.id), strict=True):
        assert (picture["source"], picture["quality"]) == (face.source, face.quality)
        x1, y1, x2, y2 = picture["box_xyxy_px"]
        assert (x1 < x2, y1 < y2, len(picture["landmarks_px"])) == (True, True, 10)
    assert data["consent"] == {"basis": "signed form", "at": "2026-01-02T00:00:00+00:00", "source": "paper"}
    assert data["retain_until"] == "2030-01-01"
    assert {"outcome": "no_face", "detail": "no face was found"} in data["notes"]
    text = "".join(path.read_text() for path in folder.glob("*.json"))
    others = [other for other in people.find() if other.id != person.id]
    assert not any(other.id in text or other.name in text for other in others)
    assert {line["action"] for line in json.loads((folder / "trail.json").read_text())} == {"enroll", "export"}
    assert target.stat().st_mode & 0o077 == 0


def test_an_export_overwrites_nothing(people, names, tmp_path):
    with pytest.raises(Conflict, match="already"):
        people.export(names[0], tmp_path)


@pytest.fixture
def other_model(recognizer, tmp_path):
    """The same network under another space, with faces a little smaller in larger crops' middle."""
    source = recognizer._embedder_bundle
    folder = tmp_path / "models" / "other"
    folder.mkdir(parents=True)
    for entry in source.manifest.files.values():
        (folder / entry.path).write_bytes((source.folder / entry.path).read_bytes())
    manifest = source.manifest.model_dump(mode="json")
    template = np.array(manifest["alignment"]["template_px"])
    manifest["alignment"]["template_px"] = ((template - 75) * 0.96 + 75).tolist()
    manifest |= {"name": "other", "embedding": manifest["embedding"] | {"space": "other-space"}}
    roles = {key: entry.path for key, entry in source.manifest.files.items()}
    write_manifest(folder, manifest, roles)
    Bundle.read(folder).verify()
    return str(folder)


def test_a_gallery_of_another_space_does_not_open_and_the_error_names_the_remedy(gallery_path, other_model):
    settings = Settings.load({"gallery": str(gallery_path), "embedder": other_model})
    with pytest.raises(SpaceMismatch, match="likeness gallery re-embed"):
        open_people(settings)


def test_re_embedding_moves_the_gallery_to_the_other_model(gallery_path, other_model, samples, names):
    settings = Settings.load({"gallery": str(gallery_path), "embedder": other_model})
    told: list[tuple[int, int]] = []
    with open_people(settings, with_model=False) as people:
        faces = people.gallery.info().faces
        assert people.reembed(progress=lambda done, total: told.append((done, total))) == faces
    assert told[-1] == (faces, faces)
    with open_people(settings) as people:
        assert people.gallery.info().space == "other-space"
        vector = people.recognizer.faces(probe(samples, names[0]), largest=True)[0].embedding
        assert people.gallery.search(vector[None], 1)[0][0].name == names[0]


def test_re_embedded_crops_give_nearly_the_vectors_of_the_photos(gallery_path, other_model, samples, names):
    settings = Settings.load({"gallery": str(gallery_path), "embedder": other_model})
    other = Recognizer(settings, threads=1)
    with open_people(recognizer=other, with_model=False) as people:
        people.reembed()
        for face in list(people.gallery.faces())[:6]:
            direct = other.faces(face.source, largest=True)[0].embedding
            assert float(direct @ face.embedding) > 0.98


def test_a_read_only_gallery_answers_and_says_that_it_records_nothing(gallery_path, recognizer):
    from likeness.gallery import open_gallery

    gallery_path.chmod(0o400)
    said: list[str] = []
    gallery = open_gallery(gallery_path, space=recognizer.space, dimension=recognizer.dimension)
    with People(gallery, recognizer, say=said.append) as people:
        readonly = gallery.info().details["readonly"]
        assert bool(said) == readonly
        assert next(people.find()).faces
