"""Any Hugging Face data set of images with labels: a local folder, or a repository on the hub."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, ClassVar

from platformdirs import user_cache_path

from likeness.data.manifest import Row, read_rows, write_rows
from likeness.data.sources.base import SPLIT_WORDS, Skipped, Source, Told, nobody
from likeness.errors import DatasetError, ExtraMissing, LikenessError, PhotoUnsupported
from likeness.hub import SCHEME, Repository, open_hub
from likeness.vision.sniff import sniff_kind

_INDEX = "index.csv"
_SKIPPED = "skipped.json"
_SCRATCH = ".scratch"
_LABEL_COLUMNS = ("identity", "label", "labels", "name", "person", "celebrity")
_SAVED = ("dataset_dict.json", "dataset_info.json")
_ENDINGS = {"jpeg": "jpg", "tiff": "tif"}
_TABLES = (".parquet", ".arrow")


@dataclass(frozen=True)
class HuggingFace(Source):
    """Images and labels as `datasets` reads them; the images become files in a cache, bytes untouched.

    Attributes:
        image: the column of images; the first of that kind unless said.
        label: the column of people; `identity`, `label`, `name`, … or the first with class names unless said. Class
            names become the names of people.
        cache: folder that the images are put into; the user's cache unless said.
        licence_of_photos: the terms, as the data set's card says them.
    """

    name: ClassVar = "huggingface"
    title: ClassVar = "Hugging Face data set (image and label)"
    licence: ClassVar = "see the data set's card"
    layout: ClassVar = "a folder that `datasets` saved or can load, or hf://OWNER/NAME"
    has: ClassVar = ("identity", "labels", "split")
    how_to_get: ClassVar = "hf://OWNER/NAME is fetched when it is used"

    image: str = ""
    label: str = ""
    cache: Path | None = None
    licence_of_photos: str = ""

    def recognises(self, folder: Path) -> bool:
        """Whether `datasets` saved it, or it holds tables of theirs."""
        if not folder.is_dir():
            return False
        names = [path.name for place in (folder, folder / "data") if place.is_dir() for path in place.iterdir()]
        return any(name in _SAVED or name.endswith(_TABLES) for name in names)

    def root(self, location: str, *, progress: Told = nobody) -> Path:
        """The folder with the images as files and an index of them; made on first use.

        Raises:
            ExtraMissing: `datasets` is not installed. DatasetError: it cannot be loaded, or has no images.
            RemoteError: the hub did not give it.
        """
        if find_spec("datasets") is None:
            raise ExtraMissing("Hugging Face data sets need the package datasets", hint="pip install 'likeness[hub]'")
        cache = (self.cache or user_cache_path("likeness") / "sources").expanduser()
        cache.mkdir(parents=True, exist_ok=True)
        if location.startswith(SCHEME):
            return self._from_hub(location, cache, progress)
        folder = super().root(location)
        return self._unpacked(folder, cache / self._key(f"{folder.resolve()} {_stamp(folder)}"), progress)

    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each image that was put into the folder."""
        where = folder / _INDEX
        try:
            text = where.read_text("utf-8")
        except OSError:
            raise DatasetError(f"{str(folder)!r} has no {_INDEX}", hint="open it with open_source") from None
        yield from read_rows(text, where=str(where))
        yield from (Skipped(path, reason) for path, reason in json.loads((folder / _SKIPPED).read_bytes()))

    def _from_hub(self, location: str, cache: Path, progress: Told) -> Path:
        wanted = Repository.parse(location)
        hub = open_hub()
        commit = hub.commit(wanted.name, "dataset", revision=wanted.revision)
        folder = cache / self._key(f"{hub.endpoint} {wanted.name} {commit}")
        if not (folder / _INDEX).is_file():
            fetched = folder.with_name(f"{folder.name}-fetched")
            shutil.rmtree(fetched, ignore_errors=True)
            hub.download(wanted.name, "dataset", fetched, revision=commit)
            self._unpacked(fetched, folder, progress)
            shutil.rmtree(fetched)
        return folder

    def _key(self, text: str) -> str:
        return hashlib.sha256(f"{text} {self.image} {self.label}".encode()).hexdigest()[:24]

    def _unpacked(self, folder: Path, out: Path, progress: Told) -> Path:
        if (out / _INDEX).is_file():
            return out
        aside = Path(tempfile.mkdtemp(prefix=".unpacking-", dir=out.parent))
        try:
            parts = load_parts(folder, aside / _SCRATCH)
            entries = list(self._rows(parts, aside, (folder.resolve(), aside.resolve()), progress))
            shutil.rmtree(aside / _SCRATCH, ignore_errors=True)
            skipped = [(entry.path, entry.reason) for entry in entries if isinstance(entry, Skipped)]
            (aside / _SKIPPED).write_text(json.dumps(skipped), "utf-8")
            (aside / _INDEX).write_text(write_rows(entry for entry in entries if isinstance(entry, Row)), "utf-8")
            shutil.rmtree(out, ignore_errors=True)
            aside.replace(out)
        except BaseException:
            shutil.rmtree(aside, ignore_errors=True)
            raise
        return out

    def _rows(
        self, parts: dict[str, Any], out: Path, places: tuple[Path, ...], progress: Told
    ) -> Iterator[Row | Skipped]:
        from datasets import Image

        total, done = sum(len(part) for part in parts.values()), 0
        for split, part in parts.items():
            image, label = self._columns(part)
            names = {column: getattr(feature, "names", None) for column, feature in part.features.items()}
            (out / split).mkdir()
            for at, example in enumerate(part.cast_column(image, Image(decode=False))):
                done += 1
                progress(done, total)
                try:
                    path = _put(example[image], out / split / f"{at:07d}", places).relative_to(out).as_posix()
                except (OSError, PhotoUnsupported) as error:
                    words = error.message if isinstance(error, PhotoUnsupported) else "a file that cannot be read"
                    yield Skipped(f"{split}, number {at}", words)
                    continue
                values = {column: _value(example[column], names[column]) for column in example if column != image}
                identity = values.pop(label, None) if label else None
                yield Row(
                    path=path,
                    identity="" if identity is None else str(identity),
                    labels={column: value for column, value in values.items() if value is not None},
                    split=SPLIT_WORDS.get(split.lower(), ""),
                    source=self.name,
                    licence=self.licence_of_photos,
                )

    def _columns(self, part: Any) -> tuple[str, str]:
        """The columns of images and of people (empty: nobody is named)."""
        from datasets import ClassLabel, Image

        features = part.features
        images = [column for column, feature in features.items() if isinstance(feature, Image)]
        if self.image and self.image not in images:
            raise DatasetError(f"the column {self.image!r} holds no images", hint=f"these do: {', '.join(images)}")
        if not images:
            raise DatasetError(f"no column holds images (columns: {', '.join(features)})")
        if self.label and self.label not in features:
            raise DatasetError(f"there is no column {self.label!r}", hint=f"there are: {', '.join(features)}")
        named = [column for column in _LABEL_COLUMNS if column in features]
        classes = [column for column, feature in features.items() if isinstance(feature, ClassLabel)]
        return self.image or images[0], self.label or next(iter(named + classes), "")


def load_parts(folder: Path, scratch: Path) -> dict[str, Any]:
    """The splits of a folder that `datasets` saved or can load, each a `datasets.Dataset`.

    `scratch` gets what `datasets` unpacks; it must stay until the rows were read.

    Raises:
        DatasetError: it can not be loaded.
    """
    import datasets

    datasets.disable_progress_bars()
    try:
        if any((folder / name).is_file() for name in _SAVED):
            loaded = datasets.load_from_disk(str(folder))
        else:
            loaded = datasets.load_dataset(str(folder), cache_dir=str(scratch))
    except LikenessError:
        raise
    except Exception as error:  # the library raises whatever its readers raise
        first = (str(error).splitlines() or [""])[0]
        raise DatasetError(f"{str(folder)!r} cannot be loaded as a Hugging Face data set: {first[:200]}") from error
    return dict(loaded) if isinstance(loaded, datasets.DatasetDict) else {"all": loaded}


def _put(image: Any, stem: Path, places: tuple[Path, ...]) -> Path:
    """Write an image's own bytes to a file with the ending of its kind.

    Raises:
        PhotoUnsupported: it is empty, no picture, or a file that is below none of the `places`.
        OSError: it is kept as a file that cannot be read.
    """
    if not image or (image.get("bytes") is None and not image.get("path")):
        raise PhotoUnsupported("an empty image")
    if image.get("bytes") is None and not any(Path(image["path"]).resolve().is_relative_to(place) for place in places):
        raise PhotoUnsupported("a file that is no part of the data set")  # a stranger's table may name any of yours
    data = image["bytes"] if image.get("bytes") is not None else Path(image["path"]).read_bytes()
    kind = sniff_kind(data)
    path = stem.with_suffix(f".{_ENDINGS.get(kind, kind)}")
    path.write_bytes(data)
    return path


def _value(value: Any, names: list[str] | None) -> str | float | None:
    """A label's value: class numbers as their names, truth as yes and no; None for what is no plain value."""
    if names is not None and isinstance(value, int):
        return names[value] if 0 <= value < len(names) else None
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return float(value)
    return value if isinstance(value, str) and value else None


def _stamp(folder: Path) -> str:
    """What changes when the folder's files do: their names, sizes and times."""
    found = [(path.as_posix(), facts.st_size, facts.st_mtime_ns) for path, facts in _files(folder)]
    return hashlib.sha256(repr(sorted(found)).encode()).hexdigest()


def _files(folder: Path) -> Iterator[tuple[Path, os.stat_result]]:
    for place, _, files in os.walk(folder):
        for file in files:
            path = Path(place) / file
            yield path, path.stat()
