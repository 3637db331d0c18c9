"""What a model is derived from binds it: a prohibition is never lost on the way."""

from __future__ import annotations

from typing import Any

import pytest

from likeness.manifest import Licence
from likeness.train.bundling import licence_facts


def derived(commercial: bool | None, *, data: str = "own", **base: str) -> dict[str, Any]:
    words = {"code": "Apache-2.0", "weights": "theirs", "data": "their photos"} | base
    return licence_facts("mine", data, Licence(**words, commercial=commercial))


@pytest.mark.parametrize(("base", "expected"), [(False, False), (None, None), (True, None)])
def test_a_prohibition_stays_and_nothing_becomes_a_permission(base, expected):
    assert derived(base)["commercial"] is expected


@pytest.mark.parametrize("base", [None, True])
def test_data_that_forbid_it_forbid_it_whatever_the_base_says(base):
    assert derived(base, data="non-commercial research only")["commercial"] is False


def test_words_on_the_weights_that_forbid_it_count_as_well():
    assert licence_facts("for research only", "mine")["commercial"] is False
    assert licence_facts("mine", "mine")["commercial"] is None


def test_the_terms_of_the_base_are_named_and_what_its_prohibition_rests_on():
    facts = derived(False)
    assert facts["weights"] == "mine; derived from: theirs"
    assert facts["data"] == "own; derived from: their photos"
    assert facts["note"].endswith("weights: theirs; data: their photos")
    assert derived(False, note="UTKFace is for research")["note"].endswith("UTKFace is for research")


def test_many_steps_say_the_same_words_once():
    first = Licence(**derived(False, note="UTKFace is for research"))
    second = Licence(**licence_facts("mine", "own", first))
    assert second == first
