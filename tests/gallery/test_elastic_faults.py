"""A cluster that is busy, slow or cuts connections, and writers that die: each ends in all of a change or nothing."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from functools import partial

import numpy as np
import pytest
from elastic_server import StandIn
from gallery_oracle import DIMENSION, SPACE, new_face, unit

from likeness.errors import GalleryBusy, GalleryUnreachable, LikenessError, StorageError
from likeness.gallery import open_gallery
from likeness.gallery.base import PhotoNote


@pytest.fixture
def server(stand_in):
    yield stand_in
    stand_in.calm()


@pytest.fixture
def opened(server):
    """Opens galleries on the stand-in; the same one for the same prefix."""
    galleries = []

    def open_it(prefix=None, **options):
        address = server.address(prefix, **options)
        gallery = open_gallery(address, space=SPACE, dimension=DIMENSION)
        galleries.append(gallery)
        return gallery

    yield open_it
    for gallery in galleries:
        gallery.close()


def prefix_of(gallery):
    return gallery.info().uri.partition("?")[0].rpartition("/")[2]


def faces_of(names, start=0):
    return [new_face(name, start + seed) for seed, name in enumerate(names)]


@pytest.mark.parametrize("kind", ["429", "503", "drop", "drop answer"])
def test_a_request_that_fails_for_a_while_is_asked_again(server, opened, kind):
    gallery = opened(patience=5)
    server.trouble(kind, times=3, path="_bulk")
    server.trouble(kind, times=2, path="_search")
    server.trouble(kind, times=1, path="_doc/head", skip=1)
    added = gallery.add(faces_of(["Ann", "Bea", "Ann"]))
    assert [one.status for one in added] == ["added"] * 3
    assert [hit.name for hit in gallery.search(unit(0)[None], 2)[0]] == ["Ann", "Bea"]
    assert gallery.info().faces == 3
    gallery.record("enrol", actor="tests")
    assert all(finding.ok for finding in gallery.check())


def test_only_what_a_bulk_request_refused_is_sent_again_and_less_at_a_time(server, opened):
    gallery = opened(patience=10)
    server.bulk_sizes.clear()
    server.trouble("items", times=2, path="_bulk")
    gallery.add([new_face("Ann", seed) for seed in range(40)])
    documents = [lines // 2 for lines, _ in server.bulk_sizes]
    assert documents[0] == 42  # 40 faces, one person, one name
    assert documents[1] == 21
    assert documents[2] <= 11
    assert gallery.person("Ann").faces == 40
    assert sorted(face.id for face in gallery.faces()) == list(range(1, 41))


def test_bulk_requests_are_bounded_in_count_and_bytes(server, opened):
    server.bulk_sizes.clear()
    gallery = opened(bulk_count=20, bulk_bytes=20_000)
    gallery.add([new_face("Ann", seed) for seed in range(50)])
    assert max(lines for lines, _ in server.bulk_sizes) <= 40
    assert max(size for _, size in server.bulk_sizes) <= 20_000
    assert len(server.bulk_sizes) > 3


@pytest.mark.parametrize("kind", ["429", "503", "drop"])
def test_where_it_stays_so_nothing_is_added_and_the_error_says_what_to_do(server, opened, kind):
    gallery = opened(patience=0.3, lease=0.3)
    gallery.add(faces_of(["Ann"]))
    server.trouble(kind, times=1000, path="_bulk")
    with pytest.raises((GalleryBusy, GalleryUnreachable)) as raised:
        gallery.add(faces_of(["Bea", "Cleo"], 10))
    assert raised.value.hint
    server.calm()
    assert [person.name for person in gallery.people()] == ["Ann"]
    assert gallery.info().faces == 1
    again = opened(prefix_of(gallery), lease=0.3)
    added = again.add(faces_of(["Bea", "Cleo"], 10))
    assert [one.status for one in added] == ["added"] * 2
    assert all(finding.ok for finding in again.check())


def test_a_cluster_that_is_slower_than_the_time_limit_is_told_apart_from_none(server, opened):
    gallery = opened(patience=0.2, timeout=0.3)
    server.trouble("slow", times=5, path="_search")
    with pytest.raises(GalleryUnreachable, match=r"within 0\.3 s"):
        gallery.search(unit(1)[None], 1)
    with pytest.raises(GalleryUnreachable, match="nobody answers"):
        open_gallery("elasticsearch://127.0.0.1:9/g?patience=0.1", space=SPACE, dimension=DIMENSION)


def test_where_the_answer_to_the_deciding_write_is_lost_and_nobody_answers_it_says_so(server, opened):
    gallery = opened(patience=0.2, lease=0.3)
    head = f"{prefix_of(gallery)}-meta/_doc/head"
    server.trouble("drop answer", times=1, path=head, skip=2)  # read, claimed, then this
    server.trouble("drop", times=1000, path=head, skip=2)
    with pytest.raises(StorageError, match="not known") as raised:
        gallery.add(faces_of(["Ann"]))
    assert "again" in raised.value.hint
    server.calm()
    again = opened(prefix_of(gallery), lease=0.3)
    assert [one.status for one in again.add(faces_of(["Ann"]))] == ["duplicate"]
    assert all(finding.ok for finding in again.check())


class Killed(BaseException):
    """What stands for the end of a process: nothing it does after it reaches the cluster."""


def kill_after(gallery, requests):
    """Let a gallery reach the cluster so many times more, and never again."""
    ask, left = gallery._store.cluster.ask, [requests]

    def limited(question, **how):
        if left[0] < 1:
            raise Killed
        left[0] -= 1
        return ask(question, **how)

    gallery._store.cluster.ask = limited
    return left


def everything(gallery):
    """What a gallery shows of people and faces."""
    people = {person.id: (person.name, person.faces, str(person.profile)) for person in gallery.people()}
    faces = sorted((face.id, face.person_id) for face in gallery.faces())
    hits = [[(hit.person_id, hit.face_id) for hit in row] for row in gallery.search(np.stack([unit(0), unit(3)]), 5)]
    return people, faces, hits


def _add(gallery):
    gallery.add(faces_of(["Ann", "Dora", "Eve"], 20))


def _remove(gallery):
    gallery.remove(gallery.person("Ann").id)


def _merge(gallery):
    gallery.merge(gallery.person("Ann").id, gallery.person("Bea").id)


def _rename(gallery):
    gallery.update(gallery.person("Ann").id, name="Zoe", profile={"born": 1970})


@pytest.mark.parametrize("work", [_add, _remove, _merge, _rename])
def test_a_writer_that_dies_at_any_request_leaves_all_of_its_change_or_nothing(opened, work):
    outcomes = set()
    for requests in range(3, 100, 2 if work is _add else 3):
        gallery = opened(lease=0.1, bulk_count=3)
        gallery.add(faces_of(["Ann", "Bea", "Ann", "Cleo"]))
        gallery.note_photos("Ann", [PhotoNote("a" * 64, "no_face")], settings_tag="t")
        before = everything(gallery)
        left = kill_after(gallery, requests)
        try:
            work(gallery)
        except Killed:
            died = True
        else:
            died = left[0] < 1
        time.sleep(0.11)
        with opened(prefix_of_killed(gallery), lease=0.1) as other:  # finishes what was left
            after = everything(other)
            left_over = other._store.pages(other._store.meta, {"match_all": {}}, ("kind",))
            told = [hit["_source"] for hit in left_over if hit["_id"].startswith("change-")]
            assert all(set(journal) == {"void", "write"} for journal in told), "a journal tells of people no more"
            if after == before:
                work(other)
                assert everything(other) != before
                outcomes.add("nothing")
            else:
                outcomes.add("all")
                names = sorted(name for name, _, _ in after[0].values())
                wanted = {
                    _add: ["Ann", "Bea", "Cleo", "Dora", "Eve"],
                    _remove: ["Bea", "Cleo"],
                    _merge: ["Bea", "Cleo"],
                    _rename: ["Bea", "Cleo", "Zoe"],
                }[work]
                assert names == wanted
                assert sum(faces for _, faces, _ in after[0].values()) == len(after[1])
            other.add(faces_of(["Finn"], 50))
            assert [finding for finding in other.check() if not finding.ok] == []
            assert other.search(unit(50)[None], 1)[0][0].name == "Finn"
        if not died:
            break
    assert outcomes == {"nothing", "all"}


def prefix_of_killed(gallery):
    return gallery._store.address.prefix


def test_a_writer_that_was_only_slow_finds_itself_overtaken_and_has_changed_nothing(server, opened):
    slow = opened(lease=0.2)
    prefix = prefix_of(slow)
    quick = opened(prefix, lease=0.2)
    waiting, go_on = threading.Event(), threading.Event()
    ask, caught = slow._store.cluster.ask, []

    def stopped(question, **how):
        if threading.current_thread() is worker and not waiting.is_set() and bulk_is_next():
            waiting.set()
            go_on.wait(10)
        return ask(question, **how)

    def bulk_is_next():
        return server.asked[-1] == ("PUT", f"/{prefix}-meta/_doc/change-1")

    def work():
        try:
            slow.add(faces_of(["Ann", "Bea"]))
        except LikenessError as error:
            caught.append(error)

    slow._store.cluster.ask = stopped
    worker = threading.Thread(target=work)
    worker.start()
    assert waiting.wait(10)
    (added,) = quick.add(faces_of(["Cleo"], 5))  # after the lease
    go_on.set()
    worker.join()
    assert [type(error) for error in caught] == [GalleryBusy]
    assert [person.name for person in quick.people()] == ["Cleo"] == [one.name for one in slow.people()]
    assert [face.id for face in quick.faces()] == [added.face_id]
    assert [hit.name for hit in slow.search(unit(0)[None], 5)[0]] == ["Cleo"]
    assert all(finding.ok for finding in quick.check())


def test_a_process_that_is_killed_in_an_add_has_added_nothing_or_all(tmp_path):
    script = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from gallery_oracle import *\n"
        "from likeness.gallery import open_gallery\n"
        "gallery = open_gallery(sys.argv[1], space=SPACE, dimension=DIMENSION)\n"
        "gallery.add([new_face('Ann', 0)])\n"
        "gallery.add([new_face(f'P{seed % 7}', seed) for seed in range(1, 60)])\n"
    )
    here = str(__file__).rpartition("/")[0]
    with StandIn() as server:
        address = server.address(lease=0.5, bulk_count=10)
        process = []
        bulks = []

        def before(method, path):
            bulks.append(path) if path == "/_bulk" else None
            if len(bulks) == 4:  # of the second add
                process[0].kill()

        server.before = before
        process.append(subprocess.Popen([sys.executable, "-c", script, address, here]))
        assert process[0].wait(60) == -9
        server.before = lambda method, path: None
        time.sleep(0.6)
        with open_gallery(address, space=SPACE, dimension=DIMENSION) as gallery:
            assert [person.name for person in gallery.people()] == ["Ann"]
            assert gallery.info().faces == 1
            added = gallery.add([new_face(f"P{seed % 7}", seed) for seed in range(1, 60)])
            assert {one.status for one in added} == {"added"}
            assert all(finding.ok for finding in gallery.check())
        assert server.violations == []


def test_many_writers_in_several_clients_take_turns(opened):
    first = opened()
    clients = [first, *(opened(prefix_of(first)) for _ in range(2))]
    errors = []

    def work(gallery, number):
        try:
            for step in range(5):
                gallery.add([new_face(f"P{step}", 100 * number + step)])
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=partial(work, one, number)) for number, one in enumerate(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert [person.faces for person in first.people()] == [3] * 5
    assert all(finding.ok for finding in first.check())
