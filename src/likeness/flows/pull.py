"""New photos from the storage, as they are, each under the digest of its bytes."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict

from likeness.data.dataset import replace_file, storage_error
from likeness.data.journal import readable
from likeness.data.splits import person_key
from likeness.errors import ObjectTooLarge, StorageMissing
from likeness.flows.home import Home, Seen
from likeness.flows.order import Facts, Order, Tell
from likeness.flows.waiting import too_little
from likeness.flows.work import Work
from likeness.settings import Settings
from likeness.storage import Storage, StoredObject, open_storage

PHOTOS, ARRIVED = "photos", "arrived.jsonl"
TAKEN = "taken"
NO_PERSON, SAME_PHOTO, TWO_NAMES, TOO_LARGE = "no_person", "same_photo", "two_names", "photo_too_large"
POOR, UNLIKE, ALIKE = "face_rejected", "unlike_the_others", "like_somebody_else"
DOUBTED = (UNLIKE, ALIKE)
"""Codes of what one may know better than the model does."""


def something_new(home: Home, order: Order, settings: Settings, tell: Tell) -> bool:
    """Whether there is anything to do; looks at the storage and at the state, and changes nothing."""
    seen = reconsidered(home, order)
    with open_storage(order.storage) as storage:
        if next(_new(storage, _unknown(storage, seen), seen, settings.max_photo_bytes), None) is not None:
            return True
    return not too_little(home, order)


def pull(work: Work) -> Facts:
    """Fetch what is new; what cannot be a person's photo is set aside with its reason."""
    target = work.folder / PHOTOS
    seen = reconsidered(work.home, work.order)
    taken = {each.sha256: each for each in seen.values() if each.outcome == TAKEN}
    arrived: list[Seen] = []
    with open_storage(work.order.storage) as storage, work.tell.watch("pulling") as progress:
        entries = list(_unknown(storage, seen))
        try:
            target.mkdir(parents=True, exist_ok=True)
            for done, (entry, data) in enumerate(_new(storage, entries, seen, work.settings.max_photo_bytes), 1):
                each = _judged(entry, data, taken, work.record.data)
                if each.outcome == TAKEN and data is not None:
                    replace_file(target / each.sha256, data)
                    taken[each.sha256] = each
                arrived.append(each)
                progress(done, len(entries))
            replace_file(work.folder / ARRIVED, write_seen(arrived))
        except OSError as error:
            raise storage_error(error, work.folder) from error
    return {
        "arrived": len(arrived),
        "people": len({person_of(each.path) for each in arrived if each.outcome == TAKEN}),
        "set_aside": sum(each.outcome != TAKEN for each in arrived),
    }


def reconsidered(home: Home, order: Order) -> dict[str, Seen]:
    """What became of each photo, less what was doubted of people who are to be taken as they are."""
    accepted = {person_key(name) for name in order.accept}
    return {
        path: each
        for path, each in home.photos().items()
        if each.outcome not in DOUBTED or person_key(person_of(path)) not in accepted
    }


def _unknown(storage: Storage, seen: dict[str, Seen]) -> Iterator[StoredObject]:
    """Objects that were not looked at yet, or were written again since."""
    for entry in storage.list():
        known = seen.get(readable(entry.key))
        hidden = any(part.startswith(".") for part in entry.key.split("/"))
        if not hidden and (known is None or known.token != entry.etag):
            yield entry


def _new(
    storage: Storage, entries: Iterable[StoredObject], seen: dict[str, Seen], most_bytes: int
) -> Iterator[tuple[StoredObject, bytes | None]]:
    """Those of the objects that hold other bytes than when they were looked at, with the bytes (None: too many)."""
    for entry in entries:
        known = seen.get(readable(entry.key))
        try:
            data = storage.read(entry.key, most_bytes=most_bytes)
        except StorageMissing:
            continue  # deleted since it was listed
        except ObjectTooLarge:
            yield entry, None
            continue
        if known is None or known.sha256 != hashlib.sha256(data).hexdigest():
            yield entry, data


def _judged(entry: StoredObject, data: bytes | None, taken: dict[str, Seen], version: int) -> Seen:
    """What is to become of a new photo, before it is opened."""
    digest = "" if data is None else hashlib.sha256(data).hexdigest()
    path = readable(entry.key)
    told = TAKEN, ""
    if data is None:
        told = TOO_LARGE, f"it has {entry.size_bytes:,} bytes, more than are taken"
    elif "/" not in path or path != entry.key:
        told = NO_PERSON, "it lies in no person's folder, or has a name that is no text"
    elif digest in taken:
        other = taken[digest].path
        same = person_key(person_of(other)) == person_key(person_of(path))
        told = (SAME_PHOTO if same else TWO_NAMES), f"the same file as {other}"
    return Seen(path, entry.etag, digest, *told, version)


def person_of(path: str) -> str:
    """Whose photo it is: the folder that it lies in first."""
    return path.split("/", 1)[0]


def write_seen(photos: list[Seen]) -> bytes:
    """Photos as lines of JSON."""
    return "".join(json.dumps(asdict(each), ensure_ascii=False) + "\n" for each in photos).encode()


def read_seen(work: Work, name: str = ARRIVED) -> list[Seen]:
    """The photos that a part of the work has written down."""
    return [Seen(**json.loads(line)) for line in (work.folder / name).read_text("utf-8").splitlines()]
