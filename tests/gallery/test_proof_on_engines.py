"""Erasing with proof, and retention, on every engine: what each can prove, and that it says which."""

from __future__ import annotations

from datetime import timedelta

import pytest
from gallery_oracle import new_face, photo

from likeness.recognizer import Recognizer
from likeness.service.proving import forget_with_proof
from likeness.service.purging import purge, today
from likeness.service.roster import Roster
from likeness.settings import Settings


@pytest.fixture
def roster(gallery, tmp_path) -> Roster:
    """The gallery with three people, opened for looking after them."""
    gallery.add([new_face(name, seed, source=f"/photos/{name}.jpg") for seed, name in enumerate(_NAMES)])
    settings = Settings.load({"gallery": "not used", "cache": str(tmp_path / "cache")})
    return Roster(gallery, Recognizer(settings), actor="tests")


_NAMES = ("Anselma Quist", "Bertil Oduya", "Chiara Novak")


def test_somebody_is_erased_with_a_proof_of_what_the_engine_can_prove(roster, tmp_path):
    gallery = roster.gallery
    copy = gallery.snapshot(tmp_path / "copy")
    proof = forget_with_proof(roster, _NAMES[0])
    embedded = gallery.info().engine == "embedded"
    assert proof.proved
    assert proof.method == ("files" if embedded else "answers")
    assert proof.patterns >= 6
    assert proof.files_scanned >= (2 if embedded else 1)
    assert _NAMES[0].encode() not in copy.read_bytes()
    assert photo(0).encode() not in copy.read_bytes()
    assert ("VACUUM" in proof.covers) is not embedded
    assert gallery.check_events(sealed=proof.audit_seal).finding.ok
    assert gallery.events()[-1].details["found"] == 0


def test_a_server_that_still_answers_about_somebody_proves_nothing_and_files_do_not_depend_on_answers(
    roster, monkeypatch
):
    ghost = list(roster.gallery.faces(face_id=1))
    monkeypatch.setattr(roster.gallery, "faces", lambda *given, **wanted: iter(ghost))
    assert forget_with_proof(roster, ghost[0].person_id).proved is (roster.gallery.info().engine == "embedded")


def test_who_is_due_is_purged_on_every_engine(roster):
    gallery = roster.gallery
    gallery.update(gallery.person(_NAMES[1]).id, retain_until=today() - timedelta(days=1))
    assert [fate.forgotten.faces for fate in purge(roster)] == [1]
    assert sorted(person.name for person in gallery.people()) == [_NAMES[0], _NAMES[2]]
    assert gallery.check_events().finding.ok
