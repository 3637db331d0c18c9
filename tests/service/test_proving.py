"""Erasing with proof: bytes are looked for in real files, and found where some were left."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from likeness.errors import StorageError
from likeness.gallery.base import NewFace
from likeness.gallery.embedded import ann
from likeness.gallery.scanning import SHORTEST, pieces, scan, scan_here
from likeness.intake.erasure import Written
from likeness.intake.records import Arrival, open_records
from likeness.service.media import Media
from likeness.service.proving import forget_with_proof
from likeness.settings import Settings


@settings(max_examples=60, deadline=None)
@given(
    data=st.binary(min_size=40, max_size=4000), at=st.integers(0), size=st.integers(SHORTEST, 30), block=st.booleans()
)
def test_what_is_in_a_file_is_found_wherever_it_stands(tmp_path_factory, data, at, size, block):
    path = tmp_path_factory.mktemp("scan") / "file"
    path.write_bytes(data)
    at %= len(data) - size
    inside, outside = data[at : at + size], bytes(255 - each for each in data[at : at + size])
    wanted = [inside] + ([] if outside in data else [outside])
    assert scan_here([path], wanted).found == (0,)


def test_a_piece_across_two_blocks_is_found(tmp_path, monkeypatch):
    monkeypatch.setattr("likeness.gallery.scanning._BLOCK", 100)
    data = os.urandom(1000)
    (tmp_path / "file").write_bytes(data)
    wanted = [data[at : at + 24] for at in range(0, 976)]
    assert scan_here([tmp_path / "file"], wanted).found == tuple(range(976))


def test_files_that_are_there_are_counted_in_a_process_of_its_own(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 100 + b"needle in a" + b"y" * 100)
    (tmp_path / "b").write_bytes(b"nothing here")
    done = scan([tmp_path / "a", tmp_path / "b", tmp_path / "none"], [b"other thing", b"needle in a"])
    assert (done.files, done.bytes, done.found) == ((str(tmp_path / "a"), str(tmp_path / "b")), 223, (1,))
    if os.getuid():
        (tmp_path / "b").chmod(0)
        with pytest.raises(StorageError, match="Permission"):
            scan([tmp_path / "b"], [b"needle in a"])


def test_of_a_long_value_a_page_that_was_left_behind_is_found():
    picture = b"\xff\xd8\xff" + bytes(600) + b"\xff\xda" + os.urandom(20_000)
    wanted = list(pieces(picture))
    assert not any(picture[:600].count(piece) for piece in wanted), "the head is as in other files"
    for start in range(700, 16_000, 1000):
        assert any(piece in picture[start : start + 4092] for piece in wanted)
    assert list(pieces(b"Li")) == list(pieces(bytes(5000))) == []


def everything(folder):
    return b"".join(path.read_bytes() for path in sorted(Path(folder).rglob("*")) if path.is_file())


def test_a_person_is_erased_with_proof_and_without_their_name_in_it(people, names, tmp_path):
    person = people.gallery.person(names[0])
    copy = people.snapshot(tmp_path / "copy")
    if ann.installed():
        people.gallery.build_index()
    assert names[0].encode() in copy.read_bytes()
    proof = forget_with_proof(people, names[0])
    assert proof.proved
    assert (proof.found, proof.files_found_in) == (0, ())
    assert proof.files_scanned >= 3
    assert proof.bytes_scanned > copy.stat().st_size
    assert proof.patterns > 50
    assert names[0] not in json.dumps(proof.as_dict())
    line = people.gallery.events(after=0)[-1]
    assert (line.action, line.person_id, line.details["found"]) == ("forget-proof", person.id, 0)
    assert line.details["bytes"] == proof.bytes_scanned
    assert people.check_trail(sealed=proof.audit_seal).finding.ok
    assert names[0].encode() not in copy.read_bytes()


def test_what_was_left_behind_is_found_and_named(people, names, tmp_path, monkeypatch):
    copy = people.snapshot(tmp_path / "copy")
    face = next(people.gallery.faces(people.gallery.person(names[0]).id))
    index = Path(f"{copy}.ann.new")
    forget = type(people).forget

    def careless(self, name_or_id):
        done = forget(self, name_or_id)
        index.write_bytes(os.urandom(5000) + face.crop_jpeg[2000:6000] + os.urandom(100))
        return done

    monkeypatch.setattr(type(people), "forget", careless)
    proof = forget_with_proof(people, names[0])
    assert not proof.proved
    assert proof.files_found_in == (str(index),)
    assert people.gallery.events(after=0)[-1].details["found"] == proof.found > 0


def test_what_is_also_somebody_elses_is_told_apart(people, names):
    other = people.gallery.person(names[1])
    people.change_profile(other.id, put={"knows": names[0]})
    proof = forget_with_proof(people, names[0])
    assert proof.proved
    assert proof.shared >= 1
    assert names[0] in people.gallery.person(other.id).profile["knows"]


@pytest.fixture
def elsewhere(people, tmp_path, names):
    """Records in which a photo waits to be enrolled, and a storage with the pictures, of the first person."""
    people.media = Media(str(tmp_path / "kept"))
    faces = people.gallery.faces(people.gallery.person(names[0]).id)
    people.media.keep([NewFace(names[0], face.embedding, face.crop_jpeg, face.photo_sha256) for face in faces])
    people.elsewhere = Written(Settings.load({"records": str(tmp_path / "arrivals.db")}))
    with open_records(str(tmp_path / "arrivals.db")) as records:
        records.note(Arrival("a0", "file:///in/0.jpg", "waiting", name=names[0].upper()))


@pytest.mark.usefixtures("elsewhere")
def test_the_records_and_the_storage_are_asked_whether_all_is_gone(people, names):
    person = people.gallery.person(names[0])
    assert (people.elsewhere.left(person), people.media.left(person.name)) == (1, 4)
    assert forget_with_proof(people, names[0]).proved
    assert (people.elsewhere.left(person), people.media.left(person.name)) == (0, 0)


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize(("careless", "left"), [("records", 1), ("storage", 4)])
def test_what_the_records_or_the_storage_still_have_is_no_proof(people, names, monkeypatch, careless, left):
    kind = Written if careless == "records" else Media
    monkeypatch.setattr(kind, "erase", lambda *given, **how: None)
    proof = forget_with_proof(people, names[0])
    assert (proof.proved, proof.found, proof.files_found_in) == (False, left, ())
