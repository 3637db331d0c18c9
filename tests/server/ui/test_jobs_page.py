"""The Jobs page, before a server with workers, in a browser."""

from __future__ import annotations

import pytest

from working import drain

pytestmark = [
    pytest.mark.slow,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]


@pytest.fixture(scope="module")
def own_settings(_filled, tmp_path_factory):
    """Settings of a server that takes photos for workers."""
    import shutil

    from likeness.settings import Settings

    folder = tmp_path_factory.mktemp("jobs")
    shutil.copy(_filled, folder / "people.gallery")
    files = {"gallery": "people.gallery", "serve_answers": "answers.db", "queue": "queue.db", "records": "arrivals.db"}
    own = {name: str(folder / file) for name, file in files.items()}
    return Settings.load(own | {"spool": str(folder / "spool"), "serve_workers": True})


def test_jobs_show_what_waits_how_far_it_is_and_what_failed_and_dead_letters_are_revived(
    ui, asked, samples, own_settings
):
    ui.tab("Jobs")
    ui.page.get_by_text("There are no jobs.").wait_for()
    files = [("photos", (samples / "landscape.jpg").read_bytes()), ("photos", b"no photo")]
    job = asked.post("/v1/jobs", files=files).json()
    ui.page.locator("#jobs-answer").get_by_text(job["id"]).wait_for()
    assert "0 of 2" in ui.page.locator("#jobs-answer").inner_text()
    drain(own_settings)
    ui.page.locator("#jobs-answer").get_by_text("2 of 2").wait_for()
    words = ui.page.locator("#jobs-answer").inner_text()
    assert "What workers could not do" in words
    assert "expected a photo" in words
    ui.page.click("#jobs-revive")
    ui.page.get_by_text("1 message will be tried again.").wait_for()
    depth = 'likeness_queue_messages{queue="detect",state="dead"} 0.0'
    assert depth in asked.get("/metrics").text
