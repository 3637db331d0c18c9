"""`likeness enroll`, stopped and gone on with, as a process of its own."""

from __future__ import annotations

import json
import signal

import pytest
from PIL import Image

from likeness.gallery import open_gallery


@pytest.fixture
def crowd(samples, tmp_path):
    """Dozens of photos: those of the samples, each once more mirrored and once a little smaller."""
    for photo in sorted((samples / "people").glob("*/*.jpg")):
        folder = tmp_path / "crowd" / photo.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        with Image.open(photo) as image:
            image.save(folder / f"{photo.stem}-a.jpg", quality=90)
            image.transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(folder / f"{photo.stem}-b.jpg", quality=90)
            smaller = image.resize((image.width * 9 // 10, image.height * 9 // 10))
            smaller.save(folder / f"{photo.stem}-c.jpg", quality=90)
    return tmp_path / "crowd"


def acknowledged(out: str) -> dict[str, int]:
    """Path → face id, of the whole lines that said so."""
    lines = [json.loads(line) for line in out.splitlines(keepends=True) if line.endswith("\n")]
    return {line["path"]: line["face_id"] for line in lines if line.get("status") == "added"}


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["interrupted", "killed"])
def test_a_run_that_was_stopped_lost_nothing_acknowledged_and_is_gone_on_with(start, shell, crowd, tmp_path, how):
    photos = len(list(crowd.glob("*/*.jpg")))
    assert photos > 64
    enroll = ("enroll", crowd, "--pick", "largest", "--no-gate", "--json")
    process = start(*enroll)
    first = process.stdout.readline()  # the first batch is durable
    process.send_signal(how)
    out = first + process.stdout.read()
    assert process.wait(60) == (130 if how == signal.SIGINT else -signal.SIGKILL)
    process.stdout.close()
    process.stderr.close()
    safe = acknowledged(out)
    assert 0 < len(safe) < photos
    if how == signal.SIGINT:
        assert json.loads(out.splitlines()[-1])["summary"]["stopped"]
    with open_gallery(tmp_path / "own.gallery", create=False) as gallery:
        stored = {face.source: face.id for face in gallery.faces()}
    assert safe.items() <= stored.items()
    done = shell(*enroll)
    assert done.code == 0, done.err
    summary = done.lines[-1]["summary"]
    assert summary["added"] == photos - len(stored)
    assert summary["duplicate"] == len(stored)
    with open_gallery(tmp_path / "own.gallery", create=False) as gallery:
        assert gallery.info().faces == photos


def test_outcomes_are_told_and_some_refused_give_exit_code_3(cli, samples, tmp_path):
    (tmp_path / "Bo_Chen").mkdir()
    (tmp_path / "Bo_Chen" / "1.jpg").write_bytes((samples / "landscape.jpg").read_bytes())
    (tmp_path / "Bo_Chen" / "2.jpg").write_text("no picture")
    done = cli("enroll", tmp_path / "Bo_Chen", samples / "people", "--name", "Bo Chen", "--pick", "largest")
    assert done.code == 3
    assert "no face was found" in done.out
    assert "1 no_face" in done.out
    assert "photo_unsupported" in done.out


def test_one_photo_is_not_called_photos_and_nobody_is_not_counted(cli, samples):
    out = cli("enroll", samples / "landscape.jpg", "--name", "Zoe").out
    assert "0 added, 0 enrolled before, 1 refused; 1 photo in" in out
    assert out.splitlines()[0].count("landscape.jpg") == 1


def test_json_has_a_line_for_each_photo_and_a_summary(cli, samples):
    done = cli("enroll", samples / "people", "--pick", "largest", "--json")
    assert done.code == 0
    *photos, last = done.lines
    assert {line["status"] for line in photos} == {"duplicate"}
    assert last["summary"]["duplicate"] == len(photos)


def test_a_bad_profile_is_a_warning_that_names_the_file(cli, probe, tmp_path):
    folder = tmp_path / "Zoe"
    folder.mkdir()
    with Image.open(probe) as image:
        image.save(folder / "1.jpg")
    (folder / "profile.json").write_text("{")
    done = cli("enroll", tmp_path)
    assert (done.code, done.err.startswith("warning: "), str(folder / "profile.json") in done.err) == (0, True, True)
    assert "1 added" in done.out


def test_consent_and_retention_reach_the_record(cli, samples, tmp_path):
    photo = tmp_path / "copy.jpg"
    with Image.open(next((samples / "probes").glob("*_new.jpg"))) as image:
        image.save(photo)
    done = cli("enroll", photo, "--name", "Zoe", "--consent", "form 7", "--retain-until", "2099-01-31", "--largest")
    assert done.code == 0, done.out + done.err
    [person] = cli("people", "show", "Zoe", "--json").lines
    assert (person["consent"]["basis"], person["retain_until"]) == ("form 7", "2099-01-31")


def test_two_ways_to_pick_a_face_contradict_each_other(cli, probe):
    assert cli("enroll", probe, "--largest", "--pick", "central").code == 2
    assert cli("enroll", probe, "--largest", "--pick", "largest", "--name", "Zoe").code == 0


@pytest.mark.parametrize("name", ["", "  "])
def test_an_empty_name_is_refused_and_no_file_name_taken_for_it(cli, probe, name):
    done = cli("enroll", probe, "--name", name)
    assert (done.code, "name is empty" in done.err) == (2, True)


def test_a_retention_date_in_the_past_is_refused(cli, probe):
    done = cli("enroll", probe, "--name", "Zoe", "--retain-until", "2001-01-01")
    assert (done.code, "has passed already" in done.err) == (2, True)


def test_progress_is_told_on_stderr_where_asked_for(cli, samples):
    done = cli("enroll", samples / "people", "--pick", "largest", "--progress")
    assert "enrolling" in done.err
    assert "a second" in done.err
    assert "(100%)" in done.err
