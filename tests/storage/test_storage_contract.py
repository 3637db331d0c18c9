"""What every storage promises, folder or bucket."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta

import pytest

from likeness.errors import InputError, ObjectTooLarge, StorageMissing
from likeness.storage import locate, open_storage

UNUSUAL = [
    "with space/and more.jpg",
    "plus+sign.jpg",
    "per%20cent.jpg",
    "100%.jpg",
    "question?.jpg",
    "hash#tag.jpg",
    "naïve/Zoë-李.jpg",
    "quote'\"&<>;=,$@!.jpg",
    "back\\slash.jpg",
    ".hidden",
    "tail ",
    "x" * 200,
]


def test_what_was_written_is_read_back(storage):
    storage.write("anna_lee/one.png", b"first")
    assert storage.read("anna_lee/one.png") == b"first"
    storage.write("anna_lee/one.png", b"the second, longer")
    assert storage.read("anna_lee/one.png") == b"the second, longer"
    storage.write("empty", b"")
    assert storage.read("empty") == b""


def test_an_objects_facts_are_told_without_reading_it(storage):
    storage.write("a/b.jpg", b"12345")
    first = storage.info("a/b.jpg")
    assert (first.key, first.size_bytes) == ("a/b.jpg", 5)
    assert abs(first.changed_at - datetime.now(UTC)) < timedelta(minutes=1)
    storage.write("a/b.jpg", b"54321")
    assert storage.info("a/b.jpg").etag != first.etag


def test_listing_goes_by_key_whatever_the_folders(storage):
    keys = ["b.jpg", "a/z.jpg", "a-b/x.jpg", "a.jpg", "a/b/c.jpg", "ä/u.jpg", "Z.jpg", "a0.jpg"]
    for key in keys:
        storage.write(key, key.encode())
    listed = list(storage.list())
    assert [each.key for each in listed] == sorted(keys, key=str.encode)
    assert [each.size_bytes for each in listed] == [len(each.key.encode()) for each in listed]
    assert [each.key for each in storage.list("a/")] == ["a/b/c.jpg", "a/z.jpg"]
    assert [each.key for each in storage.list("a/b")] == ["a/b/c.jpg"]
    assert [each.key for each in storage.list("a")] == ["a-b/x.jpg", "a.jpg", "a/b/c.jpg", "a/z.jpg", "a0.jpg"]
    assert list(storage.list("nobody/")) == []


def test_a_listing_goes_on_behind_any_key(storage):
    keys = ["a/b/c.jpg", "a/z.jpg", "a.jpg", "b.jpg", "a-b/x.jpg"]
    for key in keys:
        storage.write(key, b"x")
    ordered = sorted(keys)
    for place, key in enumerate(ordered):
        assert [each.key for each in storage.list(after=key)] == ordered[place + 1 :]
    assert [each.key for each in storage.list("a/", after="a/b/c.jpg")] == ["a/z.jpg"]


def test_keys_of_any_letters_are_kept_as_they_are(storage):
    for key in UNUSUAL:
        storage.write(key, b"bytes of " + key.encode())
    assert [each.key for each in storage.list()] == sorted(UNUSUAL, key=str.encode)
    with ExitStack() as stack:
        opened = {}
        for key in UNUSUAL:
            base, found = locate(storage.uri_of(key))
            if base not in opened:
                opened[base] = stack.enter_context(open_storage(base))
            assert opened[base].read(found) == b"bytes of " + key.encode()
    with open_storage(storage.uri) as again:
        assert again.uri == storage.uri
        assert again.read(UNUSUAL[0]) == b"bytes of " + UNUSUAL[0].encode()
    for key in UNUSUAL:
        storage.delete(key)
        assert not storage.exists(key)


@pytest.mark.parametrize("key", ["", "/etc/passwd", "../x", "a/../../x", "a/..", ".", "./a", "a/", "a\0b", "x" * 1100])
def test_no_key_leads_out_of_the_storage(storage, key):
    for use in (storage.read, storage.info, storage.exists, storage.delete, storage.uri_of):
        with pytest.raises(InputError):
            use(key)
    with pytest.raises(InputError):
        storage.write(key, b"x")


def test_more_bytes_than_are_taken_are_not_read(storage):
    storage.write("big.jpg", bytes(1000))
    assert len(storage.read("big.jpg", most_bytes=1000)) == 1000
    with pytest.raises(ObjectTooLarge, match=r"1,000"):
        storage.read("big.jpg", most_bytes=999)


def test_what_is_not_there_is_said_to_be_missing(storage):
    for use in (storage.read, storage.info):
        with pytest.raises(StorageMissing, match=r"nobody/none\.jpg"):
            use("nobody/none.jpg")
    assert not storage.exists("nobody/none.jpg")


def test_deleting_leaves_nothing_and_may_be_done_twice(storage):
    storage.write("anna/x.png", b"x")
    storage.write("anna/y.png", b"y")
    storage.delete("anna/x.png")
    storage.delete("anna/x.png")
    storage.delete("nobody/x.png")
    assert [each.key for each in storage.list()] == ["anna/y.png"]


def test_who_reads_while_others_write_gets_a_whole_object(storage):
    whole = [bytes([number]) * 200_000 for number in range(4)]
    storage.write("shared.bin", whole[0])

    def write(number):
        for _ in range(4):
            storage.write("shared.bin", whole[number])

    with ThreadPoolExecutor(4) as threads:
        writers = [threads.submit(write, number) for number in range(3)]
        seen = [storage.read("shared.bin") for _ in range(12)]
        for writer in writers:
            writer.result()
    assert all(data in whole for data in seen)
    assert [each.key for each in storage.list()] == ["shared.bin"]
