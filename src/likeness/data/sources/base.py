"""What a source of photos is: a public folder format that becomes rows. A new one is a subclass of `Source`.

A subclass states what the data set is (class attributes), tells its folders from others (`recognises`) and yields
their rows (`entries`). Its options are its dataclass fields. Built-ins are rows of `likeness.plugins.BUILTIN`,
strangers' are found through the entry points `likeness.source`.
"""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, ClassVar, Protocol

from pydantic import TypeAdapter, ValidationError

from likeness import plugins
from likeness.data.manifest import FoundFace, Row, Split, stays_inside
from likeness.data.photofiles import photos_below
from likeness.errors import DatasetError, InputError, PhotoMissing
from likeness.hub import SCHEME

SPLIT_WORDS: dict[str, Split] = {
    "train": "train",
    "training": "train",
    "val": "validation",
    "valid": "validation",
    "validation": "validation",
    "test": "test",
}
"""What publishers call the splits."""


class Told(Protocol):
    """What is told how far the work is."""

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total`, in whatever is counted."""
        ...


def nobody(done: int, total: int) -> None:
    """Told where nobody looks."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file or a line that gives no row: which (relative to the folder), and why in words that others share."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Download:
    """A file that the publisher lets everybody fetch.

    Attributes:
        url: where it is. file: what it is called on disk.
        sha256: hex digest, empty where none is known for certain.
        size_bytes: how long it is, 0 where that is not known.
        unpack: whether it is an archive to be unpacked.
    """

    url: str
    file: str
    sha256: str = ""
    size_bytes: int = 0
    unpack: bool = True


class Source(ABC):
    """A folder format of photos with known people or known labels.

    Attributes:
        name: what it is called in commands. title: its name for people.
        licence: the publisher's terms, in words. home: where it comes from.
        layout: what its folder looks like. has: what its rows carry: `identity`, names of labels, `split`.
        downloads: files that the terms let everybody fetch. how_to_get: what to do where there are none.
        general: whether it takes any such folder, so that it is asked last when a folder is to be recognised.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    licence: ClassVar[str] = ""
    home: ClassVar[str] = ""
    layout: ClassVar[str]
    has: ClassVar[tuple[str, ...]]
    downloads: ClassVar[tuple[Download, ...]] = ()
    how_to_get: ClassVar[str] = ""
    general: ClassVar[bool] = False

    @abstractmethod
    def recognises(self, folder: Path) -> bool:
        """Whether the folder (or file) has this layout; looks at a few names only."""

    @abstractmethod
    def entries(self, folder: Path) -> Iterator[Row | Skipped]:
        """A row for each photo, in a stable order, and a `Skipped` for all that gives none.

        Paths are relative to `folder`, with forward slashes.

        Raises:
            DatasetError: the folder is not one of this layout.
        """

    def root(self, location: str, *, progress: Told = nobody) -> Path:
        """The folder that rows are relative to; a source that must fetch or unpack its photos first does it here.

        Raises:
            PhotoMissing: there is nothing at the location.
        """
        folder = Path(location)
        if not folder.exists():
            raise PhotoMissing(f"there is no folder {location!r}")
        return folder

    def base(self, folder: Path) -> Path:
        """What the rows' paths are relative to: the folder, unless the source says otherwise."""
        return folder


@dataclass(frozen=True, slots=True)
class Listing:
    """All that a source gives for one folder.

    Attributes:
        source: which one it was. folder: what the rows' paths are relative to.
        rows: one for each photo. skipped: what gave none, and why.
    """

    source: Source
    folder: Path
    rows: tuple[Row, ...]
    skipped: tuple[Skipped, ...] = ()

    @property
    def origin(self) -> str:
        """Names of the sources that the photos came from first."""
        return ", ".join(sorted({row.source for row in self.rows} - {""})) or self.source.name

    @property
    def licence(self) -> str:
        """The terms of the photos, as the rows state them, or the source."""
        return "; ".join(sorted({row.licence for row in self.rows} - {""})[:5]) or self.source.licence

    def reasons(self) -> dict[str, int]:
        """How many were skipped for each reason, most frequent first."""
        return dict(Counter(entry.reason for entry in self.skipped).most_common())


def sources() -> list[type[Source]]:
    """All sources, in order of their names.

    Raises:
        DatasetError: what is registered under a name is no source.
    """
    return [source_class(name) for name in sorted(plugins.targets("source"))]


def source_class(name: str) -> type[Source]:
    """The source of that name.

    Raises:
        SettingsError: there is none; the message lists those there are.
        DatasetError: what is registered under the name is no source.
    """
    found = plugins.load("source", name)
    if not (isinstance(found, type) and issubclass(found, Source)):
        raise DatasetError(f"what is registered as the source {name!r} is no subclass of likeness.data.sources.Source")
    return found


def options_of(kind: type[Source]) -> list[str]:
    """Names of a source's options."""
    return [field.name for field in fields(kind)] if is_dataclass(kind) else []


def make_source(name: str, **options: Any) -> Source:
    """A source with its options; texts become what the fields are declared as.

    Raises:
        InputError: it has no such option, or the value cannot be used.
    """
    kind = source_class(name)
    known = options_of(kind)
    for option in options:
        if option not in known:
            hint = f"its options: {', '.join(known)}" if known else "it has none"
            raise InputError(f"the source {name!r} has no option {option!r}", hint=hint)
    if not known:
        return kind()
    try:
        return TypeAdapter(kind).validate_python(options)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "options"
        raise InputError(f"the option {where} of the source {name!r} cannot be used: {first['msg']}") from None


def recognise(folder: Path) -> str:
    """Name of the source whose layout a folder has.

    Raises:
        PhotoMissing: there is no such folder. DatasetError: it has no known layout, or that of several.
    """
    if not folder.exists():
        raise PhotoMissing(f"there is no folder {str(folder)!r}")
    own = source_class("dataset")  # whose photos may have any other layout below it
    if own().recognises(folder):
        return own.name
    for general in (False, True):
        found = [kind.name for kind in sources() if kind.general is general and kind().recognises(folder)]
        if len(found) > 1:
            raise DatasetError(
                f"{str(folder)!r} looks like {' and like '.join(found)}", hint="say which it is with --source"
            )
        if found:
            return found[0]
    if not list(few_photos(folder)):
        raise DatasetError(f"{str(folder)!r} holds no photos", hint="a folder for each person with their photos")
    raise DatasetError(
        f"{str(folder)!r} has the layout of no known source: for people's photos that is a folder for each person",
        hint="`likeness data list` shows them; state one with --source, or list the photos in a CSV",
    )


def open_source(
    location: str | os.PathLike[str], name: str | None = None, *, progress: Told = nobody, **options: Any
) -> Listing:
    """Read a source's folder into rows; without a name it is recognised by its layout.

    Raises:
        PhotoMissing: there is nothing at the location.
        DatasetError: it is not of that layout, or gives not a single row.
        InputError: an option cannot be used.
    """
    text = os.fspath(location)
    if name is None:
        name = "huggingface" if text.startswith(SCHEME) else recognise(Path(text))
    source = make_source(name, **options)
    folder = source.root(text, progress=progress)
    rows: dict[tuple[str, FoundFace | None], Row] = {}
    skipped: list[Skipped] = []
    try:
        for entry in source.entries(folder):
            if isinstance(entry, Skipped):
                skipped.append(entry)
            elif not stays_inside(entry.path):
                skipped.append(Skipped(entry.path, "a path that leaves the folder"))
            elif rows.setdefault((entry.path, entry.face), entry) is not entry:
                skipped.append(Skipped(entry.path, "listed twice"))
    except UnicodeDecodeError as error:
        raise DatasetError(f"a list in {text!r} is no text in UTF-8: {error.reason}") from error
    except OSError as error:
        raise DatasetError(f"{text!r} cannot be read: {error.strerror or type(error).__name__}") from error
    if not rows:
        why = "; ".join(f"{reason}: {count}" for reason, count in Counter(s.reason for s in skipped).most_common(3))
        raise DatasetError(
            f"{text!r} gives no photo as the source {source.name!r}" + (f" ({why})" if why else ""),
            hint=f"expected {source.layout}",
        )
    return Listing(source, source.base(folder), tuple(rows.values()), tuple(skipped))


def few_photos(folder: Path, count: int = 20) -> Sequence[str]:
    """The first photos below a folder, to recognise its layout by; none where it is no folder."""
    found = []
    for path in photos_below(folder) if folder.is_dir() else ():
        found.append(path)
        if len(found) == count:
            break
    return found


def mostly(paths: Sequence[str], fits: Callable[[str], bool]) -> bool:
    """Whether at least half of the paths fit, of one at least."""
    return bool(paths) and 2 * sum(map(fits, paths)) >= len(paths)
