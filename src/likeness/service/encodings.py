"""Encodings of the `face_recognition` library, as people keep them in pickles, into the gallery: without photos.

That library's network is the one behind the embedding space `dlib-resnet-v1`. Its encodings are what the network gives,
about 1.5 long, and compared by their distance; ours are the same divided by their length. So an encoding is divided by
its length, and nothing else: it is then the vector that the same face would have been given here, but for where each
finds the eyes.

Faces that came so have no picture: they are found like others, and cannot be embedded anew by another model.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from likeness.errors import FaceOfAnother, ImportRefused, InputError, PersonNotFound, SpaceMismatch
from likeness.gallery.base import NewFace
from likeness.gallery.identity import clean_name, name_key
from likeness.service.consent import expect_consent
from likeness.service.enrolment import EnrolOptions, Outcome
from likeness.service.people import People
from likeness.service.pickles import Array, read_pickle
from likeness.types import Vector

SPACE = "dlib-resnet-v1"
DIMENSION = 128
BATCH = 256
SHORTEST, LONGEST = 0.5, 3.0
"""Lengths that the network's vectors have, with room to spare (1.1 to 1.8 were seen); another length is no encoding."""

_ENCODINGS = ("encodings", "known_encodings", "known_face_encodings", "face_encodings", "embeddings")
_NAMES = ("names", "known_names", "known_face_names", "face_names", "labels")


@dataclass(frozen=True, slots=True)
class Encoding:
    """One entry of a pickle: its number there (from 1), whose it is, and the numbers as they stand there."""

    number: int
    name: Any
    values: Any


def read_encodings(path: Path) -> list[Encoding]:
    """The names and encodings in a pickle, of any of the common forms.

    `{"encodings": […], "names": […]}`, a pair of such lists, a list of (name, encoding), or a dict from names to an
    encoding or several.

    Raises:
        PickleRefused: it is damaged, too long, or holds more than plain data.
        ImportRefused: its form is none of these.
    """
    held = read_pickle(path)
    pairs = _pairs(held)
    if pairs is None:
        raise ImportRefused(
            f"{str(path)!r} holds no names with encodings, but {_kind(held)}",
            hint='expected {"encodings": […], "names": […]}, (name, encoding) pairs, or {name: encoding(s)}',
        )
    return [Encoding(number, name, values) for number, (name, values) in enumerate(pairs, 1)]


def import_encodings(
    people: People,
    encodings: Sequence[Encoding],
    source: str,
    options: EnrolOptions | None = None,
    *,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Outcome]:
    """Enrol encodings; outcomes in order, each once it is durable. `source` is what the faces' origin is called.

    An encoding is known by its numbers: the same one under the same name is enrolled once, however often it is read.

    Raises:
        SpaceMismatch: the gallery, or the model in use, is of another embedding space.
        StorageError: a batch could not be written; those before it are safe.
    """
    options = options or EnrolOptions()
    if people.recognizer.space != SPACE:
        raise SpaceMismatch(
            f"encodings of face_recognition are of {SPACE!r}, the model in use makes {people.recognizer.space!r}",
            hint="import them into a gallery of their own with --model dlib-resnet-int8, or enrol the photos instead",
        )
    people.recognizer.expect_space(people.gallery.extent())
    claimed: dict[str, str] = {}
    for start in range(0, len(encodings), BATCH):
        batch = encodings[start : start + BATCH]
        yield from _write(people, [_look(people, one, source, options, claimed) for one in batch])
        if stop():
            return


def _look(
    people: People, one: Encoding, source: str, options: EnrolOptions, claimed: dict[str, str]
) -> tuple[Outcome, NewFace | None]:
    """What is to become of one entry: a face to add, or a refusal."""
    place = f"{source}#{one.number}"
    try:
        name = clean_name(_text(one.name))
        if people.recognizer.settings.require_consent and options.consent is None:
            expect_consent(people.gallery, name)
        vector, sha256 = _unit(one.values)
        _expect_nobody_elses(people, name, sha256, claimed)
    except (InputError, FaceOfAnother) as error:
        shown = one.name if isinstance(one.name, str) else None
        return Outcome(place, shown, "refused", error=error.as_dict()), None
    face = NewFace(
        name=name,
        embedding=vector,
        crop_jpeg=b"",
        photo_sha256=sha256,
        source=place,
        quality=0.0,  # nobody knows it: a picture, where there is one, goes before
        consent=options.consent,
        retain_until=options.retain_until,
        space=SPACE,
    )
    return Outcome(place, name, "added"), face


def _write(people: People, looked: Sequence[tuple[Outcome, NewFace | None]]) -> list[Outcome]:
    added = iter(people.gallery.add([face for _, face in looked if face is not None]))
    outcomes: list[Outcome] = []
    grown: dict[str, list[int]] = {}
    for outcome, face in looked:
        if face is None:
            outcomes.append(outcome)
            continue
        result = next(added)
        if result.status == "added":
            grown.setdefault(result.person_id, []).append(result.face_id)
        earlier = result.status == "duplicate"
        outcomes.append(
            Outcome(outcome.path, outcome.name, result.status, result.person_id, result.face_id, earlier=earlier)
        )
    if grown:
        people.gallery.record("import", actor=people.actor, faces=grown, space=SPACE)
    return outcomes


def _expect_nobody_elses(people: People, name: str, sha256: str, claimed: dict[str, str]) -> None:
    """Refuse an encoding that stands under another name too: one of the two is wrong."""
    holder = claimed.setdefault(sha256, name_key(name))
    if holder == name_key(name):
        held = {face.person_id for face in people.gallery.faces(photo_sha256=sha256)}
        if not held or _person_id(people, name) in held:
            return
    raise FaceOfAnother(
        "this very encoding is enrolled as another person already",
        hint="one of the names is wrong: merge the two, or forget one of them",
    )


def _person_id(people: People, name: str) -> str | None:
    try:
        return people.gallery.person(name).id
    except PersonNotFound:
        return None


def _unit(values: Any) -> tuple[Vector, str]:
    """An encoding divided by its length, and the digest of its numbers (little-endian doubles)."""
    numbers = _numbers(values)
    if numbers is None:
        raise ImportRefused(f"no encoding, but {_kind(values)}")
    if numbers.shape != (DIMENSION,):
        hint = "another model's vectors cannot be compared with ours: enrol the photos" if numbers.ndim == 1 else None
        count = str(len(numbers)) if numbers.ndim == 1 else f"an array of shape {numbers.shape} of"
        raise ImportRefused(f"{count} numbers where an encoding has {DIMENSION}", hint=hint)
    length = float(np.linalg.norm(numbers))
    if not SHORTEST <= length <= LONGEST:  # not a number neither
        raise ImportRefused(
            f"a vector of length {length:.3g}; encodings of face_recognition are {SHORTEST} to {LONGEST} long",
            hint="it is another model's, or was changed: enrol the photos",
        )
    digest = hashlib.sha256(numbers.astype("<f8").tobytes()).hexdigest()
    return (numbers / length).astype(np.float32), digest


def _numbers(values: Any) -> np.ndarray[Any, np.dtype[np.float64]] | None:
    if isinstance(values, Array):
        values = values.values
        if values is None or values.dtype.kind not in "fiu":
            return None
        return np.asarray(values, np.float64)
    if isinstance(values, list | tuple) and all(type(number) in (int, float) for number in values):
        return np.array([float(number) for number in values], np.float64)
    return None


def _pairs(held: Any) -> list[tuple[Any, Any]] | None:
    """Names with encodings, whatever the form; None where it is no form that is known."""
    if isinstance(held, dict):
        encodings = next((held[key] for key in _ENCODINGS if key in held), None)
        names = next((held[key] for key in _NAMES if key in held), None)
        if encodings is not None and names is not None:
            return _together(names, encodings)
        found = [(name, each) for name, values in held.items() for each in _each(values)]
        return found or None
    if isinstance(held, list | tuple) and len(held) == 2:
        first, second = (_each(part) if _is_vectors(part) else None for part in held)
        if (first is None) != (second is None):
            names, encodings = (held[0], held[1]) if first is None else (held[1], held[0])
            if (found_names := _list(names)) is not None and not _is_pair(held[0]):
                return _together(found_names, encodings)
    if isinstance(held, list | tuple) and held and all(_is_pair(entry) for entry in held):
        return [(name, each) for entry in held for name, values in [_ordered(entry)] for each in _each(values)]
    return None


def _together(names: Any, encodings: Any) -> list[tuple[Any, Any]]:
    """Two lists side by side.

    Raises:
        ImportRefused: they are not equally long, so that it is not known whose is whose.
    """
    listed, vectors = _list(names), _each(encodings)
    if listed is None or len(listed) != len(vectors):
        count = "no" if listed is None else str(len(listed))
        raise ImportRefused(f"it holds {count} names for {len(vectors)} encodings", hint="each needs a name")
    return list(zip(listed, vectors, strict=True))


def _list(names: Any) -> list[Any] | None:
    if isinstance(names, Array) and names.values is not None and names.values.ndim == 1:
        return list(names.values.tolist())
    return list(names) if isinstance(names, list | tuple) else None


def _is_pair(entry: Any) -> bool:
    """Whether something is (name, encoding or encodings), in either order."""
    return (
        isinstance(entry, list | tuple)
        and len(entry) == 2
        and isinstance(entry[0], str | int) != isinstance(entry[1], str | int)
    )


def _ordered(entry: Sequence[Any]) -> tuple[Any, Any]:
    return (entry[0], entry[1]) if isinstance(entry[0], str | int) else (entry[1], entry[0])


def _is_vectors(values: Any) -> bool:
    """Whether something is a list of encodings, or an array of them."""
    if isinstance(values, Array):
        return values.values is not None and values.values.ndim == 2
    return isinstance(values, list | tuple) and bool(values) and all(_numbers(each) is not None for each in values[:3])


def _each(values: Any) -> list[Any]:
    """One encoding or several as a list of them."""
    if isinstance(values, Array) and values.values is not None and values.values.ndim == 2:
        return [Array(row) for row in values.values]
    return list(values) if _is_vectors(values) else [values]


def _text(name: Any) -> str:
    if isinstance(name, str):
        return name
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    raise ImportRefused(f"the name is no text, but {_kind(name)}")


def _kind(value: Any) -> str:
    if isinstance(value, Array) and value.values is not None:
        return f"an array of shape {value.values.shape}"
    return f"a {type(value).__name__}"
