"""Where a teacher sees the faces of a data set's photos, found once and kept in a file."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from likeness.data.sources.base import Listing
from likeness.errors import DatasetError, PhotoError
from likeness.spread import spread
from likeness.train.same_work import Facts, digest_of, digest_of_file, expect_same_work, facts_as_text
from likeness.types import Pixels, Vector
from likeness.vision.decode import decode_photo
from likeness.vision.detect import MIRRORED, Detections, Detector

EDGE_SHARE = 0.2
"""How far photos are continued past their edges for the teacher: pictures of faces cut close show them in part."""
LEAST_OVERLAP = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class TeacherFaces:
    """Faces of many photos, as the mean of the teacher's answers to a photo and to its mirror image.

    Attributes:
        paths: of the photos that show a face, relative to `folder`.
        photo: `(n,)` index into `paths` for each face, ascending.
        boxes_xyxy_px, landmarks_px, scores: as in `Detections`, in pixels of the photo; may reach past its edges.
        spread: `(n,)` mean distance of the two answers' landmarks, as a share of the distance between the eyes.
        work: what the answers rest on, as `facts_as_text`.
    """

    folder: Path
    paths: tuple[str, ...]
    photo: NDArray[np.int64]
    boxes_xyxy_px: Vector
    landmarks_px: Vector
    scores: Vector
    spread: Vector
    work: str = "{}"

    def of(self, index: int) -> slice:
        """Which faces are those of a photo."""
        low, high = np.searchsorted(self.photo, [index, index + 1])
        return slice(int(low), int(high))

    def write(self, target: Path) -> None:
        """Write all but the folder into a file of numpy's."""
        part = target.with_name(f".{target.name}.part.npz")
        np.savez_compressed(
            part, paths=np.array(self.paths), photo=self.photo, boxes=self.boxes_xyxy_px,
            landmarks=self.landmarks_px, scores=self.scores, spread=self.spread, work=np.array(self.work),
        )  # fmt: skip
        part.replace(target)

    @classmethod
    def read(cls, source: Path, folder: Path) -> TeacherFaces:
        """Read a file of `write`.

        Raises:
            DatasetError: it is damaged.
        """
        try:
            # numpy leaves a damaged file open when it opens it itself.
            with source.open("rb") as file, np.load(file, allow_pickle=False) as kept:
                work = str(kept["work"])
                json.loads(work)
                return cls(
                    folder, tuple(kept["paths"].tolist()), kept["photo"], kept["boxes"], kept["landmarks"],
                    kept["scores"], kept["spread"], work,
                )  # fmt: skip
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
            raise DatasetError(f"the teacher's answers in {str(source)!r} cannot be read", hint="delete it") from error


class AskedFor:
    """A teacher that looks for faces of a stated size and more, whatever its own habit."""

    def __init__(self, teacher: Detector, least_face_px: float) -> None:
        self._teacher, self._least = teacher, least_face_px
        self.smallest_face_px = teacher.smallest_face_px

    def detect(self, pixels: Pixels, *, min_face_px: float | None = None) -> Detections:
        """See `likeness.vision.detect.Detector`."""
        return self._teacher.detect(pixels, min_face_px=min_face_px or self._least)


def find_teacher_faces(
    listing: Listing,
    teacher: Detector,
    cache: Path,
    *,
    asked: Facts = MappingProxyType({}),
    workers: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> TeacherFaces:
    """The teacher's faces in all photos of a source; from the file `cache` if it is there, else written to it.

    Photos that cannot be read are left out, and of files that are equal all but the first, so that no split can part
    them. `asked` says which teacher it is and what it looks for.

    Raises:
        DatasetError: no photo shows a face. RunDiffers: `cache` holds answers to other photos, or to another question.
    """
    digests = _digests(listing)
    work = {"photos": digest_of(f"{path}\0{digest}" for path, digest in digests.items()),
            "look": [EDGE_SHARE, LEAST_OVERLAP], **asked}  # fmt: skip
    if cache.is_file():
        kept = TeacherFaces.read(cache, listing.folder)
        expect_same_work(kept.work, work, cache)
        return kept
    paths = sorted({digest: path for path, digest in reversed(digests.items())}.values())

    def ask(path: str) -> tuple[str, Detections, Vector] | None:
        try:
            pixels = decode_photo(listing.folder / path).pixels
        except PhotoError:
            return None
        return path, *see_twice(teacher, pixels)

    found = []
    for done, answer in enumerate(spread(ask, paths, workers), 1):
        if answer is not None and len(answer[1]):
            found.append(answer)
        progress(done, len(paths))
    if not found:
        raise DatasetError(f"the teacher finds no face in the {len(paths)} photos of {str(listing.folder)!r}")
    faces = TeacherFaces(
        listing.folder,
        tuple(path for path, _, _ in found),
        np.concatenate([np.full(len(seen), index) for index, (_, seen, _) in enumerate(found)]),
        np.concatenate([seen.boxes_xyxy_px for _, seen, _ in found]),
        np.concatenate([seen.landmarks_px for _, seen, _ in found]),
        np.concatenate([seen.scores for _, seen, _ in found]),
        np.concatenate([apart for _, _, apart in found]),
        facts_as_text(work),
    )
    cache.parent.mkdir(parents=True, exist_ok=True)
    faces.write(cache)
    return faces


def _digests(listing: Listing) -> dict[str, str]:
    """Digest of each photo's file, by path in order; of those that can be read."""
    known = {row.path: row.sha256 for row in listing.rows}
    found = {path: known[path] or digest_of_file(listing.folder / path) for path in sorted(known)}
    return {path: digest for path, digest in found.items() if digest}


def see_twice(teacher: Detector, pixels: Pixels) -> tuple[Detections, Vector]:
    """Faces that the teacher sees in a photo and in its mirror image, and how far apart `(n,)` it places landmarks.

    The mean of the two answers is nearer to the truth than either; what is seen once only is left out.
    """
    edge = round(EDGE_SHARE * min(pixels.shape[:2]))
    wide = np.pad(pixels, ((edge, edge), (edge, edge), (0, 0)), mode="edge")
    plain, turned = teacher.detect(wide), teacher.detect(np.ascontiguousarray(wide[:, ::-1]))
    other = mirrored(turned, wide.shape[1])
    if not len(plain) or not len(other):
        return Detections.none(), np.empty(0, np.float32)
    overlap = overlaps(plain.boxes_xyxy_px, other.boxes_xyxy_px)
    match = overlap.argmax(axis=1)
    kept = np.flatnonzero(overlap.max(axis=1) > LEAST_OVERLAP)
    match = match[kept]
    marks = np.stack([plain.landmarks_px[kept], other.landmarks_px[match]])
    mean = marks.mean(axis=0)
    eyes = np.linalg.norm(mean[:, 1] - mean[:, 0], axis=1)
    apart = np.linalg.norm(marks[0] - marks[1], axis=2).mean(axis=1) / np.maximum(eyes, 1e-6)
    boxes = (plain.boxes_xyxy_px[kept] + other.boxes_xyxy_px[match]) / 2
    scores = np.minimum(plain.scores[kept], other.scores[match])
    return Detections(boxes - edge, mean - edge, scores), apart.astype(np.float32)


def mirrored(found: Detections, width_px: int) -> Detections:
    """The same faces in the mirror image of a picture."""
    boxes = found.boxes_xyxy_px[:, [2, 1, 0, 3]].copy()
    boxes[:, [0, 2]] = width_px - boxes[:, [0, 2]]
    marks = found.landmarks_px[:, list(MIRRORED)].copy()
    marks[:, :, 0] = width_px - marks[:, :, 0]
    return Detections(boxes, marks, found.scores)


def overlaps(first: Vector, second: Vector) -> Vector:
    """Intersection over union of each box `(n, 4)` with each `(m, 4)`: `(n, m)`."""
    low = np.maximum(first[:, None, :2], second[None, :, :2])
    high = np.minimum(first[:, None, 2:], second[None, :, 2:])
    shared = np.prod(np.maximum(high - low, 0), axis=2)
    areas = [np.prod(np.maximum(boxes[:, 2:] - boxes[:, :2], 0), axis=1) for boxes in (first, second)]
    share: Vector = shared / np.maximum(areas[0][:, None] + areas[1][None] - shared, 1e-9)
    return share
