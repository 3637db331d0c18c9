"""Search by the graph and exactly, what searches see of writes under way, and re-embedding that is killed."""

from __future__ import annotations

import numpy as np
import pytest
from gallery_oracle import DIMENSION, SPACE, new_face, unit

from likeness.errors import InputError
from likeness.gallery import open_gallery
from likeness.gallery.elastic.checking import estimate_bytes


@pytest.fixture
def place(stand_in):
    """The address of a gallery of this test's own whose searches go by the graph."""
    yield stand_in.address(exact=0, lease=0.2, oversample=3, candidates=50)
    stand_in.before = lambda method, path: None


def opened(place, **more):
    return open_gallery(place, **({"space": SPACE, "dimension": DIMENSION} | more))


def by_hand(seeds, probe, k):
    return sorted(seeds, key=lambda seed: -float(unit(seed) @ probe))[:k]


def test_by_the_graph_as_many_people_are_found_though_one_fills_the_neighbourhood(place):
    with opened(place) as gallery:
        gallery.add([new_face("Many", 0, face_index=index) for index in range(300)])
        gallery.add([new_face(f"P{seed}", seed) for seed in range(1, 40)])
        (hits,) = gallery.search(unit(0)[None], 10)
        assert [hit.name for hit in hits] == ["Many", *(f"P{seed}" for seed in by_hand(range(1, 40), unit(0), 9))]
        assert hits[0].similarity == pytest.approx(1.0, abs=1e-6)
        assert hits[1].similarity == pytest.approx(
            float(unit(by_hand(range(1, 40), unit(0), 1)[0]) @ unit(0)), abs=1e-6
        )
        many = gallery.person("Many").id
        (others,) = gallery.search(unit(0)[None], 9, exclude=[many])
        assert [hit.face_id for hit in others] == [hit.face_id for hit in hits[1:]]
        assert gallery.info().index == "int8_hnsw"


def test_a_search_by_the_graph_asks_for_more_candidates_and_full_precision(place, stand_in):
    asked = []
    answer = stand_in.answers.answer

    def listening(method, route, parts, query, body, spoilt):
        asked.append(body) if body and "knn" in body else None
        return answer(method, route, parts, query, body, spoilt)

    stand_in.answers.answer = listening
    try:
        with opened(place) as gallery:
            gallery.add([new_face(f"P{seed}", seed) for seed in range(5)])
            gallery.search(unit(1)[None], 2)
    finally:
        del stand_in.answers.answer
    assert asked
    for knn in (body["knn"] for body in asked):
        assert knn["rescore_vector"] == {"oversample": 3.0}
        assert knn["num_candidates"] >= max(50, 2 * knn["k"])


def test_the_graph_and_comparing_every_face_give_the_same_people(place):
    with opened(place) as gallery, opened(place.replace("exact=0", "exact=1000")) as exact:
        gallery.add([new_face(f"P{seed % 40}", seed) for seed in range(120)])
        probes = np.stack([unit(seed) for seed in range(500, 530)])
        for got, wanted in zip(gallery.search(probes, 7), exact.search(probes, 7), strict=True):
            assert [hit.face_id for hit in got] == [hit.face_id for hit in wanted]
            assert [hit.similarity for hit in got] == pytest.approx([hit.similarity for hit in wanted], abs=1e-6)
        assert (gallery.info().index, exact.info().index) == ("int8_hnsw", "exact")
        with pytest.raises(InputError, match="10,000"):
            gallery.search(probes[:1], 10_001)


@pytest.mark.parametrize("exact", [0, 1000])
def test_a_search_sees_nothing_of_an_add_before_it_counts_and_all_of_it_after(place, stand_in, exact):
    place = place.replace("exact=0", f"exact={exact}")
    with opened(place) as gallery, opened(place) as other:
        gallery.add([new_face("Ann", 1)])
        seen = []

        def before(method, path):
            stand_in.before = lambda method, path: None
            for index in stand_in.answers.indexes.by_name.values():
                index.refresh()  # as a cluster does by itself each second
            seen.append([hit.name for hit in other.search(unit(2)[None], 5)[0]])
            seen.append([person.name for person in other.people()])
            seen.append([face.person_id for face in other.faces()])
            stand_in.before = at_the_head

        def at_the_head(method, path):
            if method == "PUT" and path.endswith("_doc/head"):
                before(method, path)

        stand_in.before = at_the_head
        gallery.add([new_face("Ann", 2), new_face("Bea", 3), new_face("Bea", 4)])
        stand_in.before = lambda method, path: None
        ann = gallery.person("Ann").id
        claimed, decided, *_ = (seen[at : at + 3] for at in range(0, len(seen), 3))
        assert claimed == decided == [["Ann"], ["Ann"], [ann]]
        assert [hit.name for hit in other.search(unit(3)[None], 5)[0]] == ["Bea", "Ann"]
        assert other.info().faces == 4


def test_what_was_written_is_seen_without_waiting_for_the_clusters_own_refresh(place):
    """The stand-in never refreshes by itself: every answer here is one that our own requests made visible."""
    with opened(place) as gallery, opened(place) as other:
        ann = gallery.add([new_face("Ann", 1)])[0].person_id
        assert [person.name for person in other.people()] == ["Ann"]
        gallery.update(ann, name="Zoe")
        assert [person.name for person in other.people(query="zo")] == ["Zoe"]
        gallery.add([new_face("Bea", 2)])
        gallery.merge(ann, other.person("Bea").id)
        assert [(person.name, person.faces) for person in other.people()] == [("Bea", 2)]
        assert {face.person_id for face in other.faces()} == {other.person("Bea").id}
        gallery.remove(other.person("Bea").id)
        assert other.people() == [] == list(other.faces())
        assert other.search(unit(1)[None], 3) == [[]]


def test_a_re_embedding_that_is_killed_goes_on_where_it_was_and_the_alias_follows(place, stand_in):
    seeds = {new_face("x", seed).crop_jpeg: seed for seed in range(300)}
    prefix = place.rpartition("/")[2].partition("?")[0]
    with opened(place) as gallery:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(200)])
        calls = []

        def embed(crops):
            calls.append(len(crops))
            if len(calls) == 3:
                raise KeyboardInterrupt
            return np.stack([unit(1000 + seeds[crop], dimension=8) for crop in crops])

        with pytest.raises(KeyboardInterrupt):
            gallery.reembed("new", 8, embed)
        assert gallery.search(unit(7)[None], 1)[0][0].name == "P7", "searches answer from the old index"
    with opened(place) as gallery:
        gallery.remove(gallery.person("P3").id)
        gallery.merge(gallery.person("P5").id, gallery.person("P6").id)
        gallery.add([new_face("Late", 250)])
        told = []
        embedded = gallery.reembed(
            "new",
            8,
            lambda crops: np.stack([unit(1000 + seeds[crop], dimension=8) for crop in crops]),
            progress=lambda done, total: told.append((done, total)),
        )
        assert embedded == 200 - 128 + 1
        assert told[0] == (127, 200)
        assert told[-1] == (200, 200)
        assert gallery.search(unit(1005, dimension=8)[None], 1)[0][0].name == "P6"
        assert gallery.search(unit(1250, dimension=8)[None], 1)[0][0].name == "Late"
        assert "P3" not in {hit.name for hit in gallery.search(unit(1003, dimension=8)[None], 100)[0]}
        assert all(finding.ok for finding in gallery.check())
    assert stand_in.answers.indexes.aliases[f"{prefix}-faces"] == {f"{prefix}-faces-000002"}
    assert f"{prefix}-faces-000001" not in stand_in.answers.indexes.by_name


def test_a_re_embedding_towards_another_aim_drops_what_was_begun(place, stand_in):
    prefix = place.rpartition("/")[2].partition("?")[0]
    with opened(place) as gallery:
        gallery.add([new_face(f"P{seed}", seed) for seed in range(3)])

        def fail(crops):
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            gallery.reembed("first", 8, fail)
        gallery.reembed("second", 4, lambda crops: np.stack([unit(1, dimension=4) for _ in crops]))
        assert (gallery.info().space, gallery.info().dimension) == ("second", 4)
    faces = [name for name in stand_in.answers.indexes.by_name if name.startswith(f"{prefix}-faces")]
    assert faces == [f"{prefix}-faces-000003"]


def test_the_room_that_an_index_wants_follows_the_vendors_formulas():
    memory, disk = estimate_bytes("int8_hnsw", 1_000_000, 128, 16)
    assert memory == 1_000_000 * (128 + 4 + 64)
    assert disk == 1_000_000 * (512 + 128 + 4 + 64)
    assert estimate_bytes("flat", 10, 128, 16) == (10 * 512, 10 * 512)
