from __future__ import annotations

import pytest

from likeness.cli.cards import card_facts, card_line, card_lines
from likeness.cli.output import Output, chance, percent, printable


@pytest.mark.parametrize(
    ("rate", "words"), [(0.302, "30.2%"), (0.00012, "0.012%"), (2.5e-6, "0.00025%"), (0.0, "0.0%"), (1.0, "100.0%")]
)
def test_small_rates_keep_two_digits(rate, words):
    assert percent(rate) == words


@pytest.mark.parametrize(
    ("probability", "words"), [(0.99999, "over 99.9%"), (1.0, "over 99.9%"), (1e-9, "under 0.1%"), (0.5, "50.0%")]
)
def test_a_probability_is_never_rounded_to_certainty(probability, words):
    assert chance(probability) == words


def test_a_profile_is_said_in_a_line_and_in_few_short_ones():
    card = {
        "age_years": 29,
        "home_town": "Lagos",
        "likes": ["tea", "chess"],
        "shoe_size": 41,
        "x": {"y": 1},
        "ok": True,
    }
    assert card_line(card) == "age 29 years, Lagos, tea, chess, shoe size 41"
    assert card_line(card, 22) == "age 29 years, Lagos …"
    assert card_line({}) == ""
    assert card_lines({"a": "one two three four", "b": "five six seven eight nine"}, width=12) == (
        "one two",
        "three …",
    )
    assert card_facts({"a": "b", "c": [1]}) == [("a", "b"), ("c", "[1]")]


def test_control_characters_are_spelled_out():
    assert printable("a\x1b[31m\tb\u202e") == "a\\x1b[31m b\\u202e"
    assert printable("a.jpg\r\nb.jpg: a face") == "a.jpg\\r\\nb.jpg: a face"


@pytest.mark.parametrize("terminal", [True, False])
def test_keys_and_values_of_facts_cannot_steer_the_terminal(capsys, monkeypatch, terminal):
    monkeypatch.setattr("sys.stdout.isatty", lambda: terminal)
    Output().facts([("key\x1b[31m\nforged", "value\x1b]0;\nforged too")], title="title\x1b[2J")
    out = capsys.readouterr().out
    assert "\x1b[31m" not in out
    assert "\x1b]" not in out
    assert "\x1b[2J" not in out
    assert not any(line.strip("│ ").startswith("forged") for line in out.splitlines())


def test_a_table_off_a_terminal_is_aligned_plain_text(capsys):
    Output().table(("name", "n"), [("Ada", 1), ("Björk", 22)])
    assert capsys.readouterr().out == "name   n\nAda    1\nBjörk  22\n"


def test_quiet_silences_remarks_and_progress_but_no_warning(capsys):
    output = Output(quiet=True, progress=True)
    output.say("remark")
    with output.progress("work") as progress:
        progress(1, 1)
    output.warn("warning")
    assert capsys.readouterr() == ("", "warning\n")


def test_json_of_a_name_that_is_not_unicode_is_still_json(capsys):
    import json

    Output().json({"path": "caf\udce9", "name": "Björk"})
    assert json.loads(capsys.readouterr().out) == {"path": "caf\udce9", "name": "Björk"}
