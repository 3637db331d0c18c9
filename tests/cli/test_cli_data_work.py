"""`likeness data crop`, `check`, `split` and `likeness triplets`, as they are typed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from likeness.data.dataset import Dataset

DATA = Path(os.environ.get("LIKENESS_DATA", "../shared/data"))


@pytest.fixture(scope="module")
def _crops(samples, tmp_path_factory) -> Path:
    from likeness.cli import run

    out = tmp_path_factory.mktemp("work") / "crops"
    assert run(["data", "crop", str(samples / "people"), str(out), "--quiet", "--sheet", "8"]) == 0
    return out


@pytest.fixture
def crops(_crops, tmp_path) -> Path:
    """The sample people's crops, this test's own copy."""
    return Path(shutil.copytree(_crops, tmp_path / "crops"))


def test_crop_makes_a_data_set_with_a_contact_sheet(crops):
    dataset = Dataset.read(crops)
    assert dataset.summary()["rows"] == 48
    assert dataset.facts.crops.detector == "mtcnn"
    assert dataset.facts.steps[0].startswith("likeness data crop ")
    assert {"contact.png", "crops", "dataset.json", "manifest.csv", "refused.csv"} <= {p.name for p in crops.iterdir()}
    with Image.open(crops / "contact.png") as sheet:
        assert sheet.width > 1000


def test_crop_says_what_could_not_be_used_and_exits_with_3(cli, samples, tmp_path):
    person = tmp_path / "photos" / "Ann"
    person.mkdir(parents=True)
    shutil.copy(samples / "landscape.jpg", person)
    shutil.copy(samples / "group.jpg", person)
    done = cli("data", "crop", tmp_path / "photos", tmp_path / "out", "--json")
    assert done.code == 3
    assert (done.lines[0]["cut"], done.lines[0]["refused"], done.lines[0]["identities"]) == (1, 1, 1)
    again = cli("data", "crop", tmp_path / "photos", tmp_path / "out")
    assert again.code == 3
    assert "1 photo could not be used" in again.err
    assert "2 photos were looked at before" in again.out


def test_crop_limits_picks_and_sizes(cli, samples, tmp_path):
    people = samples / "people"
    done = cli("data", "crop", people, tmp_path / "out", "--limit", 3, "--side", 96, "--sheet", 0, "--json")
    assert (done.code, done.lines[0]["rows"]) == (0, 3)
    assert not (tmp_path / "out" / "contact.png").exists()
    with Image.open(next((tmp_path / "out" / "crops").glob("*/*.jpg"))) as crop:
        assert crop.size == (96, 96)
    other = cli("data", "crop", people, tmp_path / "out", "--side", 64)
    assert other.code == 3
    assert "other models or options" in other.err


def test_crop_of_a_folder_that_is_not_there(cli, tmp_path):
    done = cli("data", "crop", tmp_path / "nowhere", tmp_path / "out")
    assert done.code == 4
    assert not (tmp_path / "out").exists()


def test_split_places_people_and_says_what_leaks(cli, crops):
    done = cli("data", "split", crops, "--seed", 3, "--json")
    splits = done.lines[0]["splits"]
    assert [splits[name]["people"] for name in ("train", "validation", "test", "none")] == [7, 3, 2, 0]
    assert done.lines[0]["leaks"]["photos"] == []  # one portrait's scenes are one person's
    written = (crops / "manifest.csv").read_bytes()
    cli("data", "split", crops, "--seed", 3)
    assert (crops / "manifest.csv").read_bytes() == written
    assert "--seed 3" in Dataset.read(crops).facts.steps[-1]


def test_split_finds_one_photo_under_two_names_in_two_splits(cli, crops):
    dataset = Dataset.read(crops)
    copy = crops / "crops" / "Zoe"
    copy.mkdir()
    names = ["Zoe", "Yves", "Xenia", "Will"]
    rows = list(dataset.rows)
    for name in names:  # whichever split they come into, one is another than the first person's
        for at in (0, 1):
            path = f"crops/Zoe/{name}{at}.jpg"
            shutil.copy(dataset.path(rows[at]), crops / path)
            rows.append(type(rows[0])(path=path, identity=name, sha256=rows[at].sha256))
    dataset.with_rows(rows, step="test").write()
    done = cli("data", "split", crops, "--quick", "--shares", "1/1/1")
    assert "one photo in two splits: crops/" in done.out
    strict = cli("data", "check", crops, "--no-embeddings", "--quick", "--strict", "--json")
    assert strict.code == 3
    assert strict.lines[0]["leaks"]["photos"]


def test_split_keeps_people_and_takes_a_list_for_the_test_split(cli, crops, names, tmp_path):
    chosen = tmp_path / "test-people.txt"
    chosen.write_text(f"# mine\n{names[0]}\n{names[1].upper()}\nNobody Known\n")
    assert cli("data", "split", crops, "--test-people", chosen).code == 0
    first = {row.identity: row.split for row in Dataset.read(crops).rows}
    assert {first[name.replace(" ", "_")] for name in names[:2]} == {"test"}
    assert cli("data", "split", crops, "--keep", "--seed", 99).code == 0
    assert {row.identity: row.split for row in Dataset.read(crops).rows} == first
    chosen.write_text("Nobody\n")
    assert cli("data", "split", crops, "--test-people", chosen).code == 2
    assert cli("data", "split", crops, "--test-people", tmp_path / "none.txt").code == 4
    assert cli("data", "split", crops, "--shares", "60/40").code == 2


def test_check_finds_a_swapped_label_and_mends_it(cli, crops, tmp_path):
    dataset = Dataset.read(crops)
    rows = list(dataset.rows)
    right, wrong = rows[1].identity, rows[10].identity
    rows[1] = type(rows[1])(path=rows[1].path, identity=wrong, sha256=rows[1].sha256, photo=rows[1].photo)
    dataset.with_rows(rows, step="swapped").write()
    plot, sheet = tmp_path / "check.png", tmp_path / "suspects.png"
    done = cli("data", "check", crops, "--quick", "--json", "--plot", plot, "--sheet", sheet)
    (suspect,) = done.lines[0]["suspects"]
    assert (done.code, suspect["path"], suspect["suggested"]) == (0, rows[1].path, right)
    assert len(done.lines[0]["would_change"]) == 1
    assert Dataset.read(crops).rows[1].identity == wrong  # nothing was changed
    assert plot.stat().st_size > 1000
    assert sheet.stat().st_size > 1000
    mended = cli("data", "check", crops, "--quick", "--fix", "--relabel")
    assert f"moved to {right}: {rows[1].path}" in mended.out
    assert "the manifest as it was is" in mended.out
    assert Dataset.read(crops).rows[1].identity == right
    assert cli("data", "check", crops, "--quick", "--strict").code == 0


def test_check_for_people_to_read(cli, crops):
    done = cli("data", "check", crops, "--quick")
    assert done.code == 0
    for words in ("48 of 12 people", "labels doubted", "no person and no photo is in two splits", "nothing to mend"):
        assert words in done.out


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--relabel",), "without --fix"),
        (("--fix", "--relabel", "--keep-doubted"), "two ways to mend"),
        (("--sheet", "a.png", "--no-embeddings"), "a sheet of nothing"),
        (("--plot", "a.txt"), "no kind of picture"),
    ],
)
def test_check_refuses_options_that_contradict(cli, crops, options, why):
    assert cli("data", "check", crops, *options).code == 2, why


@pytest.mark.parametrize(
    "command", [("data", "check"), ("data", "split"), ("triplets", "make", "5"), ("triplets", "list")]
)
def test_a_folder_that_is_no_data_set_is_said_so(cli, tmp_path, command):
    done = cli(*command, tmp_path)
    assert done.code == 3
    assert "is not a data set" in done.err


def test_triplets_are_made_listed_and_covered(cli, crops, tmp_path):
    assert cli("triplets", "make", 40, crops).code == 3  # no test split yet
    cli("data", "split", crops, "--quick")
    made = cli("triplets", "make", 40, crops, "--split", "train", "--seed", 5, "--json")
    assert (made.code, made.lines[0]["name"], made.lines[0]["distinct"]) == (0, "train-40-5", 40)
    listed = cli("triplets", "list", crops, "--json").lines
    assert [(each["name"], each["count"], each["seed"]) for each in listed] == [("train-40-5", 40, 5)]
    shown = cli("triplets", "list", crops, "train-40-5", "--limit", 3, "--json").lines
    assert len(shown) == 3
    assert set(shown[0]) == {"anchor", "positive", "negative"}
    plot, sheet = tmp_path / "plot.png", tmp_path / "sheet.png"
    covered = cli("triplets", "coverage", crops, "train-40-5", "--plot", plot, "--sheet", sheet, "--json")
    assert covered.lines[0]["people_used"] == 7
    with Image.open(plot) as one, Image.open(sheet) as two:
        assert min(one.width, two.width) > 500
    assert "7 of 7 used" in cli("triplets", "coverage", crops, "train-40-5").out


def test_coverage_of_triplets_that_no_longer_fit_fails(cli, crops):
    cli("triplets", "make", 40, crops, "--split", "all")
    dataset = Dataset.read(crops)
    dataset.with_rows(dataset.rows[4:], step="test").write()
    done = cli("triplets", "coverage", crops, "all-40-0")
    assert done.code == 3
    assert "make them anew" in done.err
    assert cli("triplets", "coverage", crops, "unknown").code == 4


@pytest.mark.data
@pytest.mark.skipif(not (DATA / "lfw").is_dir(), reason="LIKENESS_DATA names no folder with lfw/")
def test_lfw_known_errors_are_found_in_a_part_of_it(cli, tmp_path):
    """Errors that LFW's authors list: one person's photo under another's name."""
    people = ("Janica_Kostelic", "Anja_Paerson", "Recep_Tayyip_Erdogan", "Abdullah_Gul", "Emmy_Rossum", "Eva_Amurri")
    for name in people:
        shutil.copytree(DATA / "lfw" / name, tmp_path / "lfw" / name)
    assert cli("data", "crop", tmp_path / "lfw", tmp_path / "out", "--source", "folder", "--sheet", 0).code == 0
    found = json.loads(cli("data", "check", tmp_path / "out", "--json").out)
    suggested = {each["path"].rpartition("/")[2]: each["suggested"] for each in found["suspects"]}
    assert suggested["Janica_Kostelic_0002.jpg"] == "Anja_Paerson"
    assert suggested["Recep_Tayyip_Erdogan_0004.jpg"] == "Abdullah_Gul"
    assert ["Emmy_Rossum", "Eva_Amurri"] in [pair["identities"] for pair in found["duplicates"] if pair["conflict"]]


def test_nameless_copies_stay_together_and_the_model_finds_more_of_one_person(cli, crops):
    from dataclasses import replace

    dataset = Dataset.read(crops)
    copies = []
    for number, row in enumerate(dataset.rows[::6]):
        shutil.copy(dataset.path(row), crops / "crops" / f"copy{number}.jpg")
        copies.append(replace(row, path=f"crops/copy{number}.jpg", photo=f"copy{number}.jpg"))
    rows = [replace(row, identity="") for row in (*dataset.rows, *copies)]
    Dataset(crops, dataset.facts, tuple(rows)).write()
    done = cli("data", "split", crops, "--nameless", "--quick", "--seed", 4, "--json")
    assert done.lines[0]["leaks"]["photos"] == []

    def parted(identities: list[str]) -> int:
        """How many people are in several splits, though nothing said who they are."""
        found = {(name, row.split) for name, row in zip(identities, Dataset.read(crops).rows, strict=True)}
        return sum(sum(name == each for each, _ in found) > 1 for name in set(identities))

    split = {row.path: row.split for row in Dataset.read(crops).rows}
    assert set(split.values()) == {"train", "validation", "test"}
    assert all(split[copy.path] == split[row.path] for copy, row in zip(copies, dataset.rows[::6], strict=True))
    identities = [row.identity for row in (*dataset.rows, *copies)]
    by_file = parted(identities)
    assert cli("data", "split", crops, "--nameless", "--quick", "--embeddings", "--seed", 4).code == 0
    assert Dataset.read(crops).facts.steps[-1].endswith("--nameless --quick --embeddings")
    assert parted(identities) < by_file
