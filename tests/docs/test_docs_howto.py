"""The commands of the how-to pages, run as they stand there: on the samples, and on servers of the tests' own."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from docs_pages import PAGES, told
from docs_tours import ROOT, Step, Walk

from redis_server import RedisServer

sys.path.append(str(ROOT / "tests" / "gallery"))
from elastic_server import StandIn

ELSEWHERE = {
    "arrivals.md": "tests/intake, with workers that are killed",
    "attributes.md": "tests/train and tests/evaluate; it trains",
    "bot.md": "tests/bot, with a server that speaks Telegram's protocol",
    "continual.md": "tests/train; it trains",
    "crops.md": "tests/data; of thousands of photos",
    "data.md": "tests/data, with servers of the tests' own",
    "deployment.md": "tests/deploy",
    "detector.md": "tests/vision",
    "distillation.md": "tests/train; it trains",
    "evaluation.md": "tests/evaluate; of thousands of photos",
    "import.md": "tests/service and tests/cli, with what CompreFace answers",
    "index.md": "the same commands as the README's",
    "lab.md": "tests/test_lab_walk.py",
    "models.md": "tests/test_hub.py, with a hub of the tests' own",
    "phone.md": "tests/train; it trains",
    "profiles.md": "tests/profiles, with what Wikidata answers",
    "schedules.md": "tests/train/test_flow_documented.py",
    "threat-model.md": "pictures alone",
    "web-app.md": "tests/server/ui, in a browser",
}
"""Pages whose commands other tests run."""
LEFT = {
    "likeness identify camera": "there is no camera",
    "likeness identify rtsp://": "tests/vision, with a server that speaks RTSP",
    "likeness data crop": "tests/test_lab_walk.py, with what follows from it",
    "likeness train": "tests/test_lab_walk.py",
    "likeness export": "tests/test_lab_walk.py",
    "likeness calibrate": "tests/test_lab_walk.py",
    "likeness evaluate": "tests/test_lab_walk.py",
    "likeness distil": "tests/train",
    "likeness identify party.jpg --model mine": "tests/test_lab_walk.py",
    "likeness gallery re-embed --model mine": "tests/gallery and tests/cli, with another model",
}
"""Commands of the pages that are run, which are run elsewhere."""
PHOTOS = {
    "probes/Nadia_Okafor_new.jpg": ("anna.jpg", "me.jpg", "selfie.jpg", "photo.jpg", "one.jpg", "inbox/new.jpg"),
    "people/Nadia_Okafor/*.jpg": ("passport.jpg", "other.jpg"),
    "group.jpg": ("party.jpg", "trip.jpg"),
}


class Stage:
    """A folder with the files that pages speak of, and what their addresses stand for here."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.walk, self.folder, self.workers = Walk(folder), folder, list[subprocess.Popen[bytes]]()
        self.means = {"/srv/inbox": str(folder / "inbox"), 'forget "Anna Lee"': 'forget "Anna Lee" --yes'}
        for source, names in PHOTOS.items():
            for name in names:
                (folder / name).parent.mkdir(exist_ok=True)
                shutil.copy(next((ROOT / "samples").glob(source)), folder / name)
        (folder / "samples").symlink_to(ROOT / "samples")
        for name in ("photos", "Pictures/people"):
            shutil.copytree(ROOT / "samples" / "people", folder / name)
        shutil.copytree(ROOT / "samples" / "people" / "Mei_Hayashida", folder / "Pictures" / "anna")
        patch.chdir(folder)
        for name, place in {"HOME": "", "XDG_CONFIG_HOME": "config", "XDG_DATA_HOME": "data"}.items():
            patch.setenv(name, str(folder / place))
        patch.delenv("LIKENESS_GALLERY")

    def take(self, line: str) -> None:
        """Do one line of a page, and fail where it fails."""
        for words, meant in self.means.items():
            line = line.replace(words, meant)
        if re.match(r"likeness (serve|worker|watch)\b", line):
            self.end()  # on a page one stands for the other
        if re.match(r"likeness (serve|worker|watch(?!.* --once))\b", line):
            self._keep_running(line)
            return
        if "--switch" in line:
            os.environ.pop("LIKENESS_GALLERY")  # which would go before the settings file: the page says so
        step = Step("console", line)
        self.walk.take(step)
        assert step.code == 0, f"{line}\n{step.printed}"
        assert not re.search(r"Traceback|\berror:", step.printed), f"{line}\n{step.printed}"
        if line.startswith("likeness keys create"):
            self.means["3f9c01d2ab"] = re.findall(r"\b[0-9a-f]{10}\b", step.printed)[0]
        if line == "likeness audit verify":
            self.means["4812:9f2c…"] = re.findall(r"\b\d+:[0-9a-f]{16,}", step.printed)[0]
        if line.startswith("curl") and "/v1/gallery/snapshots" in line:
            self.means["3f6e7f6dc1dcf457"] = re.findall(r'"id": ?"(\w+)"', step.printed)[0]

    def _keep_running(self, line: str) -> None:
        if line.startswith("likeness serve"):
            self.walk.take(Step("console", f"{line} &"))
            return
        command = [sys.executable, "-c", "from likeness.cli import main; main()", *line.split()[1:]]
        with (self.folder / "worker.log").open("wb") as log:
            worker = subprocess.Popen(command, stdout=log, stderr=log)
        self.workers.append(worker)
        deadline = time.monotonic() + 120
        while worker.poll() is None and not self._said() and time.monotonic() < deadline:
            time.sleep(0.1)
        assert re.search("watching|Working", self._said()), f"{line}\n{self._said()}"

    def _said(self) -> str:
        return (self.folder / "worker.log").read_text("utf-8")

    def end(self) -> None:
        """End what runs; whoever ended before has failed."""
        self.walk.end()
        self.walk.servers.clear()
        while self.workers:
            worker = self.workers.pop()
            assert worker.poll() is None, self._said()
            worker.send_signal(signal.SIGTERM)
            assert worker.wait(60) == 0, self._said()


@pytest.fixture
def cluster() -> Iterator[StandIn]:
    with StandIn() as server:
        yield server
        assert server.violations == []


@pytest.fixture
def stage(tmp_path, monkeypatch) -> Iterator[Stage]:
    made, before = Stage(tmp_path.resolve(), monkeypatch), dict(os.environ)
    yield made
    for left in (*made.walk.servers, *made.workers):
        left.kill()
        left.wait()
    os.environ.clear()
    os.environ.update(before)


def clips(stage: Stage, *names: str) -> None:
    """Videos of a person who moves."""
    from make_clips import Actor, wave, write_clip

    photo = ROOT / "samples" / "probes" / "stranger_1.jpg"
    for name in names:
        write_clip(stage.folder / name, [Actor(photo, x=wave(0.5, 0.1, 2.0))], 1.5)


def galleries(stage: Stage, request: pytest.FixtureRequest) -> None:
    address = f"{request.getfixturevalue('postgres_database')}&gallery=howto"
    stage.means["postgresql://likeness:secret@db.example.org/likeness"] = address
    stage.means[f"migrate people.gallery '{address}'"] = f"migrate people.gallery '{address}2'"
    stage.take("likeness enroll photos/ --gallery people.gallery")
    (stage.folder / "likeness.toml").touch()


def elasticsearch(stage: Stage, request: pytest.FixtureRequest) -> None:
    stand_in = request.getfixturevalue("cluster")
    address = "elasticsearch+https://es.example.org:9200/faces?ca_certs=/etc/likeness/http_ca.crt"
    stage.means |= {address: stand_in.address(), "export ELASTIC_API_KEY=…": "true"}
    stage.means["gallery delete"] = "gallery delete --yes"


def privacy(stage: Stage, request: pytest.FixtureRequest) -> None:
    stage.take("likeness enroll photos/")
    stage.take("likeness gallery snapshot")


def queues(stage: Stage, request: pytest.FixtureRequest) -> None:
    server = RedisServer(stage.folder)
    request.addfinalizer(server.kill)
    stage.means["redis://:secret@queues.example.org/0"] = server.uri
    stage.means["drop detect ID"] = "drop detect --all --yes"


def storage(stage: Stage, request: pytest.FixtureRequest) -> None:
    clips(stage, "clip.mp4")
    stage.means |= {"s3://faces/people": "kept", "s3://photos/in": "photos", "sqs://eu-west-1/likeness": "queue.db"}


def video(stage: Stage, request: pytest.FixtureRequest) -> None:
    clips(stage, "clip.mp4", "meeting.mp4")
    stage.take("likeness enroll photos/")
    stage.take("likeness serve")


def readme(stage: Stage, request: pytest.FixtureRequest) -> None:
    clips(stage, "clip.mp4", "meeting.mp4")


def nothing(stage: Stage, request: pytest.FixtureRequest) -> None:
    """The page needs nothing beside the files."""


def filled(stage: Stage, request: pytest.FixtureRequest) -> None:
    stage.take("likeness enroll photos/")


SCENES: dict[str, Callable[[Stage, pytest.FixtureRequest], None]] = {
    "README.md": readme,
    "api.md": nothing,
    "compatible.md": nothing,
    "elasticsearch.md": elasticsearch,
    "galleries.md": galleries,
    "concepts/privacy.md": nothing,
    "concepts/spaces.md": filled,
    "privacy.md": privacy,
    "queues.md": queues,
    "security.md": filled,
    "storage.md": storage,
    "video.md": video,
}


def lines_of(page: str) -> list[str]:
    path = ROOT / page if page == "README.md" else ROOT / "docs" / page
    lines = [line.strip() for line in told(path.read_text("utf-8"))]
    return [line for line in lines if re.match(r"(likeness|curl|export) ", line)]


@pytest.mark.parametrize("page", SCENES)
def test_the_commands_of_a_how_to_page_work_as_they_stand_there(page: str, stage: Stage, request) -> None:
    SCENES[page](stage, request)
    for line in lines_of(page):
        if not any(line.startswith(left) for left in LEFT):
            stage.take(line)
    stage.end()


def test_every_page_with_commands_is_run_here_or_elsewhere() -> None:
    pages = {path.relative_to(ROOT / "docs").as_posix() if "docs" in path.parts else path.name for path in PAGES}
    with_commands = {page for page in pages if not page.startswith("tours/") and lines_of(page)}
    assert with_commands <= SCENES.keys() | ELSEWHERE.keys()
    assert not SCENES.keys() & ELSEWHERE.keys()
    assert SCENES.keys() | ELSEWHERE.keys() <= pages
    every = [line for page in SCENES for line in lines_of(page)]
    assert all(any(line.startswith(left) for line in every) for left in LEFT), "one is on no page any more"
