"""Cards: what they hold, how old somebody is, and that nothing in them can do harm where it is shown."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from likeness.profiles import Profile
from likeness.profiles.own import card_of

DAY = date(2026, 11, 22)


@pytest.mark.parametrize(
    ("card", "age"),
    [
        pytest.param(Profile(born="1963-11-22"), 63, id="on the birthday"),
        pytest.param(Profile(born="1963-11-23"), 62, id="the day before it"),
        pytest.param(Profile(born="1963", age_years=62), 62, id="where only the year is known: as stated"),
        pytest.param(Profile(born="1900-01-02", died="1950-01-01"), 49, id="of the dead: at death"),
        pytest.param(Profile(born="1900", died="1950", age_years=126), None, id="of the dead, vaguely: nothing"),
        pytest.param(Profile(), None, id="nothing known"),
    ],
)
def test_an_age_is_worked_out_where_the_birthday_is_known(card: Profile, age: int | None) -> None:
    assert card.age_on(DAY) == age


def test_what_strangers_wrote_is_escaped_where_it_is_rendered() -> None:
    card = Profile(name="<b>Ada</b>", occupation=('" onmouseover="x',), page_url="https://example.org/?a='b'&c")
    page = card.as_html(DAY)
    assert "<b>" not in page
    assert "&lt;b&gt;Ada&lt;/b&gt;" in page
    assert 'onmouseover="' not in page
    assert "&amp;c" in page


@pytest.mark.parametrize(
    "link",
    [
        "javascript:alert(1)",
        "data:text/html,x",
        "//example.org/x",
        "https://a@example.org",
        "https://",
        "http://[",
        "https://e.org/ x",
    ],
)
def test_a_link_that_is_no_web_address_is_left_out(link: str) -> None:
    assert Profile(picture_url=link, page_url=link).as_dict() == {}


def test_texts_are_one_line_of_bounded_length_without_control_characters() -> None:
    card = Profile(
        name="A\x1b[31mda\n\u202eelpmaxE",
        description="x" * 1000,
        occupation=("diver", "diver", "", *map(str, range(20))),
    )
    assert card.name == "A[31mda elpmaxE"
    assert card.description is not None
    assert len(card.description) == 200
    assert card.occupation[:2] == ("diver", "0")
    assert len(card.occupation) == 8


def test_numbers_that_cannot_be_are_left_out() -> None:
    card = Profile(height_cm=17100.0, age_years=400, net_worth=float("inf"), born="yesterday")
    assert card.as_dict() == {}


def test_a_card_comes_back_from_plain_data_as_it_was() -> None:
    card = Profile(
        name="Ada", nationality=("British",), born="1963-02", height_cm=171.0, net_worth=5.0, namesakes=2,
        source="Wikidata", looked_up_at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip
    assert Profile.from_dict(card.as_dict()) == card


def test_plain_data_of_other_kinds_than_expected_gives_an_empty_card() -> None:
    data = {"name": 3, "nationality": {"a": 1}, "height_cm": "tall", "age_years": True, "looked_up_at": "never"}
    assert Profile.from_dict(data) == Profile()


def test_a_profile_of_the_gallery_is_a_card_whatever_its_owner_calls_the_keys() -> None:
    card = card_of({"job": "baker", "height": 1.8, "birthday": "1990-05-01", "net_worth_usd": 10, "hobby": "tea"}, "Bo")
    assert card is not None
    assert (card.name, card.occupation, card.height_cm, card.born) == ("Bo", ("baker",), 180.0, "1990-05-01")
    assert (card.net_worth, card.net_worth_currency, card.source) == (10.0, "US dollars", "the gallery")
    assert card_of({"hobby": "tea"}, "Bo") is None
