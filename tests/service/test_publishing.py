"""Models to others and from others: what is refused on the way out, and what a hostile source cannot do."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from hub_server import Blob, FakeHub, hub, quiet_library  # noqa: F401
from likeness.bundle import PACKAGED, Bundle, Library, write_manifest
from likeness.errors import BundleCorrupt, Conflict, InputError, LicenceMissing, LikenessError, RemoteNotFound
from likeness.service.fetching import LARGEST_BUNDLE_BYTES, pull_model
from likeness.service.publishing import push_model

pytestmark = quiet_library


def change(folder: Path, **changes: Any) -> Bundle:
    """Change a bundle's manifest, whose files stay listed."""
    manifest = json.loads((folder / "manifest.json").read_text())
    roles = {key: file["path"] for key, file in manifest.pop("files").items()}
    write_manifest(folder, manifest | changes, roles)
    return Bundle.read(folder)


def tamper(folder: Path, key: str, **changes: Any) -> None:
    """Write lies about a file into a manifest, unchecked."""
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][key] |= changes
    (folder / "manifest.json").write_text(json.dumps(manifest))


@pytest.fixture
def mine(tmp_path: Path) -> Bundle:
    """A bundle of the user's own: a real one under another name, with figures."""
    shutil.copytree(PACKAGED / "dlib-resnet-int8", tmp_path / "made" / "mine")
    figure = {
        "name": "accuracy",
        "value": 0.9912,
        "data": "LFW",
        "protocol": "ten folds | official",
        "date": "2026-11-22",
    }
    facts = {"parity": {"max_difference": 2.5e-7, "mean_cosine": 1.0, "samples": 50}}
    return change(tmp_path / "made" / "mine", name="mine", metrics=[figure], parameters={"flip": True}, origin=facts)


@pytest.fixture
def library(tmp_path: Path) -> Library:
    return Library((tmp_path / "models",), tmp_path / "cache")


@pytest.fixture
def pushed(mine: Bundle, tmp_path: Path) -> Path:
    push_model(mine, str(tmp_path / "pushed"))
    return tmp_path / "pushed"


def nothing_was_placed(library: Library) -> bool:
    own = library.own[0]
    return not own.exists() or not list(own.iterdir())


def test_a_model_goes_to_a_folder_and_comes_back_as_it_was(pushed: Path, mine: Bundle, library: Library) -> None:
    pulled = pull_model(str(pushed), library)
    assert pulled.fresh
    assert pulled.bundle.folder == library.own[0] / "mine"
    assert pulled.bundle.manifest == mine.manifest
    library.find("mine").verify()
    assert sorted(path.name for path in pulled.bundle.folder.iterdir()) == [
        "calibration.json",
        "manifest.json",
        "model.onnx",
    ]


def test_a_model_goes_to_a_hub_and_comes_back_as_it_was(hub: FakeHub, mine: Bundle, library: Library) -> None:  # noqa: F811
    there = push_model(mine, "hf://ada/faces")
    assert not there.public
    assert hub.repos["model", "ada/faces"].private
    assert set(hub.files("model", "ada/faces")) == {
        ".gitattributes",
        "README.md",
        "calibration.json",
        "manifest.json",
        "model.onnx",
    }
    steps: list[tuple[int, int]] = []
    pulled = pull_model("hf://ada/faces", library, progress=lambda done, total: steps.append((done, total)))
    assert (pulled.commit, pulled.bundle.manifest) == (there.commit, mine.manifest)
    assert steps[-1][0] == steps[-1][1] == sum(file.bytes for file in mine.manifest.files.values())
    assert sorted(path.name for path in library.own[0].iterdir()) == ["mine"]
    assert not [path for path in pulled.bundle.folder.iterdir() if path.name.startswith(".")]


def test_a_branch_is_pushed_and_pulled_by_its_name(hub: FakeHub, mine: Bundle, library: Library) -> None:  # noqa: F811
    push_model(mine, "hf://ada/faces")
    second = change(mine.folder, version="2")
    push_model(second, "hf://ada/faces", revision="trial")
    assert pull_model("hf://ada/faces@trial", library, name="second").bundle.manifest.version == "2"
    assert pull_model("hf://ada/faces", library).bundle.manifest.version == "1"
    with pytest.raises(RemoteNotFound, match="none-such"):
        pull_model("hf://ada/faces@none-such", library)


def test_only_with_public_does_a_model_become_or_reach_what_everybody_sees(hub: FakeHub, mine: Bundle) -> None:  # noqa: F811
    assert push_model(mine, "hf://ada/open", public=True).public
    assert not hub.repos["model", "ada/open"].private
    commits = len(hub.repos["model", "ada/open"].commits)
    with pytest.raises(Conflict, match="public"):
        push_model(mine, "hf://ada/open")
    assert len(hub.repos["model", "ada/open"].commits) == commits


@pytest.mark.parametrize(
    ("part", "words"),
    [("weights", ""), ("weights", "not stated: trained here"), ("data", "unknown"), ("data", "?"), ("data", "TODO")],
)
def test_a_model_that_does_not_state_its_licences_stays_here(
    mine: Bundle, tmp_path: Path, part: str, words: str
) -> None:
    licence = mine.manifest.licence.model_dump() | {part: words}
    with pytest.raises(LicenceMissing, match=part):
        push_model(change(mine.folder, licence=licence), str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_damaged_model_stays_here(mine: Bundle, tmp_path: Path) -> None:
    (mine.folder / "model.onnx").write_bytes(b"damaged")
    with pytest.raises(BundleCorrupt, match="sha256"):
        push_model(mine, str(tmp_path / "out"))
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_there_is_left_alone(mine: Bundle, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "keep.txt").write_text("kept")
    with pytest.raises(Conflict, match="there already"):
        push_model(mine, str(tmp_path / "out"))
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["keep.txt"]


@pytest.mark.parametrize("path", ["/home/ada b/weights.pt", "~/weights.pt", "../ada/weights.pt"])
def test_a_path_of_this_machine_is_not_published_and_that_is_told(mine: Bundle, tmp_path: Path, path: str) -> None:
    said: list[str] = []
    kept = {"site": "https://example.org/a.b", "network": "mobilenetv3_small_050.lamb_in1k", "versions": ["models/x.y"]}
    bundle = change(mine.folder, origin={"recipe": {"network": {"weights": path}}, **kept})
    push_model(bundle, str(tmp_path / "out"), say=said.append)
    assert any(path in line for line in said)
    published = Bundle.read(tmp_path / "out")
    assert published.manifest.origin == {"recipe": {"network": {"weights": "…/weights.pt"}}, **kept}
    assert "ada" not in (tmp_path / "out" / "README.md").read_text()
    published.verify()


def test_other_files_of_the_folder_are_not_published(mine: Bundle, tmp_path: Path) -> None:
    (mine.folder / "photo.jpg").write_bytes(b"private")
    push_model(mine, str(tmp_path / "out"))
    assert not (tmp_path / "out" / "photo.jpg").exists()


def test_the_card_tells_licences_figures_parity_calibration_and_weaknesses(pushed: Path) -> None:
    card = (pushed / "README.md").read_text()
    front = card.split("---")[1]
    assert "license: cc0-1.0" in front
    assert "library_name: likeness" in front
    for words in ("2.5e-07", "0.9912", r"ten folds \| official", "1,468", "2.5e-05", "was not measured", "CC0-1.0"):
        assert words in card
    assert "likeness models pull" in card
    assert "Not to be used" in card


def test_the_card_takes_weaknesses_and_gaps_from_a_report_about_this_model(mine: Bundle, tmp_path: Path) -> None:
    group = {"people": 40, "tar": 0.95, "fmr": 0.002}
    gaps = {"gender": {"groups": {"female": group, "male": group | {"fmr": None}}}}
    report = {
        "model": {"name": "mine"},
        "date": "2026-11-22",
        "data": {"name": "UTKFace"},
        "weaknesses": ["Only 40 people: another set may give other figures."],
        "groups": {"global_fmr": "1e-3", "labels": gaps},
    }
    (tmp_path / "report.json").write_text(json.dumps(report))
    push_model(mine, str(tmp_path / "out"), report=tmp_path / "report.json")
    card = (tmp_path / "out" / "README.md").read_text()
    assert "Only 40 people" in card
    assert "| female | 40 | 0.002 | 0.95 |" in card
    assert "too few to say" in card
    assert "was not measured" not in card
    (tmp_path / "report.json").write_text(json.dumps(report | {"model": {"name": "other"}}))
    with pytest.raises(InputError, match="other"):
        push_model(mine, str(tmp_path / "again"), report=tmp_path / "report.json")


def test_what_a_manifest_says_cannot_forge_the_card(mine: Bundle, tmp_path: Path) -> None:
    licence = mine.manifest.licence.model_dump() | {"weights": 'x"\n---\n# forged | <script>'}
    push_model(change(mine.folder, licence=licence, summary="a\n# forged <b>"), str(tmp_path / "out"))
    card = (tmp_path / "out" / "README.md").read_text()
    assert "\n# forged" not in card
    assert "\\<script>" in card
    assert card.count("\n---\n") == 1


def test_pulling_the_same_again_changes_nothing(pushed: Path, library: Library) -> None:
    assert pull_model(str(pushed), library).fresh
    assert not pull_model(str(pushed), library).fresh


def test_another_model_of_the_same_name_is_kept_and_the_new_one_may_be_called_otherwise(
    pushed: Path, library: Library
) -> None:
    first = pull_model(str(pushed), library).bundle
    change(pushed, version="9")
    with pytest.raises(Conflict, match="another model"):
        pull_model(str(pushed), library)
    assert Bundle.read(first.folder).manifest.version == "1"
    assert pull_model(str(pushed), library, name="newer").bundle.manifest.name == "newer"
    assert {"mine", "newer"} <= library.names()


@pytest.mark.parametrize("name", ["mtcnn", "dlib-resnet-int8", "dlib-resnet-float32"])
def test_nobody_elses_model_stands_before_one_that_came_with_the_installation(
    pushed: Path, library: Library, name: str
) -> None:
    change(pushed, name=name)
    with pytest.raises(Conflict, match=name):
        pull_model(str(pushed), library)
    assert nothing_was_placed(library)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"path": "../../outside.onnx"}, "manifest"),
        ({"path": "/etc/passwd"}, "manifest"),
        ({"path": ".hidden"}, "manifest"),
        ({"path": "README.md"}, "itself"),
        ({"path": "manifest.json"}, "itself"),
        ({"path": "CALIBRATION.json"}, "twice"),
        ({"path": "missing.onnx"}, "missing.onnx"),
        ({"sha256": "0" * 64}, "sha256"),
        ({"bytes": 10}, "bytes"),
        ({"bytes": LARGEST_BUNDLE_BYTES + 1}, "at most"),
    ],
)
@pytest.mark.parametrize("from_hub", [False, True], ids=["folder", "hub"])
def test_a_manifest_that_lies_places_nothing(
    hub: FakeHub,  # noqa: F811
    mine: Bundle,
    pushed: Path,
    library: Library,
    changes: dict[str, Any],
    words: str,
    from_hub: bool,
) -> None:
    source = str(pushed)
    tamper(pushed, "model", **changes)
    if from_hub:
        push_model(mine, "hf://eve/trap")
        source = "hf://eve/trap"
        repo = hub.repos["model", "eve/trap"]
        latest = repo.commits[repo.branches["main"]]
        latest["manifest.json"] = Blob((pushed / "manifest.json").read_bytes(), False)
        latest["../../outside.onnx"] = Blob(b"evil", True)
    with pytest.raises(BundleCorrupt, match=words):
        pull_model(source, library)
    assert nothing_was_placed(library)
    assert not [path for path in hub.asked if "outside" in path]


def test_files_that_the_manifest_does_not_list_are_never_fetched(
    hub: FakeHub,  # noqa: F811
    mine: Bundle,
    library: Library,
) -> None:
    push_model(mine, "hf://eve/more")
    repo = hub.repos["model", "eve/more"]
    repo.commits[repo.branches["main"]]["setup.py"] = Blob(b"print('evil')", False)
    pulled = pull_model("hf://eve/more", library)
    assert not (pulled.bundle.folder / "setup.py").exists()
    assert not [path for path in hub.asked if "setup.py" in path]


def test_bytes_that_were_changed_on_the_way_are_refused(hub: FakeHub, mine: Bundle, library: Library) -> None:  # noqa: F811
    push_model(mine, "hf://eve/changed")
    hub.tampered.add("model.onnx")
    with pytest.raises(LikenessError, match=r"model\.onnx"):
        pull_model("hf://eve/changed", library)
    assert nothing_was_placed(library)


def test_a_link_in_a_folder_is_not_followed(pushed: Path, library: Library, tmp_path: Path) -> None:
    shutil.move(pushed / "model.onnx", tmp_path / "elsewhere.onnx")
    (pushed / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(BundleCorrupt, match="link"):
        pull_model(str(pushed), library)
    assert nothing_was_placed(library)


@pytest.mark.parametrize("text", ["", "[]", "{", "null", '{"name": "x"}', '{"files": ' + "[" * 5000])
def test_what_is_no_manifest_is_refused(pushed: Path, library: Library, text: str) -> None:
    (pushed / "manifest.json").write_text(text)
    with pytest.raises(BundleCorrupt, match="manifest"):
        pull_model(str(pushed), library)
    assert nothing_was_placed(library)


def test_a_hub_that_fails_places_nothing(hub: FakeHub, mine: Bundle, library: Library) -> None:  # noqa: F811
    push_model(mine, "hf://ada/faces")
    hub.broken["resolve"] = 403
    with pytest.raises(LikenessError):
        pull_model("hf://ada/faces", library)
    assert nothing_was_placed(library)


@pytest.mark.parametrize("source", ["hf://nobody", "s3://bucket/x", "https://example.org/x"])
def test_an_address_that_is_none_is_refused(library: Library, mine: Bundle, source: str) -> None:
    with pytest.raises(InputError):
        pull_model(source, library)
    with pytest.raises(InputError):
        push_model(mine, source)


def test_a_name_that_is_none_is_refused(pushed: Path, library: Library) -> None:
    with pytest.raises(InputError, match="name"):
        pull_model(str(pushed), library, name="../evil")


def test_names_of_people_whom_a_classifier_learnt_are_never_made_public(mine: Bundle, tmp_path: Path) -> None:
    (mine.folder / "classes.npz").write_bytes(b"weights and names")
    manifest = json.loads((mine.folder / "manifest.json").read_text("utf-8"))
    roles = {key: file["path"] for key, file in manifest.pop("files").items()} | {"classes": "classes.npz"}
    write_manifest(mine.folder, manifest, roles)
    bundle, said = Bundle.read(mine.folder), []
    with pytest.raises(InputError, match="names of the people"):
        push_model(bundle, str(tmp_path / "public"), public=True)
    push_model(bundle, str(tmp_path / "own"), say=said.append)
    assert any("names of the people" in line for line in said)
