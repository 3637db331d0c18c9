"""`likeness evaluate`: what fails before the work."""

from __future__ import annotations

import pytest


@pytest.mark.parametrize("option", ["--report", "--plot"])
@pytest.mark.parametrize("below", ["file/out", "file/deep/out"])
def test_a_file_that_cannot_be_written_is_told_before_the_work(cli, tmp_path, monkeypatch, option, below):
    monkeypatch.setattr("likeness.evaluate.lfw.Lfw.find", lambda *given: pytest.fail("the work was begun"))
    (tmp_path / below.split("/", maxsplit=1)[0]).write_text("no folder")
    done = cli("evaluate", "lfw", option, tmp_path / below)
    assert done.code == 7
    assert "cannot be written" in done.err
    assert str(tmp_path / below) in done.err


def test_a_plot_without_the_package_for_it_is_told_before_the_work(cli, tmp_path, monkeypatch):
    monkeypatch.setattr("likeness.evaluate.lfw.Lfw.find", lambda *given: pytest.fail("the work was begun"))
    monkeypatch.setattr("likeness.cli.evaluate.find_spec", lambda name: None)
    done = cli("evaluate", "lfw", "--plot", tmp_path / "out.png")
    assert (done.code, "matplotlib" in done.err) == (6, True)


def test_a_data_set_that_nobody_named_is_asked_for(cli, tmp_path, monkeypatch):
    monkeypatch.delenv("LIKENESS_DATA", raising=False)
    monkeypatch.setattr("likeness.evaluate.lfw.DEFAULT_DATA", tmp_path / "none")
    done = cli("evaluate", "lfw")
    assert (done.code, "with --data" in done.err, "none" in done.err) == (2, True, False)


def test_saving_below_a_file_is_a_storage_error(cli, probe, tmp_path):
    (tmp_path / "file").write_text("no folder")
    assert cli("describe", probe, "--draw", tmp_path / "file" / "out.png").code == 7


@pytest.fixture(scope="module")
def crops(samples, home_of_their_own, tmp_path_factory):
    """A data set of crops of the sample people, made and split by the commands."""
    from likeness.cli import run

    folder = tmp_path_factory.mktemp("cli") / "crops"
    assert run(["data", "crop", str(samples / "people"), str(folder), "--quiet", "--sheet", "0"]) == 0
    assert run(["data", "split", str(folder), "--quiet"]) == 0
    return folder


def test_a_data_set_is_measured_and_reported(cli, crops, tmp_path):
    done = cli("evaluate", "dataset", crops, "--split", "all", "--rounds", 20, "--out", tmp_path / "out")
    assert done.code == 0
    assert "dlib-resnet-int8 on " in done.out
    assert "verification accuracy" in done.out
    assert "rank-1 identification     100.00%" in done.out
    assert str(tmp_path / "out" / "report.html") in done.err
    assert (tmp_path / "out" / "report.html").is_file()
    assert (tmp_path / "out" / "roc.png").is_file()


def test_a_data_set_measured_with_json_gives_one_line(cli, crops):
    done = cli("evaluate", "dataset", crops, "--split", "all", "--rounds", 20, "--json", "--quiet")
    (report,) = done.lines
    assert (done.code, done.err) == (0, "")
    assert report["data"]["people"] == 12
    assert report["identification"]["closed"]["rank_1"] == 1


def test_triplets_of_a_file_are_taken(cli, crops, tmp_path):
    assert cli("triplets", "make", 50, crops, "--split", "train").code == 0
    (file,) = (crops / "triplets").glob("*.csv")
    done = cli("evaluate", "dataset", crops, "--split", "train", "--rounds", 20, "--triplets", file, "--json")
    assert done.lines[0]["triplets"]["triplets"] == 50


def test_what_is_no_data_set_is_refused(cli, tmp_path):
    done = cli("evaluate", "dataset", tmp_path)
    assert (done.code, "is not a data set" in done.err) == (3, True)


def test_a_report_that_cannot_be_written_is_told_before_the_work(cli, crops, tmp_path):
    (tmp_path / "file").write_text("no folder")
    done = cli("evaluate", "dataset", crops, "--out", tmp_path / "file" / "out")
    assert (done.code, "cannot be written" in done.err) == (7, True)


def test_ages_and_genders_are_measured(cli, tmp_path):
    lines = ["path,age_years,gender,predicted_age_years,predicted_gender,gender_probability"]
    lines += [f"{n}.jpg,{n},female,{n + 3},{'female' if n % 4 else 'male'},0.8" for n in range(1, 90)]
    (tmp_path / "predicted.csv").write_text("\n".join(lines))
    done = cli("evaluate", "attributes", tmp_path / "predicted.csv", "--name", "mine", "--out", tmp_path / "out")
    assert done.code == 0
    assert "Ages and genders: mine on predicted.csv" in done.out
    assert "3.00 years" in done.out
    assert "too old" in done.out
    assert (tmp_path / "out" / "age-confusion.png").is_file()


def test_reports_are_compared(cli, crops, tmp_path):
    for name, seed in (("one", 0), ("two", 1)):
        done = cli("evaluate", "dataset", crops, "--split", "all", "--rounds", 20, "--seed", seed, "--json")
        (tmp_path / f"{name}.json").write_text(done.out)
    done = cli(
        "evaluate", "compare", tmp_path / "one.json", tmp_path / "two.json",
        "--plot", tmp_path / "both.png", "--table", tmp_path / "both.md",
    )  # fmt: skip
    assert done.code == 0
    assert done.out.count("dlib-resnet-int8 on ") == 2
    assert (tmp_path / "both.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "both.md").read_text().count("\n") == 4


def test_the_report_of_lfw_holds_the_official_pairs(cli, samples, tmp_path):
    from likeness.evaluate.report import read_report

    people = sorted(folder for folder in (samples / "people").iterdir() if folder.is_dir())[:6]
    for person in people:
        folder = tmp_path / "data" / "lfw" / person.name
        folder.mkdir(parents=True)
        # The last two have one photo: strangers in the open-set protocol.
        for number, photo in enumerate(sorted(person.glob("*.jpg"))[: 1 if person in people[4:] else 2], 1):
            (folder / f"{person.name}_{number:04d}.jpg").write_bytes(photo.read_bytes())
    names = [person.name for person in people]
    lines = ["2\t500"]
    for _ in range(2):
        lines += [f"{names[n % 4]}\t1\t2" for n in range(500)]
        lines += [f"{names[n % 6]}\t1\t{names[(n + 1) % 6]}\t1" for n in range(500)]
    (tmp_path / "data" / "lfw_pairs.txt").write_text("\n".join(lines))
    done = cli("evaluate", "lfw", "--data", tmp_path / "data", "--out", tmp_path / "out", "--json")
    assert done.code == 0
    report = read_report(tmp_path / "out")
    assert report["verification"]["protocol"] == "the official 2,000 pairs in 2 folds"
    assert report["verification"]["accuracy"] == report["lfw"]["verification"]["accuracy"] == done.lines[0]["accuracy"]
