"""Sources: each on a small folder of the exact layout that its publisher gives out."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from source_folders import imdb_table, matlab_day, put

from likeness.data.dataset import Dataset, Facts
from likeness.data.manifest import FoundFace, Row
from likeness.data.sources import Skipped, Source, make_source, open_source, recognise, sources
from likeness.data.sources.imdb_wiki import age_at_mid_year
from likeness.errors import DatasetError, InputError, PhotoMissing, SettingsError
from likeness.evaluate.predictions import known_of


def test_lfw_is_a_folder_for_each_person_with_numbered_photos(tmp_path: Path) -> None:
    put(tmp_path, "Ada_Lovelace/Ada_Lovelace_0001.jpg", "Ada_Lovelace/Ada_Lovelace_0002.jpg", "Al/Al_0001.jpg")
    put(tmp_path, "Al/holiday.jpg")
    (tmp_path / "peopleDevTrain.txt").write_text("1\nAda_Lovelace\t2\n")
    (tmp_path / "peopleDevTest.txt").write_text("1\nAl\t1\n")
    found = open_source(tmp_path, "lfw")
    assert [(row.path, row.identity, row.split) for row in found.rows] == [
        ("Ada_Lovelace/Ada_Lovelace_0001.jpg", "Ada_Lovelace", "train"),
        ("Ada_Lovelace/Ada_Lovelace_0002.jpg", "Ada_Lovelace", "train"),
        ("Al/Al_0001.jpg", "Al", "test"),
    ]
    assert {row.source for row in found.rows} == {"lfw"}
    assert "no licence" in found.rows[0].licence
    assert [skipped.path for skipped in found.skipped] == ["Al/holiday.jpg"]
    assert open_source(tmp_path).source.name == "folder"  # anybody's photos: no other of them is left out
    (tmp_path / "Al/holiday.jpg").unlink()
    assert open_source(tmp_path).source.name == "lfw"


def test_agedb_says_person_age_and_gender_in_the_name(tmp_path: Path) -> None:
    put(tmp_path, "0_MariaCallas_35_f.jpg", "10003_MaxSchreck_41_m.jpg", "11_NoAge_f.jpg", "12_Old_130_f.jpg")
    found = open_source(tmp_path)
    assert found.source.name == "agedb"
    assert [(row.identity, dict(row.labels)) for row in found.rows] == [
        ("MariaCallas", {"age_years": 35.0, "gender": "female"}),
        ("MaxSchreck", {"age_years": 41.0, "gender": "male"}),
    ]
    assert [skipped.path for skipped in found.skipped] == ["11_NoAge_f.jpg", "12_Old_130_f.jpg"]


def test_utkface_says_age_gender_and_group_and_names_nobody(tmp_path: Path) -> None:
    put(
        tmp_path,
        "UTKFace/1_0_0_20161219140623097.jpg.chip.jpg",
        "UTKFace/100_1_4_20170112215032192.jpg.chip.jpg",
        "UTKFace/24_0_1_20170116220224657 .jpg",  # as published
        "UTKFace/55_0_0_20170116232725357jpg.jpg",  # as published
        "UTKFace/39_1_20170116174525125.jpg",  # as published: no group
    )
    found = open_source(tmp_path)
    assert found.source.name == "utkface"
    assert [(row.label("age_years"), row.label("gender"), row.label("group")) for row in found.rows] == [
        (100.0, "female", "other"),
        (1.0, "male", "white"),
        (24.0, "male", "black"),
        (55.0, "male", "white"),
    ]
    assert {row.identity for row in found.rows} == {""}
    assert found.skipped == (Skipped("UTKFace/39_1_20170116174525125.jpg", "its name is not AGE_GENDER_GROUP_TIME"),)
    assert found.reasons() == {"its name is not AGE_GENDER_GROUP_TIME": 1}


@pytest.mark.parametrize("below", ["{}", "data/{}", "vggface2_{}/{}"], ids=["plain", "data", "as unpacked"])
def test_vggface2_has_two_parts_lists_and_a_table_of_people(tmp_path: Path, below: str) -> None:
    train, test = below.format("train", "train"), below.format("test", "test")
    put(tmp_path, f"{train}/n000002/0001_01.jpg", f"{train}/n000002/0002_01.jpg", f"{train}/n000003/0001_01.jpg")
    put(tmp_path, f"{test}/n000001/0019_01.jpg", f"{test}/n000001/0020_01.jpg")
    (tmp_path / "train_list.txt").write_text("n000002/0001_01.jpg\nn000002/0002_01.jpg\nn000003/0009_01.jpg\n")
    (tmp_path / "identity_meta.csv").write_text(
        "Class_ID, Name, Sample_Num, Flag, Gender\n"
        'n000001, "14th_Dalai_Lama", 424, 0, m\nn000002, "A_Fine_Frenzy", 315, 1, f\n'
    )
    found = open_source(tmp_path)
    assert found.source.name == "vggface2"
    assert [(row.path, row.identity, row.split, row.label("name"), row.label("gender")) for row in found.rows] == [
        (f"{train}/n000002/0001_01.jpg", "n000002", "train", "A Fine Frenzy", "female"),
        (f"{train}/n000002/0002_01.jpg", "n000002", "train", "A Fine Frenzy", "female"),
        (f"{test}/n000001/0019_01.jpg", "n000001", "test", "14th Dalai Lama", "male"),
        (f"{test}/n000001/0020_01.jpg", "n000001", "test", "14th Dalai Lama", "male"),
    ]
    assert found.skipped == (
        Skipped(f"{train}/n000003/0001_01.jpg", "not in train_list.txt"),
        Skipped(f"{train}/n000003/0009_01.jpg", "in train_list.txt, but not there"),
    )


@pytest.mark.parametrize(
    ("name", "text", "reason"),
    [
        ("train_list.txt", "n000002/../../secret.jpg\n", "line"),
        ("identity_meta.csv", 'n000002, "A", 1\n', "3 cells"),
    ],
)
def test_a_malformed_list_of_vggface2_is_named(tmp_path: Path, name: str, text: str, reason: str) -> None:
    put(tmp_path, "train/n000002/0001_01.jpg")
    (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=f"{name}.*{reason}"):
        open_source(tmp_path)


def line(**changes) -> dict:
    return {
        "dob": matlab_day(1981, 5, 5),
        "photo_taken": 2009,
        "full_path": "17/10000217_1981-05-05_2009.jpg",
        "gender": 1.0,
        "name": "Sami Jauhojärvi",
        "face_score": 4.3,
        "second_face_score": math.nan,
    } | changes


def test_wiki_photos_get_ages_and_all_that_are_left_out_are_counted(tmp_path: Path) -> None:
    lines = [
        line(),
        line(full_path="17/a.jpg", gender=0.0, name="Ana", dob=matlab_day(1981, 7, 2)),
        line(full_path="17/b.jpg", gender=math.nan, name=None),
        line(full_path="17/c.jpg", face_score=-math.inf),
        line(full_path="17/d.jpg", face_score=0.99),
        line(full_path="17/e.jpg", second_face_score=2.5),
        line(full_path="17/f.jpg", dob=47),
        line(full_path="17/g.jpg", dob=matlab_day(1850, 1, 1)),
        line(full_path="17/h.jpg", photo_taken=1980),
        line(full_path="17/missing.jpg"),
        line(full_path="../outside.jpg"),
    ]
    imdb_table(tmp_path / "wiki_crop" / "wiki.mat", lines)
    put(tmp_path / "wiki_crop", *(entry["full_path"] for entry in lines[:9]))
    found = open_source(tmp_path)
    assert found.source.name == "imdb-wiki"
    assert [(row.path, row.identity, dict(row.labels)) for row in found.rows] == [
        ("wiki_crop/17/10000217_1981-05-05_2009.jpg", "Sami Jauhojärvi", {"age_years": 28.0, "gender": "male"}),
        ("wiki_crop/17/a.jpg", "Ana", {"age_years": 27.0, "gender": "female"}),
        ("wiki_crop/17/b.jpg", "", {"age_years": 28.0}),
    ]
    assert found.reasons() == {
        "an implausible age": 2,
        "no face": 1,
        "a face score that is too low": 1,
        "a second face": 1,
        "no usable date of birth": 1,
        "in the table, but not there": 1,
        "a path that leaves the folder": 1,
    }
    assert open_source(tmp_path / "wiki_crop").rows[0].path == "17/10000217_1981-05-05_2009.jpg"
    assert len(open_source(tmp_path, min_face_score="0.5", allow_second_face="yes").rows) == 5


def test_imdb_people_of_one_name_are_kept_apart_by_their_number(tmp_path: Path) -> None:
    lines = [line(full_path=f"01/{at}.jpg", name="Chris Evans", celeb_id=at) for at in (1, 2, 3)]
    imdb_table(tmp_path / "imdb.mat", lines, celebrities=["Chris Evans", "Chris Evans", "Fred Astaire"])
    put(tmp_path, *(entry["full_path"] for entry in lines))
    assert [row.identity for row in open_source(tmp_path).rows] == [
        "Chris Evans (1)",
        "Chris Evans (2)",
        "Fred Astaire",
    ]


@pytest.mark.parametrize("data", [b"", b"not a table", b"MATLAB 7.3 MAT-file" + b" " * 600])
def test_a_table_that_is_none_is_said_to_be_so(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "wiki.mat").write_bytes(data)
    with pytest.raises(DatasetError, match=r"wiki\.mat is no MATLAB table"):
        open_source(tmp_path)


@given(born=st.dates(date(1, 1, 1), date(2015, 12, 31)), taken=st.integers(1900, 2016))
def test_an_age_is_the_birthdays_until_the_first_of_july(born: date, taken: int) -> None:
    datenum = matlab_day(born.year, born.month, born.day)
    had = [year for year in range(born.year + 1, taken + 1) if (born.month, born.day) <= (7, 1) or year < taken]
    if taken > born.year or (taken == born.year and (born.month, born.day) <= (7, 1)):
        assert age_at_mid_year(datenum, taken) == len(had)
    else:
        assert (age_at_mid_year(datenum, taken) or 0) < 0


def test_of_a_folder_for_each_person_the_first_folder_names(tmp_path: Path) -> None:
    put(tmp_path, "Ada/1.jpg", "Ada/London 1840/2.PNG", "loose.jpg", ".hidden/3.jpg", "Ada/.4.jpg")
    (tmp_path / "Ada" / "profile.json").write_text("{}")
    found = open_source(tmp_path)
    assert found.source.name == "folder"
    assert [(row.path, row.identity) for row in found.rows] == [("Ada/1.jpg", "Ada"), ("Ada/London 1840/2.PNG", "Ada")]
    assert found.skipped == (Skipped("loose.jpg", "in no person's folder"),)


def test_folders_called_train_and_test_are_splits(tmp_path: Path) -> None:
    put(tmp_path, "train/Ada/1.jpg", "val/Al/1.jpg", "test/Bo/1.jpg")
    assert [(row.identity, row.split) for row in open_source(tmp_path).rows] == [
        ("Bo", "test"),
        ("Ada", "train"),
        ("Al", "validation"),
    ]


def test_a_csv_gives_labels_boxes_and_splits_and_counts_bad_lines(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg", "c.jpg")
    (tmp_path / "list.csv").write_text(
        "path,identity,age_years,hair,split,x1,y1,x2,y2,\n"
        "a.jpg,Ada,36,brown,val,1,2,9,8,0\n"
        "b.jpg,Bo,,,,,,,,1\n"
        "c.jpg,Cy,1,x,someday,,,,,2\n"
        "c.jpg,Cy,1,x,,9,2,1,8,3\n"
        "d.jpg,Di,1,x,,,,,,4\n"
        "../e.jpg,Ed,1,x,,,,,,5\n"
        ",Ed,1,x,,,,,,6\n"
        "a.jpg,Ed\n"
    )
    found = open_source(tmp_path / "list.csv")
    assert found.folder == tmp_path
    assert found.rows == (
        Row(
            path="a.jpg",
            identity="Ada",
            labels={"age_years": 36.0, "hair": "brown"},
            split="validation",
            source="csv",
            face=FoundFace((1, 2, 9, 8)),
        ),
        Row(path="b.jpg", identity="Bo", source="csv"),
    )
    assert [skipped.path for skipped in found.skipped] == [
        "list.csv, line 4",
        "list.csv, line 5",
        "d.jpg",
        *(f"list.csv, line {number}" for number in (7, 8, 9)),
    ]


def test_half_a_box_and_names_that_look_like_numbers_are_understood(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "list.csv").write_text("path,identity,surname,x1\na.jpg,Ada,Nan,\nb.jpg,Bo,Inf,3\n")
    found = open_source(tmp_path / "list.csv")
    assert found.rows == (Row(path="a.jpg", identity="Ada", labels={"surname": "Nan"}, source="csv"),)
    assert found.skipped == (Skipped("list.csv, line 3", "a box without the column 'y1'"),)


def test_a_csv_may_call_its_columns_otherwise_and_lie_elsewhere(tmp_path: Path) -> None:
    put(tmp_path / "photos", "a.jpg", "b.jpg")
    (tmp_path / "list.csv").write_text(f"file,who\na.jpg,Ada\n{tmp_path / 'photos' / 'b.jpg'},Bo\n/etc/hosts,Cy\n")
    found = open_source(
        tmp_path / "list.csv", path_column="file", identity_column="who", photos=str(tmp_path / "photos")
    )
    assert [(row.path, row.identity) for row in found.rows] == [("a.jpg", "Ada"), ("b.jpg", "Bo")]
    assert found.folder == tmp_path / "photos"
    assert found.reasons() == {"a path that leaves the folder": 1}
    with pytest.raises(DatasetError, match="no column 'path'"):
        open_source(tmp_path / "list.csv")


def test_the_manifest_of_a_data_set_comes_back_equal_as_a_csv(tmp_path: Path) -> None:
    put(tmp_path, "crops/a.jpg")
    face = FoundFace((1.5, 2.0, 9.0, 8.0), ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5)), 0.98)
    row = Row(
        path="crops/a.jpg",
        identity="Ada",
        labels={"age_years": 36.0},
        source="lfw",
        split="test",
        photo="p.jpg",
        face=face,
    )
    Dataset(tmp_path, Facts(name="mine", source="lfw"), (row,)).write()
    assert open_source(tmp_path / "manifest.csv").rows == (row,)


def test_what_is_no_source_says_what_would_be(tmp_path: Path) -> None:
    with pytest.raises(PhotoMissing, match="no folder"):
        open_source(tmp_path / "none")
    with pytest.raises(DatasetError, match="holds no photos"):
        open_source(tmp_path)
    put(tmp_path, "Ada/1.jpg")
    with pytest.raises(DatasetError, match=r"gives no photo as the source 'agedb'.*NUMBER_PERSON_AGE_GENDER: 1"):
        open_source(tmp_path, "agedb")
    with pytest.raises(SettingsError, match="no source is called 'mnist'"):
        open_source(tmp_path, "mnist")
    with pytest.raises(InputError, match="has no option 'colour'"):
        make_source("imdb-wiki", colour="red")
    with pytest.raises(InputError, match=r"min_face_score.*cannot be used"):
        make_source("imdb-wiki", min_face_score="much")


def test_every_source_says_what_it_is_and_how_it_is_got() -> None:
    assert {kind.name for kind in sources()} >= {"lfw", "agedb", "vggface2", "utkface", "imdb-wiki", "folder", "csv"}
    for kind in sources():
        assert kind.title
        assert kind.layout
        assert kind.has
        assert kind.licence
        assert kind.downloads or kind.how_to_get


def test_the_new_source_of_the_docs_works_as_an_installed_plugin(tmp_path: Path, monkeypatch) -> None:
    docs = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
    code = docs.split("<!-- passport.py -->\n```python\n")[1].split("```")[0]
    (tmp_path / "site" / "passports.dist-info").mkdir(parents=True)
    (tmp_path / "site" / "passports.py").write_text(code)
    (tmp_path / "site" / "passports.dist-info" / "METADATA").write_text("Name: passports\nVersion: 1\n")
    (tmp_path / "site" / "passports.dist-info" / "entry_points.txt").write_text(
        "[likeness.source]\npassports = passports:Passports\nbroken = json:loads\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    from likeness import plugins

    plugins.targets.cache_clear()
    try:
        put(tmp_path / "photos", "P-1815-ada lovelace.jpg", "P-1912-alan turing.jpg", "P-oops.jpg")
        with pytest.raises(DatasetError, match="'broken' is no subclass"):
            open_source(tmp_path / "photos", "broken")
        found = open_source(tmp_path / "photos", "passports", photos_of=1840)
        assert issubclass(type(found.source), Source)
        assert [(row.identity, row.label("age_years")) for row in found.rows] == [("ada lovelace", 25.0)]
        assert len(found.skipped) == 2
        (tmp_path / "site" / "passports.dist-info" / "entry_points.txt").write_text(
            "[likeness.source]\npassports = passports:Passports\n"
        )
        plugins.targets.cache_clear()
        assert recognise(tmp_path / "photos") == "passports"
    finally:
        plugins.targets.cache_clear()


@pytest.mark.data
def test_the_real_lfw_and_utkface_are_read_whole(data_folder: Path) -> None:
    lfw = open_source(data_folder / "lfw")
    assert (lfw.source.name, len(lfw.rows), len(lfw.skipped)) == ("lfw", 13233, 0)
    assert len({row.identity for row in lfw.rows}) == 5749
    utkface = open_source(data_folder / "utkface")
    assert (utkface.source.name, len(utkface.rows), len(utkface.skipped)) == ("utkface", 23705, 3)
    ages = [row.label("age_years") for row in utkface.rows]
    assert (min(ages), max(ages)) == (1.0, 116.0)


@pytest.fixture
def data_folder() -> Path:
    import os

    folder = Path(os.environ.get("LIKENESS_DATA", "../shared/data"))
    if not ((folder / "lfw").is_dir() and (folder / "utkface").is_dir()):
        pytest.skip(f"no LFW and UTKFace under {folder}; set LIKENESS_DATA")
    return folder


def test_a_photo_that_a_table_lists_twice_is_taken_once_and_counted(tmp_path: Path) -> None:
    put(tmp_path, "a.jpg", "b.jpg")
    (tmp_path / "list.csv").write_text("path,identity\na.jpg,Ada\na.jpg,Al\nb.jpg,Al\n")
    found = open_source(tmp_path / "list.csv")
    assert [(row.path, row.identity) for row in found.rows] == [("a.jpg", "Ada"), ("b.jpg", "Al")]
    assert found.reasons() == {"listed twice": 1}


def test_a_list_that_is_no_text_is_said_to_be_so(tmp_path: Path) -> None:
    put(tmp_path, "train/n000001/0001_01.jpg")
    (tmp_path / "train_list.txt").write_bytes(b"n000001/\xff\xfe\n")
    with pytest.raises(DatasetError, match="no text in UTF-8"):
        open_source(tmp_path, "vggface2")


def test_a_data_set_is_read_by_its_manifest_whatever_its_photos_are_called(tmp_path: Path) -> None:
    put(tmp_path, "Al/Al_0001.jpg", "Al/Al_0002.jpg")
    box = FoundFace((1.0, 2.0, 3.0, 4.0))
    rows = (
        Row(path="Al/Al_0001.jpg", identity="Ada", labels={"age_years": 36.0}, source="csv", licence="mine", face=box),
        Row(path="Al/Al_0002.jpg", identity="Ada", photo="whole.jpg", face=box),
        Row(path="Al/Al_0003.jpg", identity="Ada"),
    )
    Dataset(tmp_path, Facts(name="mine", source="csv"), rows).write()
    found = open_source(tmp_path)
    assert found.rows[0] == rows[0]
    assert found.rows[1].face is None, "the box of a crop is none in the crop"
    assert found.reasons() == {"in the manifest, but not there": 1}
    assert (found.origin, found.licence) == ("csv", "mine")


def test_the_rows_of_imdb_wiki_and_utkface_carry_what_age_and_gender_are_learnt_from(tmp_path: Path) -> None:
    lines = [
        line(full_path="01/a.jpg", gender=0.0, dob=matlab_day(1950, 3, 1), photo_taken=1990),
        line(full_path="01/b.jpg", gender=math.nan, dob=matlab_day(1960, 9, 1), photo_taken=1990),
    ]
    wiki, utk = tmp_path / "wiki", tmp_path / "utk"
    imdb_table(wiki / "wiki.mat", lines)
    put(wiki, "01/a.jpg", "01/b.jpg")
    put(utk, "25_0_2_20170116174525125.jpg", "61_1_0_20170116174525126.jpg")
    assert [known_of(row) for row in open_source(wiki).rows] == [(40.0, "female"), (29.0, "")]
    assert [known_of(row) for row in open_source(utk).rows] == [(25.0, "male"), (61.0, "female")]
