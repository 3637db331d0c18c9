"""What every gallery promises, whichever engine holds it."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime

import numpy as np
import pytest
from gallery_oracle import DIMENSION, SPACE, found, new_face, photo, unit

from likeness.errors import GalleryMissing, InputError, PersonExists, PersonNotFound, SpaceMismatch
from likeness.types import Consent


def test_a_face_that_was_added_is_found_first(gallery):
    added = gallery.add([new_face("Ann", 1), new_face("Bea", 2), new_face("Ann", 3)])
    assert [one.status for one in added] == ["added"] * 3
    assert added[0].person_id == added[2].person_id != added[1].person_id
    (hits,) = gallery.search(unit(3)[None], 5)
    assert [hit.name for hit in hits] == ["Ann", "Bea"]
    assert hits[0].face_id == added[2].face_id
    assert hits[0].similarity == pytest.approx(1.0, abs=1e-6)
    assert hits[1].similarity == pytest.approx(float(unit(2) @ unit(3)), abs=1e-6)


def test_an_empty_gallery_finds_nobody(gallery):
    assert gallery.search(np.stack([unit(1), unit(2)]), 3) == [[], []]
    assert gallery.people() == []
    assert gallery.add([]) == []


def test_what_answers_depend_on_is_what_the_gallery_holds_after_every_change(gallery, open_here):
    def agree():
        extent, facts = gallery.extent(), gallery.info()
        assert (extent.uri, extent.space) == (facts.uri, facts.space)
        assert (extent.people, extent.faces) == (facts.people, facts.faces)
        return extent.people, extent.faces

    assert agree() == (0, 0)
    gallery.add([new_face("Ann", 1), new_face("Ann", 2), new_face("Bea", 3)])
    assert agree() == (2, 3)
    with open_here() as other:
        other.create("Cid")
        other.remove(other.person("Ann").id)
    assert agree() == (2, 1)


def test_the_same_face_of_the_same_photo_is_enrolled_once(gallery):
    first, again = gallery.add([new_face("Ann", 1), new_face(" ann ", 1)])
    later, other_face = gallery.add([new_face("ANN", 1), new_face("Ann", 1, face_index=1)])
    assert (again.status, again.face_id, later.status, later.face_id) == (
        "duplicate",
        first.face_id,
        "duplicate",
        first.face_id,
    )
    assert other_face.status == "added"
    assert gallery.person("Ann").faces == 2


def test_somebody_can_be_there_before_any_face_of_theirs(gallery):
    made = gallery.create("  Ann ")
    assert (made.name, made.faces) == ("Ann", 0)
    assert gallery.search(unit(1)[None], 3) == [[]]
    with pytest.raises(PersonExists):
        gallery.create("ANN")
    with pytest.raises(InputError):
        gallery.create("\u200b")
    (added,) = gallery.add([new_face("ann", 1)])
    assert added.person_id == made.id
    assert [person.name for person in gallery.people()] == ["Ann"] == found(gallery, 1)


def test_a_face_is_found_by_its_number(gallery):
    first, second = gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    assert [face.person_id for face in gallery.faces(face_id=second.face_id)] == [second.person_id]
    assert list(gallery.faces(first.person_id, face_id=second.face_id)) == []
    gallery.remove(face_id=second.face_id)
    assert list(gallery.faces(face_id=second.face_id)) == []


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Ann", "ann"),
        ("Straße", "STRASSE"),
        ("Zoe\u0308", "Zo\u00eb"),
        ("  Ann Lee ", "ann lee"),
    ],
    ids=["case", "sharp s", "composed and decomposed", "blanks around"],
)
def test_names_are_compared_folded_and_normalised(gallery, one, other):
    first, second = gallery.add([new_face(one, 1), new_face(other, 2)])
    assert first.person_id == second.person_id
    assert gallery.person(other).id == first.person_id


@pytest.mark.parametrize(
    "name", ["", "  ", "a\x00b", "p_0123456789abcdef", "\u200b", "a\u202eb", "a\u2028b"], ids=ascii
)
def test_a_name_that_cannot_be_used_is_refused(gallery, name):
    with pytest.raises(InputError):
        gallery.add([new_face("Ann", 1), new_face(name, 2)])
    assert gallery.info().faces == 0


def test_one_person_with_many_pictures_does_not_hide_the_others(gallery):
    gallery.add([new_face("Many", 0, face_index=index) for index in range(500)])
    gallery.add([new_face(f"P{seed}", seed) for seed in range(1, 9)])
    (hits,) = gallery.search(unit(0)[None], 6)
    expected = sorted(range(1, 9), key=lambda seed: -float(unit(seed) @ unit(0)))[:5]
    assert [hit.name for hit in hits] == ["Many", *(f"P{seed}" for seed in expected)]


def test_excluded_people_are_passed_over(gallery):
    gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    ann = gallery.person("Ann").id
    assert found(gallery, 1, exclude=[ann]) == ["Bea"]
    assert found(gallery, 1, exclude=[ann, "p_0000000000000000"]) == ["Bea"]


def test_vectors_that_do_not_fit_are_refused(gallery, open_here):
    with pytest.raises(SpaceMismatch, match="dimension"):
        gallery.add([new_face("Ann", 1, dimension=DIMENSION + 1)])
    with pytest.raises(SpaceMismatch, match="dimension"):
        gallery.search(unit(1, dimension=3)[None], 1)
    with pytest.raises(ValueError, match="unit length"):
        gallery.add([new_face("Ann", 1, embedding=2 * unit(1))])
    with pytest.raises(SpaceMismatch, match="re-embed"):
        open_here(space="other-space")
    assert gallery.info().people == 0


def test_a_gallery_that_is_not_there_is_said_to_be_missing(open_here):
    with pytest.raises(GalleryMissing):
        open_here(create=False)
    with pytest.raises(GalleryMissing):
        open_here(space=None, dimension=None)


def test_what_was_stated_survives_reopening(open_here):
    consent = Consent("signed form", datetime(2026, 1, 2, tzinfo=UTC), "paper")
    with open_here() as gallery:
        places = {"box_xyxy_px": (1.5, 2.0, 30.25, 40.0), "landmarks_px": tuple(float(at) for at in range(10))}
        facts = {"retain_until": date(2030, 1, 1), "source": "a.jpg", "quality": 0.5}
        face = new_face("Ann", 1, consent=consent, **facts, **places)
        gallery.add([face])
        gallery.update(gallery.person("Ann").id, profile={"occupation": "painter", "born": 1970})
        before = gallery.person("Ann")
    with open_here(space=None, dimension=None) as gallery:
        ann = gallery.person("ann")
        assert ann == before
        assert (ann.consent, ann.retain_until) == (consent, date(2030, 1, 1))
        assert ann.profile == {"occupation": "painter", "born": 1970}
        (stored,) = gallery.faces(ann.id)
        assert (stored.crop_jpeg, stored.source, stored.quality) == (face.crop_jpeg, "a.jpg", 0.5)
        assert (stored.box_xyxy_px, stored.landmarks_px) == (face.box_xyxy_px, face.landmarks_px)
        assert np.array_equal(stored.embedding, face.embedding)
        info = gallery.info()
        assert (info.space, info.dimension, info.people, info.faces) == (SPACE, DIMENSION, 1, 1)
        assert info.bytes_on_disk > 0


def test_people_are_listed_by_name_in_pages(gallery):
    gallery.add([new_face(name, seed) for seed, name in enumerate(["dora", "Ben", "anna", "Carl", "Annabel"])])
    names = [person.name for person in gallery.people()]
    assert names == ["anna", "Annabel", "Ben", "Carl", "dora"]
    paged, after = [], None
    while page := gallery.people(after=after, limit=2):
        paged += [person.name for person in page]
        after = page[-1].id
    assert paged == names
    assert [person.name for person in gallery.people(query="ANNA")] == ["anna", "Annabel"]
    assert gallery.people(query="%") == []


@pytest.mark.parametrize("change", ["erased", "renamed"])
def test_pages_go_on_after_a_person_who_is_erased_or_renamed_meanwhile(gallery, change):
    gallery.add([new_face(name, seed) for seed, name in enumerate(["Ann", "Bea", "Cleo", "Dora"])])
    *_, last = gallery.people(limit=2)
    if change == "erased":
        gallery.remove(last.id)
        with pytest.raises(PersonNotFound):
            gallery.people(after=last.id)
    else:
        gallery.update(last.id, name="Zoe")
    assert [person.name for person in gallery.people(after=last)][:2] == ["Cleo", "Dora"]


def test_faces_are_listed_by_person_and_by_photo(gallery):
    added = gallery.add([new_face("Ann", 1), new_face("Bea", 1), new_face("Ann", 2)])
    ids = [one.face_id for one in added]
    assert [face.id for face in gallery.faces()] == ids
    assert [face.id for face in gallery.faces(added[0].person_id)] == [ids[0], ids[2]]
    assert [face.id for face in gallery.faces(photo_sha256=photo(1))] == ids[:2]
    with pytest.raises(PersonNotFound):
        list(gallery.faces("p_0000000000000000"))


def test_a_person_can_be_renamed_but_not_to_another_ones_name(gallery):
    gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    ann = gallery.person("Ann")
    assert gallery.update(ann.id, name="ANN").name == "ANN"
    assert gallery.update(ann.id, name="Zed").id == ann.id
    assert found(gallery, 1)[0] == "Zed"
    with pytest.raises(PersonExists, match="Bea"):
        gallery.update(ann.id, name="bea")
    with pytest.raises(PersonNotFound):
        gallery.person("Ann")
    with pytest.raises(PersonNotFound):
        gallery.update("p_0000000000000000", name="x")


def test_two_writers_that_put_different_keys_into_a_profile_both_win(gallery, open_here):
    ann = gallery.add([new_face("Ann", 1)])[0].person_id
    with open_here() as other, ThreadPoolExecutor(2) as pool:

        def put(opened, number):
            opened.update(ann, profile=lambda held: {**held, f"key{number}": number})

        work = [pool.submit(put, (gallery, other)[number % 2], number) for number in range(40)]
        for one in work:
            one.result()
    assert gallery.person(ann).profile == {f"key{number}": number for number in range(40)}


def test_a_change_of_a_profile_that_raises_changes_nothing(gallery):
    ann = gallery.add([new_face("Ann", 1)])[0].person_id
    before = gallery.update(ann, profile={"born": 1970})
    with pytest.raises(KeyError):
        gallery.update(ann, name="Bea", profile=lambda held: {"died": held["died"]})
    assert gallery.person(ann) == before


def test_merging_gives_all_faces_to_one_person(gallery):
    gallery.add([new_face("Ann", 1), new_face("Ann", 2), new_face("Anne", 3), new_face("Anne", 1)])
    ann, anne = gallery.person("Ann"), gallery.person("Anne")
    assert gallery.merge(anne.id, ann.id).faces == 3  # the double is dropped
    assert found(gallery, 3) == ["Ann"]
    with pytest.raises(PersonNotFound):
        gallery.person(anne.id)
    assert gallery.add([new_face("Ann", 3)])[0].status == "duplicate"
    with pytest.raises(ValueError, match="two people"):
        gallery.merge(ann.id, ann.id)


def test_a_removed_person_is_found_by_no_later_search(gallery, open_here):
    gallery.add([new_face("Ann", 1), new_face("Ann", 2), new_face("Bea", 3)])
    ann = gallery.person("Ann")
    with open_here() as other:
        assert found(other, 1)[0] == "Ann"
        assert gallery.remove(ann.id).faces == 2
        assert found(other, 1) == found(gallery, 1) == ["Bea"]
        with pytest.raises(PersonNotFound):
            other.person("Ann")
    with pytest.raises(PersonNotFound):
        gallery.remove(ann.id)
    assert gallery.add([new_face("Ann", 1)])[0].person_id != ann.id


def test_a_person_stays_when_the_last_face_is_removed(gallery):
    (added,) = gallery.add([new_face("Ann", 1)])
    assert gallery.remove(face_id=added.face_id).faces == 1
    assert gallery.person("Ann").faces == 0
    assert found(gallery, 1) == []
    assert gallery.add([new_face("Ann", 1)])[0].face_id > added.face_id
    with pytest.raises(PersonNotFound):
        gallery.remove(face_id=added.face_id)
    with pytest.raises(ValueError, match="either"):
        gallery.remove()


def test_an_open_gallery_sees_what_another_one_commits(gallery, open_here):
    with open_here() as other:
        for seed in range(20):
            gallery.add([new_face(f"P{seed}", seed)])
            assert found(other, seed)[0] == f"P{seed}"
        gallery.merge(gallery.person("P1").id, gallery.person("P2").id)
        assert found(other, 1)[0] == "P2"
        other.update(other.person("P2").id, name="Two")
        assert found(gallery, 1)[0] == "Two"


def test_threads_search_and_add_at_once(gallery):
    gallery.add([new_face("Ann", 1)])
    errors = []

    def work(number):
        try:
            for step in range(15):
                seed = 1000 * number + step + 2
                gallery.add([new_face(f"T{seed}", seed)])
                assert found(gallery, seed)[0] == f"T{seed}"
                assert found(gallery, 1)[0] == "Ann"
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert gallery.info().faces == 61
