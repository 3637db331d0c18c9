"""Apparent age and gender, as `describe`, `identify` and `twins` show them."""

from __future__ import annotations

import re

import pytest
from PIL import Image, ImageChops

from attribute_bundles import write_bundle
from likeness.cli.apparent import age_words, apparent_line, gender_words
from likeness.types import Age, Gender


@pytest.fixture
def ages(tmp_path) -> str:
    """A bundle that tells age and gender."""
    return str(write_bundle(tmp_path / "ages").folder)


LINE = r"apparent age \d+ \(\d+ to \d+ in 8 of 10 such faces\), apparent gender (fe)?male (over )?\d\d%"


def test_words_are_whole_years_and_no_certainties():
    assert age_words(Age(34.4, 26.6, 43.2)) == ("34", "27 to 43")
    assert gender_words(Gender("female", 0.973)) == "female 97%"
    assert gender_words(Gender("male", 0.9999)) == "male over 99%"


def test_describe_shows_them_in_columns_and_as_json(cli, samples, ages):
    done = cli("describe", samples / "group.jpg", "--attributes", ages)
    assert done.code == 0
    header, *rows = done.out.splitlines()[1:]
    assert re.search(r"apparent age +8 of 10 within +apparent gender", header)
    assert all(re.search(r"\d+ to \d+ +(fe)?male", row) for row in rows)
    (found,) = cli("describe", samples / "group.jpg", "--attributes", ages, "--json").lines
    assert len(found["faces"]) == 5
    for face in found["faces"]:
        assert face["age"]["low"] <= face["age"]["years"] <= face["age"]["high"]
        assert face["gender"]["label"] in ("male", "female")


def test_without_a_model_that_tells_them_nothing_is_said(cli, samples):
    done = cli("describe", samples / "group.jpg", "--attributes", "none")
    assert "apparent" not in done.out
    (found,) = cli("describe", samples / "group.jpg", "--attributes", "none", "--json").lines
    assert not {"age", "gender"} & set(found["faces"][0])


def test_identify_says_them_under_each_answer(cli, probe, ages):
    done = cli("identify", probe, "--attributes", ages)
    assert re.search(LINE, done.out)
    (found,) = cli("identify", probe, "--attributes", ages, "--json").lines
    assert found["answers"][0]["face"]["age"]["years"] > 0


def test_twins_say_them_of_the_face_asked_about(cli, probe, ages, tmp_path):
    done = cli("twins", probe, "--attributes", ages, "--sheet", tmp_path / "sheet.png")
    assert re.search(rf"the face: {LINE}", done.out)


def test_drawings_carry_them(cli, probe, ages, tmp_path):
    for name, setting in (("with", ages), ("without", "none")):
        assert cli("describe", probe, "--draw", tmp_path / f"{name}.png", "--attributes", setting).code == 0
    with Image.open(tmp_path / "with.png") as told, Image.open(tmp_path / "without.png") as plain:
        assert ImageChops.difference(told.convert("RGB"), plain.convert("RGB")).getbbox() is not None


def test_nothing_is_said_of_a_face_of_which_nothing_is_known(recognizer, probe):
    assert apparent_line(recognizer.faces(probe, attributes=False)[0]) == ""


def test_an_uncalibrated_model_is_refused_before_the_photos(cli, probe, tmp_path):
    raw = write_bundle(tmp_path / "raw", calibrated=False)
    done = cli("identify", probe, "--attributes", raw.folder)
    assert done.code == 6
    assert "likeness calibrate raw" in done.err
