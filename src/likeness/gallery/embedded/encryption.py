"""Encrypting a gallery's file in place, decrypting it, and giving it other keys; with the snapshots that are known.

Rows are given their new form in batches, each in a transaction of its own, while others search and enrol; a run that
was killed goes on where it stopped. The old form's bytes are gone after the file has been written anew at the end
(`compaction`). Erasing and snapshots wait meanwhile.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from likeness.errors import Conflict, LikenessError, StorageError
from likeness.gallery.base import ignore_progress
from likeness.gallery.embedded import ann, compaction
from likeness.gallery.embedded.schema import expect_gallery, get_meta, last_number, set_meta
from likeness.gallery.embedded.sealed import (
    TABLES,
    Sealing,
    cells_of,
    read_salt,
    read_sealing,
    rewrite,
    write_salt,
)
from likeness.gallery.embedded.storage import Store
from likeness.gallery.keys import OwnerKey
from likeness.gallery.scanning import scan
from likeness.gallery.sealing import Changed, Envelope, new_envelope
from likeness.sqlite import connect

_BATCH = 500

_OWNERS = {
    "facts": "SELECT facts, key || ' ' || id FROM people WHERE facts > ? AND facts <= ? ORDER BY facts LIMIT ?",
    "vectors": "SELECT id, person FROM faces WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
    "pictures": "SELECT id, person FROM faces WHERE id > ? AND id <= ? ORDER BY id LIMIT ?",
}
"""For each table the next rows in use, with whom they are bound to; rows that nobody uses hold zeros."""


def encrypt(store: Store, progress: Callable[[int, int], None] = ignore_progress) -> Changed:
    """Seal the gallery and its snapshots under the store's key; what is sealed already stays, what was begun is ended.

    Raises:
        Conflict: the gallery is being re-embedded, or decrypted.
        StorageError: a snapshot cannot be changed; the message names it.
    """
    key = _key(store)

    def one(opened: Store) -> int:
        sealing = _sealing(opened)
        if sealing.changing and sealing.new is None:
            raise Conflict(f"{opened.path} is being decrypted", hint="let `likeness gallery decrypt` end first")
        if sealing.new is None:
            _begin(opened, new_envelope(key)[0])
        return _finish(opened, progress)

    return _everywhere(store, one)


def decrypt(store: Store, progress: Callable[[int, int], None] = ignore_progress) -> Changed:
    """Open the gallery and its snapshots for good.

    Raises:
        Conflict: the gallery is being re-embedded, or encrypted.
        StorageError: a snapshot cannot be changed; the message names it.
    """

    def one(opened: Store) -> int:
        sealing = _sealing(opened)
        if sealing.changing and sealing.new is not None:
            raise Conflict(f"{opened.path} is being encrypted", hint="let `likeness gallery encrypt` end first")
        if sealing.new is not None:
            _begin(opened, None)
        return _finish(opened, progress)

    return _everywhere(store, one)


def rotate(
    store: Store, new: OwnerKey, *, data_key: bool = False, progress: Callable[[int, int], None] = ignore_progress
) -> Changed:
    """Let another owner's key open the gallery and its snapshots; with `data_key` all is sealed anew, too.

    A store that was opened with the new key goes on with a run that was killed.

    Raises:
        Conflict: the gallery is not encrypted, is being re-embedded, or is being changed in another way.
        StorageError: a snapshot cannot be changed; the message names it.
    """
    before = _sealing(store)
    if before.new is None:
        raise Conflict(f"{store.path} is not encrypted", hint="`likeness gallery encrypt` encrypts it")
    same = before.new.owner == new.fingerprint

    def one(opened: Store) -> int:
        sealing = _sealing(opened)
        if sealing.new is None:  # a snapshot from before the gallery was encrypted
            _begin(opened, new_envelope(new)[0], key=new)
            return _finish(opened, progress)
        begun, rewrapped = sealing.changing, sealing.new.owner == new.fingerprint
        if begun and not rewrapped:
            raise Conflict(f"{opened.path} is being encrypted", hint="let `likeness gallery encrypt` end first")
        if data_key and not begun and (same or not rewrapped):
            _begin(opened, new_envelope(new)[0], key=new)
        elif not rewrapped:
            _rewrap(opened, new)
        return _finish(opened, progress)

    return _everywhere(store, one, keys=(new,))


def _key(store: Store) -> OwnerKey:
    if store.key is None:
        raise Conflict("no key is set to encrypt with", hint="`likeness gallery new-key FILE`, then gallery_key_file")
    return store.key


def _sealing(store: Store) -> Sealing:
    with store.read() as connection:
        return read_sealing(connection)


def _everywhere(store: Store, one: Callable[[Store], int], keys: tuple[OwnerKey, ...] = ()) -> Changed:
    """Do it in all snapshots that are known, and in the gallery last."""
    changed = Changed()
    with store.maintenance():
        with store.read() as connection:
            paths = [Path(row[0]) for row in connection.execute("SELECT path FROM snapshots ORDER BY path")]
        for path in paths:
            if not path.exists():
                changed.not_found.append(str(path))
                continue
            try:
                with closing(_opened(store, path, keys)) as snapshot:
                    one(snapshot)
            except LikenessError as error:
                raise StorageError(f"the snapshot {path}: {error.message}", hint=error.hint) from error
            changed.snapshots.append(str(path))
        changed.rows = one(store)
    return changed


def _opened(store: Store, path: Path, keys: tuple[OwnerKey, ...]) -> Store:
    """A snapshot, with the key that opens it: the gallery's, or the one that it has had already."""
    expect_gallery(path)
    with closing(connect(path)) as connection:
        sealing = read_sealing(connection)
    fits = [key for key in keys if sealing.new is not None and sealing.new.owner == key.fingerprint]
    return Store(path, readonly=False, busy_timeout_s=store.busy_timeout_s, key=fits[0] if fits else store.key)


def _begin(store: Store, envelope: Envelope | None, *, key: OwnerKey | None = None) -> None:
    """Note that rows go over to another envelope (None is plain), and seal new ones by it from now on.

    With another owner's `key` the present envelope is wrapped by it too, so that one key opens both meanwhile.
    """
    held = ann.take_out(store)
    with store.write() as connection:
        if get_meta(connection, "reembedding") is not None:
            raise Conflict(f"{store.path} is being re-embedded", hint="let `likeness gallery re-embed` end first")
        salt, old = read_salt(connection), read_sealing(connection).new
        if key is not None:
            old = old and old.rewrapped(_key(store), key)
            store.key = key
        connection.execute("DELETE FROM vectors_next")
        ceiling = {"facts": last_number(connection, "facts")} | dict.fromkeys(
            ("vectors", "pictures"), last_number(connection, "faces")
        )
        _take_on(store, connection, Sealing(envelope, old, dict.fromkeys(TABLES, 0), ceiling))
        write_salt(connection, salt)
    if held is not None:
        ann.put_back(store, held)


def _take_on(store: Store, connection: sqlite3.Connection, sealing: Sealing) -> None:
    set_meta(connection, sealing=None if sealing == Sealing(None) else sealing.as_json())
    store.follow(connection)


def _finish(store: Store, progress: Callable[[int, int], None]) -> int:
    """Give the rows that are left their new form, then write the file anew, so that nothing is left of the old one."""
    rows = 0
    with store.read() as connection:
        total = sum(_left(connection).values())
    while True:
        with store.write() as connection:
            sealing = read_sealing(connection)
            if not sealing.changing:
                break
            table = next((each for each in TABLES if sealing.done[each] < sealing.ceiling[each]), None)
            if table is None:
                _take_on(store, connection, Sealing(sealing.new))
                set_meta(connection, vacuum_due=1)
                break
            rows += _move(store, connection, sealing, table)
        progress(rows, max(rows, total))
    with store.read() as connection:
        due = compaction.is_due(connection)
    if due:
        compaction.compact(store)
    return rows


def _left(connection: sqlite3.Connection) -> dict[str, int]:
    sealing = read_sealing(connection)
    if not sealing.changing:
        return {}
    tables = {"facts": ("people", "facts"), "vectors": ("faces", "id"), "pictures": ("faces", "id")}
    return {
        table: int(
            connection.execute(
                f"SELECT count(*) FROM {source} WHERE {number} > ? AND {number} <= ?",  # noqa: S608 - the tables above
                (sealing.done[table], sealing.ceiling[table]),
            ).fetchone()[0]
        )
        for table, (source, number) in tables.items()
    }


def _move(store: Store, connection: sqlite3.Connection, sealing: Sealing, table: str) -> int:
    """Give the next rows of a table their new form; how many it were."""
    ceiling = sealing.ceiling[table]
    batch = connection.execute(_OWNERS[table], (sealing.done[table], ceiling, _BATCH)).fetchall()
    before = cells_of(connection)
    assert before is not None
    last = batch[-1][0] if len(batch) == _BATCH else ceiling
    _take_on(store, connection, replace(sealing, done=sealing.done | {table: last}))
    after = cells_of(connection)
    assert after is not None
    for row, owner in batch:

        def change(column: str, stored: object, row: int = row, owner: object = owner) -> object:
            return after.put(table, column, row, owner, before.take(table, column, row, owner, stored))

        rewrite(connection, table, row, change)
    return len(batch)


def _rewrap(store: Store, new: OwnerKey) -> None:
    """Wrap the data key by another owner's key, and make sure that the old wrapping is not left in the file."""
    with store.write() as connection:
        sealing = read_sealing(connection)
        assert sealing.new is not None
        envelope = sealing.new.rewrapped(_key(store), new)
        store.key = new
        _take_on(store, connection, Sealing(envelope))
    store.truncate_log()
    if scan([store.path], [sealing.new.wrapped.encode()]).found:
        compaction.compact(store)
