"""Disks that are full or may only be read, and damaged pages: a clear error, and what was acknowledged is there."""

from __future__ import annotations

import json
import os
import sqlite3
from contextlib import closing

import numpy as np
import pytest
from fault_places import KEPT, Disk, Kept

from likeness.cli import run
from likeness.errors import GalleryCorrupt, LikenessError
from likeness.gallery import open_gallery
from likeness.server.app import create_app
from likeness.settings import Settings
from running_server import client, running


def put_until_refused(kept: Kept, opened, first: int) -> tuple[int, LikenessError]:
    """Put things in until one is not taken; how many were, and the error."""
    for number in range(first, first + 4000):
        try:
            kept.put(opened, number)
        except LikenessError as error:
            return number - first, error
    raise AssertionError("the disk never got full")


def test_on_a_full_disk_what_was_acknowledged_stays_and_the_rest_is_refused(kept: Kept, disk: Disk):
    (disk.folder / "much").write_bytes(bytes(2_500_000))
    with kept.open(disk.folder) as opened:
        taken, error = put_until_refused(kept, opened, 0)
        assert taken > 3
        assert "space" in str(error) or "full" in str(error)
        assert error.hint
        assert (error.exit_code, error.http_status) in ((7, 507), (8, 503))
    with kept.open(disk.folder) as opened:
        assert kept.count(opened) == taken


def test_after_a_disk_was_full_for_a_while_work_goes_on(kept: Kept, disk: Disk):
    with kept.open(disk.folder) as opened:
        kept.put(opened, 0)
        disk.fill()
        taken, _ = put_until_refused(kept, opened, 1)
        disk.free()
        kept.put(opened, 1000)
        assert kept.count(opened) == taken + 2
    with kept.open(disk.folder) as opened:
        assert kept.count(opened) == taken + 2


def test_on_a_disk_that_may_only_be_read_nothing_is_taken_and_nothing_lost(kept: Kept, disk: Disk):
    with kept.open(disk.folder) as opened:
        kept.put(opened, 0)
    disk.only_read()
    with pytest.raises(LikenessError) as told, kept.open(disk.folder) as opened:
        kept.put(opened, 1)
    assert told.value.exit_code in (7, 8)
    assert str(disk.folder) in str(told.value) or kept.name == "storage"
    disk.may_be_written()
    with kept.open(disk.folder) as opened:
        assert kept.count(opened) == 1


@pytest.mark.parametrize("kept", [kept for kept in KEPT if kept.file], ids=lambda kept: kept.name)
@pytest.mark.parametrize("page", [0, 1, "all but the first"])
def test_a_damaged_page_is_told_and_nothing_is_made_up(kept: Kept, tmp_path, page):
    with kept.open(tmp_path) as opened:
        for number in range(20):
            kept.put(opened, number)
    path = tmp_path / kept.file
    data = bytearray(path.read_bytes())
    size = int.from_bytes(data[16:18], "big")
    places = range(1, len(data) // size) if isinstance(page, str) else [page]
    for at in places:
        data[at * size : at * size + 100] = os.urandom(100)
    path.write_bytes(data)
    for log in tmp_path.glob(f"{kept.file}-*"):
        log.unlink()
    try:
        with kept.open(tmp_path) as opened:
            assert kept.count(opened) == 20
            kept.put(opened, 100)
    except LikenessError as error:
        assert "damaged" in str(error) or "no " in str(error) or "malformed" in str(error), error  # noqa: PT017
        assert error.exit_code in (2, 7, 8)  # noqa: PT017
    else:
        assert page == 1, "only a page where nothing was looked for may go unnoticed"


def test_the_command_ends_with_its_code_on_a_full_disk_and_the_gallery_is_whole(disk: Disk, samples, capsys):
    where = ["--gallery", str(disk.folder / "people.gallery")]
    (disk.folder / "half").write_bytes(bytes(2_600_000))
    code = run(["enroll", str(samples / "people"), "--json", *where])
    said = capsys.readouterr()
    assert code == 7
    errors = [json.loads(line)["error"] for line in (said.out + said.err).splitlines() if '"error"' in line]
    assert "storage_full" in {error["code"] for error in errors if error}
    added = [line for line in map(json.loads, said.out.splitlines()) if line.get("status") == "added"]
    (disk.folder / "half").unlink()
    assert run(["gallery", "check", *where]) == 0
    with open_gallery(disk.folder / "people.gallery", create=False) as gallery:
        assert gallery.info().faces >= len(added)
    assert run(["enroll", str(samples / "people"), *where]) == 0
    with open_gallery(disk.folder / "people.gallery", create=False) as gallery:
        assert gallery.info().faces == 48


def test_the_api_answers_507_on_a_full_disk_and_serves_on(disk: Disk, samples, tmp_path):
    own = {"gallery": str(disk.folder / "people.gallery"), "serve_answers": str(tmp_path / "answers.db")}
    photo = (samples / "probes" / "Nadia_Okafor_new.jpg").read_bytes()
    settings = Settings.load(own | {"serve_rate_per_minute": 0, "keys": str(tmp_path / "api.keys")})
    with running(create_app(settings, open_access=True)) as address, client(address) as api:
        assert api.post("/v1/people", data={"name": "Nadia"}, files=[("photos", photo)]).status_code == 201
        disk.fill()
        statuses = set()
        for number in range(12):  # the log may have room left for some
            answer = api.post("/v1/people", data={"name": f"N{number}"}, files=[("photos", photo + bytes(number + 1))])
            statuses.add((answer.status_code, answer.json().get("error", {}).get("code")))
            if answer.status_code != 201:
                break
        assert (507, "storage_full") in statuses
        disk.free()
        assert api.post("/v1/people", data={"name": "Last"}, files=[("photos", photo + b"-")]).status_code == 201
        assert api.post("/v1/identify", files={"photo": photo}).status_code == 200
    with open_gallery(disk.folder / "people.gallery", create=False) as gallery:
        assert all(finding.ok for finding in gallery.check())


@pytest.mark.parametrize(
    ("change", "ask"),
    [
        ("UPDATE people SET created_at = 'long ago'", lambda gallery: gallery.people()),
        ("UPDATE facts SET profile = '[[['", lambda gallery: gallery.people()),
        ("UPDATE faces SET created_at = 'long ago'", lambda gallery: list(gallery.faces())),
        ("UPDATE vectors SET vector = x'00'", lambda gallery: list(gallery.faces())),
        ("UPDATE vectors SET vector = x'00'", lambda gallery: gallery.search(np.eye(1, 16, dtype=np.float32), 1)),
        ("UPDATE meta SET value = 'many' WHERE key = 'dimension'", lambda gallery: None),
    ],
)
def test_values_that_mean_nothing_are_damage_and_say_so(change, ask, tmp_path):
    kept = KEPT[0]
    with kept.open(tmp_path) as gallery:
        kept.put(gallery, 1)
    with closing(sqlite3.connect(tmp_path / kept.file)) as connection:
        connection.execute(change)
        connection.commit()

    def use() -> None:
        with open_gallery(tmp_path / kept.file, create=False) as gallery:
            ask(gallery)

    with pytest.raises(GalleryCorrupt, match="damaged") as told:
        use()
    assert told.value.hint
