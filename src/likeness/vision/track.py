"""Faces followed over the frames of a video: which face of this frame is the one of the frames before.

Each track expects its face where a Kalman filter of constant velocity says (SORT; Bewley et al. 2016, "Simple online
and realtime tracking"), and is paired with the faces found by the largest sum of scores. A score is the logarithm of
how well place and size fit, plus, where both faces have embeddings, of how much likelier their similarity is for one
person than for two (as DeepSORT adds appearance; Wojke et al. 2017). So boxes decide while they are clear, and faces
decide where two people cross. Faces of which the detector is unsure come second: they may go on with a track, but begin
none (ByteTrack; Zhang et al. 2022).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

from likeness.types import Face, Vector
from likeness.vision.assign import pair
from likeness.vision.motion import Motion

BRIDGED_S = 1.0
"""A face that was out of sight for no longer is still the same track."""
FRAMES_BRIDGED = 2.5
"""So many frames are bridged also where they come more rarely than that."""
MOST_BRIDGED_S = 10.0
"""But never a longer time: a stream that was away shows other people when it is back."""
SURE = 0.85
"""From this detector's score on a face may begin a track."""
FARTHEST = 16.0
"""Squared distance from the expected place beyond which no face is the track's: 1 of 1,000 is farther."""
LEAST = -5.0
"""Score below which a face is rather somebody new."""
WAITING = -2.0
"""What each second out of sight adds to a score: of two tracks that fit alike, the one seen last is likelier."""
MOST_EVIDENCE = 6.0
"""What two good faces may add or take: more than `LEAST`, so that a film's cut to somebody else begins a track. Of
worse faces (quality below 1) it is less: a face that turns or blurs at the expected place goes on with its track."""
POOR = 0.3
"""How much the embedding of a face below the quality gate counts, of what its quality says."""
KEPT_OF_BEFORE = 0.8
"""How much of a track's appearance stays when a face is added (an exponential average)."""

Evidence = Callable[[float], float]
"""From the cosine of two embeddings to the logarithm of the odds for one person, at even odds before."""


@dataclass(slots=True, eq=False)
class _Track:
    """A face that is followed."""

    number: int
    motion: Motion
    seen_s: float
    appearance: Vector | None = None
    weight: float = 0.0


@dataclass(frozen=True, slots=True)
class Step:
    """One frame's outcome.

    Attributes:
        tracks: for each face the number of its track, from 1; None for one too faint to begin one.
        ended: numbers of tracks that were out of sight for too long, and end.
    """

    tracks: tuple[int | None, ...]
    ended: tuple[int, ...] = ()


@dataclass(slots=True)
class Tracker:
    """Follows the faces of one video, frame by frame.

    Args:
        evidence: what the likeness of two faces says; None follows by place and size alone.
        bridged_s: how long a face may be out of sight.
    """

    evidence: Evidence | None = None
    bridged_s: float = BRIDGED_S
    _alive: list[_Track] = field(default_factory=list)
    _begun: int = 0
    _last_s: float | None = None

    def update(self, faces: Sequence[Face], time_s: float) -> Step:
        """Take in the faces of the next frame, at `time_s`, which must not lie before the last one."""
        step_s = 0.0 if self._last_s is None else time_s - self._last_s
        patience_s, self._last_s = max(self.bridged_s, min(FRAMES_BRIDGED * step_s, MOST_BRIDGED_S)) + 1e-6, time_s
        ended = tuple(track.number for track in self._alive if time_s - track.seen_s > patience_s)
        self._alive = [track for track in self._alive if track.number not in ended]
        for track in self._alive:
            track.motion.predict(time_s)
        found: list[int | None] = [None] * len(faces)
        sure = [place for place, face in enumerate(faces) if face.score >= SURE]
        faint = [place for place, face in enumerate(faces) if face.score < SURE]
        for places in (sure, faint):
            free = [track for track in self._alive if track.number not in found]
            for at, which in pair(self._scores([faces[place] for place in places], free, time_s), LEAST):
                found[places[at]] = free[which].number
                _see(free[which], faces[places[at]], time_s)
        for place in sure:
            if found[place] is None:
                found[place] = self._begin(faces[place], time_s)
        return Step(tuple(found), ended)

    def end(self) -> tuple[int, ...]:
        """The numbers of all tracks that are left, which end."""
        left = tuple(track.number for track in self._alive)
        self._alive = []
        return left

    def _begin(self, face: Face, time_s: float) -> int:
        self._begun += 1
        track = _Track(self._begun, Motion.first(face.box_xyxy_px, time_s), time_s)
        _remember(track, face)
        self._alive.append(track)
        return track.number

    def _scores(self, faces: Sequence[Face], tracks: Sequence[_Track], time_s: float) -> np.ndarray:
        """How well each face `(n)` fits each track `(m)`; minus infinity where it cannot be."""
        scores = np.full((len(faces), len(tracks)), -np.inf)
        for row, face in enumerate(faces):
            for column, track in enumerate(tracks):
                distance = track.motion.distance(face.box_xyxy_px)
                if distance <= FARTHEST:
                    waited = WAITING * (time_s - track.seen_s)
                    scores[row, column] = waited - distance / 2 + self._likeness(face, track)
        return scores

    def _likeness(self, face: Face, track: _Track) -> float:
        if self.evidence is None or face.embedding is None or track.appearance is None:
            return 0.0
        says = float(np.clip(self.evidence(float(face.embedding @ track.appearance)), -MOST_EVIDENCE, MOST_EVIDENCE))
        return says * min(_weight(face), track.weight)


def _see(track: _Track, face: Face, time_s: float) -> None:
    track.motion.update(face.box_xyxy_px)
    track.seen_s = time_s
    _remember(track, face)


def _remember(track: _Track, face: Face) -> None:
    """Take a face into the track's appearance, by its quality."""
    if face.embedding is None:
        return
    weight = _weight(face)
    if track.appearance is None:
        track.appearance, track.weight = face.embedding, weight
        return
    before, added = KEPT_OF_BEFORE * track.weight, (1 - KEPT_OF_BEFORE) * weight
    mixed = before * track.appearance + added * face.embedding
    track.appearance = (mixed / np.linalg.norm(mixed)).astype(np.float32)
    track.weight = before + added


def _weight(face: Face) -> float:
    return max(face.quality.score, 1e-3) * (1.0 if face.quality.passes else POOR)
