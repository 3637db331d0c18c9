"""Who withdraws is taken out of the folder of refreshes: data set, memories, pushed versions, unfinished work."""

from __future__ import annotations

import shutil
from pathlib import Path

from likeness.data.dataset import FACTS, Dataset, storage_error
from likeness.data.exchange import push
from likeness.data.kept import FOLDER as EMBEDDINGS
from likeness.data.splits import person_key
from likeness.errors import Conflict, PersonNotFound
from likeness.flows.grow import PUSHED
from likeness.flows.home import ASIDE, CURRENT, MEMORIES, STATES, Home
from likeness.flows.order import Facts
from likeness.flows.pull import person_of
from likeness.flows.screen import drop_file
from likeness.flows.work import drop_work


def forget(home: Home, name: str) -> Facts:
    """Delete all that is kept of a person; earlier versions that were pushed below the folder go as a whole.

    Lists of what was set aside go too, as their reasons name people. What a network became by learning stays in its
    weights.

    Raises:
        PersonNotFound: nobody is called so.
        Conflict: no refresh has been here.
        StorageError: something cannot be deleted.
    """
    state = home.state()
    if not state.number:
        raise Conflict(f"{str(home.folder)!r} holds nobody: no refresh has been there")
    key = person_key(name)
    try:
        drop_work(home)
        remembered = _forget_memories(home, key)
        photos = home.photos()
        left = [seen for seen in photos.values() if person_key(person_of(seen.path)) != key]
        crops = _forget_rows(home, home.data(state.data), key, f"v{state.data:04d}") if state.data else 0
        if not crops and not remembered and len(left) == len(photos):
            raise PersonNotFound(f"{str(home.folder)!r} knows nobody called {name!r}")
        home.switch(state, left)
        for path in (home.folder / STATES).glob("*"):  # those before it name the person's photos
            if path.resolve() != (home.folder / CURRENT).resolve():
                shutil.rmtree(path)
        for report in home.reports.glob(f"*/{ASIDE}"):
            report.unlink()  # reasons name people too
    except OSError as error:
        raise storage_error(error, home.folder) from error
    return {"crops": crops, "remembered": remembered, "photos": len(photos) - len(left)}


def _forget_memories(home: Home, key: str) -> int:
    from likeness.train.erasure import forget_person

    photos = 0
    for folder in sorted((home.folder / MEMORIES).glob("*")):
        try:
            photos += forget_person(folder, key)
        except PersonNotFound:
            continue
    return photos


def _forget_rows(home: Home, folder: Path, key: str, tag: str) -> int:
    """Take a person's rows and files out of the data set, and out of what was pushed below the folder."""
    dataset = Dataset.read(folder) if (folder / FACTS).is_file() else None
    if dataset is None:
        return 0
    gone = [row for row in dataset.rows if person_key(row.identity) == key]
    if not gone:
        return 0
    for row in gone:
        drop_file(dataset.path(row))
    shutil.rmtree(folder / EMBEDDINGS, ignore_errors=True)  # theirs are among them; they are made again
    left = [row for row in dataset.rows if person_key(row.identity) != key]
    mended = dataset.with_rows(left, step=f"likeness flow forget: {len(gone)} photos of one person")
    mended.write()
    pushed = home.folder / PUSHED
    if pushed.is_dir():
        if left:
            push(mended, str(pushed), tag=tag, replace=True)
        for version in pushed.glob("*"):
            if version.name != tag or not left:
                shutil.rmtree(version)
    return len(gone)
