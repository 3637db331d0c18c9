"""The approximate index: right after building, adding, erasing, damage, and without usearch."""

from __future__ import annotations

import re
from importlib.util import find_spec

import numpy as np
import pytest
from gallery_oracle import DIMENSION, new_face, unit

from likeness.errors import ExtraMissing, SpaceMismatch
from likeness.gallery.base import NewFace
from likeness.gallery.embedded import ann
from likeness.gallery.embedded.searcher import Searcher

# Not imported to see whether it is there: it must be loaded after onnxruntime (see `usearch_index`).
pytestmark = pytest.mark.skipif(find_spec("usearch") is None, reason="the extra ann is not installed")

INDEX = "people.likeness.ann"


def faces(numbers):
    return [new_face(f"P{number // 3}", number) for number in numbers]


def top(gallery, seed, k=5):
    return [(hit.name, hit.face_id, round(hit.similarity, 5)) for hit in gallery.search(unit(seed)[None], k)[0]]


@pytest.fixture
def pair(embedded_at):
    """One gallery opened twice: with an index from 50 faces on, and exact."""
    with embedded_at(approximate_above=50) as indexed, embedded_at() as exact:
        yield indexed, exact


def same_answers(indexed, exact):
    return all(top(indexed, seed) == top(exact, seed) for seed in range(5000, 5030))


def test_no_search_builds_an_index_by_itself(pair, tmp_path):
    indexed, exact = pair
    indexed.add(faces(range(90)))
    assert same_answers(indexed, exact)
    assert indexed.info().index == "exact"
    assert not (tmp_path / INDEX).exists()
    (finding,) = (one for one in indexed.check() if one.name == "index")
    assert (finding.ok, "not built" in finding.message) == (False, True)


def test_what_an_index_will_take_is_said_about_right(embedded_at, tmp_path):
    with embedded_at(approximate_above=50) as gallery:
        gallery.add(faces(range(3000)))
        [said] = [one.message for one in gallery.check(sample=10) if one.name == "index"]
        gallery.build_index()
    said_mb = float(re.search(r"takes about ([\d.]+) MB", said)[1])
    assert 0.7 < said_mb / ((tmp_path / INDEX).stat().st_size / 1e6) < 1.4


def test_the_index_answers_as_exact_search_does_while_faces_come_and_go(pair, tmp_path):
    indexed, exact = pair
    indexed.add(faces(range(300)))
    told = []
    assert indexed.build_index(progress=lambda done, total: told.append((done, total))) == ann.NAME
    assert told[-1] == (300, 300)
    assert (indexed.info().index, exact.info().index) == (ann.NAME, "exact")
    assert same_answers(indexed, exact)
    exact.add(faces(range(300, 360)))  # by another connection: the tail
    assert same_answers(indexed, exact)
    exact.merge(exact.person("P4").id, exact.person("P100").id)
    indexed.remove(indexed.person("P7").id)
    exact.remove(exact.person("P110").id)
    assert same_answers(indexed, exact)
    before = (tmp_path / INDEX).stat().st_ino
    indexed.build_index()
    assert (tmp_path / INDEX).stat().st_ino != before  # written aside, not in place
    assert same_answers(indexed, exact)
    assert [one for one in indexed.check() if not one.ok] == []


def test_a_crowd_of_one_persons_faces_does_not_hide_the_others(pair):
    indexed, exact = pair
    rng = np.random.default_rng(3)
    near = unit(1) + 0.02 * rng.standard_normal((1500, DIMENSION)).astype(np.float32)
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    indexed.add([NewFace("Crowd", row, b"x", str(number)) for number, row in enumerate(near)])
    indexed.add(faces(range(100, 130)))
    indexed.build_index()
    assert top(indexed, 1) == top(exact, 1)
    crowd = indexed.person("Crowd").id
    hits = indexed.search(unit(1)[None], 3, exclude=[crowd])[0]
    assert [hit.face_id for hit in hits] == [hit.face_id for hit in exact.search(unit(1)[None], 3, exclude=[crowd])[0]]


@pytest.mark.parametrize("damage", ["truncated", "rubbish", "missing", "one byte"])
def test_a_damaged_index_is_not_used_and_can_be_built_again(embedded_at, tmp_path, damage):
    path = tmp_path / INDEX
    with embedded_at(approximate_above=50) as gallery:
        gallery.add(faces(range(120)))
        gallery.build_index()
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif damage == "rubbish":
        path.write_bytes(b"rubbish" * 100)
    elif damage == "one byte":
        data[len(data) // 2] ^= 0xFF
        path.write_bytes(data)
    else:
        path.unlink()
    with embedded_at(approximate_above=50) as gallery, embedded_at() as exact:
        assert gallery.info().index == "exact"
        assert same_answers(gallery, exact)
        (finding,) = (one for one in gallery.check() if one.name == "index")
        assert (finding.ok, "damaged" in finding.message) == (False, True)
        gallery.remove(gallery.person("P1").id)
        assert gallery.build_index() == ann.NAME
        assert same_answers(gallery, exact)


def test_an_index_of_another_time_of_the_gallery_is_not_used(embedded_at, tmp_path):
    with embedded_at(approximate_above=50) as gallery:
        gallery.add(faces(range(120)))
        gallery.build_index()
        old = (tmp_path / INDEX).read_bytes()
        gallery.add(faces(range(120, 240)))
        gallery.build_index()
    (tmp_path / INDEX).write_bytes(old)
    with embedded_at(approximate_above=50) as gallery:
        assert gallery.info().index == "exact"
        assert top(gallery, 200)[0][0] == "P66"


def test_a_rebuilt_index_is_taken_up_by_who_had_found_the_old_one_missing(embedded_at, tmp_path):
    with embedded_at(approximate_above=50) as gallery:
        gallery.add(faces(range(120)))
        gallery.build_index()
        (tmp_path / INDEX).unlink()
        with embedded_at(approximate_above=50) as other:
            assert top(other, 7)[0][0] == "P2"
            assert other.info().index == "exact"
            gallery.build_index()
            assert top(other, 7)[0][0] == "P2"
            assert other.info().index == ann.NAME


def test_reembedding_ends_the_index_of_the_old_space(embedded_at, tmp_path):
    with embedded_at(approximate_above=50) as gallery:
        gallery.add(faces(range(80)))
        gallery.build_index()
        gallery.reembed("new", 8, lambda crops: np.eye(8, dtype=np.float32)[np.arange(len(crops)) % 8])
        assert gallery.info().index == "exact"
        assert not (tmp_path / INDEX).exists()
        assert gallery.build_index() == ann.NAME


def test_without_usearch_search_stays_exact_and_says_so(embedded_at, tmp_path, monkeypatch):
    with embedded_at(approximate_above=50) as gallery:
        gallery.add(faces(range(120)))
        gallery.build_index()
    monkeypatch.setattr(ann, "installed", lambda: False)
    with embedded_at(approximate_above=50) as gallery:
        assert gallery.info().index == "exact"
        assert gallery.info().details["usearch_installed"] is False
        assert top(gallery, 7)[0][0] == "P2"
        (finding,) = (one for one in gallery.check() if one.name == "index")
        assert (finding.ok, "likeness[ann]" in finding.message) == (False, True)
        with pytest.raises(ExtraMissing, match="usearch"):
            gallery.build_index()
        gallery.remove(gallery.person("P2").id)  # what cannot be cleaned is deleted
        assert not (tmp_path / INDEX).exists()


def test_the_index_file_keeps_no_byte_of_an_erased_vector(embedded_at, tmp_path):
    Index = ann.usearch_index().Index  # noqa: N806

    with embedded_at(approximate_above=10) as gallery:
        gallery.add(faces(range(60)))
        gallery.build_index()
        index = Index.restore(str(tmp_path / INDEX))
        inside = {face.id: np.asarray(index.get(face.id, dtype="i8")).tobytes() for face in gallery.faces()}
        index.reset()
        erased = []
        for name in (
            "P0",
            "P5",
            "P19",
        ):  # one after the other: each must also overwrite what usearch set free
            erased += [face.id for face in gallery.faces(gallery.person(name).id)]
            gallery.remove(gallery.person(name).id)
            data = (tmp_path / INDEX).read_bytes()
            assert [face for face in inside if (inside[face] in data) == (face in erased)] == []


def test_faces_that_were_erased_during_a_build_are_not_in_the_index(embedded_at, tmp_path):
    Index = ann.usearch_index().Index  # noqa: N806

    with embedded_at(approximate_above=10) as gallery, embedded_at() as other:
        gallery.add(faces(range(60)))
        gone = [face.id for face in gallery.faces(gallery.person("P3").id)]
        gallery.build_index(
            progress=lambda done, total: other.people(query="P3") and other.remove(other.person("P3").id)
        )
        index = Index.restore(str(tmp_path / INDEX))
        assert [face for face in gone if face in index] == []
        index.reset()
        assert top(gallery, 9)[0][0] != "P3"


def test_exact_search_over_the_record_agrees_with_search_in_memory(embedded_at):
    with embedded_at() as gallery:
        gallery.add(faces(range(200)))
        searcher: Searcher = gallery._searcher
        probes = np.stack([unit(seed) for seed in range(900, 910)])
        by_page = [[one.face_id for one in row] for row in searcher.exact(probes, 4)]
        assert by_page == [[hit.face_id for hit in row] for row in gallery.search(probes, 4)]


def test_a_face_erased_during_a_build_is_overwritten_though_earlier_erasures_left_room(embedded_at, tmp_path):
    """Fillers for the erased one must not all end in the room that earlier erasures left."""
    Index = ann.usearch_index().Index  # noqa: N806

    with embedded_at(approximate_above=10) as gallery, embedded_at(approximate_above=10) as other:
        gallery.add(faces(range(90)))
        gallery.build_index()
        for name in ("P0", "P1", "P2", "P3", "P4"):
            gallery.remove(gallery.person(name).id)
        index = Index.restore(str(tmp_path / INDEX))
        gone = [
            np.asarray(index.get(face.id, dtype="i8")).tobytes() for face in gallery.faces(gallery.person("P20").id)
        ]
        index.reset()
        gallery.add(faces([1000]))
        gallery.build_index(
            progress=lambda done, total: other.people(query="P20") and other.remove(other.person("P20").id)
        )
        data = (tmp_path / INDEX).read_bytes()
        assert [vector for vector in gone if vector in data] == []


def test_the_index_that_somebody_built_for_a_snapshot_goes_when_a_face_is_erased_from_it(embedded_at, tmp_path):
    with embedded_at(approximate_above=10) as gallery:
        gallery.add(faces(range(60)))
        path = gallery.snapshot(tmp_path / "snap")
        with embedded_at("snap", approximate_above=10) as copy:
            assert copy.build_index() == ann.NAME
        gallery.remove(gallery.person("P3").id)
        assert not (tmp_path / "snap.ann").exists()
        with embedded_at("snap", approximate_above=10) as copy:
            assert (copy.info().index, path.exists()) == ("exact", True)
            assert top(copy, 9)[0][0] != "P3"


@pytest.mark.parametrize("dimension", [DIMENSION, 8])
def test_a_search_that_a_reembedding_overtakes_does_not_mix_the_spaces(embedded_at, dimension):
    with embedded_at(approximate_above=50) as gallery, embedded_at(approximate_above=50) as other:
        gallery.add(faces(range(120)))
        gallery.build_index()
        assert top(other, 7)[0][0] == "P2"
        searcher: Searcher = other._searcher
        plain = searcher._through_index

        def overtaken(*given):
            searcher._through_index = plain
            gallery.reembed("new", dimension, lambda crops: np.stack([unit(9, dimension=dimension) for _ in crops]))
            return plain(*given)

        searcher._through_index = overtaken
        with pytest.raises(SpaceMismatch, match="re-embedded"):
            other.search(unit(7)[None], 1)
