"""Versions of data sets as a Hugging Face `DatasetDict`: pushed to a folder or the hub, and pulled back equal.

In a folder it is what `DatasetDict.save_to_disk` writes, on the hub what `push_to_hub` does (`data/SPLIT-….parquet`),
so that anybody reads it with `datasets` alone. `dataset.json` and a card lie beside.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from likeness.data.datacard import card, shareable
from likeness.data.dataset import FACTS, Dataset, Facts, storage_error
from likeness.data.examples import PARTS, Columns, examples, row_of
from likeness.data.manifest import Row
from likeness.data.sources.base import Told, nobody
from likeness.data.sources.huggingface import load_parts
from likeness.errors import Conflict, DatasetError, ExtraMissing, InputError, PhotoMissing
from likeness.hub import SCHEME, Repository, open_hub

SHARD_BYTES = 500 << 20
_SAVED = "dataset_dict.json"


@dataclass(frozen=True, slots=True)
class Pushed:
    """What was pushed: where it is now, its commit (of a hub), and the rows of each part."""

    where: str
    commit: str
    parts: dict[str, int]


def push(
    dataset: Dataset,
    target: str,
    *,
    private: bool = True,
    tag: str | None = None,
    replace: bool = False,
    progress: Told = nobody,
) -> Pushed:
    """Put a data set into a folder, or into the hub's repository `hf://OWNER/NAME[@BRANCH]`.

    On the hub the files of the earlier version go in the same commit, and `tag` marks this one; in a folder each `tag`
    is a folder below. A folder that holds a data set already is exchanged with `replace` only. Paths of this machine
    in the steps stay here.

    Raises:
        ExtraMissing: `datasets` is not installed. DatasetError: files of the data set are missing or were changed.
        Conflict: the folder holds something, or the repository is public and was to be `private`.
        RemoteError, RemoteNotFound: the hub did not take it.
    """
    _expect_datasets()
    if target.startswith(SCHEME):
        return _push_to_hub(dataset, Repository.parse(target), private, tag, progress)
    folder = _version(target, tag)
    if folder.exists() and any(folder.iterdir()):
        if not (folder / _SAVED).is_file():
            raise Conflict(f"{str(folder)!r} holds something that is no pushed data set", hint="name a new folder")
        if not replace:
            raise Conflict(
                f"{str(folder)!r} holds a data set already", hint="exchange it with --replace, or give a --tag"
            )
    with _aside(folder) as aside:
        parts = _built(dataset, aside / "cache", progress)
        saved = aside / "saved"
        parts.save_to_disk(str(saved))
        _describe(dataset, parts, saved, f"path/to/{folder.name}")
        _exchange(saved, folder)
    return Pushed(str(folder), "", {part: len(rows) for part, rows in parts.items()})


def pull(source: str, out: Path, *, revision: str | None = None, progress: Told = nobody) -> Dataset:
    """The data set that was pushed to a folder or to `hf://OWNER/NAME[@REVISION]`, as a new folder.

    Raises:
        ExtraMissing: `datasets` is not installed. Conflict: `out` is there already.
        DatasetError: it was not pushed by Likeness, or is damaged.
        RemoteError, RemoteNotFound: the hub did not give it.
    """
    _expect_datasets()
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise Conflict(f"{str(out)!r} is there already", hint="name a new folder")
    with _aside(out) as aside:
        if source.startswith(SCHEME):
            wanted = Repository.parse(source)
            folder = aside / "fetched"
            open_hub().download(wanted.name, "dataset", folder, revision=revision or wanted.revision)
        else:
            folder = _version(source, revision)
            if not folder.is_dir():
                raise PhotoMissing(f"there is no folder {str(folder)!r}")
        facts = _facts(folder)
        made = Dataset(
            aside / "made", facts, tuple(_rows(load_parts(folder, aside / "cache"), aside / "made", progress))
        )
        made.write()
        _exchange(made.folder, out)
    return Dataset.read(out)


def _version(folder: str, tag: str | None) -> Path:
    """The folder of a version."""
    if tag is None:
        return Path(folder)
    if not re.fullmatch(r"\w[\w.-]*", tag):
        raise InputError(f"{tag!r} cannot be the name of a version", hint="letters, digits, dots and dashes, as v1.0")
    return Path(folder) / tag


def _push_to_hub(dataset: Dataset, target: Repository, private: bool, tag: str | None, progress: Told) -> Pushed:
    hub = open_hub()
    # Asked before the work: whether this may be done at all.
    url = hub.create(target.name, "dataset", private=private)
    with _aside(dataset.folder) as aside:
        parts = _built(dataset, aside / "cache", progress)
        saved = aside / "saved"
        (saved / "data").mkdir(parents=True)
        for part, rows in parts.items():
            shards = max(1, -(-_size(dataset, part) // SHARD_BYTES))
            for index in range(shards):
                name = f"{part}-{index:05d}-of-{shards:05d}.parquet"
                rows.shard(shards, index, contiguous=True).to_parquet(str(saved / "data" / name))
        version = tag or target.revision
        _describe(dataset, parts, saved, f"hf://{target.name}" + (f"@{version}" if version else ""))
        commit = hub.upload(
            saved,
            target.name,
            "dataset",
            message=f"{dataset.facts.name}: {len(dataset.rows)} rows, digest {dataset.digest[:12]}",
            branch=target.revision,
            tag=tag,
            replace=("data/*",),
        )
    return Pushed(url, commit, {part: len(rows) for part, rows in parts.items()})


def _built(dataset: Dataset, cache: Path, progress: Told) -> Any:
    """The data set as a `datasets.DatasetDict`."""
    import datasets

    datasets.disable_progress_bars()
    columns = Columns.of(dataset.rows)
    done = 0

    def told(part: str) -> Iterator[dict[str, Any]]:
        nonlocal done
        for example in examples(dataset, part, columns):
            yield example
            done += 1
            progress(done, len(dataset.rows))

    parts = datasets.DatasetDict()
    for part, split in PARTS.items():
        if any(row.split == split for row in dataset.rows):
            try:
                parts[part] = datasets.Dataset.from_generator(
                    told,
                    features=columns.features(),
                    cache_dir=str(cache),
                    gen_kwargs={"part": part},
                    fingerprint=f"{dataset.digest[:32]}-{part}",
                    split=datasets.NamedSplit(part),
                )
            except datasets.exceptions.DatasetGenerationError as error:
                raise (error.__cause__ or error) from None
    if not parts:
        raise DatasetError("the data set has no rows")
    return parts


def _rows(parts: dict[str, Any], out: Path, progress: Told) -> list[Row]:
    """Write the photos of all parts; their rows in their first order."""
    from datasets import Image

    total, placed, written = sum(len(part) for part in parts.values()), [], dict[str, bytes]()
    for name, part in parts.items():
        if "image" in part.features:
            part = part.cast_column("image", Image(decode=False))
        for example in part:
            position, row, data = row_of(example, name)
            path = out / row.path
            if row.path in written or row.path.split("/")[0] in (FACTS, "manifest.csv"):
                if written.get(row.path) != _short(data):
                    raise DatasetError(f"the data set has two different photos at {row.path!r}")
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(data)
                written[row.path] = _short(data)
            placed.append((position, row))
            progress(len(placed), total)
    return [row for _, row in sorted(placed, key=lambda pair: pair[0])]


def _short(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def _facts(folder: Path) -> Facts:
    try:
        return Facts.model_validate_json((folder / FACTS).read_bytes())
    except FileNotFoundError:
        raise DatasetError(
            f"{str(folder)!r} is no data set that Likeness pushed: it has no {FACTS}",
            hint="`likeness data import` takes any with images: likeness data import SOURCE OUT --source huggingface",
        ) from None
    except ValidationError as error:
        raise DatasetError(f"{FACTS} of the data set is malformed: {error}") from None


def _describe(dataset: Dataset, parts: Any, saved: Path, target: str) -> None:
    """`dataset.json` and the card, as others may see them."""
    dataset = Dataset(dataset.folder, shareable(dataset.facts), dataset.rows)
    (saved / FACTS).write_text(dataset.facts.model_dump_json(indent=2) + "\n", "utf-8")
    (saved / "README.md").write_text(card(dataset, {part: len(rows) for part, rows in parts.items()}, target), "utf-8")


def _size(dataset: Dataset, part: str) -> int:
    return sum(dataset.path(row).stat().st_size for row in dataset.rows if row.split == PARTS[part])


@contextmanager
def _aside(folder: Path) -> Iterator[Path]:
    """A folder for work beside another, on the same disk; gone afterwards."""
    try:
        folder.absolute().parent.mkdir(parents=True, exist_ok=True)
        aside = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.absolute().parent))
    except OSError as error:
        raise storage_error(error, folder) from error
    try:
        yield aside
    except OSError as error:
        raise storage_error(error, folder) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def _exchange(made: Path, folder: Path) -> None:
    """Put a finished folder in the place of an earlier one, in two steps that lose neither."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    if folder.exists() and not any(folder.iterdir()):
        for path in list(made.iterdir()):  # the folder itself may be the one that somebody is in
            path.replace(folder / path.name)
    elif folder.exists():
        old = made.with_name("old")
        os.replace(folder, old)  # noqa: PTH105 - beside the next line, which undoes it
        try:
            os.replace(made, folder)  # noqa: PTH105
        except OSError:
            os.replace(old, folder)  # noqa: PTH105
            raise
    else:
        os.replace(made, folder)  # noqa: PTH105


def _expect_datasets() -> None:
    if find_spec("datasets") is None:
        raise ExtraMissing(
            "pushing and pulling data sets needs the package datasets", hint="pip install 'likeness[hub]'"
        )
