"""What is seen: nothing is cut off, and a phone's width is used."""

from __future__ import annotations

import pytest

pytestmark = [
    pytest.mark.slow,
    # Of Gradio and what it brings, when it is imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


def test_the_margins_of_a_phone_are_small(browser, app_address):
    page = browser.new_page(viewport={"width": 390, "height": 800}, is_mobile=True, has_touch=True)
    page.set_default_timeout(120_000)
    page.goto(f"{app_address}/ui/")
    page.wait_for_selector("#twin-ask")
    photo = page.locator("#twin-photo").bounding_box()
    page.close()
    assert photo["x"] <= 16
    assert photo["width"] >= 358


def test_no_button_of_the_camera_is_cut_off(ui):
    ui.tab("Enrol")
    ui.page.get_by_role("tab", name="Short video").click()
    place = ui.page.locator("#enrol-video")
    place.get_by_text("Click to Access Webcam").click()
    place.get_by_label("start recording").wait_for()
    whole = place.bounding_box()
    buttons = [button.bounding_box() for button in place.locator("button").all() if button.is_visible()]
    assert len(buttons) >= 3
    for button in buttons:
        assert whole["y"] <= button["y"]
        assert button["y"] + button["height"] <= whole["y"] + whole["height"]
