"""The commands that look at photos: describe, identify, twins, verify."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from PIL import Image

from likeness.vision.decode import DecodeLimits


def test_describe_prints_one_json_line_a_photo_in_order(shell, samples, probe):
    done = shell("describe", samples / "landscape.jpg", probe, "/nowhere.jpg", "--embeddings", "--json")
    assert done.code == 3
    empty, found, missing = done.lines
    assert (empty["path"], empty["faces"]) == (str(samples / "landscape.jpg"), [])
    assert "error" not in empty
    face = found["faces"][0]
    assert len(face["box"]) == 4
    assert np.shape(face["landmarks"]) == (5, 2)
    assert 0 < face["score"] <= 1
    assert np.linalg.norm(face["embedding"]) == pytest.approx(1, abs=1e-3)
    assert face["quality"]["passes"] in (True, False)
    assert missing["faces"] == []
    assert missing["error"]["code"] == "photo_missing"
    assert done.err == ""


def test_describe_walks_folders_and_leaves_embeddings_out_unless_asked(cli, samples):
    done = cli("describe", samples / "probes", "--json")
    assert done.code == 0
    assert [line["path"] for line in done.lines] == [str(path) for path in sorted((samples / "probes").glob("*.jpg"))]
    assert all("embedding" not in face for line in done.lines for face in line["faces"])


def test_describe_draws_one_photo_to_a_file_and_several_into_a_folder(cli, samples, probe, tmp_path):
    assert cli("describe", samples / "group.jpg", "--draw", tmp_path / "one.png").code == 0
    with Image.open(tmp_path / "one.png") as drawn, Image.open(samples / "group.jpg") as photo:
        assert drawn.size == photo.size
        assert np.abs(np.asarray(drawn, int) - np.asarray(photo, int)).max() > 100
    done = cli("describe", probe, samples / "group.jpg", "--draw", tmp_path / "several", "--json")
    assert {line["drawn"] for line in done.lines} == {str(path) for path in (tmp_path / "several").iterdir()}


def test_a_photo_is_drawn_under_the_limits_that_it_was_accepted_under(samples, tmp_path, monkeypatch, cli):
    monkeypatch.setattr("likeness.service.portraits.DecodeLimits", lambda: DecodeLimits(max_bytes=10))
    done = cli("describe", samples / "landscape.jpg", "--draw", tmp_path / "out.png")
    assert (done.code, done.err) == (0, "")
    assert (tmp_path / "out.png").exists()


@pytest.mark.parametrize(("ending", "kind"), [("jpg", "JPEG"), ("JPEG", "JPEG"), ("webp", "WEBP"), ("png", "PNG")])
def test_the_names_ending_says_which_kind_of_picture_is_written(cli, probe, tmp_path, ending, kind):
    place = tmp_path / f"out.{ending}"
    assert cli("describe", probe, "--draw", place).code == 0
    with Image.open(place) as drawn:
        assert drawn.format == kind


def test_a_picture_is_not_written_under_a_name_that_promises_another_thing(cli, probe, samples, tmp_path):
    for arguments in (
        ("describe", probe, "--draw", tmp_path / "out.pdf"),
        ("twins", probe, "--sheet", tmp_path / "sheet"),
        ("describe", probe, samples / "group.jpg", "--draw", tmp_path / "both.png"),
    ):
        assert cli(*arguments).code == 2
    assert not {"out.pdf", "sheet", "both.png"} & {path.name for path in tmp_path.iterdir()}


def test_drawing_never_overwrites_a_photo(cli, probe, tmp_path):
    photo = tmp_path / "photo.png"
    Image.open(probe).save(photo)
    before = hashlib.sha256(photo.read_bytes()).hexdigest()
    for command in (("describe", photo, "--draw", photo), ("twins", photo, "--sheet", photo)):
        done = cli(*command)
        assert (done.code, "overwrite" in done.err) == (2, True)
    assert hashlib.sha256(photo.read_bytes()).hexdigest() == before


def test_identify_says_name_numbers_and_reason(cli, probe, names):
    done = cli("identify", probe)
    assert done.code == 0
    for word in (names[0], "probability", "false-positive rate", "similarity", "because"):
        assert word in done.out


def test_identify_prints_one_json_line_a_photo_with_its_answers(cli, probe, samples, names):
    done = cli("identify", probe, samples / "landscape.jpg", "/nowhere.jpg", "--json")
    assert done.code == 3
    known, nobody, missing = done.lines
    assert known["answers"][0]["candidates"][0]["name"] == names[0]
    assert nobody["answers"] == []
    assert missing["error"]["code"] == "photo_missing"


def test_identify_says_what_is_wrong_with_a_poor_picture(cli, probe, tmp_path):
    assert "quality gate" not in cli("identify", probe).out
    photo = Image.open(probe)
    photo.point(lambda value: value // 12).save(tmp_path / "dark.png")
    assert "below the quality gate: too dark (brightness" in cli("identify", tmp_path / "dark.png").out


@pytest.mark.parametrize(
    ("option", "words"),
    [
        (("--model", "mtcnn"), "mtcnn is a detector; the setting embedder (--model) takes an embedder"),
        (("--detector", "dlib-resnet-int8"), "is an embedder; the setting detector (--detector) takes a detector"),
    ],
)
def test_a_model_in_the_wrong_role_is_refused(cli, probe, option, words):
    done = cli("identify", probe, *option)
    assert (done.code, words in done.err) == (6, True), done.err


def test_an_empty_path_is_not_the_folder_one_is_in(cli, samples, monkeypatch):
    monkeypatch.chdir(samples)
    for command in ("identify", "describe", "enroll"):
        done = cli(command, "")
        assert (done.code, "path of a photo is empty" in done.err) == (2, True)


def test_a_finer_rate_moves_the_threshold(cli, probe):
    loose, strict = (
        cli("identify", probe, "--fmr", rate, "--json").lines[0]["answers"][0] for rate in ("0.1", "0.0001")
    )
    assert loose["reason"] != strict["reason"]
    done = cli("identify", probe, "--fmr", "1e-12")
    assert done.code == 2
    assert "the smallest rate it supports" in done.err


def test_a_share_that_cannot_be_promised_is_a_warning_that_says_what_is(cli, probe):
    done = cli("identify", probe, "--fpir", "1e-7")
    assert (done.code, done.err.startswith("warning: 1e-05% of strangers"), "promises" in done.err) == (0, True, True)
    assert cli("identify", probe, "--fpir", "0.3").err == ""


def test_two_rates_for_one_threshold_contradict_each_other(cli, probe):
    assert cli("identify", probe, "--fpir", "0.1", "--fmr", "0.1").code == 2


def test_a_rate_at_the_calibrations_floor_is_said_to_be_a_bound(cli, probe):
    assert "false-match rate at most 0.00" in cli("verify", probe, probe).out


def test_options_stand_before_or_after_the_command(cli, probe):
    assert cli("--json", "identify", probe).lines == cli("identify", probe, "--json").lines


def test_twins_are_printed_saved_and_drawn(cli, probe, names, tmp_path):
    done = cli("twins", probe, "-k", "3", "--save-pictures", tmp_path / "p", "--sheet", tmp_path / "s.png", "--json")
    assert done.code == 0
    [line] = done.lines
    assert [twin["rank"] for twin in line["twins"]] == [1, 2, 3]
    assert line["twins"][0]["name"] == names[0]
    assert all(0 <= twin["rarer_than"] <= 1 for twin in line["twins"])
    assert {twin["picture"] for twin in line["twins"]} == {str(path) for path in (tmp_path / "p").iterdir()}
    with Image.open(tmp_path / "s.png") as sheet:
        assert sheet.width > 3 * 200
    assert line["twins"][0]["profile"]["age_years"] >= 18
    shown = cli("twins", probe).out
    assert names[0] in shown
    assert line["twins"][0]["profile"]["occupation"] in shown


def test_twins_of_others_say_who_was_left_out(cli, probe, samples, names):
    done = cli("twins", probe, "--others")
    *rows, last = done.out.splitlines()
    assert last.startswith(f"left out, because the face is theirs: {names[0]} (")
    assert not any(names[0] in row for row in rows)
    assert cli("twins", probe, "--others", "--json").lines[0]["left_out"][0]["name"] == names[0]
    assert "nobody was left out" in cli("twins", samples / "probes" / "stranger_1.jpg", "--others").out


def test_verify_says_whether_two_photos_show_one_person(cli, probe, samples, names):
    own = sorted((samples / "people" / names[0].replace(" ", "_")).glob("*.jpg"))[0]
    [same] = cli("verify", probe, own, "--json").lines
    assert same["paths"] == [probe, str(own)]
    assert 0 <= same["probability"] <= 1
    assert "similarity" in cli("verify", probe, own).out


def test_a_photo_that_is_missing_is_not_found(cli, probe):
    assert cli("verify", probe, "/nowhere.jpg").code == 4
    assert cli("twins", "/nowhere.jpg").code == 4


def test_a_photo_without_a_face_cannot_be_verified(cli, probe, samples):
    done = cli("verify", probe, samples / "landscape.jpg", "--json")
    assert done.code == 3
    assert done.lines[0]["error"]["code"] == "no_face"
    assert "landscape.jpg': no face was found" in done.lines[0]["error"]["message"]


def test_a_photo_that_cannot_be_used_is_named_once_with_what_to_do(cli, tmp_path):
    (tmp_path / "zero.jpg").touch()
    for command in ("identify", "describe"):
        assert cli(command, tmp_path / "zero.jpg").err.splitlines()[0].count("zero.jpg") == 1
        (tmp_path / "text.jpg").write_text("no picture")
        assert "hint: " in cli(command, tmp_path / "text.jpg").err


def test_names_and_files_cannot_steer_the_terminal(cli, samples, tmp_path):
    photo = tmp_path / "a\x1b[31mred\nline.jpg"
    photo.write_bytes((samples / "landscape.jpg").read_bytes())
    out = cli("describe", photo).out
    assert "\x1b" not in out
    assert len(out.splitlines()) == 1, "a newline in a file's name makes no line"


def test_a_file_name_in_another_encoding_is_printed_all_the_same(shell, samples, tmp_path):
    photo = str(tmp_path).encode() + b"/caf\xe9.jpg"
    with open(photo, "wb") as file:
        file.write((samples / "landscape.jpg").read_bytes())
    done = shell("describe", tmp_path, "--json")
    assert done.code == 0
    assert done.lines[0]["path"].encode("utf-8", "surrogateescape") == photo


def test_faces_of_one_photo_are_numbered_from_the_left(cli, gallery_path, samples):
    told = cli("identify", samples / "group.jpg").out.splitlines()
    [found] = cli("identify", samples / "group.jpg", "--json").lines
    assert told[0].endswith(": 5 faces, numbered from the left")
    by_place = sorted(found["answers"], key=lambda answer: answer["face"]["box"][0])
    assert by_place != found["answers"]
    nearest = [answer["candidates"][0]["name"] for answer in by_place]
    assert [line[2:4] for line in told if line[2:3].isdigit()] == ["1.", "2.", "3.", "4.", "5."]
    assert all(name in line for name, line in zip(nearest, [line for line in told if line[2:3].isdigit()], strict=True))
