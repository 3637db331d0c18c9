"""What every gallery keeps and looks after: snapshots, notes, the audit trail, its spaces, and what was agreed."""

from __future__ import annotations

from datetime import UTC, date, datetime

import numpy as np
import pytest
from gallery_oracle import DIMENSION, found, new_face, photo, unit

from likeness.errors import InputError, NotFound, SpaceMismatch
from likeness.gallery import open_gallery, snapshots
from likeness.gallery.base import PhotoNote
from likeness.gallery.forecast import USUAL_PICTURE_BYTES
from likeness.types import Consent


def test_a_snapshot_opens_as_the_gallery_that_it_was(gallery, open_here, tmp_path):
    gallery.add([new_face("Ann", 1)])
    (tmp_path / "copies").mkdir()
    path = gallery.snapshot(tmp_path / "copies" / "one")
    gallery.add([new_face("Bea", 2)])
    with open_gallery(path, key=open_here.keywords["key"]) as copy:
        assert [person.name for person in copy.people()] == ["Ann"]
    assert found(gallery, 2)[0] == "Bea"


def test_notes_on_photos_are_kept_by_person_and_settings(gallery, open_here):
    refused = PhotoNote(photo(1), "no_face", "no face was found")
    gallery.note_photos("Ann", [refused, PhotoNote(photo(2), "photo_corrupt")], settings_tag="a")
    gallery.note_photos("Ann", [PhotoNote(photo(2), "added")], settings_tag="a")
    with open_here() as other:
        noted = other.noted_photos(" ANN", [photo(1), photo(2), photo(3)], settings_tag="a")
    assert noted == {photo(1): refused, photo(2): PhotoNote(photo(2), "added")}
    assert gallery.noted_photos("Ann", [photo(1)], settings_tag="b") == {}
    assert gallery.noted_photos("Bea", [photo(1)], settings_tag="a") == {}


def test_notes_follow_a_rename_and_a_merge_and_end_with_the_person(gallery):
    gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    gallery.note_photos("Ann", [PhotoNote(photo(9), "no_face")], settings_tag="a")
    gallery.update(gallery.person("Ann").id, name="Zed")
    assert photo(9) in gallery.noted_photos("Zed", [photo(9)], settings_tag="a")
    gallery.merge(gallery.person("Zed").id, gallery.person("Bea").id)
    assert photo(9) in gallery.noted_photos("Bea", [photo(9)], settings_tag="a")
    assert [note.outcome for note in gallery.notes_on(gallery.person("Bea").id)] == ["no_face"]
    gallery.remove(gallery.person("Bea").id)
    assert gallery.noted_photos("Bea", [photo(9)], settings_tag="a") == {}


def test_reembedding_switches_the_space_at_the_end(gallery, open_here):
    gallery.add([new_face(f"P{seed}", seed) for seed in range(150)])
    seeds = {new_face("x", seed).crop_jpeg: seed for seed in range(151)}
    during = []

    def embed(crops):
        during.append(found(gallery, 7)[0])
        if len(during) == 1:
            gallery.add([new_face("late", 150)])
        return np.stack([unit(1000 + seeds[crop], dimension=8) for crop in crops])

    told = []
    with open_here() as other:
        assert gallery.reembed("new", 8, embed, progress=lambda done, total: told.append((done, total))) == 151
        assert set(during) == {"P7"}
        assert told[0] == (0, 150)
        assert told[-1] == (151, 151)
        assert gallery.search(unit(1150, dimension=8)[None], 1)[0][0].name == "late"
        with pytest.raises(SpaceMismatch):
            other.search(unit(1)[None], 1)
        with pytest.raises(SpaceMismatch):
            other.add([new_face("x", 1)])
    assert (gallery.info().space, gallery.info().dimension) == ("new", 8)
    assert gallery.reembed("new", 8, embed, progress=lambda done, total: None) == 0


def test_a_face_embedded_before_the_space_changed_is_refused_after_it_also_where_it_is_as_long(gallery):
    facts = gallery.info()
    early = new_face("Early", 1, space=facts.space)
    gallery.add([new_face("P0", 0, space=facts.space)])
    gallery.reembed("new", facts.dimension, lambda crops: np.stack([unit(1000) for _ in crops]))
    with pytest.raises(SpaceMismatch, match="re-embedded"):
        gallery.add([early])
    gallery.add([new_face("Late", 2, space="new")])
    assert [person.name for person in gallery.people()] == ["Late", "P0"]


def test_another_network_of_the_same_space_embeds_all_faces_once(gallery, open_here):
    gallery.add([new_face(f"P{seed}", seed) for seed in range(3)])
    facts, seeds = gallery.info(), {new_face("x", seed).crop_jpeg: seed for seed in range(3)}

    def embed(crops):
        return np.stack([unit(1000 + seeds[crop], dimension=facts.dimension) for crop in crops])

    with open_here() as other:
        assert found(other, 2)[0] == "P2"
        assert gallery.reembed(facts.space, facts.dimension, embed) == 0, "the space is the same"
        assert gallery.reembed(facts.space, facts.dimension, embed, maker="second") == 3
        assert gallery.reembed(facts.space, facts.dimension, embed, maker="second") == 0
        assert gallery.reembed(facts.space, facts.dimension, embed, maker="third") == 3
        for opened in (gallery, other):
            assert opened.search(unit(1002, dimension=facts.dimension)[None], 1)[0][0].similarity > 0.999


def test_the_audit_trail_is_kept_in_order(gallery, open_here):
    gallery.add([new_face("Ann", 1)])
    ann = gallery.person("Ann").id
    gallery.record("enrol", actor="cli", person_id=ann, faces=1)
    gallery.remove(ann)
    gallery.record("forget", actor="api", person_id=ann, reason="asked")
    with open_here() as other:
        first, second = other.events()
    assert (first.action, first.actor, first.person_id, dict(first.details)) == (
        "enrol",
        "cli",
        ann,
        {"faces": 1},
    )
    assert (second.action, dict(second.details)) == ("forget", {"reason": "asked"})
    assert [event.id for event in gallery.events(after=first.id)] == [second.id]
    assert len(gallery.events(limit=1)) == 1


def test_a_healthy_gallery_passes_its_check(gallery):
    assert all(finding.ok for finding in gallery.check())
    gallery.add([new_face(f"P{seed // 3}", seed) for seed in range(60)])
    gallery.record("enrol", actor="cli")
    gallery.remove(gallery.person("P3").id)
    assert [finding for finding in gallery.check() if not finding.ok] == []


def test_many_probes_give_what_each_gives_alone(gallery):
    gallery.add([new_face(f"P{seed // 2}", seed) for seed in range(300)])
    probes = np.stack([unit(seed) for seed in range(1000, 1040)])
    together = gallery.search(probes, 5)
    for probe, hits in zip(probes, together, strict=True):
        (alone,) = gallery.search(probe[None], 5)
        assert [hit.face_id for hit in alone] == [hit.face_id for hit in hits]


def test_every_change_of_people_and_faces_moves_the_counter_and_nothing_else_does(gallery):
    def counted() -> int:
        return gallery.extent().changes

    ann, bea = gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    changes = {
        "a face": lambda: gallery.add([new_face("Ann", 3)]),
        "one face out, one in": lambda: (gallery.remove(face_id=ann.face_id), gallery.add([new_face("Ann", 4)])),
        "a profile": lambda: gallery.update(ann.person_id, profile={"age": 1}),
        "a merge": lambda: gallery.merge(bea.person_id, ann.person_id),
        "new vectors": lambda: gallery.reembed(
            "other-space", DIMENSION, lambda crops: np.stack([unit(9)] * len(crops))
        ),
        "a person": lambda: gallery.remove(ann.person_id),
    }
    for what, change in changes.items():
        before = counted()
        change()
        assert counted() != before, what
    before = counted()
    gallery.record("look", actor="tests")
    gallery.note_photos("Ann", [PhotoNote(photo(1), "no_face")], settings_tag="t")
    assert counted() == before


def test_the_audit_trail_is_verified_and_goes_on_from_an_earlier_seal(gallery):
    gallery.add([new_face("Ann", 1)])
    for number in range(3):
        gallery.record("test", actor="tests", person_id=gallery.person("Ann").id, number=number)
    first = gallery.check_events()
    assert first.finding.ok
    gallery.record("test", actor="tests")
    later = gallery.check_events(sealed=first.seal)
    assert later.finding.ok
    assert later.seal != first.seal
    count, _, digest = first.seal.partition(":")
    forged = f"{count}:{'0' * 63}1" if not digest.endswith("1") else f"{count}:{'0' * 64}"
    assert not gallery.check_events(sealed=forged).finding.ok, "the trail is another one than the one that was sealed"
    assert not gallery.check_events(sealed=f"{int(count) + 50}:{digest}").finding.ok, "lines are missing"
    with pytest.raises(InputError):
        gallery.check_events(sealed="nonsense")


def test_consent_and_retention_come_back_as_they_were_stated_until_they_are_cleared(gallery):
    consent = Consent("signed a form", datetime(2026, 1, 1, tzinfo=UTC), "front desk")
    gallery.add([new_face("Ann", 1, consent=consent, retain_until=date(2031, 2, 3)), new_face("Bea", 2)])
    ann = gallery.person("Ann")
    assert (ann.consent, ann.retain_until) == (consent, date(2031, 2, 3))
    assert [person.retain_until for person in gallery.people()] == [date(2031, 2, 3), None]
    cleared = gallery.update(ann.id, consent=None, retain_until=date(2020, 1, 1))
    assert (cleared.consent, cleared.retain_until) == (None, date(2020, 1, 1))
    assert gallery.person("Bea").consent is None


def test_a_snapshot_that_is_dropped_is_looked_for_no_more(gallery, tmp_path):
    gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    at = str(gallery.snapshot(tmp_path / "copy.gallery"))
    gallery.drop_snapshot(at)
    assert gallery.export("snapshots", after="", limit=10).snapshots == []
    assert gallery.remove(gallery.person("Ann").id).snapshots_purged == ()
    with pytest.raises(NotFound, match="no snapshot is remembered"):
        gallery.drop_snapshot(at)


def test_an_erasure_that_waits_for_a_machine_that_is_gone_ends_when_the_snapshot_is_dropped(
    gallery, tmp_path, monkeypatch
):
    if gallery.info().engine == "embedded":
        pytest.skip("the snapshots of a file are on its machine")
    monkeypatch.setattr(snapshots.socket, "gethostname", lambda: "pod-1")
    gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
    at = gallery.snapshot(tmp_path / "copy.gallery")
    at.unlink()  # and the machine with it
    monkeypatch.setattr(snapshots.socket, "gethostname", lambda: "pod-2")
    assert gallery.remove(gallery.person("Ann").id).snapshots_not_found == (f"pod-1:{at}",)
    found = {finding.name: finding for finding in gallery.check()}
    assert not found["erasures"].ok
    assert gallery.outline().unfinished
    gallery.drop_snapshot(str(at))
    assert all(finding.ok for finding in gallery.check())
    assert not gallery.outline().unfinished


def test_a_forecast_grows_with_the_faces_and_knows_how_large_pictures_are_here(gallery):
    before = gallery.forecast(1_000_000)
    assert before.picture_bytes == USUAL_PICTURE_BYTES
    gallery.add([new_face("Ann", seed) for seed in range(5)])
    after = gallery.forecast(1_000_000)
    assert after.picture_bytes == pytest.approx(len(new_face("Ann", 1).crop_jpeg), rel=0.1)
    assert before.disk_bytes > after.disk_bytes > 1_000_000 * (4 * DIMENSION + after.picture_bytes)
    assert 0 < gallery.forecast(1_000).memory_bytes < after.memory_bytes < after.disk_bytes


def test_a_consent_that_comes_with_a_face_ends_a_day_that_has_passed(gallery):
    over, to_come = date(2020, 1, 1), date(2999, 1, 1)
    consent = Consent("signed again", datetime(2026, 1, 2, tzinfo=UTC))
    gallery.add([new_face("Ann", 1, retain_until=over), new_face("Bea", 2, retain_until=to_come)])
    gallery.add([new_face("Ann", 3), new_face("Bea", 4, consent=consent)])
    assert [gallery.person(name).retain_until for name in ("Ann", "Bea")] == [over, to_come]
    gallery.add([new_face("Ann", 5, consent=consent)])
    assert (gallery.person("Ann").consent, gallery.person("Ann").retain_until) == (consent, None)
