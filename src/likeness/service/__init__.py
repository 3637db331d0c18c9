"""Use cases: enrol, identify, find twins, verify, describe, manage people, re-embed; each writes the audit trail.

The command line, the API and the bot are doors to the same functions here.
"""

from __future__ import annotations

from likeness.service.enrolment import EnrolOptions, Outcome
from likeness.service.looking import Described, describe, verify
from likeness.service.people import Forgotten, People, open_people
from likeness.service.photos import FoundPhoto, find_photos

__all__ = [
    "Described",
    "EnrolOptions",
    "Forgotten",
    "FoundPhoto",
    "Outcome",
    "People",
    "describe",
    "find_photos",
    "open_people",
    "verify",
]
