"""The audit trail of a gallery that several people ask: who did what, and whether it is whole."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from likeness.errors import InputError, PersonNotFound, PictureNotFound
from likeness.gallery.base import NewFace
from likeness.service import find_photos


def probe(samples, name):
    return samples / "probes" / f"{name.replace(' ', '_')}_new.jpg"


def test_what_a_view_does_is_written_under_its_own_actor(people, samples, names):
    first, second = people.acting_as("key:1111111111"), people.acting_as("key:2222222222")
    before = len(people.gallery.events())
    list(first.enroll(find_photos([probe(samples, names[0])], name="Somebody New")))
    list(second.identify(find_photos([probe(samples, names[1])])))
    first.twins(probe(samples, names[1]), k=1)
    second.compare(probe(samples, names[1]), names[1])
    second.forget("Somebody New")
    people.show(names[1])
    assert [(event.actor, event.action) for event in people.gallery.events()[before:]] == [
        ("key:1111111111", "enroll"),
        ("key:2222222222", "identify"),
        ("key:1111111111", "twins"),
        ("key:2222222222", "verify"),
        ("key:2222222222", "forget"),
        ("tests", "show"),
    ]
    assert people.actor == "tests"


def test_a_face_is_compared_with_the_best_picture_of_a_person_or_with_the_one_named(people, samples, names):
    ann = people.gallery.person(names[0])
    pictures = list(people.gallery.faces(ann.id))
    best = max(pictures, key=lambda face: face.quality)
    face = people.recognizer.face(str(probe(samples, names[0])))
    compared = people.compare(face, names[0])
    assert compared.similarity == pytest.approx(float(face.embedding @ best.embedding), abs=1e-6)
    for picture in pictures:
        named = people.compare(face, ann.id, face_id=picture.id)
        assert named.similarity == pytest.approx(float(face.embedding @ picture.embedding), abs=1e-6)
        assert people.gallery.events(after=0, limit=10_000)[-1].details["face"] == picture.id
    other = people.compare(face, names[1])
    assert other.similarity < compared.similarity
    assert other.decision == "unknown"


def test_a_comparison_is_recorded_by_ids_and_a_failed_one_names_what_is_missing(people, samples, names):
    people.compare(probe(samples, names[0]), names[0])
    event = people.gallery.events(limit=10_000)[-1]
    assert event.person_id == people.gallery.person(names[0]).id
    assert not any(name in json.dumps(dict(event.details)) for name in names)
    before = len(people.gallery.events())
    with pytest.raises(PersonNotFound):
        people.compare(probe(samples, names[0]), "Nobody At All")
    with pytest.raises(PictureNotFound, match="no picture 999999"):
        people.compare(probe(samples, names[0]), names[0], face_id=999_999)
    assert len(people.gallery.events()) == before


def test_vectors_that_came_without_a_photo_can_be_compared_with(people, samples, names):
    face = people.recognizer.face(str(probe(samples, names[0])))
    people.gallery.add([NewFace("Imported", face.embedding.astype(np.float32), b"jpeg", "0" * 64)])
    assert people.compare(face, "Imported").similarity == pytest.approx(1, abs=1e-5)


def test_one_picture_is_erased_and_that_is_recorded(people, names):
    ann = people.gallery.person(names[0])
    first, *rest = [face.id for face in people.gallery.faces(ann.id)]
    assert people.forget_picture(names[0], first).faces == 1
    assert [face.id for face in people.gallery.faces(ann.id)] == rest
    event = people.gallery.events(limit=10_000)[-1]
    assert (event.action, event.person_id, event.details["face"]) == ("forget-picture", ann.id, first)
    with pytest.raises(PictureNotFound, match="no picture"):
        people.forget_picture(names[0], first)


def rewritten(path, statement):
    """Change the trail as somebody could who may write the file, and seal every line anew."""
    from likeness.gallery import trail

    with sqlite3.connect(path, isolation_level=None) as connection:
        connection.execute("DROP TRIGGER events_are_not_changed")
        connection.execute("BEGIN")
        connection.execute(statement)
        previous = "0" * 64
        for *line, _ in connection.execute(
            "SELECT id, at, actor, action, person_id, details, hash FROM events ORDER BY id"
        ).fetchall():
            previous = trail._seal(previous, trail.Line(*line))
            connection.execute("UPDATE events SET hash = ? WHERE id = ?", (previous, line[0]))
        connection.execute("COMMIT")
    connection.close()


def test_a_seal_kept_elsewhere_shows_a_trail_that_was_written_anew(people, gallery_path, names):
    for name in names[:3]:
        people.show(name)
    seal = people.check_trail().seal
    people.show(names[3])
    later = people.check_trail(sealed=seal)
    assert later.finding.ok
    assert later.seal != seal
    assert people.check_trail(sealed="0:" + "0" * 64).finding.ok
    rewritten(gallery_path, "UPDATE events SET actor = 'nobody' WHERE id = 2")
    assert people.check_trail().finding.ok  # a whole chain: this alone does not show it
    found = people.check_trail(sealed=seal)
    assert not found.finding.ok
    assert "written anew" in found.finding.message
    count = int(seal.partition(":")[0])
    found = people.check_trail(sealed=f"{count + 9}:{'a' * 64}")
    assert not found.finding.ok
    assert f"to {count + 9}" in found.finding.message


@pytest.mark.parametrize("seal", ["", "x", "3:abc", "0:" + "a" * 64, "-1:" + "0" * 64])
def test_what_is_no_seal_is_refused(people, seal):
    with pytest.raises(InputError, match="no seal"):
        people.check_trail(sealed=seal)
