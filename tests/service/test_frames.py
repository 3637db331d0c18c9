"""The best frames of a short video: good, of one person, and different from each other."""

from __future__ import annotations

import numpy as np
import pytest

from likeness.decision import VERIFICATION_FMR
from likeness.errors import VideoUnusable
from likeness.service.frames import SeenFrame, choose_frames, look_at_frames
from likeness.types import Face, Quality
from likeness.vision.video import read_frames
from moving_face import write_video

BOX = (0.0, 0.0, 10.0, 10.0)


def seen(angle_degrees: float, quality: float = 1.0, *, other: bool = False) -> SeenFrame:
    """A frame whose embedding lies at an angle; another person's at right angles to all of these."""
    turn = np.radians(angle_degrees)
    vector = np.array([0, 0, 1] if other else [np.cos(turn), np.sin(turn), 0], np.float32)
    face = Face(BOX, np.zeros((5, 2), np.float32), 1.0, Quality(quality), embedding=vector)
    return SeenFrame(0.0, b"", face)


def test_the_best_face_comes_first_and_the_most_different_next():
    frames = [seen(0, 0.8), seen(1, 1.0), seen(20, 0.9), seen(40, 0.9)]
    assert choose_frames(frames, same_from=0.5, keep=3) == [1, 3, 2]


def test_of_two_as_different_the_better_one_is_taken():
    assert choose_frames([seen(0), seen(20, 0.3), seen(-20, 0.9)], same_from=0.5, keep=2) == [0, 2]


def test_frames_that_show_nothing_new_are_left_out():
    still = [seen(0.01 * step) for step in range(10)]
    moved = [seen(15), seen(30)]
    assert len(choose_frames([*still, *moved], same_from=0.5, keep=8)) == 3
    assert choose_frames([seen(0), seen(0)], same_from=0.5) == [0]


def test_somebody_who_walks_through_is_not_taken_for_the_person():
    frames = [seen(0), seen(0, other=True), seen(5), seen(10), seen(0, other=True)]
    assert set(choose_frames(frames, same_from=0.5)) == {0, 2, 3}


def test_where_no_frame_can_be_used_the_usual_reason_is_told():
    dark = SeenFrame(0.0, b"", reason="the face is too dark (brightness 12 of 255)")
    with pytest.raises(VideoUnusable, match=r"none of the video's 3 frames .* the face is too dark"):
        choose_frames([dark, SeenFrame(0.1, b"", reason="no face was found"), dark], same_from=0.5)


def test_of_a_film_several_frames_are_kept_all_of_that_person(samples, recognizer, tmp_path):
    film = write_video(tmp_path / "film.webm", samples / "probes" / "stranger_1.jpg", 1.5)
    looked = list(look_at_frames(recognizer, read_frames(film)))
    assert len(looked) == 15
    threshold = recognizer.calibration.threshold(VERIFICATION_FMR)
    kept = choose_frames(looked, same_from=threshold, keep=4)
    assert 2 <= len(kept) <= 4
    vectors = np.stack([looked[index].face.embedding for index in kept])
    cosines = vectors @ vectors.T
    assert cosines.min() > threshold
    assert recognizer.faces(looked[kept[0]].jpeg)  # what is kept can be enrolled
