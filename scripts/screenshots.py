"""The pictures of docs/web-app.md: the web app on the sample people, walked by Debian's Chromium.

```sh
python scripts/screenshots.py            # writes docs/ui/*.png
```
"""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from PIL import Image
from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
SAMPLES, TARGET = ROOT / "samples", ROOT / "docs" / "ui"
WIDTH_PX, COLOURS = 900, 128
sys.path.insert(0, str(ROOT / "tests"))


@contextmanager
def demo() -> Iterator[str]:
    """The address of `likeness serve --demo --ui`, while it runs."""
    with socket.create_server(("127.0.0.1", 0)) as bound:
        port = bound.getsockname()[1]
    command = [str(Path(sys.executable).parent / "likeness"), "serve", "--demo", "--ui", "--port", str(port)]
    with tempfile.TemporaryFile() as log, subprocess.Popen(command, stdout=log, stderr=log) as server:
        address = f"http://127.0.0.1:{port}"
        try:
            for _ in range(300):
                try:
                    with urlopen(f"{address}/v1/ready"):
                        break
                except OSError:
                    time.sleep(1)
            yield address
        finally:
            server.terminate()


def save(page: Page, name: str, height_px: int | None = None) -> None:
    """The page as a small PNG."""
    page.wait_for_timeout(700)
    shot = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    if height_px is not None:
        shot = shot.crop((0, 0, shot.width, min(shot.height, height_px)))
    if shot.width > WIDTH_PX:
        shot = shot.resize((WIDTH_PX, round(shot.height * WIDTH_PX / shot.width)), Image.Resampling.LANCZOS)
    TARGET.mkdir(parents=True, exist_ok=True)
    shot.quantize(COLOURS, dither=Image.Dither.NONE).save(TARGET / f"{name}.png", optimize=True)


def give(page: Page, place: str, photo: Path) -> None:
    """Upload a file, and wait until it is shown."""
    page.locator(f"{place} input[type=file]").set_input_files(str(photo))
    page.wait_for_selector(f"{place} img, {place} video[src]")


def walk(page: Page, folder: Path) -> None:
    """Every page with something on it."""
    from moving_face import write_video  # type: ignore[import-not-found]  # it stands with the tests

    def tab(name: str) -> None:
        page.get_by_role("tab", name=name, exact=True).click()

    page.locator("#twin-examples button").first.click()
    page.wait_for_selector("#twin-card .lk-card")
    save(page, "twin", 1180)
    tab("Who is this?")
    give(page, "#who-photo", SAMPLES / "group.jpg")
    page.click("#who-ask")
    page.wait_for_selector("#who-answer .lk-card")
    save(page, "who", 1000)
    tab("Mirror")
    give(page, "#mirror-photo", SAMPLES / "group.jpg")
    page.click("#mirror-ask")
    page.wait_for_selector("#mirror-answer .lk-card")
    save(page, "mirror", 900)
    tab("Compare")
    give(page, "#compare-first", SAMPLES / "probes" / "Nadia_Okafor_new.jpg")
    give(page, "#compare-second", SAMPLES / "people" / "Nadia_Okafor" / "01.jpg")
    page.click("#compare-ask")
    page.wait_for_selector("#compare-answer svg")
    save(page, "compare")
    tab("Enrol")
    page.get_by_label("Name", exact=True).fill("Ines Valdemar")
    page.get_by_label("This person agrees").check()
    page.get_by_role("tab", name="Short video").click()
    page.locator("#enrol-video").get_by_label("Upload file").click()
    film = write_video(folder / "film.webm", SAMPLES / "probes" / "stranger_1.jpg", 5.0)
    give(page, "#enrol-video", film)
    page.click("#enrol-ask")
    page.wait_for_selector("#enrol-answer ul img")
    save(page, "enrol", 1050)
    tab("People")
    page.locator("#people-list").get_by_text("Mei Hayashida").click()
    page.wait_for_selector("#people-shown .lk-card")
    save(page, "people")
    tab("Calibration")
    page.wait_for_selector("#calibration-answer svg")
    save(page, "calibration")


def main() -> None:
    """Make them."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is missing (Debian: chromium)")
    flags = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-quic"]
    with demo() as address, sync_playwright() as playwright, tempfile.TemporaryDirectory() as folder:
        browser = playwright.chromium.launch(executable_path=chromium, args=flags)
        sizes: list[dict[str, Any]] = [
            {"viewport": {"width": 1160, "height": 800}},
            {"viewport": {"width": 390, "height": 800}, "is_mobile": True, "has_touch": True},
        ]
        for size in sizes:
            page = browser.new_page(**size)
            page.set_default_timeout(120_000)
            page.goto(f"{address}/ui/")
            page.wait_for_selector("#twin-ask")
            if size.get("is_mobile"):
                page.locator("#twin-examples button").first.tap()
                page.wait_for_selector("#twin-card .lk-card")
                save(page, "phone", 1500)
            else:
                walk(page, Path(folder))
            page.close()
        browser.close()
    for picture in sorted(TARGET.glob("*.png")):
        print(f"{picture.relative_to(ROOT)}  {picture.stat().st_size / 1024:.0f} KB")


if __name__ == "__main__":
    main()
