"""The Jobs page, before a server with workers, in a browser."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from redis_server import RedisServer
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
    assert "1 photo without an answer" in words
    assert "What workers could not do" in words
    lines = "cell => ['top', 'right', 'left'].map(side => getComputedStyle(cell)[`border-${side}-width`])"
    for cell in ui.page.locator("#jobs-answer th, #jobs-answer td").all():
        assert cell.evaluate(lines) == ["0px"] * 3, "tables have lines between rows only"
    assert "expected a photo" in words
    ui.page.click("#jobs-revive")
    ui.page.get_by_text("1 message will be tried again.").wait_for()
    depth = 'likeness_queue_messages{queue="detect",state="dead"} 0.0'
    assert depth in asked.get("/metrics").text


def test_the_page_asks_for_news_only_while_it_is_open(ui, asked):
    from likeness.server.ui.jobs import REFRESHED_S

    heard = []
    ui.page.on("request", lambda request: heard.append(request.url) if "/queue/join" in request.url else None)

    def asked_within(seconds):
        heard.clear()
        ui.page.wait_for_timeout(1000 * seconds)
        return len(heard)

    ui.tab("Jobs")
    assert asked_within(3 * REFRESHED_S) >= 2
    ui.tab("Twin")
    ui.page.wait_for_timeout(1000)  # what was on its way
    assert asked_within(2.5 * REFRESHED_S) == 0
    ui.tab("Jobs")
    assert asked_within(3 * REFRESHED_S) >= 2


def test_the_page_tells_of_jobs_and_of_queues_that_do_not_answer_alike(own_settings, tmp_path):
    from likeness.intake.office import Office
    from likeness.server.jobs import Jobs
    from likeness.server.ui.jobs import _page

    server = RedisServer(tmp_path)
    settings = own_settings.model_copy(update={"queue": server.uri, "records": str(tmp_path / "arrivals.db")})
    office, jobs = Office(settings), Jobs(room=1)
    try:
        office.send([b"a photo"], owner="tests")
        server.kill()
        state = SimpleNamespace(office=office, jobs=jobs)
        shown = _page(SimpleNamespace(app=SimpleNamespace(state=state)), None)
    finally:
        server.kill()
        office.close()
        jobs.close()
    assert shown.count("does not answer") == 4
    assert "0 of 1" in shown
