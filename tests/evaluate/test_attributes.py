"""Predicted ages and genders against known ones."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, confusion_matrix, mean_absolute_error

from likeness.data.dataset import Dataset, Facts
from likeness.data.manifest import Row
from likeness.errors import DatasetError
from likeness.evaluate.attribute_tables import attributes_page, attributes_summary
from likeness.evaluate.attributes import evaluate_attributes
from likeness.evaluate.predictions import Predictions, read_predictions
from likeness.evaluate.report import write_report


def predictions(count: int = 600, seed: int = 0) -> Predictions:
    rng = np.random.default_rng(seed)
    age = rng.integers(1, 95, count).astype(float)
    gender = rng.choice(["female", "male"], count)
    probability = rng.uniform(0.5, 1, count)
    right = rng.random(count) < probability
    other = np.where(gender == "female", "male", "female")
    return Predictions(
        age, gender, age + rng.normal(1, 6, count), np.where(right, gender, other), probability, np.full(count, "")
    )


def test_figures_are_scikit_learns() -> None:
    found = predictions()
    report = evaluate_attributes(found, name="model", data="data", rounds=40)
    age, gender = report["age"], report["gender"]
    assert age["mean_absolute_error_years"] == pytest.approx(
        mean_absolute_error(found.age_years, found.predicted_age_years)
    )
    assert age["within_5_years"] == pytest.approx((np.abs(found.predicted_age_years - found.age_years) <= 5).mean())
    assert gender["accuracy"] == pytest.approx(accuracy_score(found.gender, found.predicted_gender))
    assert gender["confusion"]["table"] == confusion_matrix(found.gender, found.predicted_gender).tolist()
    right = found.gender == found.predicted_gender
    assert gender["probabilities"]["brier"] == pytest.approx(brier_score_loss(right, found.gender_probability))
    assert gender["probabilities"]["expected_calibration_error"] < 0.08
    assert age["mean_absolute_error_interval"][0] < age["mean_absolute_error_years"]
    assert age["constant_guess_error_years"] > 4 * age["mean_absolute_error_years"]


def test_decades_are_told_apart() -> None:
    found = predictions()
    report = evaluate_attributes(found, name="model", data="data", rounds=40)
    twenties = (found.age_years >= 20) & (found.age_years < 30)
    row = report["age"]["by_decade"]["20–29"]
    assert row["photos"] == twenties.sum()
    errors = np.abs(found.predicted_age_years - found.age_years)[twenties]
    assert row["mean_absolute_error_years"] == pytest.approx(errors.mean())
    names = report["age"]["confusion"]["names"]
    assert names[:3] == ["0–9", "10–19", "20–29"]
    assert names[-1] == "90+"
    assert sum(map(sum, report["age"]["confusion"]["table"])) == 600
    assert report["gender"]["by_decade"]["20–29"]["accuracy"] == pytest.approx(
        (found.gender == found.predicted_gender)[twenties].mean()
    )


def test_photos_of_few_people_give_wider_intervals_than_of_many() -> None:
    found = predictions()
    wide, narrow = (
        evaluate_attributes(
            Predictions(
                found.age_years, found.gender, found.age_years + offsets, found.predicted_gender,
                found.gender_probability, np.array(people),
            ),
            name="model", data="data", rounds=60,
        )["age"]["mean_absolute_error_interval"]
        for people in ([str(n % 6) for n in range(600)], [str(n) for n in range(600)])
        for offsets in [np.arange(600) % 6 * 2.0]
    )  # fmt: skip
    assert wide[1] - wide[0] > 3 * (narrow[1] - narrow[0])


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def test_predictions_are_read_with_what_is_known_beside_them(tmp_path: Path) -> None:
    file = write_csv(
        tmp_path / "p.csv",
        "path,age_years,gender,predicted_age_years,predicted_gender,gender_probability\n"
        "a.jpg,30,F,33.5,female,0.9\nb.jpg,,,20,m,\nc.jpg,50,male,,female,0.6\n",
    )
    found = read_predictions(file)
    assert found.gender.tolist() == ["female", "", "male"]
    assert found.predicted_gender.tolist() == ["female", "male", "female"]
    np.testing.assert_array_equal(found.predicted_age_years, [33.5, 20, np.nan])
    report = evaluate_attributes(found, name="model", data="data", rounds=20)
    assert report["age"]["photos"] == 1
    assert report["gender"]["accuracy"] == 0.5


def test_what_is_known_may_come_from_a_data_set(tmp_path: Path) -> None:
    rows = tuple(
        Row(path=f"crops/{n}.jpg", photo=f"{n}.jpg", identity=f"p{n}", labels={"age_years": 20.0 + n, "gender": "male"})
        for n in range(3)
    )
    dataset = Dataset(tmp_path, Facts(name="set", source="test"), rows)
    file = write_csv(
        tmp_path / "p.csv",
        "path,predicted_age_years,predicted_gender\n1.jpg,25,male\ncrops/2.jpg,25,female\nz.jpg,1,male\n",
    )
    found = read_predictions(file, dataset)
    assert found.age_years.tolist() == [21, 22]
    assert found.people.tolist() == ["p1", "p2"]
    assert evaluate_attributes(found, name="m", data="set", rounds=20)["gender"]["accuracy"] == 0.5


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("photo,age_years\na,3\n", "no column 'path'"),
        ("path,age_years\na,old\n", "line 2"),
        ("path,age_years\na,300\n", "from 0 to 130"),
        ("path,gender\na,1\n", "as female or male"),
        ("path,gender_probability\na,1.5\n", "from 0 to 1"),
        ("path,age_years\n", "no photo"),
    ],
)
def test_predictions_that_cannot_be_used_are_refused(tmp_path: Path, text: str, reason: str) -> None:
    with pytest.raises(DatasetError, match=reason):
        read_predictions(write_csv(tmp_path / "p.csv", text))


def test_predictions_without_anything_known_are_refused(tmp_path: Path) -> None:
    found = read_predictions(write_csv(tmp_path / "p.csv", "path,predicted_age_years\na.jpg,3\n"))
    with pytest.raises(DatasetError, match="both known and predicted"):
        evaluate_attributes(found, name="model", data="data")


def test_the_report_shows_all_pictures_and_says_what_is_weak(tmp_path: Path) -> None:
    found = predictions()
    found.predicted_age_years[found.age_years > 80] -= 20
    report = evaluate_attributes(found, name="model", data="data", rounds=20)
    page = write_report(report, tmp_path / "out")
    assert {path.stem for path in (tmp_path / "out").glob("*.png")} == {
        "age-confusion", "age-error", "gender-accuracy", "gender-confusion", "gender-reliability",
    }  # fmt: skip
    assert "Apparent gender" in page.read_text("utf-8")
    worse = [sentence for sentence in attributes_page(report).weaknesses if sentence.startswith("Age is told worse at")]
    assert [sentence.partition(":")[0].split()[-1] for sentence in worse] == ["80–89", "90+"]
    assert any(name == "within 5 years" for name, _ in attributes_summary(report))


def with_intervals(found: Predictions, half_years: float) -> Predictions:
    groups = np.array(["north", "south"] * (len(found.age_years) // 2))
    low, high = found.predicted_age_years - half_years, found.predicted_age_years + half_years
    return replace(found, low_age_years=low, high_age_years=high, groups=groups)


def test_how_many_ages_their_intervals_hold_is_counted_over_all_by_decade_and_by_group() -> None:
    found = with_intervals(predictions(), 8.0)
    age = evaluate_attributes(found, name="model", data="data", rounds=40)["age"]
    inside = np.abs(found.predicted_age_years - found.age_years) <= 8
    assert age["coverage"] == pytest.approx(inside.mean())
    assert age["mean_width_years"] == pytest.approx(16)
    assert age["coverage_interval"][0] < inside.mean() < age["coverage_interval"][1]
    twenties = (found.age_years >= 20) & (found.age_years < 30)
    assert age["by_decade"]["20–29"]["coverage"] == pytest.approx(inside[twenties].mean())
    told = (found.predicted_age_years >= 20) & (found.predicted_age_years < 30)
    assert age["by_decade_told"]["20–29"]["coverage"] == pytest.approx(inside[told].mean())
    assert age["by_group"]["south"]["coverage"] == pytest.approx(inside[1::2].mean())


def test_intervals_that_hold_too_few_ages_are_said_to(tmp_path: Path) -> None:
    report = evaluate_attributes(with_intervals(predictions(), 3.0), name="model", data="data", rounds=40)
    assert any("The interval of all ages holds" in sentence for sentence in report["weaknesses"])
    write_report(report, tmp_path / "out")
    assert (tmp_path / "out" / "age-coverage.png").is_file()
    fair = evaluate_attributes(with_intervals(predictions(), 9.0), name="model", data="data", rounds=40)
    assert not any("interval" in sentence for sentence in fair["weaknesses"])


def test_the_genders_calibration_error_is_that_of_each_part() -> None:
    found = predictions(4000)
    honest = evaluate_attributes(found, name="model", data="data", rounds=20)["gender"]["by_decade"]["20–29"]
    assert honest["expected_calibration_error"] < 0.1
    sure = replace(found, gender_probability=np.full(4000, 0.999))
    boastful = evaluate_attributes(sure, name="model", data="data", rounds=20)["gender"]["by_decade"]["20–29"]
    assert boastful["expected_calibration_error"] == pytest.approx(0.999 - boastful["accuracy"])


def test_intervals_are_read_from_a_csv(tmp_path: Path) -> None:
    file = write_csv(
        tmp_path / "p.csv",
        "path,age_years,predicted_age_years,low_age_years,high_age_years\na,30,33,-1,40\nb,50,40,35,45\nc,5,5,,\n",
    )
    age = evaluate_attributes(read_predictions(file), name="m", data="d", rounds=20)["age"]
    assert (age["photos"], age["coverage"]) == (3, 0.5)
