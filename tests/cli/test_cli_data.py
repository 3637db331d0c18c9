"""`likeness data`: list, inspect, import, download, push, pull."""

from __future__ import annotations

import json
import threading
from functools import partial
from hashlib import sha256
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from zipfile import ZipFile

import pytest
from PIL import Image

from hub_server import FakeHub, hub, quiet_library  # noqa: F401

pytestmark = quiet_library


@pytest.fixture
def photos(samples: Path, tmp_path: Path) -> Path:
    """Two photos of each of two people, and one of nobody."""
    for person in sorted(path.name for path in (samples / "people").iterdir())[:2]:
        (tmp_path / "photos" / person).mkdir(parents=True)
        for photo in sorted((samples / "people" / person).glob("*.jpg"))[:2]:
            (tmp_path / "photos" / person / photo.name).write_bytes(photo.read_bytes())
    (tmp_path / "photos" / "loose.jpg").write_bytes(photo.read_bytes())
    return tmp_path / "photos"


def same(back: Path, mine: Path) -> bool:
    """Whether two data sets have equal files; the steps tell no paths once they were pushed."""
    ours, theirs = files(mine), files(back)
    facts = [json.loads(each.pop("dataset.json")) for each in (ours, theirs)]
    assert [words.count(str(mine)) for each in facts for words in each.pop("steps")] == [1, 0]
    return ours == theirs and facts[0] == facts[1]


def files(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_list_says_terms_and_what_each_source_has(cli) -> None:
    found = {entry["name"]: entry for entry in cli("data", "list", "--json").lines}
    assert set(found) >= {"lfw", "agedb", "vggface2", "utkface", "imdb-wiki", "folder", "csv", "huggingface"}
    assert found["utkface"]["has"] == ["age_years", "gender", "group"]
    assert found["lfw"]["downloads"] == ["lfw.tgz", "lfw_pairs.txt"]
    assert not found["agedb"]["downloads"]
    assert found["imdb-wiki"]["options"][:2] == ["min_face_score", "allow_second_face"]
    lines = cli("data", "list").out.splitlines()
    assert lines[0].split() == ["name", "title", "has", "download", "licence"]
    assert len(lines) == 1 + len(found)


def test_inspecting_a_folder_counts_and_draws(cli, photos: Path, tmp_path: Path) -> None:
    done = cli("data", "inspect", photos, "--plot", tmp_path / "plots" / "p.png", "--json")
    figures = done.lines[0]
    assert (done.code, figures["source"], figures["rows"], figures["people"]) == (0, "folder", 4, 2)
    assert figures["photos_per_person"]["median"] == 2
    assert figures["skipped"] == [{"reason": "in no person's folder", "count": 1, "examples": ["loose.jpg"]}]
    assert len(figures["examples"]) == 3
    with Image.open(tmp_path / "plots" / "p.png") as picture:
        assert picture.format == "PNG"
    shown = cli("data", "inspect", f"folder:{photos}").out
    assert "2 to 2, median 2" in shown
    assert "in no person's folder (as loose.jpg)" in shown


def test_labels_are_shown_with_their_ranges(cli, photos: Path, tmp_path: Path) -> None:
    paths = [path for path in sorted(files(photos)) if "/" in path]
    lines = [f"{path},who {at},{20 + at},{'x$y' if at else ''}" for at, path in enumerate(paths)]
    (photos / "list.csv").write_text("\n".join(["path,who,age_years,hair", *lines]) + "\n")
    done = cli(
        "data", "inspect", photos / "list.csv", "--set", "identity_column=who", "--plot", tmp_path / "p.png", "--json"
    )
    assert done.lines[0]["labels"] == {
        "age_years": {"rows": 4, "kind": "number", "least": 20.0, "median": 21.5, "mean": 21.5, "most": 23.0},
        "hair": {"rows": 3, "kind": "words", "different": 1, "values": {"x$y": 3}},
    }
    assert (tmp_path / "p.png").stat().st_size > 1000


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["inspect", "nowhere"], 4, "there is no folder 'nowhere'"),
        (["inspect", "nowhere", "--source", "mnist"], 2, "no source is called 'mnist'"),
        (["inspect", ".", "--set", "colour"], 2, "--set takes KEY=VALUE"),
        (["inspect", "."], 3, "holds no photos"),
        (["import", "nowhere", "out"], 4, "there is no folder"),
        (["download", "agedb", "out"], 2, "AgeDB cannot be downloaded"),
        (["download", "lfw", "out", "--sha256", "12"], 2, "no SHA-256"),
        (["push", "nowhere", "kept"], 3, "is not a data set"),
        (["push", "nowhere", "kept", "--revision", "x"], 2, "--tag"),
        (["pull", "nowhere", "out"], 4, "there is no folder"),
        (["pull", "hf://only-a-name", "out"], 2, "names no repository"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_what_cannot_be_done_says_why(cli, tmp_path, monkeypatch, arguments, code, words) -> None:
    monkeypatch.chdir(tmp_path)
    done = cli("data", *arguments)
    assert done.code == code, done.err
    assert words in done.err
    assert list(tmp_path.iterdir()) == [tmp_path / "people.gallery"] or not list(tmp_path.iterdir())


def test_an_import_keeps_photos_and_can_be_looked_at(cli, photos: Path, tmp_path: Path) -> None:
    done = cli("data", "import", photos, tmp_path / "mine", "--json")
    assert done.lines == [
        {
            "dataset": str(tmp_path / "mine"),
            "rows": 4,
            "identities": 2,
            "splits": {"train": 0, "validation": 0, "test": 0},
            "skipped": 1,
        }
    ]
    made = files(tmp_path / "mine")
    assert {path: data for path, data in made.items() if path.endswith(".jpg")} == {
        path: data for path, data in files(photos).items() if "/" in path
    }
    assert any(path.stat().st_nlink == 2 for path in (tmp_path / "mine").rglob("*.jpg"))
    figures = cli("data", "inspect", tmp_path / "mine", "--json").lines[0]
    assert (figures["dataset"], figures["rows"], figures["files_missing"]) == ("mine", 4, 0)
    assert figures["steps"][0].startswith("likeness data import")
    again = cli("data", "import", photos, tmp_path / "mine")
    assert (again.code, "is a data set already" in again.err) == (5, True)
    assert files(tmp_path / "mine") == made


def test_an_import_that_was_stopped_goes_on_and_overwrites_nothing(cli, photos: Path, tmp_path: Path) -> None:
    cli("data", "import", photos, tmp_path / "mine", "--copy")
    whole = files(tmp_path / "mine")
    (tmp_path / "mine" / "dataset.json").unlink()
    next((tmp_path / "mine").rglob("*.jpg")).unlink()
    assert cli("data", "import", photos, tmp_path / "mine", "--copy").code == 0
    assert files(tmp_path / "mine") == whole
    assert all(path.stat().st_nlink == 1 for path in (tmp_path / "mine").rglob("*.jpg"))
    (tmp_path / "mine" / "dataset.json").unlink()
    other = next((tmp_path / "mine").rglob("*.jpg"))
    other.write_bytes(b"mine")
    done = cli("data", "import", photos, tmp_path / "mine")
    assert (done.code, other.read_bytes()) == (5, b"mine")


def test_importing_a_folder_into_itself_writes_the_manifest_only(cli, photos: Path) -> None:
    before = files(photos)
    assert cli("data", "import", photos, photos).code == 0
    assert set(files(photos)) - set(before) == {"manifest.csv", "dataset.json"}
    assert before.items() <= files(photos).items()


def test_a_download_is_verified_unpacked_and_told(cli, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "site").mkdir()
    with ZipFile(tmp_path / "site" / "faces.zip", "w") as archive:
        for path, data in files(photos).items():
            archive.writestr(f"faces/{path}", data)
    digest = sha256((tmp_path / "site" / "faces.zip").read_bytes()).hexdigest()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(tmp_path / "site")))
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        url = f"http://127.0.0.1:{server.server_port}/faces.zip"
        done = cli("data", "download", "agedb", tmp_path / "out", "--url", url, "--progress")
        assert done.code == 0, done.err
        assert f"sha256 {digest} (not verified: no digest is known)" in done.out
        assert "terms of AgeDB: non-commercial research only" in done.err
        assert files(tmp_path / "out" / "faces") == files(photos)
        told = cli("data", "download", "agedb", tmp_path / "two", "--url", url, "--sha256", digest, "--json")
        assert told.lines[0] | {"folder": ""} == {
            "file": "faces.zip",
            "folder": "",
            "bytes": (tmp_path / "site" / "faces.zip").stat().st_size,
            "sha256": digest,
            "verified": True,
            "resumed_at_bytes": 0,
            "unpacked": 5,
            "already": False,
        }
        wrong = cli("data", "download", "agedb", tmp_path / "three", "--url", url, "--sha256", "0" * 64, "--json")
        assert (wrong.code, wrong.lines[0]["error"]["code"]) == (8, "download_corrupt")
    finally:
        server.shutdown()
        server.server_close()
    away = cli("data", "download", "agedb", tmp_path / "four", "--url", url)
    assert away.code == 8
    assert "cannot be reached: Connection refused" in away.err
    assert not (tmp_path / "four").exists()


def test_versions_go_to_a_folder_and_come_back_equal(cli, photos: Path, tmp_path: Path) -> None:
    cli("data", "import", photos, tmp_path / "mine")
    pushed = cli("data", "push", tmp_path / "mine", tmp_path / "kept", "--tag", "v1")
    assert pushed.code == 0, pushed.err
    pulled = cli("data", "pull", tmp_path / "kept", tmp_path / "back", "--revision", "v1", "--json")
    assert pulled.lines[0]["digest"] in pushed.out
    assert same(tmp_path / "back", tmp_path / "mine")


def test_versions_go_to_a_hub_from_a_process_of_its_own(shell, cli, photos, tmp_path, hub: FakeHub) -> None:  # noqa: F811
    cli("data", "import", photos, tmp_path / "mine")
    pushed = shell("data", "push", tmp_path / "mine", "hf://ada/faces", "--revision", "trial", "--tag", "v1", "--json")
    assert pushed.code == 0, pushed.err
    assert pushed.lines[0]["commit"] == hub.repos["dataset", "ada/faces"].tags["v1"]
    assert hub.repos["dataset", "ada/faces"].private
    assert "data/unsplit-00000-of-00001.parquet" in hub.files("dataset", "ada/faces", "trial")
    pulled = cli("data", "pull", "hf://ada/faces@v1", tmp_path / "back")
    assert pulled.code == 0, pulled.err
    assert same(tmp_path / "back", tmp_path / "mine")
    refused = cli("data", "pull", "hf://ada/none", tmp_path / "other", "--json")
    assert (refused.code, refused.lines[0]["error"]["code"]) == (4, "remote_not_found")
    assert hub.token not in json.dumps([pushed.out, pushed.err, pulled.out, pulled.err, refused.out])


def test_the_docs_show_every_source_that_is_built_in() -> None:
    from likeness.plugins import BUILTIN

    docs = (Path(__file__).parents[2] / "docs" / "data.md").read_text("utf-8")
    assert all(f"| `{name}` |" in docs for name in BUILTIN["source"])


def test_help_of_the_data_commands_is_whole(cli) -> None:
    done = cli("data", "--help")
    commands = done.out.partition("Commands:")[2]
    assert "..." not in commands
    assert {"list", "inspect", "download", "import", "push", "pull"} <= {
        line.split()[0] for line in commands.splitlines() if line
    }
