"""An encrypted gallery: no byte of anybody in any file; and what a wrong key or a changed byte does."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest
from encryption_oracle import KEY, OTHER, PEOPLE, everything, fill, meta, plain_in, some_cell, told
from gallery_oracle import DIMENSION, new_face, unit

from likeness.errors import Conflict, GalleryBusy, GalleryKeyMissing, GalleryKeyWrong, SealBroken
from likeness.gallery.base import PhotoNote
from likeness.gallery.embedded import ann


def test_a_gallery_that_is_new_where_a_key_is_set_never_holds_a_readable_byte(embedded_at, tmp_path):
    with embedded_at(key=KEY, approximate_above=10) as gallery:
        fill(gallery)
        assert plain_in(everything(tmp_path)) == []  # while it is open: with its log
        if ann.installed():
            gallery.build_index()
            assert gallery.info().index == ann.NAME
        gallery.snapshot(tmp_path / "snap")
        gallery.merge(gallery.person("name-of-1").id, gallery.person("name-of-2").id)
        gallery.update(gallery.person("name-of-3").id, name="Renamed Unmistakably")
        gallery.reembed("other", DIMENSION, lambda crops: np.stack([unit(9_000 + i) for i in range(len(crops))]))
        left = everything(tmp_path)
        assert plain_in(left) == []
        assert b"Renamed" not in left
        assert unit(9_000).tobytes() not in left
        if ann.installed():
            gallery.build_index()
        salt = gallery.outline().salt
        assert salt not in left, "with it anybody could try names against the hashes"
        assert [finding for finding in gallery.check() if not finding.ok] == []


def test_encrypting_in_place_leaves_no_readable_byte_in_file_log_index_or_snapshots(embedded_at, tmp_path):
    with embedded_at(approximate_above=10) as gallery:
        fill(gallery)
        fill(gallery, people=2, since=PEOPLE)
        gallery.remove(gallery.person(f"name-of-{PEOPLE}").id)
        if ann.installed():
            gallery.build_index()
        (tmp_path / "copies").mkdir()
        gallery.snapshot(tmp_path / "copies" / "snap")
        moved = gallery.snapshot(tmp_path / "copies" / "moved")
        moved.unlink()
        before = told(gallery)
        assert len(plain_in(everything(tmp_path))) == len(plain_in((tmp_path / "people.likeness").read_bytes()))
        assert plain_in(everything(tmp_path)) != []
    with embedded_at(approximate_above=10, key=KEY) as gallery:
        steps = []
        changed = gallery.encrypt(progress=lambda done, total: steps.append((done, total)))
        left = everything(tmp_path)
        assert plain_in(left, people=PEOPLE + 2) == []
        assert changed.snapshots == [str(tmp_path / "copies" / "snap")]
        assert changed.not_found == [str(moved)]
        assert changed.rows == (PEOPLE + 1) * (1 + 3 + 3)
        assert steps[-1] == (changed.rows, changed.rows)
        assert told(gallery) == before
        assert gallery.info().details["encrypted"]
        assert gallery.info().details["key"] == KEY.fingerprint
        if ann.installed():
            assert gallery.info().index == ann.NAME
        assert [finding for finding in gallery.check() if not finding.ok] == []
        assert gallery.encrypt().rows == 0, "what is sealed stays"
    with embedded_at(at="copies/snap", key=KEY, create=False) as copy:
        assert told(copy) == before


def test_decrypting_gives_the_plain_gallery_back(embedded_at, tmp_path):
    with embedded_at(key=KEY) as gallery:
        fill(gallery, people=5)
        gallery.snapshot(tmp_path / "snap")
        before = told(gallery)
        gallery.decrypt()
        assert told(gallery) == before
        assert gallery.info().details["encrypted"] is False
    for at in ("people.likeness", "snap"):
        with embedded_at(at=at, create=False) as plain:
            assert told(plain) == before


@pytest.mark.parametrize("data_key", [False, True])
def test_after_a_rotation_the_new_key_alone_opens_the_gallery_and_its_snapshots(embedded_at, tmp_path, data_key):
    with embedded_at(key=KEY, approximate_above=10) as gallery:
        fill(gallery, people=12)
        if ann.installed():
            gallery.build_index()
        gallery.snapshot(tmp_path / "snap")
        before = told(gallery)
        wrapped = json.loads(meta(tmp_path / "people.likeness", "sealing"))["new"]["wrapped"]
        cell = some_cell(tmp_path / "people.likeness")
        gallery.rotate_key(OTHER, data_key=data_key)
        left = everything(tmp_path)
        assert wrapped.encode() not in left, "the old key opens what it wrapped"
        assert (cell in left) is not data_key
        assert told(gallery) == before
        assert plain_in(left, people=12) == []
        assert [finding for finding in gallery.check() if not finding.ok] == []
    for at in ("people.likeness", "snap"):
        with pytest.raises(GalleryKeyWrong, match=OTHER.fingerprint):
            embedded_at(at=at, key=KEY, create=False)
        with embedded_at(at=at, key=OTHER, create=False) as opened:
            assert told(opened) == before


def test_without_the_key_or_with_another_one_it_does_not_open(embedded_at):
    with embedded_at(key=KEY) as gallery:
        fill(gallery, people=1)
    with pytest.raises(GalleryKeyMissing, match="LIKENESS_GALLERY_KEY"):
        embedded_at()
    with pytest.raises(GalleryKeyWrong, match=KEY.fingerprint):
        embedded_at(key=OTHER)


def test_a_process_that_lacks_the_key_is_told_when_another_one_encrypts(embedded_at):
    with embedded_at() as keyless, embedded_at(key=KEY) as owner:
        fill(keyless, people=2)
        owner.encrypt()
        for asked in (
            lambda: keyless.search(unit(1)[None], 1),
            lambda: keyless.add([new_face("Ann", 5)]),
            lambda: list(keyless.faces()),
            lambda: keyless.person("name-of-1"),
        ):
            with pytest.raises(GalleryKeyMissing):
                asked()
        assert owner.info().faces == 6


def test_others_search_and_enrol_while_a_gallery_is_encrypted(embedded_at, monkeypatch):
    monkeypatch.setattr("likeness.gallery.embedded.encryption._BATCH", 7)
    with embedded_at(key=KEY) as gallery, embedded_at(key=KEY) as other:
        with embedded_at(at="plain", key=None) as plain:
            fill(plain, people=10)
        seen = []

        def meanwhile(done, total):
            number = 500 + len(seen)
            other.add([new_face(f"Late-{number}", 7_000 + number)])
            other.update(other.person(f"Late-{number}").id, profile={"n": number})
            assert other.search(unit(7_000 + number)[None], 1)[0][0].name == f"Late-{number}"
            (hits,) = other.search(unit(303)[None], 1)
            seen.append((hits[0].name, len(other.people(limit=1000)), len(list(other.faces()))))

        fill(gallery, people=10, faces=4)
        gallery.decrypt(progress=meanwhile)
        assert [name for name, _, _ in seen] == ["Name-of-3"] * len(seen)
        turns = len(seen)
        gallery.encrypt(progress=meanwhile)
        assert len(seen) > turns > 5
        assert [(people, faces) for _, people, faces in seen] == [(10 + n, 40 + n) for n in range(1, len(seen) + 1)]
        assert [finding for finding in gallery.check() if not finding.ok] == []


OTHER_END = """
UPDATE vectors SET vector = CAST(
  substr(vector, 1, 92) || CASE substr(vector, 93, 1) WHEN x'00' THEN x'01' ELSE x'00' END AS BLOB) WHERE id = 4
"""


@pytest.mark.parametrize(
    ("what", "change"),
    [
        ("another face's vector", "UPDATE vectors SET vector = (SELECT vector FROM vectors WHERE id = 1) WHERE id = 4"),
        ("a plain vector", "UPDATE vectors SET vector = zeroblob(64) WHERE id = 4"),
        ("a bit of a vector", OTHER_END),
        ("whose face it is", "UPDATE faces SET person = 1 WHERE id = 4"),
        ("two people's keys", "UPDATE faces SET person = 3 - person WHERE person IN (1, 2)"),
    ],
    ids=lambda value: value if " " in value and "UPDATE" not in value else "",
)
def test_a_changed_file_gives_an_error_and_no_wrong_answer(embedded_at, tmp_path, what, change):
    with embedded_at(key=KEY) as gallery:
        fill(gallery, people=3)
    with sqlite3.connect(tmp_path / "people.likeness") as connection:
        connection.execute(change)
    with embedded_at(key=KEY) as gallery:
        with pytest.raises(SealBroken):
            gallery.search(unit(100)[None], 1)
        with pytest.raises(SealBroken):
            list(gallery.faces())
        findings = {finding.name: finding for finding in gallery.check()}
        assert not findings["encryption"].ok
        assert "does not open" in findings["encryption"].message


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE people SET facts = CASE facts WHEN 2 THEN 4 WHEN 4 THEN 2 ELSE facts END",
        "UPDATE people SET id = CASE key WHEN 1 THEN 'p_1' ELSE id END",
        "UPDATE facts SET name = 'Somebody Else'",
        "UPDATE facts SET retain_until = NULL",
    ],
)
def test_what_is_stated_of_people_cannot_be_swapped_or_changed(embedded_at, tmp_path, change):
    with embedded_at(key=KEY) as gallery:
        fill(gallery, people=2)
    with sqlite3.connect(tmp_path / "people.likeness") as connection:
        connection.execute(change)
    with embedded_at(key=KEY) as gallery, pytest.raises(SealBroken):
        gallery.people()


def test_a_picture_of_another_face_does_not_open(embedded_at, tmp_path):
    with embedded_at(key=KEY) as gallery:
        fill(gallery, people=2)
    with sqlite3.connect(tmp_path / "people.likeness") as connection:
        connection.execute("UPDATE pictures SET crop = (SELECT crop FROM pictures WHERE id = 1) WHERE id = 4")
    with embedded_at(key=KEY) as gallery, pytest.raises(SealBroken, match=r"pictures\.crop 4 of 2"):
        list(gallery.faces())


def test_an_index_that_another_gallery_sealed_is_not_used(embedded_at, tmp_path):
    pytest.importorskip("usearch")
    for name in ("one", "two"):
        with embedded_at(at=name, key=KEY, approximate_above=3) as gallery:
            fill(gallery, people=5)
            gallery.build_index()
    (tmp_path / "one.ann").replace(tmp_path / "two.ann")
    with embedded_at(at="two", key=KEY, approximate_above=3) as gallery:
        assert gallery.info().index == "exact"
        assert gallery.search(unit(100)[None], 1)[0][0].name == "Name-of-1"


def test_a_gallery_that_is_being_embedded_anew_is_not_encrypted_before_that_has_ended(embedded_at):
    with embedded_at(key=KEY) as gallery:
        fill(gallery, people=2)
        gallery.decrypt()

        def stopped(crops):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            gallery.reembed("other", DIMENSION, stopped)
        with pytest.raises(Conflict, match="re-embedded"):
            gallery.encrypt()
        gallery.reembed("other", DIMENSION, lambda crops: np.stack([unit(i) for i in range(len(crops))]))
        assert gallery.encrypt().rows


def test_half_encrypted_it_makes_no_snapshot_and_the_check_says_so(embedded_at, monkeypatch):
    with embedded_at() as gallery:
        fill(gallery, people=20)
    monkeypatch.setattr("likeness.gallery.embedded.encryption._BATCH", 5)
    with embedded_at(key=KEY) as gallery:

        def stop(done, total):
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            gallery.encrypt(progress=stop)
        with pytest.raises(GalleryBusy, match="half encrypted"):
            gallery.snapshot()
        with pytest.raises(GalleryBusy, match="encrypted"):
            gallery.reembed("other", 4, lambda crops: np.zeros((len(crops), 4), np.float32))
        with pytest.raises(Conflict, match="let `likeness gallery encrypt` end"):
            gallery.decrypt()
        assert not gallery.info().details["encrypted"]
        assert not {finding.name: finding for finding in gallery.check()}["encryption"].ok
        assert gallery.encrypt().rows
        assert {finding.name: finding for finding in gallery.check()}["encryption"].ok


def test_a_key_that_is_set_for_a_plain_gallery_is_told_by_the_check(embedded_at):
    with embedded_at() as gallery:
        fill(gallery, people=1)
        assert {finding.name: finding for finding in gallery.check()}["encryption"].ok
    with embedded_at(key=KEY) as gallery:
        finding = {finding.name: finding for finding in gallery.check()}["encryption"]
        assert not finding.ok
        assert "likeness gallery encrypt" in finding.message


def test_erasing_from_an_encrypted_gallery_leaves_no_sealed_byte_of_the_person(embedded_at, tmp_path):
    with embedded_at(key=KEY) as gallery:
        fill(gallery, people=4)
        gallery.snapshot(tmp_path / "snap")
        gallery.note_photos("Name-of-2", [PhotoNote("ab", "no_face", "detail-of-2")], settings_tag="t")
        person = gallery.person("Name-of-2")
        cells = [cell for at in ("people.likeness", "snap") for cell in stored_cells(tmp_path / at, person.id)]
        assert len(cells) > 40
        data = everything(tmp_path)
        assert all(cell in data for cell in cells)
        gallery.remove(person.id)
        left = everything(tmp_path)
        assert [cell for cell in cells if cell in left] == []
        assert [name.name for name in gallery.people()] == ["Name-of-0", "Name-of-1", "Name-of-3"]


def stored_cells(path, person_id):
    """The stored bytes of everything that is somebody's, as they lie in a file."""
    with sqlite3.connect(path) as connection:
        row = connection.execute("SELECT key, facts FROM people WHERE id = ?", (person_id,)).fetchone()
        rows = connection.execute("SELECT * FROM facts WHERE id = ?", row[1:]).fetchall()
        for (face,) in connection.execute("SELECT id FROM faces WHERE person = ?", row[:1]).fetchall():
            rows += connection.execute("SELECT vector FROM vectors WHERE id = ?", (face,)).fetchall()
            rows += connection.execute("SELECT * FROM pictures WHERE id = ?", (face,)).fetchall()
    return [value for each in rows for value in each if isinstance(value, bytes)]
