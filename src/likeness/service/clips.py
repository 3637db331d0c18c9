"""Of a short video of somebody, what is worth keeping: one embedding of all good frames, and the best of them to see.

The embedding is the robust centre of all good frames (`likeness.service.centre`), from which those unlike the others
are dropped; it is what is searched. The pictures to keep are chosen greedily (Gonzalez 1985, "Clustering to minimize
the maximum intercluster distance"), weighted by quality: first the best face, then each time the frame with the largest
`quality · (1 − largest cosine to those chosen)`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from likeness.calibration import Calibration
from likeness.errors import NoFace, VideoUnusable
from likeness.recognizer import Recognizer
from likeness.service.centre import Centre, robust_centre
from likeness.service.choosing import Pick, explain
from likeness.service.frames import FRAME_SIDE_PX, SeenFrame, look_at_frames, same_from
from likeness.service.sightings import Appearance, Sighting, appearances, pick_person
from likeness.types import Pixels, Vector
from likeness.vision.video import EVERY_S, duration, read_frames

KEPT = 8
LONGEST_S = 30.0
"""What lies later in a video to enrol is not looked at."""
ALIKE = 0.15
"""Frames nearer than this part of the median distance between frames show nothing new."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of one frame: `kept`, `spare` (good, but others say more), or `refused` with a code and words."""

    time_s: float
    outcome: Literal["kept", "spare", "refused"]
    code: str = ""
    message: str = ""

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {"time_s": round(self.time_s, 3), "outcome": self.outcome}
        return data | ({"code": self.code, "message": self.message} if self.code else {})


@dataclass(frozen=True, slots=True, eq=False)
class ChosenClip:
    """A video that was looked at, and what is to be enrolled of it.

    Attributes:
        sha256: hex digest of its file.
        kept: the frames to keep, best first.
        own: numbers of all the person's faces in the video, kept or not, as `face_number` counts.
        centre: the middle of all the person's good faces: the embedding to enrol.
        verdicts: each frame's.
        people: how many people it shows.
        note: how the person was told from others.
        cut_s: where it goes on after what was looked at, how much that was.
    """

    sha256: str
    kept: tuple[Sighting, ...]
    own: frozenset[int]
    centre: Vector
    verdicts: tuple[Verdict, ...]
    people: int
    note: str = ""
    cut_s: float | None = None
    times_s: tuple[float, ...] = field(default=(), repr=False)

    def number(self, sighting: Sighting) -> int:
        """The face's number in its video; see `face_number`."""
        return face_number(self.times_s[sighting.frame], sighting.place)

    @property
    def crops(self) -> list[Pixels]:
        """The faces of the frames kept, cut out, best first."""
        return [each.face.crop for each in self.kept if each.face.crop is not None]

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = _summary(self.verdicts) | {
            "people": self.people,
            "pictures": [
                {"time_s": round(self.times_s[each.frame], 3), "quality": round(each.face.quality.score, 4)}
                for each in self.kept
            ],
        }
        return data if self.cut_s is None else data | {"read_s": self.cut_s}


def look_at_clip(
    recognizer: Recognizer,
    source: bytes | str,
    sha256: str,
    *,
    every_s: float = EVERY_S,
    each: Callable[[], None] = lambda: None,
    **how: Any,
) -> ChosenClip:
    """What is to be enrolled of a video; `how` as of `choose_clip`. `each` is called for each frame looked at.

    Raises:
        VideoUnusable: it cannot be read. ExtraMissing: PyAV is not installed. And as `choose_clip`.
    """
    seen = []
    frames = read_frames(source, every_s=every_s, most_s=LONGEST_S, side_px=FRAME_SIDE_PX)
    for found in look_at_frames(recognizer, frames):
        seen.append(found)
        each()
    return choose_clip(seen, recognizer.calibration, sha256, cut_s=cut_after(source, LONGEST_S), **how)


def cut_after(source: bytes | str, most_s: float) -> float | None:
    """`most_s` where a video says that it lasts longer, by more than a frame or two; else None."""
    lasts_s = duration(source)
    return most_s if lasts_s is not None and lasts_s > most_s + 0.2 else None


def face_number(time_s: float, place: int) -> int:
    """A number for one face of a video that does not depend on how many frames were looked at."""
    return round(time_s * 1000) * 100 + min(place, 99)


def choose_clip(
    seen: Sequence[SeenFrame],
    calibration: Calibration,
    sha256: str,
    *,
    pick: Pick = "only",
    gate: bool = True,
    keep: int = KEPT,
    cut_s: float | None = None,
) -> ChosenClip:
    """What is to be enrolled of a video's frames, in order; without `gate` faces of any quality.

    Raises:
        NoFace: nobody is there. SeveralFaces: it is not clear who is meant.
        VideoUnusable: none of their frames can be used; the message says what was wrong with most of them.
    """
    people = appearances(seen, calibration)
    if not people:
        raise NoFace(
            f"no face was found in the video's {len(seen)} frames",
            hint="a face should fill a tenth of the picture's height or more, and not be far in profile",
        )
    index, note = pick_person(people, pick, seen[0].size_px)
    person = people[index]
    usable = [each for each in person.sightings if each.face.quality.passes or not gate]
    if not usable:
        raise _unusable(_verdicts(seen, person, set(), {}), len(seen))
    vectors = np.stack([each.face.embedding for each in usable if each.face.embedding is not None])
    quality = np.array([each.face.quality.score for each in usable])
    centre = robust_centre(vectors, quality, same_from=same_from(calibration))
    picked = _picked(vectors, quality, centre, keep)
    kept = tuple(usable[at] for at in picked)
    outliers = {
        usable[at].frame: float(cosine)
        for at, cosine in enumerate(centre.cosines)
        if not centre.belongs[at]
    }  # fmt: skip
    times = tuple(frame.time_s for frame in seen)
    return ChosenClip(
        sha256,
        kept,
        frozenset(face_number(times[each.frame], each.place) for each in person.sightings),
        centre.vector,
        tuple(_verdicts(seen, person, {each.frame for each in kept}, outliers, gate=gate)),
        len(people),
        note,
        cut_s,
        times,
    )


def _picked(vectors: Vector, quality: NDArray[np.float64], centre: Centre, keep: int) -> list[int]:
    own = np.nonzero(centre.belongs)[0]
    cosines = vectors[own] @ vectors[own].T
    return [int(own[place]) for place in spread_out(1 - cosines, quality[own], keep)]


def spread_out(distances: NDArray[np.float32], quality: NDArray[np.float64], keep: int) -> list[int]:
    """Indices of at most `keep` of `n` frames, best first: distances `(n, n)`, quality `(n,)`.

    None that shows nothing new is among them.
    """
    chosen = [int(np.argmax(quality))]
    apart = distances[np.triu_indices(len(quality), 1)]
    least = max(ALIKE * float(np.median(apart)), 1e-4) if len(apart) else 0.0
    while len(chosen) < min(keep, len(quality)):
        nearest = distances[:, chosen].min(axis=1)
        gain = np.where(nearest >= least, quality * nearest, -1.0)
        gain[chosen] = -1.0
        best = int(np.argmax(gain))
        if gain[best] < 0:
            break
        chosen.append(best)
    return chosen


def _verdicts(
    seen: Sequence[SeenFrame], person: Appearance, kept: set[int], outliers: dict[int, float], *, gate: bool = True
) -> list[Verdict]:
    own = {each.frame: each.face for each in person.sightings}
    found = []
    for number, frame in enumerate(seen):
        face = own.get(number)
        if face is None:
            reason = ("other_person", "only somebody else is seen") if frame.faces else ("no_face", "no face was found")
            found.append(Verdict(frame.time_s, "refused", *reason))
        elif gate and not face.quality.passes:
            words = f"the face is {explain(face.quality)}"
            found.append(Verdict(frame.time_s, "refused", face.quality.reasons[0], words))
        elif number in outliers:
            words = f"the face is unlike this person's others (similarity {outliers[number]:.3f} to their middle)"
            found.append(Verdict(frame.time_s, "refused", "unlike", words))
        else:
            found.append(Verdict(frame.time_s, "kept" if number in kept else "spare"))
    return found


def _unusable(verdicts: Sequence[Verdict], frames: int) -> VideoUnusable:
    reasons = [each.message.split(" (")[0] for each in verdicts]
    usual = max(dict.fromkeys(reasons), key=reasons.count)
    error = VideoUnusable(
        f"none of the video's {frames} frames can be used: on most, {usual}",
        hint="sit in even light, look at the camera, and turn your head slowly",
    )
    error.clip = _summary(verdicts)
    return error


def _summary(verdicts: Sequence[Verdict]) -> dict[str, Any]:
    counts = Counter(each.outcome for each in verdicts)
    refused = Counter(each.code for each in verdicts if each.outcome == "refused")
    return {
        "frames": len(verdicts),
        "kept": counts["kept"],
        "spare": counts["spare"],
        "refused": dict(sorted(refused.items())),
        "each_frame": [each.as_dict() for each in verdicts],
    }
