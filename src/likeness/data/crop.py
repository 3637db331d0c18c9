"""A detector over a data set: each photo's face as an aligned crop, and a data set of the crops."""

from __future__ import annotations

import hashlib
import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from likeness.bundle import Bundle
from likeness.data.cropnames import CropNames
from likeness.data.dataset import FACTS, CropFacts, Dataset, Facts, storage_error
from likeness.data.journal import Cut, Journal, key_of, readable
from likeness.data.manifest import FoundFace, Row
from likeness.errors import FaceError, ModelError, NoFace, PhotoError, SeveralFaces
from likeness.settings import Settings
from likeness.spread import spread
from likeness.types import Photo, Pixels
from likeness.vision.align import align
from likeness.vision.decode import DecodeLimits, decode_photo
from likeness.vision.detect import Detections, Detector
from likeness.vision.session import available_cores

Pick = Literal["central", "largest", "only"]
JPEG_QUALITY = 95
LEAST_OVERLAP = 0.2
"""Two boxes of one face by different detectors, one tight and one loose, share at least this of their union."""


@dataclass(frozen=True, slots=True)
class Cropper:
    """Photo → aligned crop; thread-safe.

    Attributes:
        facts: side, template and detector's name, as the data set states them.
        fingerprint: what the crops depend on, so that crops made otherwise are never mixed.
    """

    detector: Detector
    facts: CropFacts
    limits: DecodeLimits
    pick: Pick = "central"
    photo_side_px: int = 2048
    min_face_px: float | None = None
    fingerprint: str = ""

    def crop(self, path: Path, known: FoundFace | None = None) -> tuple[Pixels, FoundFace]:
        """The crop of the face that is meant, and where it is in the full-size photo.

        Where a box is `known` (in full-size pixels), the face meant is the one that overlaps it most.

        Raises:
            PhotoError: the photo cannot be decoded.
            FaceError: it shows no face, or several where it must be one.
        """
        photo = decode_photo(path, limits=self.limits, target_side_px=self.photo_side_px)
        least = None if self.min_face_px is None else self.min_face_px / photo.scale
        found = self.detector.detect(photo.pixels, min_face_px=least)
        if known is None:
            at = pick_face(found, photo, self.pick)
        else:
            at = pick_known(found, np.array(known.box_xyxy_px) / photo.scale)
        template = np.array(self.facts.template_px, np.float32)
        pixels = align(photo.pixels, found.landmarks_px[at], template, self.facts.side_px)
        x1, y1, x2, y2 = (float(value) * photo.scale for value in found.boxes_xyxy_px[at])
        points = tuple((float(x) * photo.scale, float(y) * photo.scale) for x, y in found.landmarks_px[at])
        return pixels, FoundFace((x1, y1, x2, y2), points, float(found.scores[at]))


@dataclass(frozen=True, slots=True)
class Cropped:
    """What came of a run: the data set, and how many photos were cut now, were cut before, and are unusable."""

    dataset: Dataset
    cut: int
    kept: int
    refused: int


def open_cropper(
    settings: Settings,
    *,
    side_px: int | None = None,
    pick: Pick = "central",
    say: Callable[[str], None] = lambda text: None,
) -> Cropper:
    """A cropper with the detector of the settings, for crops that the embedder of the settings takes.

    With another `side_px` than the embedder's own the template is scaled.

    Raises:
        ModelError: one of the two cannot be used.
    """
    library = settings.library(say)
    detector = library.find(settings.detector)
    facts = crop_facts(library.find(settings.embedder), detector.manifest.name, side_px)
    fingerprint = f"{detector.fingerprint} {facts.model_dump_json()} {pick} {settings.photo_side_px}"
    if settings.min_face_px is not None:
        fingerprint += f" {settings.min_face_px}"
    return Cropper(
        detector.load(threads=1),
        facts,
        DecodeLimits(max_bytes=settings.max_photo_bytes, max_pixels=settings.max_photo_pixels),
        pick,
        settings.photo_side_px,
        settings.min_face_px,
        hashlib.sha256(fingerprint.encode()).hexdigest(),
    )


def crop_facts(embedder: Bundle, detector: str, side_px: int | None = None) -> CropFacts:
    """How crops are made that an embedder takes, in its own size or another.

    Raises:
        ModelError: the bundle is no embedder.
    """
    manifest = embedder.manifest
    if manifest.alignment is None or manifest.input is None:
        raise ModelError(
            f"{manifest.name} is no embedder: it says nothing of how faces are aligned",
            hint="name an embedder with --model; `likeness models list` says what each model does",
        )
    own = CropFacts(side_px=manifest.input.side_px, template_px=manifest.alignment.template_px, detector=detector)
    side = side_px or own.side_px
    return own.model_copy(update={"side_px": side, "template_px": own.template_for(side)})


def pick_face(found: Detections, photo: Photo, pick: Pick) -> int:
    """Index of the face meant: the one nearest to the photo's middle, the largest, or the only one.

    Raises:
        NoFace: there is none.
        SeveralFaces: there are more, and it must be the only one.
    """
    if not len(found):
        raise NoFace("no face was found")
    if pick == "only" and len(found) > 1:
        raise SeveralFaces(f"the photo shows {len(found)} faces where one is needed")
    low, high = found.boxes_xyxy_px[:, :2], found.boxes_xyxy_px[:, 2:]
    if pick == "largest":
        return int(np.argmax(np.prod(high - low, axis=1)))
    height, width = photo.pixels.shape[:2]
    return int(np.argmin(np.hypot(*((low + high) / 2 - np.array((width, height)) / 2).T)))


def pick_known(found: Detections, box_xyxy_px: NDArray[np.float64]) -> int:
    """Index of the face whose box overlaps a known one most, by intersection over union.

    Raises:
        NoFace: none overlaps it enough to be the same face.
    """
    if not len(found):
        raise NoFace("no face was found")
    low, high = found.boxes_xyxy_px[:, :2], found.boxes_xyxy_px[:, 2:]
    sides = np.minimum(high, box_xyxy_px[2:]) - np.maximum(low, box_xyxy_px[:2])
    shared = np.prod(np.maximum(sides, 0), axis=1)
    whole = np.prod(high - low, axis=1) + np.prod(box_xyxy_px[2:] - box_xyxy_px[:2]) - shared
    overlap = shared / np.maximum(whole, 1e-9)
    if overlap.max() < LEAST_OVERLAP:
        raise NoFace("no face was found where the source's box is")
    return int(np.argmax(overlap))


def crop_dataset(
    photos: Sequence[Row],
    folder: Path,
    cropper: Cropper,
    out: Path,
    *,
    facts: Facts,
    workers: int = 0,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> Cropped:
    """Crop the photos (their paths relative to `folder`) into the data set `out`; a run that was stopped goes on.

    Crops are `crops/IDENTITY/NAME.jpg`. What was done is in a journal, so that nothing is done twice. A data set that
    is there already only grows: its rows keep identity and split, and rows that were taken out stay out. Photos that
    give no crop stand in `refused.csv` with the reason.

    Raises:
        DatasetError: `out` holds crops that were made otherwise, or another run is at work there.
        StorageError: it cannot be written.
    """
    try:
        with Journal.open(out, cropper.fingerprint, folder) as journal:
            names = CropNames(cut.row.path for cut in journal.cuts.values() if cut.row is not None)
            waiting = [photo for photo in photos if not journal.settled(photo, folder)]
            kept = done = len(photos) - len(waiting)
            jobs = [(photo, names.path_of(photo, journal.cuts.get(key_of(photo)))) for photo in waiting]
            progress(done, len(photos))
            for cut in spread(lambda job: _cut(cropper, folder, out, *job), jobs, workers or available_cores()):
                journal.add(cut)
                done += 1
                progress(done, len(photos))
            dataset = _published(out, photos, journal, cropper, facts)
            refused = journal.write_refused(photos)
    except OSError as error:
        raise storage_error(error, out) from error
    return Cropped(dataset, sum(journal.cuts[key_of(photo)].row is not None for photo in waiting), kept, refused)


def _cut(cropper: Cropper, folder: Path, out: Path, photo: Row, target: str) -> Cut:
    source = folder / photo.path
    stamp = Cut.stamp_of(source)
    try:
        pixels, face = cropper.crop(source, photo.face)
    except (PhotoError, FaceError) as error:
        return Cut(key_of(photo), stamp, code=error.code, reason=error.message.replace(repr(str(source)), "the photo"))
    data = io.BytesIO()
    Image.fromarray(pixels).save(data, "JPEG", quality=JPEG_QUALITY, subsampling=0)
    _write(data.getvalue(), out / target)
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    return Cut(key_of(photo), stamp, row=Row(path=target, sha256=digest, face=_rounded(face)))


def _rounded(face: FoundFace) -> FoundFace:
    """The face as the manifest holds it."""
    x1, y1, x2, y2 = (round(value, 2) for value in face.box_xyxy_px)
    points = tuple((round(x, 2), round(y, 2)) for x, y in face.landmarks_px)
    return FoundFace((x1, y1, x2, y2), points, math.floor(face.score * 1e4) / 1e4)


def _published(out: Path, photos: Sequence[Row], journal: Journal, cropper: Cropper, facts: Facts) -> Dataset:
    """The data set with what the journal holds; written where that is more than it had."""
    old = Dataset.read(out) if (out / FACTS).exists() else None
    known = journal.published if old else set()
    cuts = [(photo, journal.cuts[key_of(photo)]) for photo in photos]
    # What a run that was killed before it noted so has put into the manifest is there already.
    there = {row.path for row in old.rows} if old else set()
    new = [
        _row(photo, cut)
        for photo, cut in cuts
        if cut.row is not None and cut.photo not in known and cut.row.path not in there
    ]
    if old is not None:
        rows = (*_remade(old.rows, journal), *new)
        if rows == old.rows:
            if not known.issuperset(cut.photo for _, cut in cuts if cut.row is not None):
                journal.publish(cut.photo for _, cut in cuts if cut.row is not None)
            return old
        dataset = old.with_rows(rows, step=facts.steps[-1])
    else:
        dataset = Dataset(out, facts.model_copy(update={"crops": cropper.facts}), tuple(new))
    dataset.write()
    journal.publish(cut.photo for _, cut in cuts if cut.row is not None)
    return dataset


def _remade(rows: Iterable[Row], journal: Journal) -> Iterator[Row]:
    """Rows that stood in the data set; of a photo that was replaced, with the new face."""
    cuts = {cut.row.path: cut.row for cut in journal.cuts.values() if cut.row is not None}
    for row in rows:
        cut = cuts.get(row.path)
        yield replace(row, face=cut.face, sha256=cut.sha256) if cut else row


def _row(photo: Row, cut: Cut) -> Row:
    assert cut.row is not None
    labels = {name: readable(value) if isinstance(value, str) else value for name, value in photo.labels.items()}
    return replace(
        photo,
        path=cut.row.path,
        identity=readable(photo.identity),
        labels=labels,
        photo=readable(photo.path),
        sha256=cut.row.sha256,
        face=cut.row.face,
    )


def _write(data: bytes, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = target.with_name(f".{target.name}.part")
    aside.write_bytes(data)
    os.replace(aside, target)  # noqa: PTH105 - the hot loop
