"""A single-shot detector: one look at the whole picture finds faces, a second at each places its landmarks.

The finder has no anchors: each place of its three maps says how sure it is of a face and where that face's edges and
landmarks are, as in CenterNet (Zhou et al. 2019) and SCRFD (Guo et al. 2021). The picture is searched at the size at
which the smallest face wanted fills `input_face_px`. The refiner sees each face cut out upright, decides whether it is
one, and corrects the landmarks.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.bundle import Bundle
from likeness.errors import BundleCorrupt
from likeness.types import Pixels, Vector
from likeness.vision.align import cut_out
from likeness.vision.detect import MIRRORED, Detections, suppress
from likeness.vision.session import Session

STRIDES = (8, 16, 32)
FINDER, REFINER = "finder", "refiner"
"""Keys of the bundle's two networks."""
_LEVEL_FACTOR = 5
"""How much smaller a picture is searched next, where it may hold faces too large for the size before."""
_TILE_PX = 1024
_BATCH = 32
_SLACK = 0.8
"""Faces are kept from this share of the size asked for on: the finder's boxes are rough."""
_MANY = 200
Planes = NDArray[np.complex128]


@dataclass(frozen=True, slots=True)
class SingleShotParameters:
    """The detector's numbers; a bundle's manifest states them.

    Attributes:
        min_face_px: smallest face looked for, in pixels.
        min_face_share: and as a share of the picture's shorter side, whichever is larger.
        input_face_px: size at which the finder sees that face, and so the smallest of all.
        largest_px: the largest that it can see whole.
        thresholds: least score to pass the finder and the refiner.
        overlap: suppression among the finder's boxes, over the smaller box.
        max_candidates: most places of one search that are looked at, best first; bounds time and memory.
        side_px: of the refiner's crops. template_px: where the landmarks lie in them, `(5, 2)`.
    """

    min_face_px: float
    min_face_share: float
    input_face_px: float
    largest_px: float
    thresholds: tuple[float, float]
    overlap: float
    max_candidates: int
    side_px: int
    template_px: tuple[tuple[float, float], ...]


class SingleShotDetector:
    """The two networks of a bundle with the files `finder` and `refiner`."""

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        try:
            self.parameters = SingleShotParameters(**bundle.manifest.parameters)
        except TypeError as error:
            raise BundleCorrupt(f"the parameters of the bundle {bundle.manifest.name} do not fit: {error}") from error
        self._template = np.array(self.parameters.template_px, np.float32)
        if self._template.shape != (5, 2):
            raise BundleCorrupt(f"the bundle {bundle.manifest.name} has no five landmarks in its template")
        self._finder = Session.of(bundle, FINDER, threads=threads)
        self._refiner = Session.of(bundle, REFINER, threads=threads)

    def detect(self, pixels: Pixels, *, min_face_px: float | None = None) -> Detections:
        """See `likeness.vision.detect.Detector`."""
        # Never enlarged: that shows nothing new, and takes memory without bound.
        least = max(min_face_px or self.smallest_face_px(pixels), self.parameters.input_face_px)
        image = Image.fromarray(pixels)
        found = [self._search(part, scale, corner) for part, scale, corner in self._looks(image, least)]
        if not found:
            return Detections.none()
        boxes, landmarks, scores = found[0] if len(found) == 1 else map(np.concatenate, zip(*found, strict=True))
        large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) >= _SLACK * least
        boxes, landmarks, scores = boxes[large], landmarks[large], scores[large]
        kept = suppress(boxes, scores, self.parameters.overlap, by_smaller=True)
        return self._refine(image, boxes[kept], landmarks[kept])

    def smallest_face_px(self, pixels: Pixels) -> float:
        """See `likeness.vision.detect.Detector`."""
        return max(self.parameters.min_face_px, self.parameters.min_face_share * float(min(pixels.shape[:2])))

    def _looks(self, image: Image.Image, least: float) -> Iterator[tuple[Pixels, float, tuple[int, int]]]:
        """What the finder is shown: pictures, each with its scale and the place of its corner, in its own pixels."""
        scale = self.parameters.input_face_px / least
        width, height = image.size
        while min(width, height) * scale >= 1:
            size = (max(1, round(width * scale)), max(1, round(height * scale)))
            image = image.resize(size, Image.Resampling.BILINEAR, reducing_gap=1.0)
            for left, top, right, bottom in tiles(*size, round(self.parameters.largest_px)):
                part = image if (right - left, bottom - top) == size else image.crop((left, top, right, bottom))
                yield np.asarray(part), scale, (left, top)
            if max(size) <= self.parameters.largest_px:
                return
            scale /= _LEVEL_FACTOR

    def _search(self, pixels: Pixels, scale: float, corner: tuple[int, int]) -> tuple[Vector, Vector, Vector]:
        """Boxes, landmarks and scores of one look, in pixels of the whole picture."""
        shown = padded(pixels, STRIDES[-1])
        all_scores, geometry = self._finder.run(pixels=shown[None])
        sure = np.flatnonzero(all_scores[0] > self.parameters.thresholds[0])
        if len(sure) > self.parameters.max_candidates:
            best = np.argpartition(-all_scores[0, sure], self.parameters.max_candidates)
            sure = sure[best[: self.parameters.max_candidates]]
        boxes, landmarks = decode(geometry[0, sure], sure, shown.shape[0], shown.shape[1])
        scores = all_scores[0, sure]
        if corner != (0, 0) or len(sure) > _MANY:
            kept = suppress(boxes, scores, self.parameters.overlap, by_smaller=True)
            boxes, landmarks, scores = boxes[kept], landmarks[kept], scores[kept]
        shift = np.array(corner, np.float32)
        return (boxes + np.tile(shift, 2)) / np.float32(scale), (landmarks + shift) / np.float32(scale), scores

    def _refine(self, image: Image.Image, boxes: Vector, landmarks: Vector) -> Detections:
        """The refiner on what was found: scores of its own, corrected landmarks; most confident first."""
        if not len(boxes):
            return Detections.none()
        scores, marks = [], []
        for start in range(0, len(boxes), _BATCH):
            forth, shift = upright(landmarks[start : start + _BATCH], self._template)
            crops = [cut_out(image, back, self.parameters.side_px) for back in ways_back(forth, shift)]
            certain, places = self._judge(np.stack(crops))
            scores.append(certain)
            marks.append(turned_back(places, forth, shift))
        sure, places = np.concatenate(scores), np.concatenate(marks)
        order = np.argsort(-sure, kind="stable")
        order = order[sure[order] > self.parameters.thresholds[1]]
        return Detections(boxes[order], places[order], sure[order])

    def _judge(self, crops: Pixels) -> tuple[Vector, Vector]:
        """Scores `(k,)` and landmarks `(k, 5, 2)` of crops, each the mean of the crop's and its mirror image's."""
        count = len(crops)
        scores, places = self._refiner.run(crops=np.concatenate([crops, crops[:, :, ::-1]]))
        turned = places[count:, list(MIRRORED)]
        turned[..., 0] = self.parameters.side_px - turned[..., 0]
        half = np.float32(0.5)
        certain: Vector = (scores[:count] + scores[count:]) * half
        marks: Vector = (places[:count] + turned) * half
        return certain, marks


def padded(pixels: Pixels, multiple: int) -> Pixels:
    """A picture continued in black to the right and below, until its sides are multiples."""
    height, width = (-(-length // multiple) * multiple for length in pixels.shape[:2])
    if (height, width) == pixels.shape[:2]:
        return pixels
    whole = np.zeros((height, width, 3), np.uint8)
    whole[: pixels.shape[0], : pixels.shape[1]] = pixels
    return whole


def tiles(width: int, height: int, overlap: int) -> Iterator[tuple[int, int, int, int]]:
    """Boxes of a bounded size that cover a picture; neighbours share `overlap` pixels, so that none cuts a face."""
    step = _TILE_PX - overlap
    for top in range(0, max(height - overlap, 1), step):
        for left in range(0, max(width - overlap, 1), step):
            yield left, top, min(left + _TILE_PX, width), min(top + _TILE_PX, height)


@lru_cache(maxsize=16)
def places(height: int, width: int) -> tuple[Vector, Vector]:
    """Centres `(m, 2)` in pixels and strides `(m, 1)` of the finder's places, for sides that are multiples of 32."""
    centres, strides = [], []
    for stride in STRIDES:
        rows, columns = np.mgrid[: height // stride, : width // stride]
        centre = (np.stack([columns, rows], axis=-1).reshape(-1, 2) + 0.5) * stride
        centres.append(centre.astype(np.float32))
        strides.append(np.full((len(centre), 1), stride, np.float32))
    joined = np.concatenate(centres), np.concatenate(strides)
    for array in joined:
        array.flags.writeable = False
    return joined


def decode(geometry: Vector, chosen: NDArray[np.intp], height: int, width: int) -> tuple[Vector, Vector]:
    """Boxes `(k, 4)` and landmarks `(k, 5, 2)` in pixels of what the finder was shown.

    `geometry (k, 14)` says of the places with the numbers `chosen (k,)`, in strides: the box's centre less the
    place's, the logarithms of its sides, and the landmarks less the place's centre.
    """
    all_centres, all_strides = places(height, width)
    centres, strides = all_centres[chosen], all_strides[chosen]
    middle = centres + geometry[:, :2] * strides
    half = np.exp(np.minimum(geometry[:, 2:4], 5.0)) * strides / 2
    landmarks = centres[:, None] + geometry[:, 4:].reshape(-1, 5, 2) * strides[:, None]
    return np.concatenate([middle - half, middle + half], axis=1), landmarks


def upright(landmarks: Vector, template: Vector) -> tuple[Planes, Planes]:
    """The maps `w = f·z + g` that bring the landmarks of faces `(k, 5, 2)` nearest to the template's `(5, 2)`.

    They are `similarity_transform` of each face, with points as complex numbers: `f (k,)` turns and scales, `g (k,)`
    moves. Landmarks that coincide are moved only.
    """
    points, target = as_complex(landmarks), as_complex(template)
    middle, aim = points.mean(axis=1), target.mean()
    apart = points - middle[:, None]
    spread = (apart * apart.conj()).real.sum(axis=1)
    forth = (apart.conj() * (target - aim)).sum(axis=1) / np.maximum(spread, 1e-12)
    forth = np.where(np.abs(forth) < 1e-6, 1, forth)
    return forth, aim - forth * middle


def ways_back(forth: Planes, shift: Planes) -> Iterator[NDArray[np.float64]]:
    """The maps of `upright` the other way, from crop to picture, each as a matrix `(2, 3)`."""
    for linear, moved in zip(1 / forth, -shift / forth, strict=True):
        yield np.array([[linear.real, -linear.imag, moved.real], [linear.imag, linear.real, moved.imag]])


def turned_back(found: Vector, forth: Planes, shift: Planes) -> Vector:
    """Landmarks `(k, 5, 2)` in crops, in pixels of the picture that these were cut out of by the maps of `upright`."""
    points = (as_complex(found) - shift[:, None]) / forth[:, None]
    return np.stack([points.real, points.imag], axis=-1).astype(np.float32)


def as_complex(points: Vector) -> Planes:
    """Points `(…, 2)` as complex numbers `(…)`."""
    plane: Planes = points[..., 0].astype(np.float64) + 1j * points[..., 1]
    return plane
