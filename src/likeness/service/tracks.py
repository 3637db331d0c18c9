"""Who appears in a video: each track of a face gets one answer, of its best frames together, and not one a frame.

The embeddings of a track's best frames become one, the mean weighted by quality of those that belong together
(`likeness.service.centre`), which is searched for once. A mean is steadier than a frame, so its similarities lie higher
than those of single photos, on which probabilities were calibrated: docs/video.md says by how much.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from likeness.service.centre import robust_centre
from likeness.service.frames import SeenFrame, best_of, same_from
from likeness.service.looking import Described
from likeness.service.people import People
from likeness.service.sightings import GLIMPSE, evidence_of
from likeness.types import Answer, Face
from likeness.vision.motion import Box
from likeness.vision.track import BRIDGED_S, Tracker

BEST = 10
"""Frames of a track that its answer is made of, at most."""
APART_S = 0.3
"""Frames nearer in time show much the same: of these the best one counts."""
GOOD_FOR_FIRST = 2
"""After so many good frames a first answer is tried, then each time their number has doubled."""


@dataclass(frozen=True, slots=True, eq=False)
class TrackAnswer:
    """Who one track is.

    Attributes:
        event: `first` while the track goes on, once it is sure; `track` when it has ended.
        track: its number in the video, from 1.
        start_s, end_s: from the first frame on which it was seen to the last.
        frames: on how many it was seen.
        averaged: how many of them the answer is made of.
        best_s: when the face of the answer was seen.
        answer: as of a photo; its face is the best one, with the embedding of them all.
    """

    event: Literal["first", "track"]
    track: int
    start_s: float
    end_s: float
    frames: int
    averaged: int
    best_s: float
    answer: Answer

    def as_dict(self, *, embedding: bool = False) -> dict[str, Any]:
        """Plain data for JSON."""
        return {
            "event": self.event,
            "track": self.track,
            "start_s": round(self.start_s, 3),
            "end_s": round(self.end_s, 3),
            "frames": self.frames,
            "averaged": self.averaged,
            "best_s": round(self.best_s, 3),
            **self.answer.as_dict(embedding=embedding),
        }


@dataclass(slots=True)
class _Followed:
    """What is kept of a track while it goes on: not its frames, of which there may be no end."""

    number: int
    start_s: float
    end_s: float
    frames: int = 0
    good: int = 0
    best: list[tuple[float, Face]] = field(default_factory=list)
    answer: Answer | None = None
    next_try: int = GOOD_FOR_FIRST

    def add(self, face: Face, time_s: float) -> None:
        """Take in where it was seen last; keep the face if it is among the best."""
        self.end_s, self.frames, self.good = time_s, self.frames + 1, self.good + face.quality.passes
        if self.best and time_s - self.best[-1][0] < APART_S - 1e-6:
            if best_of([self.best[-1][1], face]) == 1:
                self.best[-1] = (self.best[-1][0], face)
            return
        self.best.append((time_s, face))
        if len(self.best) > BEST:
            worst = min(range(BEST), key=lambda at: (self.best[at][1].quality.passes, self.best[at][1].quality.score))
            del self.best[worst]


class Following:
    """Follows the faces of one video and names each track.

    Args:
        people: the gallery, opened for the use cases.
        first: give a first answer as soon as a track is sure, for videos without an end.
        places: keep where each track was seen, for drawing.
    """

    def __init__(self, people: People, *, first: bool = False, places: bool = False) -> None:
        calibration = people.recognizer.calibration
        self._people, self._first = people, first
        self._same = same_from(calibration)
        self._tracker = Tracker(evidence_of(calibration))
        self._alive: dict[int, _Followed] = {}
        self.frames = self.named = self.glimpses = 0
        self.places: dict[int, list[tuple[float, Box]]] | None = {} if places else None
        self.answers: dict[int, Answer] = {}
        """By track, of those that are followed, and with `places` of all."""

    def add(self, seen: SeenFrame) -> list[tuple[int, Box]]:
        """Take in the next frame; the tracks that are on it, and where."""
        step = self._tracker.update(seen.faces, seen.time_s)
        self.frames += 1
        self._ended = [self._alive.pop(number) for number in step.ended]
        here = []
        for face, number in zip(seen.faces, step.tracks, strict=True):
            if number is None:
                continue
            track = self._alive.setdefault(number, _Followed(number, seen.time_s, seen.time_s))
            track.add(face, seen.time_s)
            here.append((number, face.box_xyxy_px))
            if self.places is not None:
                self.places.setdefault(number, []).append((seen.time_s, face.box_xyxy_px))
        return here

    def news(self) -> Iterator[TrackAnswer]:
        """The answers that the last frame brought: of tracks that ended, and first ones."""
        ended, self._ended = self._ended, []
        yield from self._answered(ended, "track")
        if not self._first:
            return
        for track in self._alive.values():
            if track.answer is None and track.good >= track.next_try:
                track.next_try = 2 * track.good
                [found] = self._answered([track], "first")
                if found.answer.decision == "match":
                    track.answer = self.answers[track.number] = found.answer
                    yield found

    def end(self) -> Iterator[TrackAnswer]:
        """The answers of all tracks that are left, as the video ends."""
        left = [self._alive.pop(number) for number in self._tracker.end() if number in self._alive]
        yield from self._answered(left, "track")

    def _answered(self, tracks: Sequence[_Followed], event: Literal["first", "track"]) -> list[TrackAnswer]:
        told = [track for track in tracks if track.good or track.frames >= GLIMPSE]
        self.glimpses += len(tracks) - len(told)
        for track in tracks:
            if self.places is None and event == "track":
                self.answers.pop(track.number, None)
        if not told:
            return []
        faces = [_as_one(track, self._same) for track in told]
        asked = Described("", tuple(face for face, _, _ in faces))
        [identified] = self._people.identify_together([(self._people.actor, asked)])
        found = []
        for track, (_, averaged, best_s), answer in zip(told, faces, identified.answers, strict=True):
            if event == "track":
                self.named += 1
                if self.places is not None:
                    self.answers[track.number] = answer
            found.append(
                TrackAnswer(event, track.number, track.start_s, track.end_s, track.frames, averaged, best_s, answer)
            )
        return found

    _ended: Sequence[_Followed] = ()


def identify_video(people: People, seen: Iterable[SeenFrame], *, places: bool = False) -> Iterator[TrackAnswer]:
    """One answer for each track of a video's frames, when it has ended."""
    following = Following(people, places=places)
    for frame in seen:
        following.add(frame)
        yield from following.news()
    yield from following.end()


def place_at(places: Sequence[tuple[float, Box]], time_s: float) -> Box | None:
    """Where a track is between the frames on which it was seen; None before, after, and in gaps."""
    times = [at for at, _ in places]
    after = int(np.searchsorted(times, time_s))
    if after < len(times) and abs(times[after] - time_s) < 1e-3:
        return places[after][1]
    if after == 0 or after == len(times):
        nearest = min(after, len(times) - 1)
        return places[nearest][1] if abs(times[nearest] - time_s) < 0.05 else None
    (start, one), (end, other) = places[after - 1], places[after]
    if end - start > BRIDGED_S:
        return None
    share = (time_s - start) / (end - start)
    x1, y1, x2, y2 = (float(a + share * (b - a)) for a, b in zip(one, other, strict=True))
    return x1, y1, x2, y2


def _as_one(track: _Followed, same: float) -> tuple[Face, int, float]:
    """The track's best face with the embedding of its best faces, how many these are, and when it was seen."""
    good = [each for each in track.best if each[1].quality.passes] or track.best
    faces = [face for _, face in good]
    vectors = np.stack([face.embedding for face in faces if face.embedding is not None])
    centre = robust_centre(vectors, np.array([face.quality.score for face in faces]), same_from=same)
    own = [each for each, belongs in zip(good, centre.belongs, strict=True) if belongs]
    time_s, best = own[best_of([face for _, face in own])]
    return replace(best, embedding=centre.vector), len(own), time_s
