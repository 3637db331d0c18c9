"""Reports on disk: JSON, pictures and one page that needs nothing else; and reports side by side."""

from __future__ import annotations

import html.parser
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from likeness.data.manifest import Row
from likeness.errors import DatasetError, InputError, StorageError
from likeness.evaluate.calibrate import calibrate
from likeness.evaluate.classes import Classes
from likeness.evaluate.compare import compare, differences, draw_comparison, markdown, names
from likeness.evaluate.embeddings import Embedded
from likeness.evaluate.measure import Extras, measure
from likeness.evaluate.pairs import all_pairs
from likeness.evaluate.report import read_report, write_report
from likeness.evaluate.sample import Sample
from likeness.evaluate.tables import page_of, summary
from likeness.settings import Settings

HOSTILE = "<script>alert('x')</script>"


def make_report(sample_of, *, seed: int = 0, name: str = "model", spread: float = 1.1) -> dict:
    sample = sample_of([4] * 40 + [1] * 5, spread=spread, seed=seed)
    people = np.array([HOSTILE if person.endswith("000") else person for person in sample.people])
    labels = {"gender": np.array([("female", "male")[code % 2] for code in sample.codes])}
    sample = Sample(people, Embedded(sample.embedded.vectors, sample.embedded.faces), sample.paths, labels)
    weights = np.stack([sample.embedded.vectors[sample.people == who].mean(axis=0) for who in sample.names])
    extras = Extras(
        calibrate("space", sample.embedded.vectors, sample.people, HOSTILE),
        Classes(weights, sample.names),
        [Row(path=path, identity=str(who)) for path, who in zip(sample.paths, people, strict=True)],
    )
    figures = measure(sample, all_pairs(sample), extras, Settings(), rounds=20)
    data = {
        "name": "set", "split": "test", "digest": "0", "people": 45, "photos": 165, "unreadable": 0,
        "most_photos_of_one_person": 4, "source": HOSTILE,
    }  # fmt: skip
    facts = {"kind": "dataset", "likeness": "0", "date": "2026-01-01", "seed": 0, "rounds": 20}
    return facts | {"model": {"name": name, "megabytes": 5.8}, "data": data} | figures


@pytest.fixture(scope="module")
def report(sample_of) -> dict:
    return make_report(sample_of)


@pytest.fixture(scope="module")
def folder(report: dict, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp("report") / "deep" / "out"
    assert write_report(report, out) == out / "report.html"
    return out


class Page(html.parser.HTMLParser):
    """Collects what a page would fetch or run."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.described = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [value or "" for name, value in attrs if name in ("src", "href", "srcset")]
        self.described += any(name == "alt" and value for name, value in attrs)


def test_the_page_needs_no_other_file_and_no_network(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    page = Page()
    page.feed(text)
    assert "script" not in page.tags
    assert page.tags.count("img") == page.described == len(list(folder.glob("*.png")))
    assert all(link.startswith("data:image/png;base64,") for link in page.links)
    assert "http" not in text
    assert "@import" not in text
    assert "url(" not in text
    assert 'name="viewport"' in text
    assert "prefers-color-scheme: dark" in text


def test_names_cannot_put_markup_into_the_page(folder: Path) -> None:
    text = (folder / "report.html").read_text("utf-8")
    assert "<script" not in text
    assert "&lt;script&gt;" in text


def test_each_picture_is_written_and_not_empty(folder: Path) -> None:
    expected = {"roc", "det", "scores", "cmc", "reliability", "confusion", "groups-gender"}
    assert {path.stem for path in folder.glob("*.png")} == expected
    for path in folder.glob("*.png"):
        pixels = np.asarray(Image.open(path).convert("L"))
        assert min(pixels.shape) >= 200, path
        assert pixels.std() > 10, path


def test_the_json_is_read_back_as_it_was(folder: Path, report: dict) -> None:
    assert read_report(folder) == read_report(folder / "report.json") == json.loads(json.dumps(report))


def test_main_figures_stand_under_stable_keys(report: dict) -> None:
    verified = report["verification"]
    assert 0.5 < verified["accuracy"] <= 1
    assert len(verified["accuracy_interval"]) == 2
    assert 0 <= verified["equal_error_rate"] < 0.5
    assert 0 < verified["tar_at_fmr"]["1e-02"] <= 1
    assert 0 < report["identification"]["closed"]["rank_1"] <= 1
    assert 0.5 < report["triplets"]["match_accuracy"] <= 1
    assert 0 < report["classes"]["top_1"] <= 1


def test_the_page_says_what_a_reader_should_know_and_what_was_not_measured(report: dict) -> None:
    page = page_of(report)
    assert any(sentence.startswith("Only 45 people") for sentence in page.weaknesses)
    assert any("cannot be called honest" in sentence for sentence in page.weaknesses)
    titles = [table.title for table in page.tables]
    assert titles[0] == "Verification"
    assert "Groups by gender" in titles
    assert any(row[1] == "refused" for row in page.tables[0].rows)
    assert any(name == "rank-1 identification" for name, _ in summary(report))


def test_a_folder_that_cannot_be_written_is_a_storage_error(report: dict, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(StorageError, match="cannot be written"):
        write_report(report, tmp_path / "file" / "out")


@pytest.mark.parametrize("text", ["", "[]", "{}", "{broken", '{"kind": "dataset"}'])
def test_what_is_no_report_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(DatasetError):
        read_report(tmp_path)


def test_reports_are_set_side_by_side(sample_of, report: dict) -> None:
    worse = make_report(sample_of, name="worse", spread=2.0)
    rows = compare([report, worse])
    assert [row[0] for row in rows] == ["model", "worse"]
    assert float(rows[0][1].partition("%")[0]) > float(rows[1][1].partition("%")[0])
    text = markdown(rows)
    assert text.count("\n") == 4
    assert text.startswith("| model | accuracy |")
    picture = Image.open(io.BytesIO(draw_comparison([report, worse])))
    assert picture.width > 1.5 * picture.height
    assert differences([report, worse]) == []
    other = report | {"data": report["data"] | {"digest": "1"}}
    assert "different data" in differences([report, other])[0]


def test_models_of_one_name_are_told_apart(report: dict) -> None:
    assert names([report, report]) == ["model on set test", "model on set test (2)"]


def test_reports_of_ages_are_not_set_beside_those_of_identities(report: dict) -> None:
    with pytest.raises(InputError, match="of attributes, not of identities"):
        compare([report, {"kind": "attributes", "model": {"name": "ages"}, "data": {}}])
