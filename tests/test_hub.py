"""Talking to a hub: a real local server, and every way in which it says no."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from hub_server import Blob, FakeHub, hub, quiet_library  # noqa: F401
from likeness.errors import (
    AccessRefused,
    Conflict,
    DownloadCorrupt,
    InputError,
    RemoteError,
    RemoteNotFound,
    Unreachable,
)
from likeness.hub import Repository, open_hub

pytestmark = quiet_library


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mine" / "data").mkdir(parents=True)
    (tmp_path / "mine" / "README.md").write_text("---\nlicense: mit\n---\n# Mine\n")
    (tmp_path / "mine" / "model.onnx").write_bytes(bytes(range(256)) * 40)
    (tmp_path / "mine" / "data" / "empty.txt").write_bytes(b"")
    return tmp_path / "mine"


def below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_a_folder_comes_back_byte_for_byte(hub: FakeHub, folder: Path, tmp_path: Path, kind) -> None:  # noqa: F811
    there = open_hub()
    assert there.endpoint == hub.url
    assert hub.url in there.create("ada/mine", kind)
    there.create("ada/mine", kind)  # once more changes nothing
    commit = there.upload(folder, "ada/mine", kind, message="First", tag="v1")
    steps: list[tuple[int, int]] = []
    got = there.download("ada/mine", kind, tmp_path / "got", progress=lambda done, total: steps.append((done, total)))
    assert got == commit
    assert below(folder).items() <= below(tmp_path / "got").items()
    assert set(below(tmp_path / "got")) - set(below(folder)) == {".gitattributes"}
    assert steps[-1][0] == steps[-1][1] > 0
    assert hub.repos[kind, "ada/mine"].private
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


def test_versions_are_branches_and_tags_and_old_files_vanish_when_asked(hub, folder, tmp_path) -> None:  # noqa: F811
    there = open_hub()
    there.create("ada/mine", "model", private=False)
    there.upload(folder, "ada/mine", "model", message="First", tag="v1")
    (folder / "data" / "empty.txt").rename(folder / "data" / "other.txt")
    (folder / "README.md").write_text("second")
    there.upload(folder, "ada/mine", "model", message="Second", replace=("data/*",))
    there.upload(folder, "ada/mine", "model", message="Third", branch="trial")
    assert hub.files("model", "ada/mine")["README.md"] == b"second"
    assert "data/empty.txt" not in hub.files("model", "ada/mine")
    assert "data/empty.txt" in hub.files("model", "ada/mine", "v1")
    there.download("ada/mine", "model", tmp_path / "old", revision="v1")
    assert (tmp_path / "old" / "README.md").read_text() == "---\nlicense: mit\n---\n# Mine\n"
    there.download("ada/mine", "model", tmp_path / "trial", revision="trial")
    assert (tmp_path / "trial" / "data" / "other.txt").exists()
    commits = len(hub.repos["model", "ada/mine"].commits)
    with pytest.raises(Conflict, match="has a tag 'v1' already"):
        there.upload(folder, "ada/mine", "model", message="Again", tag="v1")
    assert len(hub.repos["model", "ada/mine"].commits) == commits


def test_what_is_missing_is_not_found(hub, tmp_path) -> None:  # noqa: F811
    there = open_hub()
    with pytest.raises(RemoteNotFound, match="'ada/none' on the hub does not exist"):
        there.download("ada/none", "model", tmp_path / "out")
    there.create("ada/mine", "model")
    with pytest.raises(RemoteNotFound, match="no revision 'v9'"):
        there.download("ada/mine", "model", tmp_path / "out", revision="v9")
    assert not (tmp_path / "out").exists()


def test_a_wrong_token_is_refused_and_never_shown(hub, folder, monkeypatch) -> None:  # noqa: F811
    open_hub().create("ada/open", "model", private=False)
    open_hub().create("ada/mine", "model", private=True)
    monkeypatch.setenv("HF_TOKEN", "hf_wrongSecret")
    errors = []
    for act in (
        lambda: open_hub().create("ada/new", "model"),
        lambda: open_hub().upload(folder, "ada/open", "model", message="x"),
        lambda: open_hub().commit("ada/mine", "model"),
    ):
        with pytest.raises((AccessRefused, RemoteNotFound)) as caught:
            act()
        errors.append(caught.value)
    assert [type(error) for error in errors] == [AccessRefused, AccessRefused, RemoteNotFound]
    assert all("HF_TOKEN" in (error.hint or "") for error in errors)
    hub.broken["/api/models"] = 400  # whose message repeats the token
    with pytest.raises(RemoteError, match="400") as said:
        open_hub().commit("ada/open", "model")
    assert "hf_wrongSecret" not in "".join(map(str, [*errors, said.value]))


def test_a_hub_that_fails_or_is_not_there_says_so(hub, folder, tmp_path, monkeypatch) -> None:  # noqa: F811
    hub.broken["/api/repos"] = 500
    with pytest.raises(RemoteError, match="500") as failed:
        open_hub().create("ada/mine", "model")
    assert failed.value.hint == "try again later"
    hub.broken = {"/lfs/": 500}  # the library wraps what happens to a large file
    there = open_hub()
    there.create("ada/mine", "model")
    monkeypatch.setattr("huggingface_hub.utils._http.time.sleep", lambda seconds: None)
    with pytest.raises(RemoteError, match="500"):
        there.upload(folder, "ada/mine", "model", message="First")
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{unused.getsockname()[1]}")
        with pytest.raises(Unreachable, match=r"cannot be reached: Connection refused") as away:
            open_hub().download("ada/mine", "model", tmp_path / "out")
    assert "network" in (away.value.hint or "")
    assert away.value.exit_code == 8


def test_other_bytes_than_promised_are_no_download_and_the_rest_is_kept(hub, folder, tmp_path) -> None:  # noqa: F811
    there = open_hub()
    there.create("ada/mine", "model")
    there.upload(folder, "ada/mine", "model", message="First")
    hub.tampered.add("model.onnx")
    with pytest.raises(DownloadCorrupt, match=r"model\.onnx"):
        there.download("ada/mine", "model", tmp_path / "out")
    assert not (tmp_path / "out").exists()
    hub.tampered.clear()
    hub.asked.clear()
    there.download("ada/mine", "model", tmp_path / "out")
    assert below(folder).items() <= below(tmp_path / "out").items()
    assert not any(asked.startswith("GET") and asked.endswith("README.md") for asked in hub.asked)


def test_a_file_outside_of_the_repositorys_folder_stops_it_before_anything_is_written(hub, folder, tmp_path) -> None:  # noqa: F811
    there = open_hub()
    there.create("eve/trap", "dataset")
    there.upload(folder, "eve/trap", "dataset", message="First")
    repo = hub.repos["dataset", "eve/trap"]
    repo.commits[repo.branches["main"]]["../../outside.txt"] = Blob(b"out", False)
    with pytest.raises(DownloadCorrupt, match="outside of its folder"):
        there.download("eve/trap", "dataset", tmp_path / "deep" / "got")
    assert not (tmp_path / "deep").exists()


def test_a_folder_with_something_in_it_is_not_written_over(hub, folder) -> None:  # noqa: F811
    with pytest.raises(InputError, match="is there already"):
        open_hub().download("ada/mine", "model", folder)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hf://ada/mine", Repository("ada/mine")),
        ("hf://ada/mine@v1.0", Repository("ada/mine", "v1.0")),
        ("hf://datasets/ada/mine@refs/pr/1", Repository("ada/mine", "refs/pr/1")),
    ],
)
def test_an_address_names_owner_name_and_revision(text, expected) -> None:
    assert Repository.parse(text) == expected


@pytest.mark.parametrize("text", ["ada/mine", "hf://mine", "hf://a/b/c", "hf://ada/mine@", "hf:///"])
def test_other_addresses_are_refused(text) -> None:
    with pytest.raises(InputError, match="names no repository"):
        Repository.parse(text)
