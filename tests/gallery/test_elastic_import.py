"""Another gallery's contents come into Elasticsearch wholly, though requests are taken in part and runs are killed."""

from __future__ import annotations

import pytest
from gallery_oracle import DIMENSION, SPACE, new_face

from likeness.errors import GalleryBusy, PersonExists
from likeness.gallery import migration, open_gallery
from likeness.gallery.base import PhotoNote


@pytest.fixture
def source(tmp_path) -> str:
    """The path of an embedded gallery of 30 people with a face and a note each."""
    at = str(tmp_path / "source.gallery")
    with open_gallery(at, space=SPACE, dimension=DIMENSION) as gallery:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(30)])
        for seed in range(30):
            gallery.note_photos(f"P{seed}", [PhotoNote(f"{seed:064x}", "no_face")], settings_tag="t")
            gallery.record("look", actor="tests", n=seed)
    return at


@pytest.fixture
def place(stand_in):
    yield stand_in.address(lease=0.3, bulk_count=60)
    stand_in.calm()


def opened(place):
    return open_gallery(place, space=SPACE, dimension=DIMENSION)


class Killed(BaseException):
    """What stands for the end of a process."""


@pytest.mark.parametrize("part", ["people", "faces", "notes", "audit"])
def test_what_a_killed_run_sent_in_part_is_sent_again_and_nothing_is_missing(
    source, place, stand_in, part, monkeypatch
):
    from likeness.gallery.elastic import bulk

    send, died = bulk._send, []

    def dying(cluster, items):
        if died:
            raise Killed
        if any(action.into.partition("-")[0] and part in action.into for _, action, _ in items):
            stand_in.trouble("items", path="_bulk")  # each second item is refused, then the process is killed
            died.append(True)
        return send(cluster, items)

    with monkeypatch.context() as patch:
        patch.setattr(bulk, "_send", dying)
        with pytest.raises(Killed):
            migration.migrate(source, place, actor="tests")
    assert died
    stand_in.calm()
    for index in stand_in.answers.indexes.by_name.values():
        index.refresh()  # as a cluster does by itself
    done = migration.migrate(source, place, actor="tests")
    assert (done.people, done.faces, done.notes, done.findings) == (30, 30, 30, ())
    with opened(place) as gallery:
        assert [gallery.person(f"P{seed}").faces for seed in range(30)] == [1] * 30
        with pytest.raises(PersonExists):
            gallery.create("P0")
        assert len(gallery.events()) == 31
        assert all(finding.ok for finding in gallery.check())


def test_a_person_whom_their_name_does_not_find_is_a_finding(place, stand_in):
    with opened(place) as gallery:
        gallery.add([new_face("Ann", 1), new_face("Bea", 2)])
        people = stand_in.answers.indexes.by_name[f"{place.rpartition('/')[2].partition('?')[0]}-people"]
        [name] = [id_ for id_, doc in people.docs.items() if doc.source.get("person") == gallery.person("Ann").id]
        del people.docs[name]
        people.refresh()
        [record] = [finding for finding in gallery.check() if finding.name == "record"]
        assert not record.ok
        assert "1 person whom their name does not find" in record.message


def test_nobody_else_writes_while_contents_come_in(source, place):
    with opened(place) as early, open_gallery(source) as giver:
        early.begin_import(giver.outline())
        for work in (
            lambda: early.add([new_face("Ann", 1)]),
            lambda: early.create("Ann"),
            lambda: early.note_photos("Ann", [PhotoNote("a" * 64, "no_face")], settings_tag="t"),
            lambda: early.record("look", actor="tests"),
            lambda: early.reembed("other", 8, lambda crops: pytest.fail("nothing is embedded")),
        ):
            with pytest.raises(GalleryBusy, match="have not all come"):
                work()
        assert migration.migrate(source, place, actor="tests").people == 30
        assert early.person("P7").faces == 1
