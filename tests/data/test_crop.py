"""From photos to aligned crops: what is written, what is refused, and what a stopped run leaves."""

from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from crop_folders import crop_folder
from PIL import Image

from likeness.data.contact import crop_sheet, suspect_sheet
from likeness.data.crop import open_cropper
from likeness.data.cropnames import CropNames, safe_name
from likeness.data.dataset import Dataset
from likeness.data.embeddings import embed_crops, load_crop
from likeness.data.manifest import FoundFace, Row
from likeness.data.splits import split_by_person
from likeness.errors import DatasetError, ModelError, StorageError
from likeness.settings import Settings


def test_each_photo_becomes_a_crop_in_its_persons_folder(cropped, samples):
    assert len(cropped.rows) == 48
    first = cropped.rows[0]
    person, name = first.photo.split("/")
    assert (first.path, first.identity) == (f"crops/{person}/{name}", person)
    assert (samples / "people" / first.photo).is_file()
    assert all(load_crop(cropped.path(row), 150).shape == (150, 150, 3) for row in cropped.rows[:5])


def test_a_crop_gives_the_embedding_that_the_recognizer_gives_the_photo(cropped, samples, recognizer):
    bundle = recognizer.settings.library().find(recognizer.settings.embedder)
    rows = cropped.rows[:6]
    vectors = embed_crops(Dataset(cropped.folder, cropped.facts, rows), bundle)
    for row, vector in zip(rows, vectors, strict=True):
        face = recognizer.face(samples / "people" / row.photo)
        assert float(face.embedding @ vector) > 0.995  # JPEG changes a little
        assert np.allclose(face.box_xyxy_px, row.face.box_xyxy_px, atol=0.011)
        assert np.allclose(face.landmarks_px, row.face.landmarks_px, atol=0.011)


def test_the_landmarks_lie_where_the_template_says(cropped):
    from likeness.vision.align import similarity_transform

    template = np.array(cropped.facts.crops.template_px)
    for row in cropped.rows[:8]:
        points = np.array(row.face.landmarks_px)
        moved = np.column_stack([points, np.ones(5)]) @ similarity_transform(points, template).T
        assert np.abs(moved - template).mean() < 6


def test_another_side_scales_the_template(few, tmp_path):
    done = crop_folder(few(1), tmp_path / "out", side_px=112)
    facts = done.dataset.facts.crops
    assert facts.side_px == 112
    assert load_crop(done.dataset.path(done.dataset.rows[0]), 112).shape == (112, 112, 3)
    own = open_cropper(Settings.load()).facts
    assert np.allclose(np.array(facts.template_px) / 112, np.array(own.template_px) / own.side_px, atol=1e-4)


def test_crops_of_another_size_are_scaled_for_the_embedder(few, tmp_path, recognizer):
    bundle = recognizer.settings.library().find(recognizer.settings.embedder)
    photos = few(1)
    small = embed_crops(crop_folder(photos, tmp_path / "small", side_px=112).dataset, bundle)
    own = embed_crops(crop_folder(photos, tmp_path / "own").dataset, bundle)
    assert (np.einsum("nd,nd->n", small, own) > 0.97).all()


def test_crops_aligned_for_another_model_are_not_embedded(cropped, recognizer):
    bundle = recognizer.settings.library().find(recognizer.settings.embedder)
    crops = cropped.facts.crops
    moved = tuple((x + 10, y) for x, y in crops.template_px)
    facts = cropped.facts.model_copy(update={"crops": crops.model_copy(update={"template_px": moved})})
    with pytest.raises(DatasetError, match="aligned otherwise"):
        embed_crops(Dataset(cropped.folder, facts, cropped.rows), bundle)


def test_a_detector_cannot_say_how_to_align():
    with pytest.raises(ModelError, match="mtcnn is no embedder"):
        open_cropper(Settings.load({"embedder": "mtcnn"}))


@pytest.mark.parametrize("pick", ["central", "largest", "only"])
def test_of_several_faces_the_one_that_is_meant_is_taken(pick, samples, tmp_path, recognizer):
    (tmp_path / "photos" / "Ann").mkdir(parents=True)
    photo = tmp_path / "photos" / "Ann" / "group.jpg"
    photo.write_bytes((samples / "group.jpg").read_bytes())
    done = crop_folder(tmp_path / "photos", tmp_path / "out", pick=pick)
    if pick == "only":
        assert (done.refused, done.dataset.rows) == (1, ())
        return
    x1, y1, x2, y2 = done.dataset.rows[0].face.box_xyxy_px
    boxes = np.array([face.box_xyxy_px for face in recognizer.faces(photo, embed=False)])
    size = recognizer.photo(photo).size_px
    if pick == "largest":
        expected = boxes[0]  # the recognizer gives the largest first
    else:
        middles = (boxes[:, :2] + boxes[:, 2:]) / 2
        expected = boxes[np.hypot(*(middles - np.array(size) / 2).T).argmin()]
    assert np.allclose((x1, y1, x2, y2), expected, atol=0.011)


def test_where_the_source_knows_the_box_that_face_is_taken(samples, tmp_path, recognizer):
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "group.jpg").write_bytes((samples / "group.jpg").read_bytes())
    boxes = [face.box_xyxy_px for face in recognizer.faces(samples / "group.jpg", embed=False)]
    known = [Row(path="group.jpg", identity=f"P{at}", face=FoundFace(box)) for at, box in enumerate(boxes)]
    nowhere = Row(path="group.jpg", identity="Nobody", face=FoundFace((0, 0, 3, 3)))
    cropper = open_cropper(Settings.load())
    from likeness.data.crop import crop_dataset
    from likeness.data.dataset import Facts

    facts = Facts(name="boxes", source="csv", steps=("test",))
    done = crop_dataset([*known, nowhere], tmp_path / "photos", cropper, tmp_path / "out", facts=facts)
    assert (done.cut, done.refused) == (len(boxes), 1)
    for row, box in zip(done.dataset.rows, boxes, strict=True):
        assert np.allclose(row.face.box_xyxy_px, box, atol=0.011)
    assert len({row.sha256 for row in done.dataset.rows}) == len(boxes)


def test_photos_that_give_no_crop_are_refused_with_the_reason(few, samples, tmp_path):
    photos = few(1)
    person = next(photos.iterdir())
    (person / "empty.jpg").write_bytes(b"")
    (person / "words.jpg").write_text("not a photo")
    (person / "cut.jpg").write_bytes((samples / "probes" / "Anjali_Devraj_new.jpg").read_bytes()[:3000])
    (person / "landscape.jpg").write_bytes((samples / "landscape.jpg").read_bytes())
    done = crop_folder(photos, tmp_path / "out")
    assert (done.cut, done.refused) == (2, 4)
    with (tmp_path / "out" / "refused.csv").open() as file:
        reasons = {Path(line["path"]).name: line["code"] for line in csv.DictReader(file)}
    assert reasons == {
        "empty.jpg": "photo_empty",
        "words.jpg": "photo_unsupported",
        "cut.jpg": "photo_truncated",
        "landscape.jpg": "no_face",
    }
    assert str(tmp_path) not in (tmp_path / "out" / "refused.csv").read_text()


def test_a_photo_that_was_mended_is_looked_at_again(few, tmp_path):
    photos = few(1)
    broken = sorted(next(photos.iterdir()).iterdir())[0]
    whole = broken.read_bytes()
    broken.write_bytes(whole[:100])
    assert crop_folder(photos, tmp_path / "out").refused == 1
    broken.write_bytes(whole)
    again = crop_folder(photos, tmp_path / "out")
    assert (again.cut, again.kept, again.refused, len(again.dataset.rows)) == (1, 1, 0, 2)


def test_a_second_run_does_nothing_and_keeps_splits(few, tmp_path):
    photos = few(3)
    first = crop_folder(photos, tmp_path / "out").dataset
    first.with_rows(split_by_person(first.rows), step="split").write()
    written = (tmp_path / "out" / "manifest.csv").read_bytes()
    again = crop_folder(photos, tmp_path / "out")
    assert (again.cut, again.kept) == (0, 6)
    assert (tmp_path / "out" / "manifest.csv").read_bytes() == written


def test_new_photos_join_a_data_set_and_rows_taken_out_stay_out(few, samples, tmp_path):
    photos = few(2)
    first = crop_folder(photos, tmp_path / "out").dataset
    kept = [replace(row, split="train") for row in first.rows[1:]]
    first.with_rows(kept, step="mended").write()
    new = photos / "Zoe" / "01.jpg"
    new.parent.mkdir()
    new.write_bytes((samples / "probes" / "Anjali_Devraj_new.jpg").read_bytes())
    again = crop_folder(photos, tmp_path / "out").dataset
    assert [row.path for row in again.rows] == [row.path for row in kept] + ["crops/Zoe/01.jpg"]
    assert [row.split for row in again.rows] == ["train"] * 3 + [""]


def test_a_killed_run_goes_on_where_it_was(samples, tmp_path):
    out = tmp_path / "out"
    command = [sys.executable, "-c", "from likeness.cli import main; main()", "data", "crop"]
    process = subprocess.Popen([*command, str(samples / "people"), str(out), "--threads", "1", "--quiet"])
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(list(out.glob("crops/*/*.jpg"))) < 5:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.csv").exists()
    with (out / "crops.journal").open("a") as journal:
        journal.write('{"photo": "half a li')
    done = crop_folder(samples / "people", out)
    assert done.kept > 0
    assert done.cut + done.kept == 48 == len(done.dataset.rows)
    assert not list(out.glob("crops/*/.*.part"))[1:]  # at most the one that was being written


def test_a_run_killed_before_it_noted_its_manifest_lists_no_photo_twice(few, tmp_path):
    photos = few(1)
    first = crop_folder(photos, tmp_path / "out").dataset
    journal = tmp_path / "out" / "crops.journal"
    lines = journal.read_text().splitlines(keepends=True)
    assert "published" in lines[-1]
    journal.write_text("".join(lines[:-1]))
    assert crop_folder(photos, tmp_path / "out").dataset.rows == first.rows
    first.with_rows(first.rows[1:], step="one row less").write()
    assert crop_folder(photos, tmp_path / "out").dataset.rows == first.rows[1:]


def test_a_lost_crop_is_made_again(few, tmp_path):
    photos = few(1)
    first = crop_folder(photos, tmp_path / "out").dataset
    first.path(first.rows[0]).unlink()
    again = crop_folder(photos, tmp_path / "out")
    assert again.cut == 1
    assert again.dataset.rows == first.rows
    assert first.path(first.rows[0]).is_file()


def test_crops_made_otherwise_are_not_mixed(few, tmp_path):
    photos = few(1)
    crop_folder(photos, tmp_path / "out")
    with pytest.raises(DatasetError, match="other models or options"):
        crop_folder(photos, tmp_path / "out", side_px=96)
    photos.rename(tmp_path / "moved")
    with pytest.raises(DatasetError, match="from other photos"):
        crop_folder(tmp_path / "moved", tmp_path / "out")


def test_two_runs_into_one_folder_are_told_apart(few, tmp_path):
    from likeness.data.journal import Journal

    photos = few(1)
    (tmp_path / "out").mkdir()
    with Journal.open(tmp_path / "out", "x", photos), pytest.raises(DatasetError, match="another run"):
        crop_folder(photos, tmp_path / "out")


def test_a_damaged_journal_is_said_to_be_so(few, tmp_path):
    photos = few(1)
    crop_folder(photos, tmp_path / "out")
    (tmp_path / "out" / "crops.journal").write_text("what is this\n")
    with pytest.raises(DatasetError, match="damaged"):
        crop_folder(photos, tmp_path / "out")


def test_a_place_that_cannot_be_written_is_said_to_be_so(few, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot be written"):
        crop_folder(few(1), tmp_path / "file" / "out")


@pytest.mark.parametrize(
    ("first", "second", "why"),
    [
        ("a/x.jpg", "b/x.jpg", "one name in two folders"),
        ("a/x.jpg", "a/x.png", "one name with two endings"),
        ("a/x.jpg", "a/X.JPG", "names that differ in case only"),
    ],
)
def test_no_two_photos_share_a_crop(first, second, why):
    names = CropNames()
    paths = {names.path_of(Row(path=path, identity="Ann")).casefold() for path in (first, second)}
    assert len(paths) == 2, why


@pytest.mark.parametrize("name", ["../up", "a/b", "..", "", "nul\0", "x" * 300, "é" * 300, "bad\udcff", "_", " end. "])
def test_any_name_becomes_one_that_can_name_a_file(name, tmp_path):
    safe = safe_name(name)
    assert safe not in ("", ".", "..")
    assert "/" not in safe
    (tmp_path / f"{safe}-12345678.jpg").write_bytes(b"")


@pytest.mark.parametrize("name", ["Anna_Smith", "José Pérez", "李娜", "O'Neil, Jr"])
def test_a_plain_name_stays_as_it_is(name):
    assert safe_name(name) == name


def test_people_and_files_with_odd_names_are_cropped(samples, tmp_path):
    photo = next((samples / "people").iterdir()) / "01.jpg"
    odd = [b"Ann\nLee/a b.jpg", "Zoë/ß?.jpg".encode(), b"caf\xe9/\xff.jpg", b"a/deep/er/01.jpg", b"a/01.jpg"]
    for name in odd:
        path = Path(os.fsdecode(os.fsencode(tmp_path / "photos") + b"/" + name))
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(photo.read_bytes())
    done = crop_folder(tmp_path / "photos", tmp_path / "out")
    read = Dataset.read(tmp_path / "out")
    assert done.cut == len(odd) == len(read.rows)
    assert all(read.path(row).is_file() for row in read.rows)
    assert len({row.path for row in read.rows}) == len(odd)
    again = crop_folder(tmp_path / "photos", tmp_path / "out")
    assert (again.cut, again.kept) == (0, len(odd))


def test_the_contact_sheet_shows_boxes_beside_crops(cropped, samples):
    sheet, shown = crop_sheet(cropped, samples / "people", 12)
    same, _ = crop_sheet(cropped, samples / "people", 12)
    other, _ = crop_sheet(cropped, samples / "people", 12, seed=1)
    assert shown == 12
    assert np.array_equal(sheet, same)
    assert not np.array_equal(sheet, other)
    assert (sheet == (40, 200, 90)).all(axis=2).sum() > 12 * 100  # the boxes' lines


def test_a_contact_sheet_shows_a_gap_for_a_photo_that_is_gone(cropped, tmp_path):
    sheet, shown = crop_sheet(cropped, tmp_path / "nowhere", 5)
    assert shown == 5
    assert (sheet == 225).all(axis=2).any()
    assert suspect_sheet(cropped, ()).shape[2] == 3


def test_crops_are_jpeg_without_colour_subsampling(cropped):
    with Image.open(cropped.path(cropped.rows[0])) as image:
        assert image.format == "JPEG"
        assert {layer[1:3] for layer in image.layer} == {(1, 1)}
