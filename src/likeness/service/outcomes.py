"""How photos are to be enrolled, and what became of each."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any, Literal

from likeness.service.choosing import Pick
from likeness.service.clips import KEPT
from likeness.types import Consent
from likeness.vision.video import EVERY_S


@dataclass(frozen=True, slots=True)
class EnrolOptions:
    """How to enrol.

    Attributes:
        pick: which of several faces is meant (`likeness.service.choosing`).
        gate: whether faces below the quality gate are refused.
        again: look at photos again that were refused or enrolled before.
        consent, retain_until: stated for every person enrolled.
        source: what to store as the photo's origin in place of its path.
        least_score: faces of which the detector is less sure than this are passed over.
        every_s, keep: of a video, seconds between the frames looked at, and how many are kept at most.
    """

    pick: Pick = "only"
    gate: bool = True
    again: bool = False
    consent: Consent | None = None
    retain_until: date | None = None
    source: str | None = None
    least_score: float = 0.0
    every_s: float = EVERY_S
    keep: int = KEPT


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one photo, or of one video, of which several pictures may be added.

    Attributes:
        status: `added`, `duplicate` (enrolled before), or `refused` (see `error`).
        note: what else there is to say, such as which of several faces was taken.
        earlier: known from an earlier run; the photo was not looked at again.
        warnings: what else went wrong on the way, such as a profile card that cannot be read.
        clip: of a video, what became of its frames (`likeness.service.clips.ChosenClip.as_dict`).
    """

    path: str
    name: str | None
    status: Literal["added", "duplicate", "refused"]
    person_id: str | None = None
    face_id: int | None = None
    quality: float | None = None
    note: str = ""
    error: dict[str, str] | None = None
    earlier: bool = False
    warnings: tuple[str, ...] = ()
    clip: dict[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        """Plain data for JSON."""
        data: dict[str, Any] = {
            "path": self.path,
            "name": self.name,
            "status": self.status,
            "person_id": self.person_id,
            "face_id": self.face_id,
            "quality": None if self.quality is None else round(self.quality, 4),
            "earlier": self.earlier,
        }
        if self.note:
            data["note"] = self.note
        if self.error is not None:
            data["error"] = self.error
        if self.warnings:
            data["warnings"] = list(self.warnings)
        if self.clip is not None:
            data["clip"] = self.clip
        return data
