"""What becomes of each file of the corpus that `scripts/make_hostile.py` made: who reads it, and how that ends."""

from __future__ import annotations

import pickle
import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from make_hostile import MARK

from likeness.bundle import CLASSES, Bundle, Library
from likeness.calibration import Calibration
from likeness.data.manifest import Row
from likeness.data.sources.table import Table
from likeness.data.unpack import unpack
from likeness.errors import LikenessError
from likeness.evaluate.classes import Classes
from likeness.evaluate.report import read_report
from likeness.intake.cuttings import Cutting
from likeness.service.cards import read_card
from likeness.service.encodings import read_encodings
from likeness.service.fetching import pull_model
from likeness.settings import Settings
from likeness.train.recipe import load_recipe
from likeness.vision.decode import decode_photo
from likeness.vision.video import read_frames

FILES = Path(__file__).parent / "files"
SOUND = "sound"


def photo(path: Path, here: Path) -> None:
    assert decode_photo(path).pixels.shape[2] == 3


def video(path: Path, here: Path) -> None:
    assert 0 < len(list(read_frames(path))) < 50


def archive(path: Path, here: Path) -> None:
    unpack(path, here / "out")


def settings(path: Path, here: Path) -> None:
    Settings.load(environment={}, config=str(path))


def recipe(path: Path, here: Path) -> None:
    load_recipe(str(path))


def card(path: Path, here: Path) -> None:
    read_card(path)


def calibration(path: Path, here: Path) -> None:
    Calibration.read(path)


def report(path: Path, here: Path) -> None:
    read_report(path)


def table(path: Path, here: Path) -> None:
    rows = [each for each in Table().entries(path) if isinstance(each, Row)]
    assert rows == []  # none of its photos is there, and none outside is looked for


def bundle(path: Path, here: Path) -> None:
    found = Bundle.read(path).load(threads=1).embed(np.zeros((1, 8, 8, 3), np.uint8))
    assert found.shape == (1, 4)


def pulled(path: Path, here: Path) -> None:
    pull_model(str(path), Library((here / "models",), here / "cache"))


ROWS: list[tuple[str, Callable[[Path, Path], None], str]] = [
    ("photos/claims-60000.png", photo, "photo_too_large"),
    ("photos/claims-65535.gif", photo, "photo_too_large"),
    ("photos/claims-65500.jpg", photo, "photo_too_large"),
    ("photos/text-bomb.png", photo, "photo_corrupt"),
    ("photos/profile-bomb.png", photo, "photo_corrupt"),
    ("photos/pixels-bomb.png", photo, SOUND),
    ("photos/cut-off.jpg", photo, "photo_truncated"),
    ("photos/cut-off.heic", photo, "photo_truncated"),
    ("photos/a-png.jpg", photo, SOUND),
    ("photos/a-page.jpg", photo, "photo_unsupported"),
    ("photos/a-drawing.jpg", photo, "photo_unsupported"),
    ("photos/a-program.jpg", photo, "photo_unsupported"),
    ("photos/and-a-zip.jpg", photo, SOUND),
    ("photos/and-a-page.gif", photo, SOUND),
    ("photos/moving.webp", photo, SOUND),
    ("photos/ten-thousand-frames.gif", photo, SOUND),
    ("photos/four-inks.jpg", photo, SOUND),
    ("photos/sixteen-bits.png", photo, SOUND),
    ("photos/turned-999.jpg", photo, SOUND),
    ("photos/looped.tif", photo, SOUND),
    ("photos/odd-profile.jpg", photo, SOUND),
    ("photos/lab-profile.jpg", photo, SOUND),
    ("photos/only-a-type.heic", photo, "photo_corrupt"),
    ("photos/deep-boxes.heic", photo, "photo_corrupt"),
    ("photos/endless-box.heic", photo, "photo_truncated"),
    ("videos/claims-65535.mov", video, SOUND),
    ("videos/frames-claim-65500.mov", video, "video_unusable"),
    ("videos/claims-years.mov", video, SOUND),
    ("videos/a-playlist.mp4", video, "video_unusable"),
    ("videos/a-list.mp4", video, "video_unusable"),
    ("videos/cut-off.mov", video, "video_unusable"),
    ("videos/only-a-type.mp4", video, "video_unusable"),
    *((f"archives/{name}", archive, "download_corrupt") for name in (
        "slip.zip", "slip-windows.zip", "rooted.zip", "drive.zip", "link.zip", "locked.zip", "zeros.zip",
        "claims-4-gib.zip", "slip.tar", "rooted.tar", "link.tar", "link-then-file.tar", "hard-link.tar", "device.tar",
        "pipe.tar", "zeros.tar.gz", "name-bomb.tar.gz",
    )),
    ("texts/deep.json", card, "profile_invalid"),
    ("texts/deep.json", calibration, "calibration_invalid"),
    ("texts/deep-lists.json", report, "dataset_invalid"),
    ("texts/deep-lists.json", calibration, "calibration_invalid"),
    ("texts/long-number.json", card, "profile_invalid"),
    ("texts/not-a-number.json", card, "profile_invalid"),
    ("texts/deep.toml", settings, "settings_invalid"),
    ("texts/deep.toml", recipe, "recipe_invalid"),
    ("texts/long-number.toml", settings, "settings_invalid"),
    ("texts/long-number.toml", recipe, "recipe_invalid"),
    ("texts/wide-cell.csv", table, "dataset_invalid"),
    ("texts/no-text.csv", table, "dataset_invalid"),
    ("texts/leaves.csv", table, SOUND),
    ("texts/formula.csv", table, SOUND),
    ("bundles/listed-outside", bundle, "bundle_corrupt"),
    ("bundles/listed-outside", pulled, "bundle_corrupt"),
    ("bundles/listed-by-root", bundle, "bundle_corrupt"),
    ("bundles/listed-by-root", pulled, "bundle_corrupt"),
    ("bundles/engine-of-python", bundle, "settings_invalid"),
    ("bundles/deep-parameters", bundle, "bundle_corrupt"),
    ("bundles/deep-parameters", pulled, "bundle_corrupt"),
    ("bundles/weights-outside", bundle, "bundle_corrupt"),
    ("bundles/weights-by-root", bundle, "bundle_corrupt"),
    ("bundles/weights-beside", bundle, "bundle_corrupt"),
    ("bundles/own-operator", bundle, "bundle_corrupt"),
    ("bundles/another-dimension", bundle, "bundle_corrupt"),
    ("bundles/no-numbers", bundle, "bundle_corrupt"),
    ("bundles/other-inputs", bundle, "bundle_corrupt"),
    ("bundles/not-a-network", bundle, "bundle_corrupt"),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
@pytest.mark.timeout(60)
@pytest.mark.parametrize(("file", "reader", "code"), ROWS, ids=[f"{row[0]} as a {row[1].__name__}" for row in ROWS])
def test_a_hostile_file_ends_as_it_should(file, reader, code, tmp_path) -> None:
    here = tmp_path / "far" / "below" / "here"  # what climbs out of it is still in sight
    here.mkdir(parents=True)
    try:
        reader(FILES / file, here)
        ended = SOUND
    except LikenessError as error:
        ended = error.code
    assert ended == code
    written = [path for path in tmp_path.rglob("*") if not path.is_dir()]
    assert ended == SOUND or written == []
    assert [path for path in written if here not in path.parents] == []


def test_every_file_of_the_corpus_is_given_to_a_reader() -> None:
    given = {row[0] for row in ROWS} | {f"pickles/{path.name}" for path in (FILES / "pickles").iterdir()}
    there = {path.relative_to(FILES).as_posix() for path in FILES.glob("*/*")}
    assert there == given


def test_a_bundle_whose_network_is_a_link_is_not_pulled(tmp_path) -> None:
    source = tmp_path / "source"
    shutil.copytree(FILES / "bundles" / "no-numbers", source)
    (source / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (source / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(LikenessError, match="link"):
        pull_model(str(source), Library((tmp_path / "models",), tmp_path / "cache"))
    assert not (tmp_path / "models" / "hostile").exists()


def in_a_bundle(content: bytes, here: Path) -> Bundle:
    """A bundle that lists the content as its classes."""
    import hashlib
    import json

    from make_hostile import MANIFEST

    entry = {"path": "classes.npz", "sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
    (here / "classes.npz").write_bytes(content)
    (here / "manifest.json").write_text(json.dumps(MANIFEST | {"files": {CLASSES: entry}}))
    return Bundle.read(here)


def checkpoint(path: Path, here: Path) -> None:
    from likeness.train.states import read_state

    read_state(path)


def weights(path: Path, here: Path) -> None:
    import torch

    from likeness.train.networks import load_weights

    load_weights(torch.nn.Linear(2, 2), path)


def kept_embeddings(path: Path, here: Path) -> None:
    from likeness.evaluate.embeddings import read_part

    read_part(path)


def imported(path: Path, here: Path) -> None:
    from likeness.cli import run

    where = ["--gallery", str(here / "people.gallery")]
    if run(["import", "face-recognition", str(path), *where]):
        raise ValueError("refused")


def bundle_of(path: Path, here: Path) -> None:
    shutil.copytree(FILES / "bundles" / "not-a-network", here / "bundle")
    shutil.copyfile(path, here / "bundle" / "model.onnx")
    bundle(here / "bundle", here)


def gallery_of(path: Path, here: Path) -> None:
    from likeness.gallery import open_gallery

    shutil.copyfile(path, here / "people.gallery")
    open_gallery(here / "people.gallery", create=False)


ENTRIES: dict[str, Callable[[Path, Path], object]] = {
    "an import, by its reader": lambda path, here: read_encodings(path),
    "an import, by the command": imported,
    "faces between two steps": lambda path, here: Cutting.read(path.read_bytes()),
    "the classes of a bundle": lambda path, here: Classes.of(in_a_bundle(path.read_bytes(), here)),
    "the network of a bundle": bundle_of,
    "a bundle from elsewhere": lambda path, here: pull_model(str(here), Library((here / "models",), here)),
    "kept embeddings": kept_embeddings,
    "a checkpoint": checkpoint,
    "weights of another network": weights,
    "a photo": photo,
    "a video": video,
    "an archive": archive,
    "a calibration": calibration,
    "a gallery": gallery_of,
}


@pytest.mark.parametrize("entry", ENTRIES)
@pytest.mark.parametrize("name", sorted(path.name for path in (FILES / "pickles").iterdir()))
def test_code_in_a_file_is_not_run_wherever_it_is_given(entry, name, tmp_path, monkeypatch) -> None:
    path = tmp_path / name
    shutil.copyfile(FILES / "pickles" / name, path)
    monkeypatch.chdir(tmp_path)
    with suppress(LikenessError, ValueError, KeyError):  # two are sound archives of one file
        ENTRIES[entry](path, tmp_path)
    assert not (tmp_path / MARK).exists()


@pytest.mark.parametrize(
    ("name", "opened"),
    [
        ("code.pickle", lambda path: pickle.loads(path.read_bytes())),
        ("code-old.pickle", lambda path: pickle.loads(path.read_bytes())),
        ("code-by-instance.pickle", lambda path: pickle.loads(path.read_bytes())),
        ("code-by-array.pickle", lambda path: pickle.loads(path.read_bytes())),
        ("code-old.ckpt", lambda path: pickle.loads(path.read_bytes())),
        ("code.npy", lambda path: np.load(path, allow_pickle=True)),
        ("code.npz", lambda path: np.load(path, allow_pickle=True)["weights"]),
    ],
)
def test_the_code_in_these_files_does_run_where_nothing_keeps_it_from_it(name, opened, tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened(FILES / "pickles" / name)
    assert (tmp_path / MARK).is_dir()
    Path(MARK).rmdir()
