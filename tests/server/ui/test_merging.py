"""Two people who are one become one, by clicks."""

from __future__ import annotations

import pytest

pytestmark = [
    pytest.mark.slow,
    # Of Gradio and what it brings, when it is imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_a_person_is_merged_into_another_whose_name_stays(ui, asked, names):
    gone, stays = names[2], names[3]
    before = sum(asked.get(f"/v1/people/{name}").json()["faces"] for name in (gone, stays))
    ui.tab("People")
    ui.page.get_by_label("Search by name").fill(gone)
    ui.page.wait_for_function("document.querySelectorAll('#people-list input').length == 1")
    ui.page.locator("#people-list").get_by_text(gone).click()
    assert gone in ui.answer("#people-shown")
    ui.page.locator("button.label-wrap", has_text="Merge").click()
    ui.page.click("#people-merge")
    assert "not said into whom" in ui.answer("#people-outcome", "[role=alert]")
    into = ui.page.get_by_label("Whose the pictures become")
    into.fill("Nobody Of That Name")
    ui.page.click("#people-merge")
    ui.page.locator("#people-outcome", has_text="Nobody Of That Name").wait_for()
    assert asked.get(f"/v1/people/{gone}").status_code == 200
    into.fill(stays)
    ui.page.click("#people-merge")
    ui.page.get_by_text(f"The pictures of {gone} are {stays}'s now, who has {before}.").wait_for()
    assert asked.get(f"/v1/people/{gone}").status_code == 404
    assert asked.get(f"/v1/people/{stays}").json()["faces"] == before
    assert into.input_value() == ""
    assert "Choose somebody" in ui.page.locator("#people-shown").inner_text()
