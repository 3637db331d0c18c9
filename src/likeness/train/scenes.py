"""Scenes composed of faces and backdrops, each face with its box and landmarks: a detector's training data.

Faces come from photos whose faces a teacher has found (`teacher_faces`). They are turned, scaled, mirrored and pasted
with edges of many kinds; what is no face is pasted with the same edges, so that edges alone tell nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.train.backdrops import Backdrops, made_texture
from likeness.train.pasting import Patch, Placement, paste
from likeness.train.same_work import digest_of, facts_as_text
from likeness.train.teacher_faces import TeacherFaces
from likeness.train.weathering import relight, weather
from likeness.types import Pixels, Vector
from likeness.vision.decode import decode_photo

LEAST_FACE_PX = 11.0
"""Smaller faces are neither wanted nor held against the detector."""
MOST_HIDDEN = 0.5
_TRIES = 6


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """A picture `(side, side, 3)` and its faces.

    Attributes:
        boxes_xyxy_px: `(n, 4)` float32. landmarks_px: `(n, 5, 2)` float32.
        wanted: `(n,)` whether a detector should find it; the others are too small or hidden, and count neither way.
    """

    pixels: Pixels
    boxes_xyxy_px: Vector
    landmarks_px: Vector
    wanted: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class SceneOptions:
    """How scenes are made.

    Attributes:
        side_px: of a scene. face_px: smallest and largest faces, by the mean of the box's sides.
        empty: share of scenes without a face. portraits: share with one face that fills much of the picture.
        most_faces: in one scene. surest: largest spread of the teacher's two answers for a face to be used.
    """

    side_px: int = 160
    face_px: tuple[float, float] = (12.0, 150.0)
    empty: float = 0.12
    portraits: float = 0.25
    most_faces: int = 7
    surest: float = 0.12


@dataclass(slots=True)
class _Draft:
    """A scene being made."""

    image: Image.Image
    boxes: list[Vector] = field(default_factory=list)
    landmarks: list[Vector] = field(default_factory=list)
    wanted: list[bool] = field(default_factory=list)
    hidden: list[float] = field(default_factory=list)


class SceneComposer:
    """Makes scenes out of a teacher's faces, those of the photos with these indices only, and backdrops."""

    def __init__(
        self,
        faces: TeacherFaces,
        backdrops: Backdrops,
        photos: Sequence[int] | None = None,
        options: SceneOptions = SceneOptions(),
    ) -> None:
        self._faces, self._backdrops, self._options = faces, backdrops, options
        chosen = np.isin(faces.photo, np.arange(len(faces.paths)) if photos is None else np.asarray(photos))
        self._usable = np.flatnonzero(chosen & (faces.spread <= options.surest))
        if not len(self._usable):
            raise ValueError("no face of these photos is sure enough to be used")

    @property
    def faces(self) -> TeacherFaces:
        """What scenes are made of; see `usable`."""
        return self._faces

    @property
    def usable(self) -> NDArray[np.intp]:
        """Numbers of the faces that are used."""
        return self._usable

    def work(self) -> dict[str, str]:
        """What the scenes rest on: faces and photos, pictures behind them, options."""
        faces = self._faces
        arrays = (faces.photo, faces.boxes_xyxy_px, faces.landmarks_px, faces.spread, self._usable)
        return {
            "faces": digest_of([faces.work, *faces.paths, *(array.tobytes() for array in arrays)]),
            "backdrops": digest_of(self._backdrops.digests()),
            "scenes": facts_as_text(asdict(self._options)),
        }

    def compose(self, rng: np.random.Generator) -> Scene:
        """A scene; the same generator gives the same one."""
        options, side = self._options, self._options.side_px
        draft = _Draft(self._backdrop(rng))
        for _ in range(rng.integers(0, 4)):
            self._paste_something(rng, draft)
        if rng.random() >= options.empty:
            if rng.random() < options.portraits:
                self._paste_face(rng, draft, self._size(rng, 0.4 * side, options.face_px[1]))
                count = int(rng.integers(0, 2))
            else:
                count = 1 + min(int(rng.geometric(0.35)) - 1, options.most_faces - 1)
            for _ in range(count):
                self._paste_face(rng, draft, self._size(rng, options.face_px[0], 0.75 * side))
        if rng.random() < 0.35:
            self._hide(rng, draft)
        return self._finish(rng, draft)

    def _backdrop(self, rng: np.random.Generator) -> Image.Image:
        side = self._options.side_px
        image = self._backdrops.part(rng, side, side)
        return relight(rng, image, 1.5) if rng.random() < 0.3 else image

    @staticmethod
    def _size(rng: np.random.Generator, low: float, high: float) -> float:
        return float(low * (max(high, low) / low) ** rng.random())

    def _paste_face(self, rng: np.random.Generator, draft: _Draft, face_px: float) -> None:
        index = int(self._usable[rng.integers(len(self._usable))])
        patch = self._patch(rng, index)
        for _ in range(_TRIES):
            placement = Placement.choose(rng, patch, face_px, self._options.side_px)
            box, marks = placement.labels(patch)
            if all(_covered(box, other) < 0.15 and _covered(other, box) < 0.15 for other in draft.boxes):
                break
        else:
            return
        if rng.random() < 0.3:
            self._paste_body(rng, draft, box)
        self._put_behind(draft, paste(rng, draft.image, patch, placement))
        inside = _covered(box, np.array([0, 0, *draft.image.size], np.float32))
        draft.boxes.append(box)
        draft.landmarks.append(marks)
        draft.wanted.append(bool(face_px >= LEAST_FACE_PX and inside > 1 - MOST_HIDDEN and patch.main))
        draft.hidden.append(1 - inside)
        # Whoever else is in the photo: known to be there, and not asked for.
        for other in patch.others:
            draft.boxes.append(placement.box(other))
            draft.landmarks.append(np.zeros((5, 2), np.float32))
            draft.wanted.append(False)
            draft.hidden.append(1.0)

    def _patch(self, rng: np.random.Generator, index: int) -> Patch:
        faces = self._faces
        photo = int(faces.photo[index])
        pixels = decode_photo(faces.folder / faces.paths[photo]).pixels
        others = [other for other in range(len(faces.photo))[faces.of(photo)] if other != index]
        patch = Patch.cut(rng, pixels, faces.boxes_xyxy_px[index], faces.landmarks_px[index],
                          faces.boxes_xyxy_px[others])  # fmt: skip
        if rng.random() < 0.4:
            patch.image = relight(rng, patch.image)
        return patch

    def _paste_body(self, rng: np.random.Generator, draft: _Draft, box: Vector) -> None:
        """Something like shoulders below a face."""
        width, height = box[2] - box[0], box[3] - box[1]
        size = (max(8, round(float(width * rng.uniform(1.6, 3.2)))), max(8, round(float(height * rng.uniform(1, 3)))))
        size = (min(size[0], draft.image.width * 2), min(size[1], draft.image.height * 2))
        shirt = self._backdrops.part(rng, *size) if rng.random() < 0.6 else made_texture(rng, *size)
        y, x = np.mgrid[: size[1], : size[0]].astype(np.float32)
        shoulder = np.abs(2 * x / size[0] - 1) ** rng.uniform(1.5, 4)
        mask = np.clip((y / size[1] - shoulder * rng.uniform(0.2, 0.7)) * size[1] / 2 + 0.5, 0, 1)
        place = (round(float((box[0] + box[2] - size[0]) / 2)), round(float(box[3] - 0.15 * height)))
        draft.image.paste(shirt, place, Image.fromarray((mask * 255).astype(np.uint8)))
        self._cover(draft, np.array([*place, place[0] + size[0], place[1] + size[1]], np.float32))

    @staticmethod
    def _put_behind(draft: _Draft, hides: Pixels) -> None:
        """Note what a patch, which hides so much of each pixel, hides of each face before it."""
        for index, under in enumerate(draft.boxes):
            draft.hidden[index] += hidden_share(under, hides)

    @staticmethod
    def _cover(draft: _Draft, cover: Vector) -> None:
        """Note what a box in front of all faces hides of each."""
        for index, under in enumerate(draft.boxes):
            draft.hidden[index] += _covered(under, cover)

    def _paste_something(self, rng: np.random.Generator, draft: _Draft) -> None:
        """A patch that shows no face, pasted as faces are: a backdrop, or a part of a photo beside or inside a face."""
        if rng.random() < 0.5:
            size = int(rng.integers(24, 160))
            patch = Patch.plain(self._backdrops.part(rng, size, size))
        else:
            whole = self._patch(rng, int(self._usable[rng.integers(len(self._usable))]))
            patch = whole.without_face(rng)
        if rng.random() < 0.4:
            patch.image = relight(rng, patch.image)
        size_px = self._size(rng, 12, 0.8 * self._options.side_px)
        paste(rng, draft.image, patch, Placement.choose(rng, patch, size_px, self._options.side_px))

    def _hide(self, rng: np.random.Generator, draft: _Draft) -> None:
        """Something in front of some of the faces: a strip of a backdrop or of one colour."""
        for box in draft.boxes:
            if rng.random() < 0.5:
                continue
            width, height = float(box[2] - box[0]), float(box[3] - box[1])
            size = (width * rng.uniform(0.2, 1.2), height * rng.uniform(0.15, 0.5))
            left, top = box[0] + (rng.random(2) * 1.2 - 0.1) * (width, height) - np.array(size) / 2
            cover = np.array([left, top, left + size[0], top + size[1]], np.float32)
            pixels = (max(1, round(size[0])), max(1, round(size[1])))
            front = made_texture(rng, *pixels) if rng.random() < 0.6 else self._backdrops.part(rng, *pixels)
            draft.image.paste(front, (round(float(left)), round(float(top))))
            self._cover(draft, cover)

    def _finish(self, rng: np.random.Generator, draft: _Draft) -> Scene:
        pixels = weather(rng, draft.image)
        hidden = np.array(draft.hidden, np.float32) > MOST_HIDDEN
        return Scene(
            pixels,
            np.array(draft.boxes, np.float32).reshape(-1, 4),
            np.array(draft.landmarks, np.float32).reshape(-1, 5, 2),
            np.array(draft.wanted, bool) & ~hidden,
        )


def hidden_share(box: Vector, hides: Pixels) -> float:
    """Share of a box `(4,)` that a mask `(h, w)` of 0 to 255 hides; what lies outside the mask is not hidden by it."""
    left, top, right, bottom = (max(0, round(float(edge))) for edge in box)
    whole = max(float(np.prod(box[2:] - box[:2])), 1e-6)
    return float(hides[top:bottom, left:right].sum(dtype=np.int64)) / 255 / whole


def _covered(box: Vector, other: Vector) -> float:
    """Share of a box that lies in another."""
    sides = np.minimum(box[2:], other[2:]) - np.maximum(box[:2], other[:2])
    whole = max(float(np.prod(box[2:] - box[:2])), 1e-6)
    return float(np.prod(np.maximum(sides, 0))) / whole
