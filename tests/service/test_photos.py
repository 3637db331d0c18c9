from __future__ import annotations

from pathlib import Path

import pytest

from likeness.service.photos import find_photos, name_from_file, name_from_folder


@pytest.mark.parametrize(
    ("stem", "name"),
    [
        pytest.param("Anna_Lee_0001", "Anna Lee", id="as LFW does"),
        pytest.param("anna-lee (2)", "anna lee", id="a slug with a copy's number"),
        pytest.param("Anna Lee", "Anna Lee", id="a plain name"),
        pytest.param("Jean-Pierre_Bemba_0001", "Jean-Pierre Bemba", id="a hyphen within a name"),
        pytest.param("Anna-Lee", "Anna-Lee", id="a hyphen between capitals"),
        pytest.param("anna1", "anna", id="a number without a divider"),
        pytest.param("Anna Lee - 3", "Anna Lee", id="a number behind a dash"),
        pytest.param("Anna Lee 2021-05-03", "Anna Lee", id="a date"),
        pytest.param("Anna_Lee_new (1) copy", "Anna Lee new", id="a copy of a copy"),
        pytest.param("王_芳_01", "王 芳", id="other scripts"),
        pytest.param("IMG_1234", None, id="a camera's name"),
        pytest.param("DSCF0042", None, id="another camera's"),
        pytest.param("0001", None, id="only a number"),
        pytest.param("WhatsApp Image 2020-01-01", None, id="a messenger's name"),
    ],
)
def test_a_file_name_gives_the_persons_name_without_its_counter(stem, name):
    assert name_from_file(stem) == name


@pytest.mark.parametrize(
    ("folder", "name"), [("Anna_Lee", "Anna Lee"), ("n000001", "n000001"), ("Louis  XIV", "Louis XIV"), ("2021", None)]
)
def test_a_folder_name_gives_the_persons_name(folder, name):
    assert name_from_folder(folder) == name


def _touch(*paths: Path) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_folders_are_walked_in_order_and_other_files_left_out(tmp_path):
    _touch(
        tmp_path / "b" / "2.JPG",
        tmp_path / "a" / "x.png",
        tmp_path / "a" / "notes.txt",
        tmp_path / ".hidden" / "y.jpg",
        tmp_path / "a" / ".z.jpg",
        tmp_path / "c.webp",
    )
    found = [Path(photo.path).relative_to(tmp_path).as_posix() for photo in find_photos([tmp_path])]
    assert found == ["c.webp", "a/x.png", "b/2.JPG"]


def test_the_first_folder_names_the_person_and_files_beside_folders_name_themselves(tmp_path):
    anna = tmp_path / "Anna_Lee"
    _touch(anna / "1.jpg", anna / "2023" / "sea" / "x.jpg", anna / "profile.json", tmp_path / "Bo_Chen_2.jpg")
    found = list(find_photos([tmp_path], named=True))
    assert [photo.name for photo in found] == ["Bo Chen", "Anna Lee", "Anna Lee"]
    assert [photo.card for photo in found] == [None, str(anna / "profile.json"), str(anna / "profile.json")]


def test_a_stated_name_wins_over_folders_and_files(tmp_path):
    _touch(tmp_path / "Anna" / "Bo.jpg")
    assert [photo.name for photo in find_photos([tmp_path], name="Cleo", named=True)] == ["Cleo"]


@pytest.mark.parametrize(
    ("given", "name", "with_card"),
    [
        pytest.param(["."], None, ["Anna/1.jpg"], id="the folder that names the person"),
        pytest.param(["Anna"], "Cleo", ["Anna/1.jpg"], id="the folder given with a name"),
        pytest.param(["Anna/1.jpg", "Anna/profile.json"], "Cleo", ["Anna/1.jpg"], id="both files, with a name"),
        pytest.param(["."], "Cleo", [], id="not one further down, which is somebody else's"),
        pytest.param(["Anna"], None, [], id="not where files carry the names"),
        pytest.param(["Anna/1.jpg"], "Cleo", [], id="not where a photo is given alone"),
    ],
)
def test_a_profile_card_comes_with_its_persons_photos_and_is_no_photo(tmp_path, given, name, with_card):
    _touch(tmp_path / "Anna" / "1.jpg", tmp_path / "Anna" / "profile.json", tmp_path / "Bo" / "2.jpg")
    found = list(find_photos([tmp_path / path for path in given], name=name, named=True))
    assert not any(photo.path.endswith("profile.json") for photo in found)
    cards = {Path(photo.path).relative_to(tmp_path).as_posix(): photo.card for photo in found if photo.card}
    assert cards == {path: str(tmp_path / "Anna" / "profile.json") for path in with_card}


def test_a_photo_that_names_nobody_comes_with_the_reason(tmp_path):
    _touch(tmp_path / "IMG_0001.jpg")
    [photo] = find_photos([tmp_path], named=True)
    assert photo.error is not None
    assert photo.error.code == "name_missing"
    assert "--name" in str(photo.error)


def test_missing_paths_and_empty_folders_come_with_the_reason(tmp_path):
    (tmp_path / "empty").mkdir()
    found = list(find_photos([tmp_path / "empty", tmp_path / "IMG_1.jpg"], named=True))
    assert [photo.error and photo.error.code for photo in found] == ["photo_missing", "photo_missing"]


def test_without_names_wanted_any_file_that_is_named_is_taken_as_it_is(tmp_path):
    assert [photo.error for photo in find_photos([tmp_path / "whatever.xyz"])] == [None]
