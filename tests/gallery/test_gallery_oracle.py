"""Random histories on a gallery and on a naive one, which must answer alike; also across reopening."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import numpy as np
import pytest
from gallery_oracle import DIMENSION, SPACE, Oracle, new_face, photo, unit
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from likeness.errors import PersonExists
from likeness.gallery.embedded import ann, open_embedded

NAMES = st.sampled_from(["Ann", "Bea", "Çağla", "Dan", "Eve", "Finn"])
SEEDS = st.integers(0, 40)


class History(RuleBasedStateMachine):
    """Two open handles on one gallery, so that each step must also be seen by the other."""

    approximate_above = 10**9

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.oracle = Oracle()
        self.open()

    def open(self):
        self.galleries = [
            open_embedded(
                self.folder / "g",
                space=SPACE,
                dimension=DIMENSION,
                create=True,
                approximate_above=self.approximate_above,
            )
            for _ in range(2)
        ]

    def teardown(self):
        for gallery in getattr(self, "galleries", ()):
            gallery.close()
        if hasattr(self, "folder"):
            shutil.rmtree(self.folder)

    @rule(faces=st.lists(st.tuples(NAMES, SEEDS), min_size=1, max_size=8), which=st.integers(0, 1))
    def add(self, faces, which):
        outcomes = self.galleries[which].add([new_face(name, seed) for name, seed in faces])
        for (name, seed), outcome in zip(faces, outcomes, strict=True):
            person = self.oracle.people.setdefault(name, outcome.person_id)
            assert outcome.person_id == person
            held = self.oracle.faces.setdefault(person, [])
            same = [face_id for face_id, sha256, _ in held if sha256 == photo(seed)]
            assert (outcome.status == "duplicate") == bool(same)
            if same:
                assert outcome.face_id == same[0]
            else:
                held.append((outcome.face_id, photo(seed), unit(seed)))

    @precondition(lambda self: self.oracle.people)
    @rule(data=st.data(), which=st.integers(0, 1))
    def remove(self, data, which):
        name = data.draw(st.sampled_from(sorted(self.oracle.people)))
        person = self.oracle.people.pop(name)
        assert self.galleries[which].remove(person).faces == len(self.oracle.faces.pop(person))

    @precondition(lambda self: any(self.oracle.faces.values()))
    @rule(data=st.data(), which=st.integers(0, 1))
    def remove_face(self, data, which):
        pictured = [name for name, person in self.oracle.people.items() if self.oracle.faces.get(person)]
        person = self.oracle.people[data.draw(st.sampled_from(sorted(pictured)))]
        face = data.draw(st.sampled_from(self.oracle.faces[person]))
        assert self.galleries[which].remove(face_id=face[0]).faces == 1
        self.oracle.faces[person] = [one for one in self.oracle.faces[person] if one[0] != face[0]]

    @precondition(lambda self: len(self.oracle.people) > 1)
    @rule(data=st.data(), which=st.integers(0, 1))
    def merge(self, data, which):
        names = data.draw(st.permutations(sorted(self.oracle.people)))
        source, into = self.oracle.people.pop(names[0]), self.oracle.people[names[1]]
        held = {sha256 for _, sha256, _ in self.oracle.faces[into]}
        self.oracle.faces[into] += [face for face in self.oracle.faces.pop(source) if face[1] not in held]
        assert self.galleries[which].merge(source, into).faces == len(self.oracle.faces[into])

    @precondition(lambda self: self.oracle.people)
    @rule(data=st.data(), new=NAMES)
    def rename(self, data, new):
        old = data.draw(st.sampled_from(sorted(self.oracle.people)))
        person = self.oracle.people[old]
        if new != old and new in self.oracle.people:
            with pytest.raises(PersonExists):
                self.galleries[0].update(person, name=new)
        else:
            assert self.galleries[0].update(person, name=new).name == new
            self.oracle.people[new] = self.oracle.people.pop(old)

    @rule()
    def reopen(self):
        for gallery in self.galleries:
            gallery.close()
        self.open()

    @precondition(lambda self: self.approximate_above < 10 and ann.installed())
    @rule(which=st.integers(0, 1))
    def build_index(self, which):
        self.galleries[which].build_index()

    @rule(seed=st.integers(100, 110), k=st.integers(1, 7), without=NAMES)
    def search(self, seed, k, without):
        probes = np.stack([unit(seed), unit(seed - 100)])
        hidden = tuple(filter(None, [self.oracle.people.get(without)]))
        for gallery in self.galleries:
            for probe, hits in zip(probes, gallery.search(probes, k, exclude=hidden), strict=True):
                expected = self.oracle.search(probe, k, hidden)
                assert [hit.similarity for hit in hits] == pytest.approx([one[1] for one in expected], abs=1e-5)
                for hit in hits:
                    owned = {face_id: vector for face_id, _, vector in self.oracle.faces[hit.person_id]}
                    assert hit.similarity == pytest.approx(float(owned[hit.face_id] @ probe), abs=1e-5)
                    assert self.oracle.people[hit.name] == hit.person_id

    @invariant()
    def counts_agree(self):
        if not hasattr(self, "galleries"):
            return
        for gallery in self.galleries:
            people = gallery.people()
            assert {person.name: person.id for person in people} == self.oracle.people
            assert {person.id: person.faces for person in people} == {
                person: len(self.oracle.faces.get(person, [])) for person in self.oracle.people.values()
            }


class IndexedHistory(History):
    """The same, with an approximate index from four faces on."""

    approximate_above = 3


_settings = settings(max_examples=25, stateful_step_count=20, deadline=None, suppress_health_check=list(HealthCheck))
TestExact = History.TestCase
TestExact.settings = _settings
TestIndexed = IndexedHistory.TestCase
TestIndexed.settings = _settings
