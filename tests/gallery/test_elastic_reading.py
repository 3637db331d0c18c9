"""What is read while others change the gallery, a part of the cluster is silent, or an index is missing."""

from __future__ import annotations

import math

import elastic_answers
import numpy as np
import pytest
from gallery_oracle import DIMENSION, SPACE, new_face, photo, unit

from likeness.errors import GalleryCorrupt, StorageError
from likeness.gallery import open_gallery
from likeness.gallery.base import PhotoNote
from likeness.gallery.elastic import store


@pytest.fixture
def place(stand_in):
    yield stand_in.address(patience=1)
    stand_in.calm()
    stand_in.before = lambda method, path: None
    stand_in.answers.pit_life_s = math.inf


class Clock:
    """What both ends take for the time, which passes where a test says so and not with the machine's load."""

    def __init__(self):
        self.now_s = 0.0

    def monotonic(self):
        return self.now_s

    def pass_s(self, seconds):
        self.now_s += seconds


def opened(place):
    return open_gallery(place, space=SPACE, dimension=DIMENSION)


def index_of(place, part):
    return f"{place.rpartition('/')[2].partition('?')[0]}-{part}"


READINGS = [
    lambda gallery: gallery.info().faces,
    lambda gallery: gallery.held("faces").rows,
    lambda gallery: len(gallery.export("faces", after=0, limit=10)),
    lambda gallery: len(gallery.export("people", after="", limit=10)),
    lambda gallery: gallery.extent().faces,
]


@pytest.mark.parametrize("read", READINGS)
def test_what_is_told_of_a_gallery_is_told_though_a_re_embedding_ends_meanwhile(place, stand_in, read):
    with opened(place) as gallery, opened(place) as other:
        gallery.add([new_face("Ann", 1)])

        def before(method, path):
            if path == f"/{index_of(place, 'faces-000001')}/_search":
                stand_in.before = lambda method, path: None
                other.reembed("new", 8, lambda crops: np.stack([unit(5, dimension=8) for _ in crops]))

        stand_in.before = before
        assert read(gallery) == 1


@pytest.mark.parametrize("part", ["people", "notes", "audit", "faces-000001"])
def test_where_an_index_is_missing_the_check_names_it_and_errors_say_so(place, stand_in, tmp_path, part):
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
        gallery.record("look", actor="tests")
        stand_in.answers.indexes.drop(stand_in.answers.indexes.by_name[index_of(place, part)])
        [indexes] = [finding for finding in gallery.check() if finding.name == "indexes"]
        assert not indexes.ok
        assert index_of(place, part) in indexes.message
        for read in (gallery.info, lambda: gallery.snapshot(tmp_path / "copy")):
            with pytest.raises(StorageError) as raised:
                read()
            assert raised.value.hint
        if part in ("people", "faces-000001"):
            with pytest.raises(GalleryCorrupt, match="not there"):
                gallery.people()
        assert gallery.delete() == 4


def test_a_snapshot_that_takes_longer_than_points_in_time_live_is_whole(place, stand_in, tmp_path, monkeypatch):
    monkeypatch.setattr(store, "_TOUCH_S", 0.05)
    clock = Clock()
    for module in (store, elastic_answers):
        monkeypatch.setattr(module, "time", clock)
    with opened(place) as gallery:
        gallery.add([new_face(f"P{seed % 9}", seed) for seed in range(1_000)])
        gallery.note_photos("P1", [PhotoNote(photo(1), "no_face")], settings_tag="t")
        stand_in.answers.pit_life_s, began = 1.6, clock.now_s
        stand_in.before = lambda method, path: clock.pass_s(0.2 if path == "/_search" else 0)
        copy = gallery.snapshot(tmp_path / "copy")
        assert clock.now_s - began > 2 * 1.6
    with open_gallery(copy) as snapshot:
        assert (snapshot.info().faces, len(snapshot.people())) == (1_000, 9)
        assert len(snapshot.notes_on(snapshot.person("P1").id)) == 1


def test_a_snapshot_whose_state_the_cluster_let_go_says_so_and_leaves_no_file(place, stand_in, tmp_path):
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1)])
        stand_in.answers.pit_life_s = -1
        with pytest.raises(StorageError, match="does not hold") as raised:
            gallery.snapshot(tmp_path / "copy")
        assert "again" in raised.value.hint
    assert list(tmp_path.iterdir()) == []


def test_an_answer_that_lacks_a_shard_is_not_taken_for_whole(place, stand_in):
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1)])
        stand_in.trouble("partial", times=1000, path="_refresh")
        with pytest.raises(StorageError, match="did not answer"):
            gallery.add([new_face("Bea", 2)])
        stand_in.calm()
        assert [person.name for person in gallery.people()] == ["Ann"]
        assert gallery.add([new_face("Bea", 2)])[0].status == "added"
        stand_in.trouble("partial", times=1000, path="_search")
        findings = {finding.name: finding for finding in gallery.check()}
        assert not findings["record"].ok
        assert "did not answer" in findings["record"].message


def test_a_damaged_record_is_seen_though_others_write_all_the_time(place, stand_in):
    with opened(place) as gallery, opened(place) as other:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(5)])
        people = stand_in.answers.indexes.by_name[index_of(place, "people")]
        del people.docs[gallery.person("P3").id]
        people.refresh()
        seeds = iter(range(100, 200))

        def before(method, path):
            if path.endswith("_search"):
                stand_in.before = lambda method, path: None
                other.add([new_face("Q", next(seeds))])
                stand_in.before = before

        lease = gallery._changes._lease._acquire

        def acquire(limit_s):
            stand_in.before = before  # whenever the check lets go of the gallery
            return lease(limit_s)

        gallery._changes._lease._acquire = acquire
        record = next(finding for finding in gallery.check() if finding.name == "record")
        stand_in.before = lambda method, path: None
        assert next(seeds) > 101, "others have written meanwhile"
        assert not record.ok
        assert "1 faces without a person" in record.message
