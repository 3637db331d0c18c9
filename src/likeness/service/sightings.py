"""Who appears in a short video: its faces followed, and the tracks of one person put together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from likeness.calibration import Calibration
from likeness.errors import SeveralFaces
from likeness.service.centre import robust_centre
from likeness.service.choosing import Pick, choose
from likeness.service.frames import SeenFrame, best_of, same_from
from likeness.types import Face
from likeness.vision.track import Evidence, Tracker

GLIMPSE = 3
"""Who is seen well in fewer frames is nobody to reckon with, where somebody else is seen in more."""
LONGER = 10.0
"""Who is seen so many times as much as everybody else (frames, by the faces' quality) is the one meant."""


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """One face: the number of its frame, its place among that frame's faces, and the face."""

    frame: int
    place: int
    face: Face


@dataclass(frozen=True, slots=True, eq=False)
class Appearance:
    """One person of a video: where they were seen, in order, and when (seconds)."""

    sightings: tuple[Sighting, ...]
    start_s: float
    end_s: float

    @property
    def faces(self) -> list[Face]:
        """The faces, in order."""
        return [each.face for each in self.sightings]

    @property
    def good(self) -> int:
        """How many of the faces pass the quality gate."""
        return sum(face.quality.passes for face in self.faces)

    def typical(self) -> Face:
        """The best face, in the box that is usual for this person."""
        box = np.median([face.box_xyxy_px for face in self.faces], axis=0)
        x1, y1, x2, y2 = (float(value) for value in box)
        return replace(self.faces[best_of(self.faces)], box_xyxy_px=(x1, y1, max(x2, x1 + 1), max(y2, y1 + 1)))


def evidence_of(calibration: Calibration) -> Evidence:
    """What the cosine of two faces says for one person rather than two: the logarithm of the likelihood ratio."""
    return lambda cosine: float(np.interp(cosine, calibration.similarities, calibration.log_odds))


def appearances(seen: Sequence[SeenFrame], calibration: Calibration) -> list[Appearance]:
    """The people of a video, who is seen largest first; whoever is not seen well is left out beside others."""
    tracker = Tracker(evidence_of(calibration))
    tracks: dict[int, list[Sighting]] = {}
    for number, frame in enumerate(seen):
        followed = tracker.update(frame.faces, frame.time_s).tracks
        for place, (face, track) in enumerate(zip(frame.faces, followed, strict=True)):
            if track is not None:
                tracks.setdefault(track, []).append(Sighting(number, place, face))
    people = [
        Appearance(tuple(each), seen[each[0].frame].time_s, seen[each[-1].frame].time_s)
        for each in _joined(list(tracks.values()), same_from(calibration))
    ]
    most = max((each.good for each in people), default=0)
    found = [each for each in people if each.good >= min(most, GLIMPSE)]
    return sorted(found, key=lambda each: -each.typical().area_px)


def _joined(tracks: list[list[Sighting]], same: float) -> list[list[Sighting]]:
    """The tracks of one person as one: alike, and never both in one frame; the longest take others in first."""
    people: list[list[Sighting]] = []
    for track in sorted(tracks, key=len, reverse=True):
        frames = {each.frame for each in track}
        centre = _centre(track, same)
        for person in people:
            if frames.isdisjoint(each.frame for each in person) and float(centre @ _centre(person, same)) >= same:
                person.extend(track)
                person.sort(key=lambda each: each.frame)
                break
        else:
            people.append(list(track))
    return people


def _centre(track: Sequence[Sighting], same: float) -> np.ndarray:
    good = [each.face for each in track if each.face.quality.passes] or [each.face for each in track]
    vectors = np.stack([face.embedding for face in good if face.embedding is not None])
    return robust_centre(vectors, np.array([face.quality.score for face in good]), same_from=same).vector


def pick_person(people: Sequence[Appearance], pick: Pick, size_px: tuple[int, int]) -> tuple[int, str]:
    """Index of the person meant among those (at least one) of a video of `size_px`, and a note where others are.

    Raises:
        SeveralFaces: it is not clear which one is meant; the message says who is there.
        NoFace: there is nobody of that number.
    """
    try:
        index, note = choose([person.typical() for person in people], pick, size_px)
        return index, note.replace("faces", "people")
    except SeveralFaces:
        seen = [sum(face.quality.score for face in person.faces) for person in people]
        longest = int(np.argmax(seen))
        if seen[longest] >= LONGER * max(much for at, much in enumerate(seen) if at != longest):
            return longest, f"the one of {len(people)} people who is seen {LONGER:.0f} times as much as others"
    raise SeveralFaces(
        f"the video shows {len(people)} people, and it is not clear which one is meant: "
        + "; ".join(f"{number}, {_where(person, size_px)}" for number, person in enumerate(people, start=1)),
        hint="say --pick largest, --pick central, or the number of the one meant (--pick 1 is the largest)",
    )


def _where(person: Appearance, size_px: tuple[int, int]) -> str:
    x1, _, x2, _ = person.typical().box_xyxy_px
    side = ("at the left", "in the middle", "at the right")[min(max(int(1.5 * (x1 + x2) / size_px[0]), 0), 2)]
    return f"{side} from {person.start_s:.1f} to {person.end_s:.1f} s"
