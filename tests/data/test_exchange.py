"""Data sets pushed as a `DatasetDict` and pulled back: to a folder, and through a real local hub."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from source_folders import photo

from hub_server import FakeHub, hub, quiet_library  # noqa: F401
from likeness.data import exchange
from likeness.data.dataset import CropFacts, Dataset, Facts
from likeness.data.examples import row_of
from likeness.data.exchange import pull, push
from likeness.data.manifest import FoundFace, Row
from likeness.data.sources import open_source
from likeness.errors import AccessRefused, Conflict, DatasetError, InputError, PhotoMissing, RemoteNotFound, Unreachable

pytestmark = quiet_library

FACE = FoundFace((1.25, 2.5, 9.0, 8.0), ((1, 1), (2, 2), (3, 3), (4, 4), (5, 5.5)), 0.9876)


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    """Rows of all splits and none, out of order, with and without faces and labels."""
    rows = (
        Row(
            path="z/last.jpg",
            identity="Ada Lovelace",
            split="test",
            labels={"age_years": 36.0, "hair": "grey"},
            face=FACE,
        ),
        Row(path="a/first.jpg", identity="Ada Lovelace", split="train", photo="a.png", face=FoundFace((1, 2, 3, 4))),
        Row(path="a/ß 2.jpg", identity="Renée ☃", split="train", labels={"hair": 7.0}, source="lfw", licence="mine"),
        Row(path="b/1.jpg", split="validation", labels={"age_years": 0.5}),
        Row(path="c/1.jpg", identity="Al"),
    )
    folder = tmp_path / "mine"
    with_digests = []
    for shade, row in enumerate(rows):
        data = photo(shade)
        (folder / row.path).parent.mkdir(parents=True, exist_ok=True)
        (folder / row.path).write_bytes(data)
        with_digests.append(replace(row, sha256=sha256(data).hexdigest()))
    crops = CropFacts(side_px=112, template_px=((1, 2), (3, 4), (5, 6), (7, 8), (9, 10)), detector="mtcnn")
    facts = Facts(name='my "faces"', source="folder", licence="mine", crops=crops, steps=("likeness data crop",))
    Dataset(folder, facts, tuple(with_digests)).write()
    return Dataset.read(folder)


def assert_equal(pulled: Dataset, dataset: Dataset) -> None:
    assert pulled.facts == dataset.facts
    assert pulled.rows == dataset.rows
    assert pulled.digest == dataset.digest
    for row in dataset.rows:
        assert pulled.path(row).read_bytes() == dataset.path(row).read_bytes()
    for folder in (pulled.folder, dataset.folder):
        assert {path.name for path in folder.iterdir()} == {"a", "b", "c", "z", "dataset.json", "manifest.csv"}


def test_through_a_folder_a_data_set_comes_back_equal(dataset: Dataset, tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    pushed = push(dataset, str(tmp_path / "kept"), progress=lambda done, total: steps.append((done, total)))
    assert pushed.parts == {"train": 2, "validation": 1, "test": 1, "unsplit": 1}
    assert steps == [(done, 5) for done in range(1, 6)]
    (tmp_path / "back").mkdir()
    assert_equal(pull(str(tmp_path / "kept"), tmp_path / "back"), dataset)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["back", "kept", "mine"]


def test_nothing_that_is_pushed_tells_a_path_of_this_machine(dataset: Dataset, tmp_path: Path) -> None:
    words = ["likeness", "data", "crop", f"{tmp_path}/in", '/home/ada b/Ada\'s "photos"/x', "out", "--set"]
    step = shlex.join([*words, "photos=../up", "--shares", "60/20/20", "--test-people", "a/~"]) + ": 3 rows dropped"
    marked = dataset.with_rows(dataset.rows, step=step).with_rows(dataset.rows, step="import hf://ada/faces 'it'")
    push(marked, str(tmp_path / "kept"))
    for path in (tmp_path / "kept").rglob("*"):
        if path.is_file():
            assert str(tmp_path).encode() not in path.read_bytes()
    assert pull(str(tmp_path / "kept"), tmp_path / "back").facts.steps == (
        *dataset.facts.steps,
        "likeness data crop … … out --set … --shares 60/20/20 --test-people … 3 rows dropped",
        "import hf://ada/faces 'it'",
    )


def test_photos_do_not_go_into_a_public_repository_unasked(hub: FakeHub, dataset: Dataset) -> None:  # noqa: F811
    push(dataset, "hf://ada/faces", private=False)
    before = len(hub.repos["dataset", "ada/faces"].messages)
    with pytest.raises(Conflict, match="public"):
        push(dataset.with_rows(dataset.rows[:1], step="one"), "hf://ada/faces")
    assert len(hub.repos["dataset", "ada/faces"].messages) == before


def test_what_is_in_the_folder_reads_with_their_library_alone(dataset: Dataset, tmp_path: Path) -> None:
    from datasets import DatasetDict, load_from_disk

    push(dataset, str(tmp_path / "kept"))
    loaded = load_from_disk(str(tmp_path / "kept"))
    assert isinstance(loaded, DatasetDict)
    assert loaded["train"]["identity"] == ["Ada Lovelace", "Renée ☃"]
    assert loaded["test"][0]["image"].size == (12, 10)
    assert loaded["test"][0]["age_years"] == 36.0
    card = (tmp_path / "kept" / "README.md").read_text()
    assert "5 photos of 3 people" in card
    assert dataset.digest in card


def test_versions_in_a_folder_are_tags(dataset: Dataset, tmp_path: Path) -> None:
    kept = str(tmp_path / "kept")
    push(dataset, kept, tag="v1")
    smaller = dataset.with_rows(dataset.rows[:2], step="first two")
    push(smaller, kept, tag="v2")
    assert len(pull(kept, tmp_path / "one", revision="v1").rows) == 5
    assert len(pull(kept, tmp_path / "two", revision="v2").rows) == 2
    with pytest.raises(Conflict, match="holds a data set already"):
        push(smaller, kept, tag="v1")
    push(smaller, kept, tag="v1", replace=True)
    assert len(pull(kept, tmp_path / "three", revision="v1").rows) == 2
    with pytest.raises(PhotoMissing, match="no folder"):
        pull(kept, tmp_path / "four", revision="v3")
    for name in ("../v1", "", "a/b"):
        with pytest.raises(InputError, match="cannot be the name of a version"):
            push(smaller, kept, tag=name)


def test_nothing_of_anybody_else_is_written_over(dataset: Dataset, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(Conflict, match="no pushed data set"):
        push(dataset, str(tmp_path / "other"), replace=True)
    push(dataset, str(tmp_path / "kept"))
    with pytest.raises(Conflict, match="is there already"):
        pull(str(tmp_path / "kept"), tmp_path / "other")
    assert [path.name for path in (tmp_path / "other").iterdir()] == ["notes.txt"]


def test_a_photo_that_was_changed_or_lost_is_not_pushed(dataset: Dataset, tmp_path: Path) -> None:
    (dataset.folder / "b" / "1.jpg").write_bytes(b"other")
    with pytest.raises(DatasetError, match=r"'b/1\.jpg' is another file"):
        push(dataset, str(tmp_path / "kept"))
    (dataset.folder / "b" / "1.jpg").unlink()
    with pytest.raises(DatasetError, match=r"'b/1\.jpg', which cannot be read"):
        push(dataset, str(tmp_path / "kept"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_label_must_not_hide_a_column(dataset: Dataset, tmp_path: Path) -> None:
    odd = dataset.with_rows([replace(dataset.rows[0], labels={"image": "x"})], step="")
    with pytest.raises(DatasetError, match="the label 'image'"):
        push(odd, str(tmp_path / "kept"))


@pytest.mark.parametrize("path", ["../out.jpg", "/etc/out.jpg", "a/../../out.jpg", "C:/out.jpg", "a\\..\\out.jpg", ""])
def test_a_path_that_leaves_the_folder_is_not_pulled(dataset: Dataset, tmp_path: Path, path: str) -> None:
    from datasets import load_from_disk

    push(dataset, str(tmp_path / "kept"))
    parts = load_from_disk(str(tmp_path / "kept"))
    parts["train"] = parts["train"].map(lambda example: {"path": path})
    parts.save_to_disk(str(tmp_path / "forged"))
    (tmp_path / "forged" / "dataset.json").write_bytes((tmp_path / "kept" / "dataset.json").read_bytes())
    with pytest.raises(DatasetError, match="leads out of its folder"):
        pull(str(tmp_path / "forged"), tmp_path / "deep" / "back")
    assert list((tmp_path / "deep").iterdir()) == []


def test_through_a_hub_a_data_set_comes_back_equal(hub: FakeHub, dataset, tmp_path, monkeypatch) -> None:  # noqa: F811
    monkeypatch.setattr(exchange, "SHARD_BYTES", 700)
    pushed = push(dataset, "hf://ada/faces", tag="v1")
    assert hub.repos["dataset", "ada/faces"].private
    assert [path for path in hub.files("dataset", "ada/faces") if path.startswith("data/train")] == [
        "data/train-00000-of-00002.parquet",
        "data/train-00001-of-00002.parquet",
    ]
    assert pushed.commit == hub.repos["dataset", "ada/faces"].branches["main"]
    assert_equal(pull("hf://ada/faces", tmp_path / "back"), dataset)

    smaller = dataset.with_rows(dataset.rows[1:2], step="one")
    push(smaller, "hf://ada/faces")
    assert [path for path in hub.files("dataset", "ada/faces") if path.startswith("data/")] == [
        "data/train-00000-of-00001.parquet"
    ]
    assert len(pull("hf://ada/faces", tmp_path / "new").rows) == 1
    assert_equal(pull("hf://ada/faces@v1", tmp_path / "old"), dataset)
    assert_equal(pull("hf://ada/faces", tmp_path / "old too", revision="v1"), dataset)


def test_their_library_loads_it_from_the_hub(hub: FakeHub, dataset, tmp_path) -> None:  # noqa: F811
    push(dataset, "hf://ada/faces", private=False)
    code = (
        "from datasets import load_dataset; d = load_dataset('ada/faces');"
        "print({k: len(v) for k, v in d.items()}, list(d['train']['identity']), d['train'][0]['image'].size)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], env=dict(os.environ), capture_output=True, text=True, timeout=120, check=False
    )
    assert done.stdout.strip() == (
        "{'train': 2, 'validation': 1, 'test': 1, 'unsplit': 1} ['Ada Lovelace', 'Renée ☃'] (12, 10)"
    ), done.stderr[-2000:]


def test_a_hub_that_refuses_is_said_before_the_work(hub, dataset, tmp_path, monkeypatch) -> None:  # noqa: F811
    with pytest.raises(RemoteNotFound):
        pull("hf://ada/none", tmp_path / "back")
    monkeypatch.setenv("HF_TOKEN", "hf_wrong")
    with pytest.raises(AccessRefused):
        push(dataset, "hf://ada/faces")
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(Unreachable):
        push(dataset, "hf://ada/faces")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["mine"]


def test_a_foreign_data_set_is_imported_not_pulled(hub: FakeHub, tmp_path, monkeypatch) -> None:  # noqa: F811
    from datasets import ClassLabel, DatasetDict, Features, Image, Value
    from datasets import Dataset as Theirs

    shots = [{"bytes": photo(shade), "path": None} for shade in range(3)] + [{"bytes": b"no picture", "path": None}]
    features = Features({"img": Image(), "label": ClassLabel(names=["Ada", "Al"]), "age": Value("int32")})
    part = Theirs.from_dict({"img": shots, "label": [0, 1, 0, 1], "age": [36, 41, 2, 3]}, features=features)
    DatasetDict({"train": part, "holdout": part.select([0])}).save_to_disk(str(tmp_path / "theirs"))
    with pytest.raises(DatasetError, match="no data set that Likeness pushed") as caught:
        pull(str(tmp_path / "theirs"), tmp_path / "back")
    assert "--source huggingface" in (caught.value.hint or "")

    found = open_source(tmp_path / "theirs", cache=tmp_path / "cache")
    assert [(row.path, row.identity, row.split, dict(row.labels)) for row in found.rows] == [
        ("train/0000000.jpg", "Ada", "train", {"age": 36.0}),
        ("train/0000001.jpg", "Al", "train", {"age": 41.0}),
        ("train/0000002.jpg", "Ada", "train", {"age": 2.0}),
        ("holdout/0000000.jpg", "Ada", "", {"age": 36.0}),
    ]
    assert (found.folder / "train" / "0000001.jpg").read_bytes() == photo(1)
    assert len(found.skipped) == 1
    again = open_source(tmp_path / "theirs", "huggingface", cache=tmp_path / "cache")
    assert again.rows == found.rows
    by_age = open_source(tmp_path / "theirs", cache=tmp_path / "cache", label="age")
    assert by_age.rows[0].identity == "36.0"
    with pytest.raises(DatasetError, match="no column 'who'"):
        open_source(tmp_path / "theirs", cache=tmp_path / "cache", label="who")


def test_a_data_set_of_the_hub_is_a_source(hub: FakeHub, dataset, tmp_path) -> None:  # noqa: F811
    push(dataset, "hf://ada/faces")
    found = open_source("hf://ada/faces", cache=tmp_path / "cache")
    assert found.source.name == "huggingface"
    assert [row.identity for row in found.rows] == ["Ada Lovelace", "Renée ☃", "", "Ada Lovelace", "Al"]
    hub.asked.clear()
    assert open_source("hf://ada/faces", cache=tmp_path / "cache").rows == found.rows
    assert len(hub.asked) == 1  # which commit it is


def test_folders_of_images_load_as_their_library_reads_them(tmp_path: Path) -> None:
    for shade, name in enumerate(("train/Ada/1.jpg", "train/Al/1.png", "test/Ada/2.jpg")):
        (tmp_path / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "images" / name).write_bytes(photo(shade))
    found = open_source(tmp_path / "images", "huggingface", cache=tmp_path / "cache")
    assert sorted((row.identity, row.split) for row in found.rows) == [
        ("Ada", "test"),
        ("Ada", "train"),
        ("Al", "train"),
    ]


def test_what_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "theirs" / "train.parquet").write_bytes(b"no parquet")
    with pytest.raises(DatasetError, match="cannot be loaded as a Hugging Face data set"):
        open_source(tmp_path / "theirs", cache=tmp_path / "cache")


def test_a_table_that_names_a_file_of_yours_does_not_get_it(tmp_path: Path) -> None:
    import datasets
    import pyarrow
    from pyarrow import parquet

    (tmp_path / "private.jpg").write_bytes(photo(1))
    (tmp_path / "theirs").mkdir()
    features = datasets.Features({"image": datasets.Image(), "label": datasets.Value("string")})
    rows = [
        {"image": {"bytes": None, "path": str(tmp_path / "private.jpg")}, "label": "Ada"},
        {"image": {"bytes": photo(2), "path": "a.jpg"}, "label": "Al"},
    ]
    parquet.write_table(pyarrow.Table.from_pylist(rows, features.arrow_schema), tmp_path / "theirs" / "a.parquet")
    found = open_source(tmp_path / "theirs", "huggingface", cache=tmp_path / "cache")
    assert [row.identity for row in found.rows] == ["Al"]
    assert found.reasons() == {"a file that is no part of the data set": 1}


@pytest.mark.parametrize(
    "change", [{"position": None}, {"sha256": ...}, {"image": "x"}, {"hair": [1]}, {"box_xyxy_px": ["a"] * 4}]
)
def test_a_row_that_was_tampered_with_is_said_to_be_so(change: dict) -> None:
    example = {"path": "a.jpg", "position": 0, "image": {"bytes": b"x"}, "identity": "", "source": "", "licence": ""}
    example |= {"photo": "", "sha256": ""} | change
    example = {name: value for name, value in example.items() if value is not ...}
    with pytest.raises(DatasetError, match=r"malformed|no bytes"):
        row_of(example, "train")
