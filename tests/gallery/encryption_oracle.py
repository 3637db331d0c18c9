"""People of whom a gallery holds all that it can, and what of them can be read in some bytes."""

from __future__ import annotations

import sqlite3
from datetime import UTC, date, datetime

import numpy as np
from gallery_oracle import new_face, photo, unit

from likeness.gallery.keys import OwnerKey
from likeness.types import Consent

KEY, OTHER = OwnerKey(b"k" * 32, "a test"), OwnerKey(b"o" * 32, "a test")
PEOPLE = 30


def everything(folder):
    """All bytes of all files of a folder."""
    return b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())


def fill(gallery, people=PEOPLE, faces=3, since=0):
    """People with everything that a gallery can hold of somebody."""
    for number in range(since, since + people):
        consent = Consent(f"agreed with {number}", datetime(2026, 1, 1, tzinfo=UTC), f"form-of-{number}")
        gallery.add(
            [
                new_face(f"Name-of-{number}", 100 * number + face, source=f"/photos/of-{number}.jpg", consent=consent)
                for face in range(faces)
            ]
        )
        person = gallery.person(f"Name-of-{number}")
        gallery.update(person.id, profile={"about": f"Profile-of-{number}"}, retain_until=date(2031, 1, 2))


def secrets_of(number, faces=3):
    """What identifies the person of that number."""
    words = ("Name-of", "name-of", "Profile-of", "agreed with", "form-of", "/photos/of")
    found = [f"{word}{' ' if ' ' in word else '-'}{number}".encode() for word in words]
    for seed in range(100 * number, 100 * number + faces):
        found += [f"<crop {seed}>".encode(), unit(seed).tobytes(), photo(seed).encode()]
    return found


def plain_in(data, people=PEOPLE, faces=3):
    """What of the people is readable in some bytes."""
    return [one for number in range(people) for one in secrets_of(number, faces) if one in data]


def told(gallery):
    """All that a gallery says of everybody, to compare with later."""
    people = {person.id: person.as_dict() for person in gallery.people(limit=1000)}
    faces = [(f.id, f.person_id, f.embedding.tobytes(), f.crop_jpeg, f.photo_sha256, f.source) for f in gallery.faces()]
    found = gallery.search(np.stack([unit(100 * number) for number in range(10)]), 5)
    hits = [[(hit.person_id, hit.name, hit.face_id, round(hit.similarity, 5)) for hit in row] for row in found]
    return people, faces, hits


def meta(path, name):
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT value FROM meta WHERE key = ?", (name,)).fetchone()[0]


def some_cell(path):
    with sqlite3.connect(path) as connection:
        return connection.execute("SELECT vector FROM vectors WHERE id = 7").fetchone()[0]
