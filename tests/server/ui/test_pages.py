"""The web app's pages, walked in a browser."""

from __future__ import annotations

import re

import pytest
from make_clips import crossing, write_clip

from likeness.calibration import Calibration
from likeness.gallery import open_gallery
from likeness.service.strips import apart

pytestmark = [
    pytest.mark.slow,
    # Of Gradio and what it brings, when it is imported.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

HOSTILE = "<img src=x onerror=window.caught=1>${window.caught=2}{{7*7}}"


def test_an_example_face_finds_its_twins_with_likeness_pictures_and_profile(ui, asked, samples):
    ui.tab("Twin")
    ui.page.locator("#twin-examples button").first.click()
    first = ui.answer("#twin-answer", ".lk-twin")
    rest = ui.answer("#twin-rest", ".lk-twin")
    profile = ui.answer("#twin-card")
    photo = (samples / "probes" / "Anjali_Devraj_new.jpg").read_bytes()
    twins = asked.post("/v1/twins", files={"photo": photo}, data={"k": "5"}).json()["twins"]
    assert re.findall(r"^(\d)\. (.+)$", first + "\n" + rest, re.MULTILINE) == [
        (str(twin["rank"]), twin["name"]) for twin in twins
    ]
    assert f"{twins[0]['similarity']:.3f}" in first
    assert twins[0]["profile"]["occupation"] in profile
    pictures = ui.page.locator("#twin-answer .lk-twin ul img")
    assert pictures.count() == 4
    assert all(picture.get_attribute("alt") for picture in pictures.all())


def test_the_camera_takes_a_photo_and_its_twins_are_found(ui):
    ui.tab("Twin")
    clear = ui.page.locator("#twin-photo").get_by_label("Clear")
    if clear.count():
        clear.first.click()
    ui.page.locator("#twin-photo").get_by_label("Capture from camera").click()
    ui.page.locator("#twin-photo").get_by_text("Click to Access Webcam").click()
    ui.page.locator("#twin-photo").get_by_label("capture photo").click()
    ui.page.wait_for_selector("#twin-photo img")
    before = ui.page.locator("#twin-answer").inner_text()
    ui.page.get_by_label("Leave me out").check()
    ui.page.click("#twin-ask")
    ui.page.wait_for_function("was => document.querySelector('#twin-answer').innerText != was", arg=before)
    assert "1. " in ui.answer("#twin-answer", ".lk-twin")


def test_each_face_of_a_group_is_boxed_and_named_or_unknown_with_a_reason(ui, asked, samples):
    ui.tab("Who is this?")
    ui.give("#who-photo", samples / "group.jpg")
    ui.page.click("#who-ask")
    words = ui.answer("#who-answer")
    answers = asked.post("/v1/identify", files={"photo": (samples / "group.jpg").read_bytes()}).json()["answers"]
    answers.sort(key=lambda answer: answer["face"]["box"][0])
    tags = ui.page.locator("#who-answer .lk-box").all_inner_texts()
    assert len(tags) == len(answers) > 3
    for number, (tag, answer) in enumerate(zip(tags, answers, strict=True), start=1):
        assert (answer["person"]["name"] if answer["person"] else "unknown") in tag
        assert tag.startswith(str(number))
        assert f"Because {answer['reason']}" in words
    assert {answer["decision"] for answer in answers} == {"match", "unknown"}


def test_a_photo_without_faces_and_no_photo_at_all_are_told_in_plain_words(ui, samples):
    ui.tab("Mirror")
    ui.page.click("#mirror-ask")
    assert "There is no photo yet." in ui.answer("#mirror-answer", "[role=alert]")
    ui.give("#mirror-photo", samples / "landscape.jpg")
    ui.page.click("#mirror-ask")
    ui.page.get_by_text("No face was found on this photo.").wait_for()


def test_the_mirror_tells_each_faces_age_with_its_range_and_apparent_gender(ui, asked, samples):
    ui.tab("Mirror")
    ui.give("#mirror-photo", samples / "group.jpg")
    ui.page.click("#mirror-ask")
    ui.page.wait_for_selector("#mirror-answer .lk-box")
    words = ui.page.locator("#mirror-answer").inner_text()
    faces = asked.post("/v1/faces", files={"photo": (samples / "group.jpg").read_bytes()}).json()["faces"]
    assert ui.page.locator("#mirror-answer .lk-box").count() == len(faces) > 3
    for face in faces:
        assert f"Looks about {face['age']['years']:.0f} years old." in words
        assert f"between {face['age']['low']:.0f} and {face['age']['high']:.0f}." in words
        assert f"Apparent gender: {face['gender']['label']}" in words


def test_two_photos_are_compared_with_the_score_explained(ui, asked, samples, names):
    photos = samples / "probes" / "Nadia_Okafor_new.jpg", samples / "people" / "Nadia_Okafor" / "01.jpg"
    ui.tab("Compare")
    ui.page.click("#compare-ask")
    assert "There is no first photo yet." in ui.answer("#compare-answer", "[role=alert]")
    ui.give("#compare-first", photos[0])
    ui.give("#compare-second", photos[1])
    ui.page.click("#compare-ask")
    words = ui.answer("#compare-answer", "svg[aria-label]")
    files = {"first": photos[0].read_bytes(), "second": photos[1].read_bytes()}
    found = asked.post("/v1/verify", files=files).json()
    assert "One person" in ui.page.locator("#compare-answer").inner_text()
    assert found["reason"] in ui.page.locator("#compare-answer").inner_text()
    assert words is not None
    spoken = ui.page.locator("#compare-answer svg[aria-label]").get_attribute("aria-label")
    assert f"this pair scores {found['similarity']:.3f}" in spoken


def test_nobody_is_enrolled_without_consent_and_with_it_each_photo_is_told(ui, asked, samples, own_settings):
    ui.tab("Enrol")
    ui.page.get_by_label("Name", exact=True).fill("Somebody New")
    ui.give("#enrol-files", samples / "probes" / "stranger_2.jpg", samples / "landscape.jpg")
    ui.page.click("#enrol-ask")
    assert "Nobody is enrolled without consent." in ui.answer("#enrol-answer", "[role=alert]")
    assert asked.get("/v1/people/Somebody New").status_code == 404
    ui.page.get_by_label("This person agrees").check()
    ui.page.click("#enrol-ask")
    ui.page.get_by_text("Somebody New is enrolled").wait_for()
    words = ui.page.locator("#enrol-answer").inner_text()
    assert "1 picture added." in words
    assert "No face was found." in words
    person = asked.get("/v1/people/Somebody New").json()
    assert person["consent"]["source"] == "the web app's enrolment page"
    with open_gallery(own_settings.gallery, create=False) as gallery:
        assert [event.actor for event in gallery.events() if event.action == "enroll"][-1] == "api:local"


def test_of_a_video_from_the_camera_the_best_frames_are_enrolled(ui, asked, own_settings):
    ui.tab("Enrol")
    ui.page.get_by_label("Name", exact=True).fill("Filmed Person")
    ui.page.get_by_label("This person agrees").check()
    ui.page.get_by_role("tab", name="Short video").click()
    place = ui.page.locator("#enrol-video")
    place.get_by_text("Click to Access Webcam").click()
    place.get_by_label("start recording").click()
    ui.page.wait_for_timeout(1500)
    place.get_by_label("stop recording").click()
    ui.page.wait_for_selector("#enrol-video video[src]")
    ui.page.click("#enrol-ask")
    ui.page.get_by_text("Filmed Person is enrolled").wait_for()
    kept = ui.page.locator("#enrol-answer ul img").count()
    assert kept >= 1
    assert asked.get("/v1/people/Filmed Person").json()["faces"] == 1
    with open_gallery(own_settings.gallery, create=False) as gallery:
        [face] = gallery.faces(gallery.person("Filmed Person").id)
    assert len(apart(face.crop_jpeg)) == kept


def test_a_video_of_two_people_is_refused_with_the_place_on_the_page_to_say_whose_it_is(ui, asked, samples, tmp_path):
    known, stranger = samples / "probes" / "Anjali_Devraj_new.jpg", samples / "probes" / "stranger_1.jpg"
    clip = write_clip(tmp_path / "two.mp4", crossing(known, stranger, 1.6), 1.6, codec="libx264")
    ui.tab("Enrol")
    ui.page.get_by_label("Name", exact=True).fill("One Of Two")
    ui.page.get_by_label("This person agrees").check()
    ui.page.get_by_role("tab", name="Short video").click()
    place = ui.page.locator("#enrol-video")
    if place.get_by_label("Clear").count():
        place.get_by_label("Clear").first.click()
    place.get_by_label("Upload file").click()
    place.locator("input[type=file]").set_input_files(str(clip))
    ui.page.wait_for_selector("#enrol-video video[src]")
    ui.page.click("#enrol-ask")
    ui.page.get_by_text("The video shows 2 people").wait_for()
    words = ui.page.locator("#enrol-answer").inner_text()
    assert "under More" in words
    assert "--pick" not in words
    assert asked.get("/v1/people/One Of Two").status_code == 404
    ui.page.get_by_role("button", name="More").click()
    assert ui.page.get_by_label("If a video shows several people").is_visible()


def test_people_are_searched_renamed_merged_and_erased(ui, asked, names):
    first, second = names[0], names[1]
    ui.tab("People")
    ui.page.get_by_label("Search by name").fill(first.split()[0])
    ui.page.locator("#people-list label").nth(0).wait_for()
    ui.page.wait_for_function("document.querySelectorAll('#people-list input').length == 1")
    ui.page.locator("#people-list").get_by_text(first).click()
    assert first in ui.answer("#people-shown")
    assert ui.page.locator("#people-shown img").count() == 4
    ui.page.locator("button.label-wrap", has_text="Rename").click()
    ui.page.get_by_label("New name").fill(HOSTILE)
    ui.page.click("#people-rename")
    assert HOSTILE in ui.answer("#people-outcome")
    assert ui.page.evaluate("window.caught") is None
    assert asked.get("/v1/people", params={"query": "onerror"}).json()["people"][0]["name"] == HOSTILE

    ui.page.get_by_label("Search by name").fill(second.split()[0])
    ui.page.locator("#people-list").get_by_text(second).click()
    ui.page.locator("button.label-wrap", has_text="Erase").click()
    number = asked.get(f"/v1/people/{second}").json()["pictures"][0]["id"]
    ui.page.get_by_label("One picture, by its number").fill(str(number))
    ui.page.click("#people-erase-picture")
    ui.page.get_by_text(f"Picture {number} is erased.").wait_for()
    assert asked.get(f"/v1/people/{second}").json()["faces"] == 3
    ui.page.get_by_label("Or everything").fill("somebody else")
    ui.page.click("#people-erase")
    assert "type exactly that name" in ui.answer("#people-outcome", "[role=alert]")
    assert asked.get(f"/v1/people/{second}").status_code == 200
    ui.page.get_by_label("Or everything").fill(second)
    ui.page.click("#people-erase")
    ui.page.get_by_text(f"{second} is erased, with 3 pictures.").wait_for()
    assert asked.get(f"/v1/people/{second}").status_code == 404


def test_the_calibration_page_draws_both_charts_and_says_the_threshold(ui, recognizer):
    ui.tab("Calibration")
    words = ui.answer("#calibration-answer")
    calibration: Calibration = recognizer.calibration
    assert f"a score of {calibration.threshold(1e-3):.3f} or more counts as one person" in words
    spoken = [chart.get_attribute("aria-label") for chart in ui.page.locator("#calibration-answer svg").all()]
    assert [label.split(".")[0] for label in spoken] == ["Reliability", "Receiver operating characteristic"]
    assert "the pairs that the calibration was fitted to" in words.replace("very ", "")


def test_pages_can_be_walked_by_keyboard_and_everything_has_a_name(ui):
    ui.page.get_by_role("tab", name="Twin", exact=True).focus()
    ui.page.keyboard.press("Enter")
    ui.page.keyboard.press("Tab")
    assert ui.page.evaluate("document.activeElement.innerText") == "Who is this?"
    ui.page.keyboard.press("Enter")
    ui.page.locator("#who-ask").wait_for()
    for name in ("Twin", "Who is this?", "Mirror", "Compare", "Enrol", "People", "Calibration"):
        ui.tab(name)
        assert ui.page.evaluate(NAMELESS) == []


NAMELESS = """() => [...document.querySelectorAll("button, input, textarea, select, img, svg[role=img]")]
  .filter((each) => each.checkVisibility() && each.getAttribute("aria-hidden") != "true")
  .filter((each) => !each.closest("[aria-hidden=true]"))
  .filter((each) => !(each.getAttribute("aria-label") || each.getAttribute("title") || each.innerText?.trim()
    || (each.labels && [...each.labels].some((label) => label.innerText.trim())) || each.hasAttribute("alt")
    || each.type == "file"))
  .map((each) => each.outerHTML.slice(0, 200))"""
"""What can be reached and is called nothing; the inputs of files lie behind buttons with names."""


def test_a_phone_shows_every_page_without_scrolling_sideways(browser, app_address):
    page = browser.new_page(viewport={"width": 390, "height": 800}, is_mobile=True, has_touch=True)
    page.set_default_timeout(120_000)
    page.goto(f"{app_address}/ui/")
    page.wait_for_selector("#twin-ask")
    wide = page.evaluate("document.documentElement.scrollWidth")
    assert wide <= 390
    page.locator("#twin-examples button").first.tap()
    page.wait_for_selector("#twin-answer .lk-twin")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    narrow = (
        "[...document.querySelectorAll('#twin-answer dd')].map((each) => each.clientWidth).filter((px) => px < 100)"
    )
    assert page.evaluate(narrow) == []  # no word is broken letter by letter
    page.close()
