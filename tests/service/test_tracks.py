"""Tracks of a video: one answer each, of the best frames together."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.service.frames import SeenFrame
from likeness.service.tracks import BEST, Following, identify_video, place_at
from likeness.types import Face, Quality


@pytest.fixture
def known(people, names):
    """The embedding of somebody enrolled, and their name."""
    stored = next(iter(people.gallery.faces(people.gallery.person(names[0]).id)))
    return stored.embedding, names[0]


def seen(number, vector, quality=0.9, x=100.0, noise=0.0):
    moved = vector + noise * np.random.default_rng(number).normal(size=vector.shape).astype(np.float32)
    moved = (moved / np.linalg.norm(moved)).astype(np.float32)
    reasons = () if quality > 0.5 else ("blurred",)
    face = Face((x, 50, x + 80, 130), np.zeros((5, 2), np.float32), 0.99, Quality(quality, reasons), embedding=moved)
    return SeenFrame(number / 10, (face,), (320, 240))


def test_a_track_has_one_answer_from_the_best_of_its_frames(people, known):
    vector, name = known
    frames = [seen(n, vector, quality=0.3 if n % 2 else 0.6 + n / 100, noise=0.01) for n in range(30)]
    [found] = identify_video(people, frames)
    assert (found.event, found.track, found.start_s, found.end_s, found.frames) == ("track", 1, 0.0, 2.9, 30)
    assert (found.answer.decision, found.answer.match.name) == ("match", name)
    assert 5 <= found.averaged <= BEST
    assert found.answer.face.quality.score == pytest.approx(0.88)
    single = max(float(frame.faces[0].embedding @ vector) for frame in frames)
    assert float(found.answer.face.embedding @ vector) > single  # what differs from frame to frame is averaged away


def test_a_face_that_comes_again_later_is_another_track(people, known):
    vector, name = known
    frames = [seen(n, vector) if not 5 <= n < 30 else SeenFrame(n / 10, (), (320, 240)) for n in range(35)]
    answers = list(identify_video(people, frames))
    assert [(each.track, each.start_s) for each in answers] == [(1, 0.0), (2, 3.0)]
    assert {each.answer.match.name for each in answers} == {name}


def test_a_first_answer_is_given_once_and_only_of_somebody_known(people, known):
    vector, name = known
    stranger = np.roll(vector, 7)
    for shown, first in ((vector, [name]), (stranger, [])):
        following = Following(people, first=True)
        told = []
        for number in range(20):
            following.add(seen(number, shown))
            told += following.news()
        assert [each.answer.match.name for each in told] == first
        assert {each.event for each in told} <= {"first"}
        [last] = following.end()
        assert (last.event, last.frames) == ("track", 20)


def test_a_glimpse_is_counted_and_not_named(people, known):
    following = Following(people)
    for number in range(2):
        following.add(seen(number, known[0], quality=0.2))
    assert list(following.end()) == []
    assert (following.glimpses, following.named) == (1, 0)


def test_a_face_that_stays_for_hours_takes_no_more_memory(people, known):
    following = Following(people)
    for number in range(400):
        following.add(seen(number, known[0]))
    [track] = following._alive.values()
    assert len(track.best) <= BEST


def test_each_search_stands_in_the_audit_trail(people, known):
    before = len(people.gallery.events())
    list(identify_video(people, [seen(n, known[0]) for n in range(5)]))
    [event] = people.gallery.events()[before:]
    assert (event.action, event.details["faces"]) == ("identify", 1)


def test_between_two_frames_the_box_is_between_and_in_a_gap_there_is_none():
    places = [(0.0, (0.0, 0.0, 10.0, 10.0)), (0.1, (10.0, 0.0, 20.0, 10.0)), (2.0, (0.0, 0.0, 10.0, 10.0))]
    assert place_at(places, 0.05) == pytest.approx((5, 0, 15, 10))
    assert place_at(places, 0.1) == (10, 0, 20, 10)
    assert place_at(places, 1.0) is None
    assert place_at(places, 2.02) == (0, 0, 10, 10)
    assert place_at(places, 2.2) is None
