"""The journal of a run that crops photos: what was done, one line each, so that a stopped run goes on."""

from __future__ import annotations

import csv
import fcntl
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from likeness.data.manifest import FoundFace, Row
from likeness.errors import DatasetError

JOURNAL = "crops.journal"
REFUSED = "refused.csv"


@dataclass(frozen=True, slots=True)
class Cut:
    """What came of one photo: a row with path, digest and face of the crop, or a reason why there is none.

    Attributes:
        photo: its key (`key_of`). stamp: its file's size and time of change when it was looked at.
        code, reason: of a photo without a crop, the error's code and message.
    """

    photo: str
    stamp: str
    row: Row | None = None
    code: str = ""
    reason: str = ""

    @staticmethod
    def stamp_of(path: Path) -> str:
        """Says whether a file was changed: its size and time of change; empty where there is none."""
        try:
            facts = path.stat()
        except (OSError, ValueError):
            return ""
        return f"{facts.st_size} {facts.st_mtime_ns}"


@dataclass(slots=True)
class Journal:
    """The open journal of a folder.

    Attributes:
        cuts: photo's key → what came of it.
        published: keys of photos that stood in the journal when the manifest was last written.
    """

    folder: Path
    file: IO[str]
    cuts: dict[str, Cut] = field(default_factory=dict)
    published: set[str] = field(default_factory=set)

    @staticmethod
    @contextmanager
    def open(folder: Path, fingerprint: str, photos: Path) -> Iterator[Journal]:
        """The journal of the data set `folder`, held for this run alone.

        Raises:
            DatasetError: it is of crops made otherwise, or another run holds it.
        """
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / JOURNAL).open("a+", encoding="utf-8") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise DatasetError(f"another run is cropping into {str(folder)!r}", hint="wait for its end") from None
            journal = Journal(folder, file)
            file.seek(0)
            journal._read(file.read(), {"crops": fingerprint, "photos": str(photos.resolve())})
            yield journal

    def settled(self, photo: Row, photos: Path) -> bool:
        """Whether the photo need not be looked at again: its file is as it was, and its crop is there."""
        cut = self.cuts.get(key_of(photo))
        if cut is None or not cut.stamp or cut.stamp != Cut.stamp_of(photos / photo.path):
            return False
        return cut.row is None or (self.folder / cut.row.path).is_file()

    def add(self, cut: Cut) -> None:
        """Note what came of a photo."""
        self.cuts[cut.photo] = cut
        if cut.row is None:
            self._line({"photo": cut.photo, "stamp": cut.stamp, "code": cut.code, "reason": cut.reason})
            return
        face = cut.row.face
        assert face is not None
        numbers = [*face.box_xyxy_px, *(value for point in face.landmarks_px for value in point), face.score]
        self._line(
            {
                "photo": cut.photo,
                "stamp": cut.stamp,
                "crop": cut.row.path,
                "sha256": cut.row.sha256,
                "face": numbers,
            }
        )

    def publish(self, photos: Iterable[str]) -> None:
        """Note that the manifest holds these photos' crops now."""
        self.published.update(photos)
        self._line({"published": sorted(self.published)})

    def write_refused(self, photos: Sequence[Row]) -> int:
        """Write `refused.csv` with the photos that gave no crop, in order, and count them."""
        refused = [cut for row in photos if (cut := self.cuts[key_of(row)]).row is None]
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["path", "code", "reason"])
        writer.writerows([readable(cut.photo), cut.code, readable(cut.reason)] for cut in refused)
        aside = self.folder / f".{REFUSED}.part"
        aside.write_text(text.getvalue(), "utf-8")
        aside.replace(self.folder / REFUSED)
        return len(refused)

    def _read(self, text: str, header: dict[str, str]) -> None:
        # A run that was killed may leave half a line at the end: that photo is looked at again.
        whole, _, rest = text.rpartition("\n")
        if rest:
            self.file.truncate(len(whole.encode()) + (1 if whole else 0))
            self.file.seek(0, io.SEEK_END)
        lines = whole.splitlines()
        if not lines:
            self._line(header)
            return
        try:
            was, *done = (json.loads(line) for line in lines)
            for facts in done:
                self._take(facts)
        except (ValueError, KeyError, TypeError) as error:
            raise DatasetError(
                f"{self.folder / JOURNAL} is damaged: {error}", hint="crop into another folder"
            ) from error
        if was != header:
            differs = "from other photos" if was.get("crops") == header["crops"] else "with other models or options"
            raise DatasetError(
                f"{str(self.folder)!r} holds crops that were made {differs}",
                hint="crop into another folder, or give the same photos, models and options",
            )

    def _take(self, facts: dict[str, Any]) -> None:
        if "published" in facts:
            self.published = set(facts["published"])
            return
        photo, stamp = facts["photo"], facts["stamp"]
        if "crop" not in facts:
            self.cuts[photo] = Cut(photo, stamp, code=facts["code"], reason=facts["reason"])
            return
        x1, y1, x2, y2, *points, score = facts["face"]
        face = FoundFace((x1, y1, x2, y2), tuple(zip(points[::2], points[1::2], strict=True)), score)
        self.cuts[photo] = Cut(photo, stamp, Row(path=facts["crop"], sha256=facts["sha256"], face=face))

    def _line(self, facts: dict[str, Any]) -> None:
        self.file.write(json.dumps(facts) + "\n")
        self.file.flush()


def key_of(photo: Row) -> str:
    """What a photo is called in the journal: its path, and the box where the source says which face is meant."""
    if photo.face is None:
        return photo.path
    return f"{photo.path}#{','.join(f'{value:.1f}' for value in photo.face.box_xyxy_px)}"


def readable(text: str) -> str:
    """The text without bytes that are no UTF-8, which a file's name may hold: they are written as `\\xNN`."""
    return text.encode("utf-8", "backslashreplace").decode()
