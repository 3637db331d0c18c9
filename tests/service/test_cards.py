from __future__ import annotations

import json
import shutil

import pytest

from likeness.errors import ProfileInvalid
from likeness.gallery import open_gallery
from likeness.service import EnrolOptions, People, find_photos
from likeness.service.cards import parse_card, parse_value


@pytest.fixture
def empty(tmp_path, recognizer):
    gallery = open_gallery(tmp_path / "new.gallery", space=recognizer.space, dimension=recognizer.dimension)
    with People(gallery, recognizer, actor="tests") as opened:
        yield opened


@pytest.fixture
def folder(samples, names, tmp_path):
    """Two photos of Anna in a folder of hers."""
    place = tmp_path / "album" / "Anna"
    place.mkdir(parents=True)
    for photo in sorted((samples / "people" / names[0].replace(" ", "_")).glob("*.jpg"))[:2]:
        shutil.copy(photo, place)
    return place


def enrol(people, folder, **options):
    return list(people.enroll(find_photos([folder.parent], named=True), EnrolOptions(**options)))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        pytest.param("29", 29, id="a number"),
        pytest.param('["tea", 1]', ["tea", 1], id="a list"),
        pytest.param("null", None, id="nothing"),
        pytest.param("night diving", "night diving", id="text"),
        pytest.param('"29"', "29", id="text that looks like a number"),
        pytest.param("NaN", "NaN", id="no JSON, though Python reads it"),
        pytest.param("1e999", "1e999", id="a number too large to keep"),
        pytest.param("[" * 100_000, "[" * 100_000, id="nesting without end"),
        pytest.param("", "", id="no text"),
    ],
)
def test_a_value_is_json_where_it_is_json_and_else_text(text, value):
    assert parse_value(text) == value


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"{", id="cut short"),
        pytest.param(b"[1]", id="a list"),
        pytest.param(b"\xff\xfe{}", id="another encoding"),
        pytest.param(b'{"a": NaN}', id="not a number"),
        pytest.param(b'{"a": 1e999}', id="infinite"),
        pytest.param(b'{"a": "\\ud800"}', id="half a character"),
        pytest.param(b'{"": 1}', id="an empty key"),
        pytest.param(b'{"a\\u001b": 1}', id="a key that steers terminals"),
        pytest.param(b'{"a": ' + b"[" * 60_000, id="nesting without end"),
        pytest.param(b'{"a": "' + b"x" * 70_000 + b'"}', id="too long"),
        pytest.param(b"", id="empty"),
    ],
)
def test_a_card_that_cannot_be_kept_is_refused_by_the_files_name(data):
    with pytest.raises(ProfileInvalid, match=r"card\.json"):
        parse_card(data, "card.json")


def test_a_card_with_a_byte_order_mark_is_read():
    assert parse_card(b'\xef\xbb\xbf{"city": "K\xc3\xb6ln"}', "card.json") == {"city": "K\u00f6ln"}


def test_a_card_in_a_persons_folder_becomes_their_profile_and_the_trail_holds_ids_only(empty, folder):
    (folder / "profile.json").write_text('{"occupation": "baker", "age_years": 30}')
    outcomes = enrol(empty, folder)
    assert [outcome.status for outcome in outcomes] == ["added", "added"]
    anna = empty.gallery.person("Anna")
    assert anna.profile == {"occupation": "baker", "age_years": 30}
    [event] = empty.gallery.events()
    assert event.details["profiles"] == [anna.id]
    assert "baker" not in json.dumps(dict(event.details))


def test_a_bad_card_is_a_warning_that_names_it_and_the_photos_are_enrolled(empty, folder):
    (folder / "profile.json").write_text('{"occupation": ')
    first, second = enrol(empty, folder)
    assert (first.status, second.status, second.warnings) == ("added", "added", ())
    [warning] = first.warnings
    assert str(folder / "profile.json") in warning
    assert first.as_dict()["warnings"] == [warning]
    assert empty.gallery.person("Anna").profile == {}


def test_what_was_changed_by_hand_stays_until_the_card_changes_or_again_is_said(empty, folder):
    card = folder / "profile.json"
    card.write_text('{"city": "Bonn", "age_years": 30}')
    enrol(empty, folder)
    empty.change_profile("Anna", put={"city": "Rome", "likes": "tea"})
    assert enrol(empty, folder)[0].earlier
    assert empty.gallery.person("Anna").profile == {"city": "Rome", "age_years": 30, "likes": "tea"}
    enrol(empty, folder, again=True)
    assert empty.gallery.person("Anna").profile["city"] == "Bonn"
    card.write_text('{"city": "Oslo"}')
    enrol(empty, folder)
    assert empty.gallery.person("Anna").profile == {"city": "Oslo", "age_years": 30, "likes": "tea"}


def test_a_profile_is_changed_key_by_key_or_as_a_whole(people, names):
    people.change_profile(names[0], whole={"a": 1, "b": 2}, remove=["a"], put={"c": [3]})
    assert people.profile(names[0]).profile == {"b": 2, "c": [3]}
    with pytest.raises(ProfileInvalid, match="has no 'a'"):
        people.change_profile(names[0], remove=["a"])
    with pytest.raises(ProfileInvalid):
        people.change_profile(names[0], put={"x": float("nan")})
    trail = [(event.action, dict(event.details)) for event in people.gallery.events()]
    assert trail[-2:] == [("profile", {}), ("show", {})]


def test_the_samples_have_their_profiles_in_the_gallery(people, samples):
    record = json.loads((samples / "samples.json").read_text("utf-8"))["people"]
    held = {person.name: person.profile for person in people.find()}
    assert held == {person["name"]: person["profile"] for person in record}
