"""The library's front door: what it refuses because the answer would mean nothing."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from likeness import Recognizer, open_gallery
from likeness.bundle import write_manifest
from likeness.errors import CalibrationError, GalleryMissing, NoFace, SpaceMismatch
from likeness.gallery.base import NewFace
from likeness.settings import Settings


def test_a_gallery_of_another_model_is_refused_even_where_it_was_opened_without_a_space(
    recognizer: Recognizer, samples: Path, tmp_path: Path
) -> None:
    photo = samples / "group.jpg"
    face = recognizer.face(photo)
    assert face.embedding is not None
    with open_gallery(tmp_path / "g", space="another model's", dimension=recognizer.dimension) as gallery:
        gallery.add([NewFace("Ada", face.embedding, b"-", "1")])
    with (
        open_gallery(tmp_path / "g") as gallery,
        pytest.raises(SpaceMismatch, match="another model's"),
    ):
        recognizer.identify(photo, gallery)


def test_a_calibration_of_another_embedding_space_is_refused(recognizer: Recognizer, tmp_path: Path) -> None:
    source = recognizer._embedder_bundle
    folder = tmp_path / "mine"
    shutil.copytree(source.folder, folder)
    calibration = folder / source.manifest.files["calibration"].path
    calibration.write_text(json.dumps(json.loads(calibration.read_text()) | {"space": "elsewhere"}))
    roles = {key: file.path for key, file in source.manifest.files.items()}
    write_manifest(folder, source.manifest.model_dump(mode="json"), roles)
    with pytest.raises(CalibrationError, match="elsewhere"):
        _ = Recognizer(Settings.load({"embedder": str(folder)})).calibration


def test_a_new_gallery_without_a_space_says_what_to_state(tmp_path: Path) -> None:
    with pytest.raises(GalleryMissing, match=r"space=recognizer\.space"):
        open_gallery(tmp_path / "new.gallery")
    assert not (tmp_path / "new.gallery").exists()


@pytest.mark.parametrize(
    ("shape", "setting", "said"),
    [
        pytest.param((200, 300), None, "at least 32 pixels", id="what the detector says of itself"),
        pytest.param((1600, 2000), None, "at least 48 pixels", id="3% of a large photo's shorter side"),
        pytest.param((200, 300), 15.0, "at least 15 pixels", id="the setting"),
    ],
)
def test_a_photo_without_a_face_says_how_large_one_must_be(
    recognizer: Recognizer, shape: tuple[int, int], setting: float | None, said: str
) -> None:
    settings = recognizer.settings.model_copy(update={"min_face_px": setting})
    with pytest.raises(NoFace, match=said):
        Recognizer(settings, threads=1).face(np.full((*shape, 3), 90, np.uint8))
