"""Scenes: labels go where the faces go, the same seed gives the same scene, what is hidden is not asked for."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from likeness.train import scenes
from likeness.train.backdrops import Backdrops, load_backdrops, made_texture
from likeness.train.pasting import Patch, Placement, paste
from likeness.train.scene_stream import PlainScenes, SceneStream, mirrored_scene, zoomed_scene
from likeness.train.scenes import MOST_HIDDEN, Scene, SceneComposer, SceneOptions, hidden_share
from likeness.train.teacher_faces import TeacherFaces, mirrored, overlaps, see_twice
from likeness.vision.detect import MIRRORED, Detections

DOTS = ((255, 0, 0), (0, 255, 0), (0, 0, 255), (255, 255, 0), (255, 0, 255))
MARKS = np.array([[45, 50], [75, 50], [62, 68], [50, 85], [72, 85]], np.float32)
BOX = np.array([20, 10, 100, 110], np.float32)


def dotted_patch() -> Patch:
    """A grey patch with a dot of its own colour at each landmark."""
    y, x = np.mgrid[:120, :120] + 0.5
    pixels = np.full((120, 120, 3), 40, np.uint8)
    for (left, top), colour in zip(MARKS, DOTS, strict=True):
        pixels[np.hypot(x - left, y - top) < 5] = colour
    return Patch(Image.fromarray(pixels), BOX, MARKS)


def centre_of(pixels: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    weight = np.maximum(0, 150 - np.abs(pixels.astype(float) - colour).sum(axis=2))
    y, x = np.mgrid[: pixels.shape[0], : pixels.shape[1]] + 0.5
    return np.array([(x * weight).sum(), (y * weight).sum()]) / weight.sum()


@settings(max_examples=40, deadline=None)
@given(
    turn=st.floats(-np.pi, np.pi), scale=st.floats(0.55, 1.6), flip=st.booleans(), x=st.floats(100, 140),
    y=st.floats(100, 140), seed=st.integers(0, 99),
)  # fmt: skip
def test_landmarks_follow_the_face_that_is_pasted(
    turn: float, scale: float, flip: bool, x: float, y: float, seed: int
) -> None:
    patch, scene = dotted_patch(), Image.new("RGB", (240, 240), (120, 120, 120))
    placement = Placement.make(np.array([60.0, 60.0]), np.array([x, y]), scale, turn, flip)
    rng = np.random.default_rng(seed)
    paste(rng, scene, patch, placement)
    pixels = np.asarray(scene)
    box, marks = placement.labels(patch)
    where = {colour: centre_of(pixels, colour) for colour in DOTS}
    order = MIRRORED if flip else range(5)
    for mark, source in zip(marks, order, strict=True):
        assert np.abs(where[DOTS[source]] - mark).max() < 1.2
    assert (marks > box[:2] - 1).all()
    assert (marks < box[2:] + 1).all()


def test_an_upright_box_stays_the_teachers_and_a_quarter_turn_swaps_its_sides() -> None:
    patch = dotted_patch()
    plain = Placement.make(np.array([60.0, 60.0]), np.array([60.0, 60.0]), 1.0, 0.0, False)
    turned = Placement.make(np.array([60.0, 60.0]), np.array([60.0, 60.0]), 1.0, np.pi / 2, False)
    assert plain.box(patch.box) == pytest.approx(BOX)
    assert turned.box(patch.box) == pytest.approx([10, 20, 110, 100], abs=1e-4)


def test_the_mirror_image_of_a_mirror_image_is_the_same() -> None:
    found = Detections(BOX[None], MARKS[None], np.ones(1, np.float32))
    again = mirrored(mirrored(found, 120), 120)
    assert again.boxes_xyxy_px == pytest.approx(BOX[None])
    assert again.landmarks_px == pytest.approx(MARKS[None])
    left, right = mirrored(found, 120).landmarks_px[0, :2]
    assert left[0] < right[0]


def naive_overlap(a: np.ndarray, b: np.ndarray) -> float:
    width, height = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(width, 0) * max(height, 0)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


def test_overlaps_agree_with_a_naive_loop() -> None:
    rng = np.random.default_rng(0)
    corner = rng.uniform(0, 50, (12, 2))
    boxes = np.concatenate([corner, corner + rng.uniform(5, 40, (12, 2))], axis=1).astype(np.float32)
    naive = [[naive_overlap(a, b) for b in boxes[5:]] for a in boxes[:5]]
    assert overlaps(boxes[:5], boxes[5:]) == pytest.approx(np.array(naive), abs=1e-5)


class OneFace:
    """A teacher that sees its one face a little further right in whatever it is shown."""

    def __init__(self, shift: float) -> None:
        self.shift = shift

    def detect(self, pixels: np.ndarray, *, min_face_px: float | None = None) -> Detections:
        edge = 24
        move = np.array([edge + self.shift, edge], np.float32)
        centred = MARKS.copy()
        centred[:, 0] += 60 - (MARKS[0, 0] + MARKS[1, 0]) / 2
        box = np.array([30, 20, 90, 100], np.float32)
        return Detections((box + np.tile(move, 2))[None], (centred + move)[None], np.ones(1, np.float32))

    def smallest_face_px(self, pixels: np.ndarray) -> float:
        return 1.0


def test_a_teachers_bias_to_one_side_is_gone_in_the_mean_of_both_looks() -> None:
    found, apart = see_twice(OneFace(3.0), np.zeros((120, 120, 3), np.uint8))
    assert len(found) == 1
    assert found.landmarks_px[0, :2, 0].mean() == pytest.approx(60, abs=0.01)
    assert apart[0] > 0.1


@pytest.fixture(scope="module")
def faces(tmp_path_factory: pytest.TempPathFactory) -> TeacherFaces:
    folder = tmp_path_factory.mktemp("dotted")
    dotted_patch().image.save(folder / "a.png")
    one = np.zeros(1, np.int64)
    return TeacherFaces(
        folder, ("a.png",), one, BOX[None], MARKS[None], np.ones(1, np.float32), np.zeros(1, np.float32)
    )


@pytest.fixture(scope="module")
def composer(faces: TeacherFaces) -> SceneComposer:
    rng = np.random.default_rng(0)
    return SceneComposer(faces, Backdrops([np.asarray(made_texture(rng, 200, 150)) for _ in range(4)]))


def test_the_same_seed_gives_the_same_scene_and_another_gives_another(composer: SceneComposer) -> None:
    first, again, other = (composer.compose(np.random.default_rng(seed)) for seed in (5, 5, 6))
    assert np.array_equal(first.pixels, again.pixels)
    assert np.array_equal(first.boxes_xyxy_px, again.boxes_xyxy_px)
    assert not np.array_equal(first.pixels, other.pixels)


def test_scenes_have_none_to_many_faces_of_many_sizes_inside_the_picture(composer: SceneComposer) -> None:
    scenes = [composer.compose(np.random.default_rng(seed)) for seed in range(150)]
    counts = [int(scene.wanted.sum()) for scene in scenes]
    assert min(counts) == 0
    assert max(counts) >= 4
    boxes = np.concatenate([scene.boxes_xyxy_px[scene.wanted] for scene in scenes])
    sizes = (boxes[:, 2:] - boxes[:, :2]).mean(axis=1)
    assert sizes.min() < 18
    assert sizes.max() > 110
    assert (((boxes[:, :2] + boxes[:, 2:]) / 2 > 0) & ((boxes[:, :2] + boxes[:, 2:]) / 2 < 160)).all()


def naive_share(box: np.ndarray, hides: np.ndarray) -> float:
    seen = sum(
        float(hides[y, x]) / 255
        for y in range(hides.shape[0])
        for x in range(hides.shape[1])
        if box[0] <= x < box[2] and box[1] <= y < box[3]
    )
    return seen / float((box[2] - box[0]) * (box[3] - box[1]))


@pytest.mark.parametrize("box", [(2, 3, 9, 12), (-4, 5, 6, 30), (15, 15, 40, 40)])
def test_the_share_that_a_patch_hides_agrees_with_a_naive_loop(box: tuple[int, ...]) -> None:
    hides = np.random.default_rng(0).integers(0, 256, (20, 24), np.uint8)
    place = np.array(box, np.float32)
    assert hidden_share(place, hides) == pytest.approx(naive_share(place, hides), rel=1e-4)


def test_a_face_that_a_later_ones_surroundings_hide_is_not_asked_for(
    faces: TeacherFaces, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.pad(np.asarray(dotted_patch().image), ((150, 150), (150, 150), (0, 0)))).save(tmp_path / "a.png")
    wide = replace(faces, folder=tmp_path, boxes_xyxy_px=BOX[None] + 150, landmarks_px=MARKS[None] + 150)
    composer = SceneComposer(wide, Backdrops([]), options=SceneOptions(face_px=(16, 60), empty=0, portraits=0))
    pasted: list[tuple[Patch, np.ndarray]] = []

    def watched(rng: np.random.Generator, scene: Image.Image, patch: Patch, placement: Placement) -> np.ndarray:
        pasted.append((patch, paste(rng, scene, patch, placement)))
        return pasted[-1][1]

    monkeypatch.setattr(scenes, "paste", watched)
    hidden = 0
    for seed in range(80):
        pasted.clear()
        scene = composer.compose(np.random.default_rng(seed))
        masks = [mask for patch, mask in pasted if patch.main]
        for at, box in enumerate(scene.boxes_xyxy_px):
            later = np.max([np.zeros((160, 160), np.uint8), *masks[at + 1 :]], axis=0)
            if hidden_share(box, later) > MOST_HIDDEN:
                hidden += 1
                assert not scene.wanted[at]
    assert hidden > 0


def test_a_mirrored_scene_has_its_labels_mirrored(composer: SceneComposer) -> None:
    scene = next(found for seed in range(50) if (found := composer.compose(np.random.default_rng(seed))).wanted.any())
    turned = mirrored_scene(np.random.default_rng(0), scene)
    assert turned.boxes_xyxy_px[:, 0] == pytest.approx(160 - scene.boxes_xyxy_px[:, 2])
    assert turned.landmarks_px[:, 0, 0] == pytest.approx(160 - scene.landmarks_px[:, 1, 0])


@pytest.mark.parametrize("seed", range(6))
def test_a_scene_from_nearer_or_farther_has_its_labels_there(seed: int) -> None:
    patch, picture = dotted_patch(), Image.new("RGB", (160, 160), (120, 120, 120))
    picture.paste(patch.image, (20, 20))
    scene = Scene(np.asarray(picture), BOX[None] + 20, MARKS[None] + 20, np.ones(1, bool))
    far = zoomed_scene(np.random.default_rng(seed), scene)
    for mark, colour in zip(far.landmarks_px[0], DOTS, strict=True):
        if (mark > 8).all() and (mark < 152).all():
            found = np.argmin(np.abs(far.pixels.astype(float) / max(far.pixels.max(), 1) * 255 - colour).sum(axis=2))
            assert np.hypot(found % 160 - mark[0], found // 160 - mark[1]) < 8


def test_a_stream_gives_batches_with_targets_and_the_same_ones_for_the_same_seed(composer: SceneComposer) -> None:
    stream = SceneStream(composer, size=4, batches=3, seed=(1, 2))
    batches = list(stream)
    assert len(batches) == len(stream) == 3
    assert batches[0].pixels.shape == (4, 160, 160, 3)
    assert batches[0].kinds.shape == (4, 20 * 20 + 10 * 10 + 5 * 5)
    again = next(iter(SceneStream(composer, size=4, batches=3, seed=(1, 2))))
    assert bool((again.pixels == batches[0].pixels).all())
    assert len(next(iter(PlainScenes(composer, size=3, batches=1, seed=(0,))))) == 3


def test_faces_that_the_teacher_is_unsure_of_are_not_used(faces: TeacherFaces) -> None:
    unsure = TeacherFaces(faces.folder, faces.paths, faces.photo, faces.boxes_xyxy_px, faces.landmarks_px, faces.scores,
                          np.array([0.5], np.float32))  # fmt: skip
    with pytest.raises(ValueError, match="sure enough"):
        SceneComposer(unsure, Backdrops([]), options=SceneOptions())


def test_pictures_with_faces_are_no_backdrops(tmp_path: Path, samples: Path, detector_teacher) -> None:
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(1)
    made_texture(rng, 300, 200).save(folder / "texture.png")
    Image.open(samples / "group.jpg").save(folder / "people.jpg")
    said: list[str] = []
    kept = load_backdrops([folder], detector_teacher, tmp_path / "kept.npz", say=said.append)
    assert len(kept) == 1
    assert "1 with faces left out" in said[0]
    again = Backdrops.read(tmp_path / "kept.npz").part(np.random.default_rng(3), 50, 40)
    assert again.size == (50, 40)
    assert np.array_equal(np.asarray(again), np.asarray(kept.part(np.random.default_rng(3), 50, 40)))
