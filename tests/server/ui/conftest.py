"""A web app on a filled gallery, and a browser whose camera sees a sample face."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from likeness.settings import Settings
from moving_face import write_camera
from running_server import client, running

FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-quic",
    "--use-fake-device-for-media-stream=fps=10",
    "--use-fake-ui-for-media-stream",
)


@dataclass
class Watched:
    """A page, and what went wrong on it: errors told to the console, requests that left the machine."""

    page: object
    address: str
    troubles: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Begin to listen."""
        page = self.page
        page.on("console", lambda told: told.type == "error" and self.troubles.append(told.text))
        page.on("pageerror", lambda error: self.troubles.append(str(error)))
        page.on("request", lambda asked: self._own(asked.url) or self.troubles.append(f"asked for {asked.url}"))

    def _own(self, url: str) -> bool:
        return url.startswith((f"{self.address}/", "data:", "blob:"))

    def tab(self, name: str) -> None:
        """Go to a page of the app."""
        self.page.get_by_role("tab", name=name, exact=True).click()

    def give(self, place: str, *photos: Path) -> None:
        """Upload photos, and wait until they are there."""
        self.page.locator(f"{place} input[type=file]").set_input_files([str(photo) for photo in photos])
        shown = f"{place} img" if place != "#enrol-files" else f"{place} .file-preview tr.file >> nth={len(photos) - 1}"
        self.page.wait_for_selector(shown)

    def answer(self, place: str, wanted: str = ".lk-card") -> str:
        """The words of an answer, once it is there."""
        self.page.wait_for_selector(f"{place} {wanted}")
        return self.page.locator(place).inner_text()


@pytest.fixture(scope="module")
def own_settings(_filled, tmp_path_factory) -> Settings:
    """Settings of a server whose files are this module's own."""
    folder = tmp_path_factory.mktemp("ui")
    shutil.copy(_filled, folder / "people.gallery")
    own = {"gallery": str(folder / "people.gallery"), "serve_answers": str(folder / "answers.db")}
    return Settings.load(own)


@pytest.fixture(scope="module")
def app_address(own_settings) -> Iterator[str]:
    """The address of a server with the web app, open to this machine."""
    from likeness.server.app import create_app
    from likeness.server.parts import web_app

    with running(create_app(own_settings, open_access=True, parts=[web_app(own_settings, True)])) as address:
        yield address


@pytest.fixture(scope="module")
def asked(app_address):
    """Somebody who asks the same server's API."""
    with client(app_address) as opened:
        yield opened


@pytest.fixture(scope="session")
def chromium() -> str:
    """Where Debian's Chromium is."""
    found = shutil.which("chromium")
    if found is None:
        if os.environ.get("CI"):
            pytest.fail("chromium is missing (Debian: chromium)")
        pytest.skip("chromium is not installed")
    return found


@pytest.fixture(scope="module")
def browser(chromium, samples, tmp_path_factory):
    """A browser with a camera that sees somebody who is not enrolled."""
    from playwright.sync_api import sync_playwright

    camera = write_camera(tmp_path_factory.mktemp("camera") / "face.mjpeg", samples / "probes" / "stranger_1.jpg")
    with sync_playwright() as playwright:
        flags = [*FLAGS, f"--use-file-for-fake-video-capture={camera}"]
        opened = playwright.chromium.launch(executable_path=chromium, args=flags)
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def _shown(browser, app_address) -> Iterator[Watched]:
    page = browser.new_page(viewport={"width": 1200, "height": 900})
    page.set_default_timeout(120_000)  # on a busy machine a page takes its time
    watched = Watched(page, app_address)
    watched.watch()
    page.goto(f"{app_address}/")
    page.wait_for_selector("#twin-ask")
    yield watched
    page.close()


@pytest.fixture
def ui(_shown) -> Iterator[Watched]:
    """The app in the browser; afterwards nothing went wrong on its pages and nothing left the machine."""
    _shown.troubles.clear()
    yield _shown
    assert _shown.troubles == []
