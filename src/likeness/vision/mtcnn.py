"""MTCNN: three small networks, each looking closer at what the one before it proposed.

Zhang et al. 2016, "Joint Face Detection and Alignment using Multi-task Cascaded Convolutional Networks". P-Net slides
over an image pyramid in steps of two pixels with a window of twelve; R-Net and O-Net look again at its proposals at 24
and 48 pixels, all of a picture's in one batch; O-Net also places the landmarks.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.bundle import Bundle
from likeness.errors import BundleCorrupt
from likeness.types import Pixels, Vector
from likeness.vision.detect import Detections, squared, suppress
from likeness.vision.session import Session

WINDOW_PX = 12
STRIDE_PX = 2


@dataclass(frozen=True, slots=True)
class MtcnnParameters:
    """The cascade's numbers; a bundle's manifest states them.

    Attributes:
        min_face_px: smallest face looked for, in pixels.
        min_face_share: and as a share of the picture's shorter side, whichever is larger.
        pyramid_factor: size of one pyramid level as a share of the one before.
        thresholds: least score to pass P-Net, R-Net and O-Net.
        overlaps: suppression within a level, across levels, after R-Net, and (over the smaller box) after O-Net.
        max_candidates: most proposals of a pyramid level, and of all, best first; bounds time and memory on odd
            pictures.
    """

    min_face_px: float
    min_face_share: float
    pyramid_factor: float
    thresholds: tuple[float, float, float]
    overlaps: tuple[float, float, float, float]
    max_candidates: int


class MtcnnDetector:
    """The cascade of a bundle with the files `pnet`, `rnet` and `onet`."""

    def __init__(self, bundle: Bundle, *, threads: int = 0) -> None:
        try:
            self.parameters = MtcnnParameters(**bundle.manifest.parameters)
        except TypeError as error:
            raise BundleCorrupt(f"the parameters of the bundle {bundle.manifest.name} do not fit: {error}") from error
        self._pnet = Session.of(bundle, "pnet", threads=threads)
        self._rnet = Session.of(bundle, "rnet", threads=threads)
        self._onet = Session.of(bundle, "onet", threads=threads)

    def detect(self, pixels: Pixels, *, min_face_px: float | None = None) -> Detections:
        """See `likeness.vision.detect.Detector`."""
        settings = self.parameters
        picture = Picture(Image.fromarray(pixels))
        # Never smaller than the window: enlarging a picture shows nothing new, and takes memory without bound.
        least = max(min_face_px or self.smallest_face_px(pixels), WINDOW_PX)
        proposals = self._propose(picture.image, least)[: settings.max_candidates]
        return self._finish(picture, self._refine(picture, proposals))

    def smallest_face_px(self, pixels: Pixels) -> float:
        """See `likeness.vision.detect.Detector`."""
        return max(self.parameters.min_face_px, self.parameters.min_face_share * float(min(pixels.shape[:2])))

    def _propose(self, image: Image.Image, least: float) -> Vector:
        """P-Net over the pyramid: square boxes `(n, 4)`, best first."""
        found = [self._scan(level, scale) for level, scale in pyramid(image, least, self.parameters.pyramid_factor)]
        if not found:
            return np.empty((0, 4), np.float32)
        boxes = np.concatenate([boxes for boxes, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        kept = suppress(boxes, scores, self.parameters.overlaps[1])
        return squared(boxes[kept])

    def _scan(self, level: Image.Image, scale: float) -> tuple[Vector, Vector]:
        """P-Net over one level, in coordinates of the whole picture."""
        scores, offsets = self._pnet.run(pixels=np.asarray(level)[None])
        rows, columns = _best_cells(scores[0], self.parameters.thresholds[0], self.parameters.max_candidates)
        corner = np.stack([columns, rows], axis=1).astype(np.float32) * STRIDE_PX
        boxes = np.concatenate([corner, corner + WINDOW_PX], axis=1)
        boxes = (boxes + offsets[0, rows, columns] * WINDOW_PX) / scale
        passed = scores[0, rows, columns]
        kept = suppress(boxes, passed, self.parameters.overlaps[0])
        return boxes[kept], passed[kept]

    def _refine(self, picture: Picture, boxes: Vector) -> Vector:
        """R-Net on proposals: square boxes `(n, 4)`, best first."""
        if not len(boxes):
            return boxes
        scores, offsets = self._rnet.run(pixels=picture.cut_out(boxes, 24))
        passed = scores > self.parameters.thresholds[1]
        boxes = shifted(boxes[passed], offsets[passed])
        return squared(boxes[suppress(boxes, scores[passed], self.parameters.overlaps[2])])

    def _finish(self, picture: Picture, boxes: Vector) -> Detections:
        """O-Net on what is left: boxes, landmarks and scores."""
        if not len(boxes):
            return Detections.none()
        scores, offsets, points = self._onet.run(pixels=picture.cut_out(boxes, 48))
        passed = scores > self.parameters.thresholds[2]
        scores, boxes = scores[passed], boxes[passed]
        places = points[passed].reshape(-1, 2, 5).transpose(0, 2, 1)
        sides = (boxes[:, 2:] - boxes[:, :2])[:, None, :]
        landmarks = boxes[:, None, :2] + places * sides
        boxes = shifted(boxes, offsets[passed])
        sound = (boxes[:, 2:] > boxes[:, :2]).all(axis=1)
        boxes, landmarks, scores = boxes[sound], landmarks[sound], scores[sound]
        kept = suppress(boxes, scores, self.parameters.overlaps[3], by_smaller=True)
        return Detections(boxes[kept], landmarks[kept].astype(np.float32), np.minimum(scores[kept], 1.0))


class Picture:
    """A picture to cut from, with its halves, quarters and so on, each made when first needed."""

    def __init__(self, image: Image.Image) -> None:
        self.image = image
        self._shrunk = {1: image}

    def cut_out(self, boxes: Vector, side: int) -> Pixels:
        """Square boxes as `(n, side, side, 3)` pixels; black where a box reaches past the edge."""
        # One tall picture for all crops: turning each into an array of its own would cost as much as cutting it.
        strip = Image.new("RGB", (side, side * len(boxes)))
        for index, box in enumerate(boxes.tolist()):
            self._paste(strip, index, box, side)
        return np.asarray(strip).reshape(len(boxes), side, side, 3)

    def _paste(self, strip: Image.Image, index: int, box: list[float], side: int) -> None:
        left, top, right, bottom = box
        width, height = self.image.size
        x1, y1, x2, y2 = max(left, 0.0), max(top, 0.0), min(right, float(width)), min(bottom, float(height))
        scale = side / max(right - left, 1e-6)
        place = [round((x1 - left) * scale), round((y1 - top) * scale)]
        size = (min(round((x2 - left) * scale), side) - place[0], min(round((y2 - top) * scale), side) - place[1])
        if min(size) < 1 or x2 <= x1 or y2 <= y1:
            return
        factor = self._factor(right - left, side)
        source = self._at(factor)
        part = (x1 / factor, y1 / factor, min(x2 / factor, source.width), min(y2 / factor, source.height))
        strip.paste(source.resize(size, Image.Resampling.BILINEAR, box=part), (place[0], side * index + place[1]))

    @staticmethod
    def _factor(box_px: float, side: int) -> int:
        """How far the picture may be shrunk and still hold twice the pixels that the crop needs: 1, 2, 4 …"""
        factor = 1
        while box_px >= 4 * side * factor:
            factor *= 2
        return factor

    def _at(self, factor: int) -> Image.Image:
        if factor not in self._shrunk:
            self._shrunk[factor] = self.image.reduce(factor)
        return self._shrunk[factor]


def pyramid(image: Image.Image, least: float, factor: float) -> list[tuple[Image.Image, float]]:
    """The picture at the sizes where a face of `least` pixels, and each 1 / `factor` larger, fills P-Net's window.

    Returns each level with its scale (level pixels per picture pixel).
    """
    levels: list[tuple[Image.Image, float]] = []
    scale = WINDOW_PX / least
    base = image
    while min(image.size) * scale >= WINDOW_PX:
        size = (max(WINDOW_PX, round(image.width * scale)), max(WINDOW_PX, round(image.height * scale)))
        level = base.resize(size, Image.Resampling.BILINEAR, reducing_gap=2.0)
        # Further levels come from the first: it holds all that they need, and is smaller than a large photo.
        base = level if not levels else base
        levels.append((level, scale))
        scale *= factor
    return levels


def _best_cells(scores: Vector, threshold: float, most: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Rows and columns of the cells of `(h, w)` above the threshold, at most `most`."""
    rows, columns = np.nonzero(scores > threshold)
    if len(rows) > most:
        best = np.argpartition(-scores[rows, columns], most)[:most]
        rows, columns = rows[best], columns[best]
    return rows, columns


def shifted(boxes: Vector, offsets: Vector) -> Vector:
    """Boxes `(n, 4)` moved by a network's offsets, which count in box sides."""
    sides = boxes[:, 2:] - boxes[:, :2]
    moved: Vector = boxes + offsets * np.tile(sides, 2)
    return moved
