"""Faces followed over frames: one track a person, over gaps and crossings."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from likeness.types import Face, Quality
from likeness.vision.assign import pair
from likeness.vision.track import BRIDGED_S, Tracker

STEP_S = 0.1


def unlike(cosine: float) -> float:
    """Evidence of a space where strangers' cosines are about 0 and one person's about 0.9."""
    return 12 * (cosine - 0.5)


def face(x, y=100.0, size=60.0, who=None, score=0.99, reasons=()):
    """A face with its middle at (x, y); of two people told apart by right angles, a little different each time."""
    vector = None
    if who is not None:
        vector = np.zeros(8, np.float32)
        vector[who], vector[7] = 1.0, 0.3 * np.sin(x)
        vector /= np.linalg.norm(vector)
    half = size / 2
    box = (x - half, y - half, x + half, y + half)
    return Face(box, np.zeros((5, 2), np.float32), score, Quality(1.0, reasons), embedding=vector)


def follow(frames, **options):
    tracker = Tracker(unlike, **options)
    return [tracker.update(faces, number * STEP_S).tracks for number, faces in enumerate(frames)]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (4, 4)])
def test_the_pairing_has_the_largest_sum_that_trying_all_finds(shape):
    rng = np.random.default_rng(7)
    for _ in range(40):
        scores = rng.normal(0, 4, shape)
        scores[rng.random(shape) < 0.2] = -np.inf
        rows, columns = shape
        got = pair(scores, -2.0)
        assert all(scores[place] >= -2.0 for place in got)
        total = sum(scores[place] for place in got) - 2.0 * (rows - len(got))
        padded = np.hstack([np.where(scores < -2.0, -np.inf, scores), np.full((rows, rows), -2.0)])
        best = max(padded[range(rows), list(each)].sum() for each in permutations(range(columns + rows), rows))
        assert total == pytest.approx(best)


def test_a_face_that_moves_and_comes_nearer_stays_one_track():
    frames = [[face(50 + 12 * n, 100 + 5 * np.sin(n), 50 * 1.03**n)] for n in range(30)]
    assert follow(frames) == [(1,)] * 30


def test_faces_far_apart_are_followed_without_embeddings():
    frames = [[face(50 + 3 * n), face(400 - 3 * n)] for n in range(20)]
    assert follow(frames) == [(1, 2)] * 20


def test_two_people_who_cross_keep_their_numbers():
    # For half a second the one behind is hidden, and the detector's order of faces changes.
    frames = []
    for n in range(40):
        left, right = face(20 + 8 * n, who=0), face(340 - 8 * n, 104, who=1)
        hidden = abs((20 + 8 * n) - (340 - 8 * n)) < 45
        frames.append([left] if hidden else [left, right] if n < 20 else [right, left])
    told = follow(frames)
    assert any(len(each) == 1 for each in told)
    for faces, each in zip(frames, told, strict=True):
        for seen, number in zip(faces, each, strict=True):
            assert number == int(np.argmax(seen.embedding)) + 1


def test_two_who_meet_and_turn_back_keep_their_numbers():
    # Motion alone says that they passed each other: the faces say that they did not.
    ways = [min(20 + 10 * n, 180 - 4 * abs(n - 16)) if n < 16 else 180 - 10 * (n - 16) for n in range(32)]
    frames = [[face(x, who=0), face(400 - x, who=1)] for x in ways]
    assert follow(frames) == [(1, 2)] * 32


@pytest.mark.parametrize(("frames_away", "number"), [(int(BRIDGED_S / STEP_S) - 1, 1), (int(BRIDGED_S / STEP_S), 2)])
def test_a_gap_is_bridged_for_the_stated_time_and_no_longer(frames_away, number):
    frames = [[face(100, who=0)]] * 5 + [[]] * frames_away + [[face(104, who=0)]]
    assert follow(frames)[-1] == (number,)


def test_somebody_else_at_the_same_place_after_a_gap_is_a_new_track():
    frames = [[face(100, who=0)]] * 5 + [[]] * 3 + [[face(103, who=1)]] * 3
    assert follow(frames)[-1] == (2,)


def test_a_blurred_face_at_the_expected_place_goes_on_with_its_track():
    frames = [[face(100 + n, who=0)] for n in range(5)] + [[face(105, who=1, reasons=("blurred",))]]
    assert follow(frames)[-1] == (1,)


def test_a_cut_to_somebody_else_at_the_same_place_begins_a_track():
    assert follow([[face(100, who=0)]] * 5 + [[face(100, who=1)]] * 2)[-1] == (2,)


def test_a_faint_face_goes_on_with_a_track_but_begins_none():
    assert follow([[face(100)], [face(102, score=0.5)]]) == [(1,), (1,)]
    assert follow([[face(100, score=0.5)]]) == [(None,)]


def test_frames_that_come_rarely_are_still_one_track():
    tracker = Tracker(unlike)
    assert [tracker.update([face(100, who=0)], 2.1 * n).tracks for n in range(4)] == [(1,)] * 4


def test_a_track_is_said_to_end_once():
    tracker = Tracker()
    tracker.update([face(100), face(300)], 0.0)
    assert [tracker.update([face(100)], 0.4 * n).ended for n in range(1, 5)] == [(), (), (2,), ()]
    assert tracker.end() == (1,)
    assert tracker.end() == ()
