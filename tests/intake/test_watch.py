"""New objects of a place become messages, each once, whole, across restarts."""

from __future__ import annotations

import os
import secrets
import time

import pytest

from likeness.errors import Conflict, QueueUnavailable, SettingsError, StorageMissing
from likeness.intake import watch as watching
from likeness.intake.queues import open_queue
from likeness.intake.queues.embedded import EmbeddedQueue
from likeness.intake.seen import KEPT_DAYS, Seen
from likeness.intake.watch import Watch, expect_apart, is_taken
from likeness.storage import locate, open_storage
from s3_server import CREDENTIALS

LONG_AGO = time.time() - 3600


@pytest.fixture(params=["folder", "s3"])
def place(request, tmp_path, monkeypatch):
    """The URI of an empty place to watch, and what puts a photo there that was whole long ago."""
    if request.param == "folder":
        uri = str(tmp_path / "in put")
        (tmp_path / "in put").mkdir()
    else:
        import boto3

        for name, value in CREDENTIALS.items():
            monkeypatch.setenv(name, value)
        address = request.getfixturevalue("s3_address")
        bucket = f"in-{secrets.token_hex(4)}"
        boto3.client("s3", endpoint_url=address).create_bucket(Bucket=bucket)
        uri = f"s3://{bucket}/in%20put?endpoint_url={address}"
    with open_storage(uri) as storage:

        def put(key, data=b"photo"):
            storage.write(key, data)
            if request.param == "folder":
                os.utime(storage.root / key, (LONG_AGO, LONG_AGO + len(data)))

        yield storage, put


@pytest.fixture
def queue(tmp_path):
    with open_queue(tmp_path / "queue.db", "detect") as opened:
        yield opened


@pytest.fixture
def begin(place, queue, tmp_path):
    """Begins a watch of the place as a new process would, and ends the one before."""
    opened = []

    def call(**options):
        while opened:
            opened.pop().close()
        seen = Seen(tmp_path / "watched.db", place[0].uri)
        opened.append(seen)
        return Watch(place[0], queue, seen, **options)

    yield call
    for seen in opened:
        seen.close()


def received(queue):
    bodies = []
    while messages := queue.receive(50):
        for message in messages:
            bodies.append(message.body)
            queue.acknowledge(message)
    return sorted(bodies, key=lambda body: body["uri"])


def test_each_new_object_is_sent_once_and_leads_to_its_bytes(place, queue, begin):
    storage, put = place
    watch = begin()
    assert watch.look().sent == []
    keys = ["a.jpg", "b c+d.png", "Zoë/100%.webp", "deep/er/no-ending"]
    for key in keys:
        put(key, key.encode())
    assert len(watch.look().sent) == 4
    assert watch.look().sent == []
    put("e.jpg", b"e.jpg")
    assert [body["uri"] for body in watch.look().sent] == [storage.uri_of("e.jpg")]
    assert received(queue) == sorted(({"uri": storage.uri_of(key)} for key in [*keys, "e.jpg"]), key=lambda a: a["uri"])
    base, key = locate(storage.uri_of("Zoë/100%.webp"))
    with open_storage(base) as whole:
        assert whole.read(key).decode() == "Zoë/100%.webp"


def test_a_restart_neither_misses_nor_repeats(place, queue, begin):
    _, put = place
    put("a.jpg")
    put("b.jpg")
    begin().look()
    put("c.jpg")  # arrived while nobody watched
    assert len(begin().look().sent) == 1
    assert begin().look().known == 3
    assert len(received(queue)) == 3


def test_an_object_that_was_changed_is_sent_again(place, begin):
    _, put = place
    put("a.jpg", b"one")
    watch = begin()
    watch.look()
    put("a.jpg", b"another")
    assert len(watch.look().sent) == 1
    assert len(watch.look().sent) == 0


def test_what_is_no_photo_is_passed_over(place, begin):
    _, put = place
    for key in ("notes.txt", "profile.json", ".hidden.jpg", ".trash/a.jpg", "upload.jpg.part"):
        put(key)
    done = begin().look()
    assert (done.sent, done.passed_over) == ([], 5)


def test_the_first_folder_names_the_person_where_that_is_asked_for(place, begin):
    _, put = place
    put("Anna_Lee/2024/x.jpg")
    put("loose.jpg")
    put("2024/y.jpg")
    sent = begin(names="folder").look().sent
    assert [body.get("name") for body in sent] == [None, "Anna Lee", None]


def test_a_watch_that_is_told_to_stop_has_remembered_what_it_sent(place, queue, begin, monkeypatch):
    monkeypatch.setattr(watching, "BATCH", 2)
    _, put = place
    for number in range(5):
        put(f"{number}.jpg")
    asked = iter([False, True])
    assert len(begin().look(stop=lambda: next(asked)).sent) == 2
    assert len(begin().look().sent) == 3
    assert len(received(queue)) == 5


def test_what_the_queue_did_not_take_is_sent_by_a_later_look(place, queue, begin, monkeypatch):
    _, put = place
    put("a.jpg")
    watch = begin()

    def away(*_, **__):
        raise QueueUnavailable("the queue is away")

    with monkeypatch.context() as patch:
        patch.setattr(EmbeddedQueue, "send", away)
        with pytest.raises(QueueUnavailable):
            watch.look()
    assert len(watch.look().sent) == 1
    assert len(received(queue)) == 1


def test_only_one_process_watches_a_place(place, begin, tmp_path):
    begin()
    with pytest.raises(Conflict, match="already"):
        Seen(tmp_path / "watched.db", place[0].uri)
    Seen(tmp_path / "watched.db", "file:///another").close()


def test_what_was_sent_is_forgotten_only_long_after_it_is_gone(place, begin, monkeypatch):
    _, put = place
    put("a.jpg")
    begin().look()
    today = time.time() // 86400
    monkeypatch.setattr("likeness.intake.seen._today", lambda: int(today + KEPT_DAYS - 1))
    assert begin().look().known == 1  # seen today: kept from now on
    monkeypatch.setattr("likeness.intake.seen._today", lambda: int(today + 2 * KEPT_DAYS - 2))
    watch = begin()
    assert watch._seen.forget_gone() == 0
    monkeypatch.setattr("likeness.intake.seen._today", lambda: int(today + 2 * KEPT_DAYS))
    assert watch._seen.forget_gone() == 1
    assert watch._seen.count() == 0


def test_a_watch_that_runs_for_long_forgets_what_is_gone_without_a_restart(place, begin, monkeypatch):
    storage, put = place
    put("a.jpg")
    watch, today, left = begin(), int(time.time() // 86400), []
    monkeypatch.setattr(watching, "TIDY_S", 0.0)

    def later(seconds):
        left.append(watch._seen.count())
        if len(left) == 1:
            put("b.jpg")  # a folder that is left empty is removed
            storage.delete("a.jpg")
        monkeypatch.setattr("likeness.intake.seen._today", lambda: today + 2 * KEPT_DAYS)
        return len(left) == 2

    list(watch.run(later, every_s=0, stop=lambda: False))
    assert left == [1, 1]
    assert watch.look().known == 1  # b.jpg alone


def test_what_is_still_there_is_not_sent_again_however_long_nobody_watched(place, begin, queue, monkeypatch):
    _, put = place
    put("a.jpg")
    begin().look()
    assert len(received(queue)) == 1
    today = int(time.time() // 86400)
    monkeypatch.setattr("likeness.intake.seen._today", lambda: today + 2 * KEPT_DAYS)
    [done] = begin().run(lambda seconds: True, every_s=0, stop=lambda: False)
    assert (done.known, done.sent) == (1, [])


def test_what_is_remembered_holds_no_name_of_a_file(begin, place, tmp_path):
    _, put = place
    put("Anna_Lee/secret-name.jpg")
    begin().look()
    for path in tmp_path.glob("watched.db*"):
        assert b"secret-name" not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_a_file_that_is_still_being_written_waits_until_it_is_whole(tmp_path, queue):
    folder = tmp_path / "in"
    folder.mkdir()
    storage = open_storage(folder)
    with Seen(tmp_path / "watched.db", storage.uri) as seen:
        watch = Watch(storage, queue, seen, quiet_s=0.3)
        with (folder / "slow.jpg").open("wb") as file:
            for _ in range(3):
                file.write(b"part")
                file.flush()
                done = watch.look()
                assert (done.sent, done.waiting) == ([], 1)
                time.sleep(0.35)
        done = watch.look()
        assert (len(done.sent), done.waiting) == (1, 0)
    assert len(received(queue)) == 1


def test_watching_goes_on_after_the_place_was_away(tmp_path, queue):
    folder = tmp_path / "in"
    folder.mkdir()
    storage = open_storage(folder)
    (folder / "a.jpg").write_bytes(b"a")
    os.utime(folder / "a.jpg", (LONG_AGO, LONG_AGO))
    pauses = []

    def pause(seconds):
        pauses.append(seconds)
        if len(pauses) == 1:
            folder.rename(tmp_path / "away")
        elif len(pauses) == 2:
            (tmp_path / "away").rename(folder)
        return len(pauses) == 4

    with Seen(tmp_path / "watched.db", storage.uri) as seen:
        looks = list(Watch(storage, queue, seen).run(pause, every_s=0.1, stop=lambda: False))
    assert [isinstance(look.error, StorageMissing) for look in looks] == [False, True, False, False]
    assert pauses[1] >= 1
    assert len(received(queue)) == 1


def test_a_place_that_is_not_there_is_told_at_once(tmp_path, queue):
    storage = open_storage(tmp_path / "nowhere")
    with Seen(tmp_path / "watched.db", storage.uri) as seen, pytest.raises(StorageMissing):
        next(Watch(storage, queue, seen).run(lambda seconds: True, every_s=1, stop=lambda: False))


@pytest.mark.parametrize(
    ("watched", "media", "fits"),
    [
        ("s3://photos", "s3://photos/people", False),
        ("s3://photos/people/in", "s3://photos/people", False),
        ("s3://photos/in", "s3://photos/people", True),
        ("s3://photos/people2", "s3://photos/people", True),
        ("s3://photos?endpoint_url=http://a", "s3://photos/people", False),
        ("file:///a/b", "file:///a/b", False),
    ],
)
def test_a_place_is_not_watched_where_enrolled_pictures_are_put(watched, media, fits):
    if fits:
        expect_apart(watched, [media])
        return
    with pytest.raises(SettingsError, match="lie in each other"):
        expect_apart(watched, [media])


@pytest.mark.parametrize(
    ("key", "taken"),
    [
        ("a.jpg", True),
        ("a.JPEG", True),
        ("upload-7f3a", True),
        ("x/y/z.heic", True),
        ("a.jpg.tmp", False),
        ("a.mp4", False),
        (".a.jpg", False),
        ("x/.y/a.jpg", False),
    ],
)
def test_a_photo_is_known_by_its_name(key, taken):
    assert is_taken(key) is taken
