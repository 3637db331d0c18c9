"""Results on stdout, remarks and progress on stderr; for people or, as JSON lines, for programs."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from rich.console import Console

LINE_EVERY_S = 2.0


class Progress(Protocol):
    """What is told how far the work is."""

    def __call__(self, done: int, total: int) -> None:
        """`done` of `total` photos, faces or whatever is counted."""
        ...


class Output:
    """Where one run of a command writes."""

    def __init__(self, *, as_json: bool = False, quiet: bool = False, progress: bool | None = None) -> None:
        self.as_json, self.quiet, self._progress = as_json, quiet, progress
        self._above_bar: Console | None = None

    def json(self, value: object) -> None:
        """One line of JSON on stdout, at once."""
        text = json.dumps(value, ensure_ascii=False, allow_nan=False)
        try:
            text.encode("utf-8")
        except UnicodeEncodeError:  # a file's name in another encoding
            text = json.dumps(value, allow_nan=False)
        sys.stdout.write(text + "\n")
        sys.stdout.flush()

    def text(self, line: str = "") -> None:
        """One line for people on stdout."""
        if self._above_bar is not None:
            self._above_bar.print(printable(line), markup=False, highlight=False, emoji=False, soft_wrap=True)
            return
        sys.stdout.write(printable(line) + "\n")
        sys.stdout.flush()

    def say(self, remark: str) -> None:
        """A remark on stderr, unless all is to be quiet."""
        if not self.quiet:
            sys.stderr.write(printable(remark) + "\n")
            sys.stderr.flush()

    def warn(self, warning: str) -> None:
        """A line on stderr that quiet does not silence."""
        sys.stderr.write(printable(warning) + "\n")
        sys.stderr.flush()

    def failed(self, path: str, error: dict[str, str]) -> None:
        """What is wrong with one of several photos, naming it once, and what to do."""
        self.warn(f"error: {about(path, error['message'])}")
        if error.get("hint"):
            self.warn(f"hint: {error['hint']}")

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[object]], *, title: str = "") -> None:
        """A table: ruled on a terminal, aligned columns elsewhere."""
        cells = [["" if value is None else printable(str(value)) for value in row] for row in rows]
        if sys.stdout.isatty():
            self._ruled(columns, cells, title)
            return
        widths = [max(len(row[at]) for row in (list(columns), *cells)) for at in range(len(columns))]
        if title:
            self.text(title)
        for row in (list(columns), *cells):
            self.text("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())

    def facts(self, rows: Sequence[tuple[str, object]], *, title: str = "") -> None:
        """Names and values, one pair a line; in a panel on a terminal."""
        names = [printable(name) for name, _ in rows]
        width = max(map(len, names), default=0)
        lines = [f"{name.ljust(width)}  {printable(str(value))}" for name, (_, value) in zip(names, rows, strict=True)]
        if sys.stdout.isatty():
            from rich.panel import Panel
            from rich.text import Text

            self._console().print(Panel(Text("\n".join(lines)), title=Text(printable(title)), expand=False))
            return
        for line in ([title] if title else []) + lines:
            self.text(line)

    @contextmanager
    def progress(self, what: str) -> Iterator[Progress]:
        """Progress of work that is counted: a bar on a terminal, a line now and then with `--progress`."""
        wanted = sys.stderr.isatty() if self._progress is None else self._progress
        if self.quiet or not wanted:
            yield _ignore
        elif sys.stderr.isatty():
            with _bar(what) as (console, bar):
                # On one terminal lines must be printed above the bar, by whoever draws it.
                self._above_bar = console if sys.stdout.isatty() else None
                try:
                    yield bar
                finally:
                    self._above_bar = None
        else:
            yield _Lines(what)

    def _console(self) -> Console:
        from rich.console import Console

        return self._above_bar or Console()

    def _ruled(self, columns: Sequence[str], cells: Sequence[Sequence[str]], title: str) -> None:
        from rich.table import Table
        from rich.text import Text

        table = Table(title=Text(printable(title)) if title else None, title_justify="left")
        for column in columns:
            table.add_column(column, overflow="fold")
        for row in cells:
            table.add_row(*(Text(cell) for cell in row))
        self._console().print(table)


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self, what: str) -> None:
        self._what, self._start = what, time.monotonic()
        self._last = self._start

    def __call__(self, done: int, total: int) -> None:
        now = time.monotonic()
        if now - self._last < LINE_EVERY_S and done < total:
            return
        self._last = now
        rate = done / max(now - self._start, 1e-9)
        left = (total - done) / rate if rate else 0
        line = f"{self._what} {done}/{total} ({done / max(total, 1):.0%}), {rate:.1f} a second, {left:.0f} s left"
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


@contextmanager
def _bar(what: str) -> Iterator[tuple[Console, Progress]]:
    from rich import progress as rich_progress
    from rich.console import Console

    columns = (
        rich_progress.TextColumn("{task.description}"),
        rich_progress.BarColumn(),
        rich_progress.MofNCompleteColumn(),
        rich_progress.TextColumn("{task.fields[rate]}"),
        rich_progress.TimeRemainingColumn(),
    )
    start = time.monotonic()
    console = Console(stderr=True)
    # Not redirected: what goes into a file must not go through rich.
    with rich_progress.Progress(*columns, console=console, redirect_stdout=False, transient=True) as bar:
        task = bar.add_task(what, total=None, rate="")

        def show(done: int, total: int) -> None:
            rate = done / max(time.monotonic() - start, 1e-9)
            bar.update(task, completed=done, total=total, rate=f"{rate:.1f}/s")

        yield console, show


def _ignore(done: int, total: int) -> None:
    """Where nobody looks."""


def printable(text: str) -> str:
    """One line without control characters: names of files and people must not steer a terminal or forge lines.

    Text of several lines is split before.
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else _escaped(letter) for letter in text)


def _escaped(letter: str) -> str:
    if letter.isspace() and letter not in "\r\n":
        return " "
    return letter.encode("unicode_escape").decode("ascii")


def counted(count: int, one: str, more: str) -> str:
    """`1 photo`, `2 photos`."""
    return f"{count} {one if count == 1 else more}"


def about(path: str, message: str) -> str:
    """A message with the path that it is about, unless it names that itself."""
    return message if repr(path) in message else f"{path}: {message}"


def percent(rate: float) -> str:
    """A rate for people: `30.2%`, `0.012%`."""
    return f"{rate * 100:.2g}%" if 0 < rate < 0.001 else f"{rate:.1%}"


def bounded(rate: float, fmr: float, floor: float) -> str:
    """A rate for people, said to be a bound where the false-match rate behind it is the calibration's floor."""
    return f"{'at most ' if fmr <= floor * (1 + 1e-9) else ''}{percent(rate)}"


def chance(probability: float) -> str:
    """A probability for people; never a certainty that only rounding made."""
    if probability > 0.999:
        return "over 99.9%"
    return "under 0.1%" if probability < 0.001 else f"{probability:.1%}"


def plain(value: Any) -> str:
    """A value of a setting or manifest for people."""
    if isinstance(value, list):
        return ", ".join(map(str, value)) or "none"
    return "—" if value is None else str(value)
