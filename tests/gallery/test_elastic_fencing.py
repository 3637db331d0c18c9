"""Writes that come late, after another process took over, change nothing; a gallery is deleted wholly or goes on."""

from __future__ import annotations

import threading
import time

import numpy as np
import pytest
from gallery_oracle import DIMENSION, SPACE, new_face, unit

from likeness.errors import Conflict, GalleryMissing, LikenessError, StorageError
from likeness.gallery import open_gallery
from likeness.gallery.base import PhotoNote
from likeness.gallery.elastic import bulk
from likeness.gallery.elastic.bulk import Action


@pytest.fixture
def place(stand_in):
    yield stand_in.address(lease=0.3, patience=20)
    stand_in.calm()
    stand_in.before = lambda method, path: None


def opened(place, **more):
    return open_gallery(place, **({"space": SPACE, "dimension": DIMENSION} | more))


def prefix_of(place):
    return place.rpartition("/")[2].partition("?")[0]


class Stalled:
    """A call in a thread whose first bulk request reaches the cluster only when it is let go."""

    def __init__(self, stand_in, work):
        self._go, stalled = threading.Event(), threading.Event()

        def before(method, path):
            if path == "/_bulk" and not stalled.is_set():
                stalled.set()
                self._go.wait(20)

        def run():
            try:
                work()
            except LikenessError as error:
                self.error = error

        self.error = None
        self._stand_in = stand_in
        stand_in.before = before
        self._thread = threading.Thread(target=run)
        self._thread.start()
        assert stalled.wait(10)
        time.sleep(0.35)  # its lease is over

    def go(self):
        self._go.set()
        self._thread.join()
        self._stand_in.before = lambda method, path: None


def test_a_merge_that_comes_late_gives_no_face_back_to_who_is_gone(place, stand_in):
    with opened(place) as slow, opened(place) as quick:
        slow.add([new_face("Ann", 1), new_face("Bea", 2), new_face("Cleo", 3)])
        slow.note_photos("Ann", [PhotoNote("a" * 64, "no_face")], settings_tag="t")
        ann, bea, cleo = (slow.person(name).id for name in ("Ann", "Bea", "Cleo"))
        late = Stalled(stand_in, lambda: slow.merge(ann, bea))
        quick.merge(bea, cleo)
        late.go()
        assert [(one.name, one.faces) for one in quick.people()] == [("Cleo", 3)]
        assert {face.person_id for face in quick.faces()} == {cleo}
        assert len(quick.notes_on(cleo)) == 1
        quick.remove(cleo)
        assert list(quick.faces()) == []
        assert quick.search(unit(1)[None], 3) == [[]]
        assert all(finding.ok for finding in quick.check())


def test_new_vectors_that_come_late_bring_back_nobody_who_was_removed_and_end(place, stand_in):
    seeds = {new_face("x", seed).crop_jpeg: seed for seed in range(10)}
    calls = []

    def embed(crops):
        calls.append(len(crops))
        assert len(calls) < 10, "it goes on for ever"
        return np.stack([unit(1000 + seeds[crop], dimension=8) for crop in crops])

    with opened(place) as slow, opened(place) as quick:
        slow.add([new_face(f"P{seed}", seed) for seed in range(6)])
        late = Stalled(stand_in, lambda: slow.reembed("new", 8, embed))
        quick.remove(quick.person("P3").id)
        quick.merge(quick.person("P4").id, quick.person("P5").id)
        late.go()
        with opened(place, space=None, dimension=None) as gallery:
            gallery.reembed("new", 8, embed)
            assert [(one.name, one.faces) for one in gallery.people()] == [
                ("P0", 1), ("P1", 1), ("P2", 1), ("P5", 2),
            ]  # fmt: skip
            (hits,) = gallery.search(unit(1003, dimension=8)[None], 10)
            assert {hit.name for hit in hits} == {"P0", "P1", "P2", "P5"}
            assert gallery.search(unit(1004, dimension=8)[None], 1)[0][0].name == "P5"
            assert all(finding.ok for finding in gallery.check())


def test_what_a_new_index_holds_beyond_the_one_in_use_is_deleted_from_it_and_whose_faces_are_follows(place, stand_in):
    with opened(place) as gallery:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(70)])
        calls = []

        def embed(crops):
            calls.append(len(crops))
            if len(calls) == 2:  # what a writer that was taken for dead may have written
                new, old = (stand_in.answers.indexes.by_name[f"{prefix_of(place)}-faces-{at:06d}"] for at in (2, 1))
                strange = {**new.docs["1"].source, "id": 9, "person": "p_0000000000000000"}
                new.write("index", "9", strange, {})
                new.write("update", "1", {"doc": {"person": "p_0000000000000000"}}, {})
                old.write("delete", "9", None, {})
                old.refresh()
            assert len(calls) < 9, "it goes on for ever"
            return np.stack([unit(len(calls), dimension=8) for _ in crops])

        gallery.reembed("new", 8, embed)
        assert [face.id for face in gallery.faces()] == [at for at in range(1, 71) if at != 9]
        assert gallery.person("P0").faces == 1


def test_an_undo_that_comes_late_does_not_bury_what_others_wrote_since(place, stand_in):
    with opened(place) as slow, opened(place) as quick:
        slow.add([new_face("Ann", 1)])
        send, calls = bulk._send, []

        def stalling(cluster, part):
            calls.append([action.op for _, action, _ in part])
            if threading.current_thread().name == "slow" and len(calls) == 1:
                raise StorageError("no")
            if threading.current_thread().name == "slow":
                gate.wait(20)
            return send(cluster, part)

        def add_late():
            with pytest.raises(LikenessError) as raised:
                slow.add([new_face("Bea", 2)])
            errors.append(raised.value)

        gate, errors = threading.Event(), []
        bulk._send = stalling
        try:
            thread = threading.Thread(target=add_late, name="slow")
            thread.start()
            while len(calls) < 2:
                time.sleep(0.01)
            time.sleep(0.35)
            assert quick.add([new_face("Bea", 3)])[0].status == "added"
            gate.set()
            thread.join()
        finally:
            bulk._send = send
        assert len(errors) == 1
        assert quick.person("Bea").faces == 1
        assert all(finding.ok for finding in quick.check())


@pytest.mark.parametrize("write", ["journal", "head"])
def test_a_change_whose_journal_or_decision_failed_leaves_a_gallery_that_goes_on(place, stand_in, write):
    with opened(place.replace("patience=20", "patience=0.3")) as gallery:
        gallery.add([new_face("Ann", 1)])
        if write == "journal":  # it is written, and its answer is lost
            stand_in.trouble("drop answer", path="_doc/change-2")
            stand_in.trouble("503", times=1000, path="_doc/change-2")
        else:
            stand_in.trouble("503", times=1000, path="_doc/head", skip=2)
        with pytest.raises(StorageError):
            gallery.add([new_face("Bea", 2)])
        stand_in.calm()
    with opened(place) as gallery:
        assert gallery.add([new_face("Bea", 2)])[0].status == "added"
        assert [one.name for one in gallery.people()] == ["Ann", "Bea"]
        assert all(finding.ok for finding in gallery.check())


@pytest.mark.parametrize("part", ["people", "faces-000001", "notes", "audit", "meta"])
def test_a_deletion_that_stops_half_way_is_finished_and_brings_nobody_back(place, stand_in, part):
    place, prefix = place.replace("patience=20", "patience=0.2"), prefix_of(place)
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1)])
        gallery.add([new_face("Bea", 2)])
        gallery.record("look", actor="tests")

        def before(method, path):
            if method == "DELETE" and path == f"/{prefix}-{part}":
                stand_in.trouble("503", times=1000, path=path)

        stand_in.before = before
        with pytest.raises(StorageError):
            gallery.delete()
        stand_in.before = lambda method, path: None
        stand_in.calm()
        for use in (
            gallery.people,
            lambda: gallery.add([new_face("Cleo", 3)]),
            lambda: gallery.search(unit(1)[None], 1),
        ):
            with pytest.raises(LikenessError):
                use()
        with pytest.raises(GalleryMissing):
            open_gallery(place, create=False)
        assert [name for name in stand_in.answers.indexes.by_name if name.startswith(prefix)] == []
    with opened(place) as gallery:
        added = gallery.add([new_face("Cleo", 3), new_face("Dora", 4)])
        assert [one.status for one in added] == ["added"] * 2
        assert [(one.name, one.faces) for one in gallery.people()] == [("Cleo", 1), ("Dora", 1)]
        assert all(finding.ok for finding in gallery.check())


def test_an_open_gallery_that_was_half_deleted_is_deleted_by_calling_it_again(place, stand_in):
    place = place.replace("patience=20", "patience=0.2")
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1)])
        stand_in.trouble("503", times=1000, path=f"{prefix_of(place)}-notes")
        with pytest.raises(StorageError):
            gallery.delete()
        stand_in.calm()
        assert 1 <= gallery.delete() <= 5
        with pytest.raises(GalleryMissing):
            gallery.delete()


def test_indexes_that_an_earlier_gallery_left_are_not_taken_on_and_those_of_others_are_not_touched(place, stand_in):
    prefix, indexes = prefix_of(place), stand_in.answers.indexes
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1)])
    indexes.drop(indexes.by_name[f"{prefix}-meta"])
    with opened(place) as gallery:
        assert gallery.people() == []
        assert gallery.add([new_face("Bea", 2)])[0].status == "added"
        gallery.delete()
    indexes.make(f"{prefix}-people", {})  # as a late write to an index that was deleted makes it
    with pytest.raises(Conflict, match="did not make"):
        opened(place)
    indexes.drop(indexes.by_name[f"{prefix}-people"])
    with opened(place) as gallery:
        assert gallery.people() == []


def test_a_document_that_finds_no_index_is_not_taken_for_written(place):
    with opened(place) as gallery:
        cluster, lost = gallery._store.cluster, f"{prefix_of(place)}-lost"
        for op in ("create", "index"):
            with pytest.raises(LikenessError):
                bulk.write(cluster, [Action(op, lost, "1", {"kind": "note"})])
        assert [done.lacks for done in bulk.write(cluster, [Action("delete", gallery._store.notes, "none")])] == [True]


def test_a_bulk_request_that_is_refused_as_a_whole_is_sent_again_in_smaller_ones(place, stand_in):
    with opened(place) as gallery:
        stand_in.bulk_sizes.clear()
        stand_in.trouble("429", times=2, path="_bulk")
        gallery.add([new_face("Ann", seed) for seed in range(40)])
        assert stand_in.bulk_sizes[0][0] // 2 <= 11
        assert gallery.person("Ann").faces == 40


def test_the_kind_of_index_that_is_told_is_the_one_that_it_was_made_with(stand_in):
    place = stand_in.address(exact=0, index="hnsw")
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1)])
    with opened(place.replace("index=hnsw", "index=int8_hnsw")) as gallery:
        assert gallery.info().index == "hnsw" == gallery.build_index()
        [index] = [finding.message for finding in gallery.check() if finding.name == "index"]
        assert index.startswith("hnsw")
