"""The tours of the documentation, run as they stand: `python scripts/docs_tours.py TOUR.md…` writes their output anew.

In blocks of `console`, lines after `$ ` are commands and the rest is what they print; in blocks of `pycon`, lines after
`>>> ` are Python. A line of `…` stands for any lines. A command with ` &` at its end is a server: it is waited for, and
ends with the tour.
"""

from __future__ import annotations

import contextlib
import doctest
import io
import os
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from likeness.cli import run

ROOT = Path(__file__).resolve().parent.parent
BLOCK = re.compile(r"^```(console|pycon)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
COLUMNS = "110"
_PORT = 8000


@dataclass
class Step:
    """One command or statement of a tour, what the page says that it prints, what it printed, and its exit code."""

    kind: str
    source: str
    told: str = ""
    printed: str = ""
    code: int = 0


@dataclass
class Walk:
    """A tour under way: its folder, with the samples in it, and what was started and named on it."""

    folder: Path
    servers: list[subprocess.Popen[bytes]] = field(default_factory=list)
    names: dict[str, Any] = field(default_factory=dict)
    port: int = 0

    def take(self, step: Step) -> None:
        """Do a step, and keep what it prints."""
        step.code, text = (0, self._python(step.source)) if step.kind == "pycon" else self._command(step.source)
        text = text.replace(f"{self.folder}/", "").replace(f":{self.port}", f":{_PORT}" if self.port else ":0")
        step.printed = "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")

    def end(self) -> None:
        """End what the tour started."""
        for server in self.servers:
            server.terminate()
        for server in self.servers:
            server.wait(timeout=30)

    def _command(self, line: str) -> tuple[int, str]:
        if line.startswith("export "):
            for name, _, value in (word.partition("=") for word in shlex.split(line)[1:]):
                os.environ[name] = _expanded(value)
            return 0, ""
        line = line.replace(f":{_PORT}", f":{self.port}") if self.port else line
        if line.endswith(" &"):
            self._start(shlex.split(line.removesuffix("&")))
            return 0, ""
        if line.startswith("likeness ") and not re.search(r"[|;&<>$]", line):
            words = [_expanded(word) for word in shlex.split(line)[1:]]
            return _captured(lambda: run(words))
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        told = subprocess.run(
            ["sh", "-c", f"exec 2>&1\n{line}"],
            env=os.environ | {"PATH": path},
            capture_output=True,
            text=True,
            check=False,
        )
        return told.returncode, told.stdout

    def _python(self, source: str) -> str:
        code = compile(source + "\n", "<tour>", "single")
        return _captured(lambda: exec(code, self.names))[1]

    def _start(self, words: list[str]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        command = [sys.executable, "-c", "from likeness.cli import main; main()", *words[1:], "--port", str(self.port)]
        self.servers.append(subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
        deadline = time.monotonic() + 180
        while time.monotonic() < deadline and self.servers[-1].poll() is None:
            with contextlib.suppress(OSError):
                urllib.request.urlopen(f"http://127.0.0.1:{self.port}/v1/ready", timeout=5).close()
                return
            time.sleep(0.1)
        raise RuntimeError(f"no server came of {words}")


def steps(page: str) -> Iterator[Step]:
    """The steps of a tour, in order."""
    for kind, body in BLOCK.findall(page):
        if kind == "pycon":
            for example in doctest.DocTestParser().get_examples(body):
                yield Step(kind, example.source.rstrip("\n"), example.want.rstrip("\n"))
        else:
            for part in re.split(r"^\$ ", body.replace("\\\n", ""), flags=re.MULTILINE)[1:]:
                command, _, told = part.partition("\n")
                yield Step(kind, command, told.rstrip("\n"))


def walk(page: str, folder: Path) -> list[Step]:
    """Take a tour in an empty folder; its steps with what they printed."""
    (folder / "samples").symlink_to(ROOT / "samples")
    before, here = dict(os.environ), Path.cwd()
    os.environ.update(COLUMNS=COLUMNS, NO_COLOR="1", LIKENESS_GALLERY="people.gallery", LIKENESS_KEYS="api.keys")
    os.environ.update(LIKENESS_MODELS=str(folder / "models"))
    os.chdir(folder)
    tour, taken = Walk(folder), list(steps(page))
    try:
        for step in taken:
            tour.take(step)
    finally:
        tour.end()
        os.chdir(here)
        os.environ.clear()
        os.environ.update(before)
    return taken


def shape(text: str) -> list[str]:
    """What of an output is the same on every machine: its words, without numbers, ids, times and widths."""
    text = re.sub(r"\bcli:[\w-]+", "cli:ACCOUNT", text)
    text = re.sub(r"\b(?:p_)?[0-9a-f]{8,}\b", "ID", text)
    text = re.sub(r"[0-9]+(?:[,.:T-][0-9]+)*(?:e-?[0-9]+)?", "0", text)
    return [" ".join(line.split()) for line in text.splitlines() if line.strip()]


def same_shape(told: str, printed: str) -> bool:
    """Whether a command printed what the page shows, but for numbers; `…` alone in a line stands for any lines."""
    pattern = "".join(r"(?:.*\n)*" if line == "…" else re.escape(line) + r"\n" for line in shape(told))
    return re.fullmatch(pattern, "".join(f"{line}\n" for line in shape(printed))) is not None


def written(page: str, taken: list[Step]) -> str:
    """The page with what was printed, where that has another shape than what it shows."""
    left = iter(taken)

    def anew(block: re.Match[str]) -> str:
        lines = [f"```{block[1]}"]
        for _ in steps(block[0]):
            step = next(left)
            first, *more = step.source.splitlines()
            marks = ("$ ", "") if step.kind == "console" else (">>> ", "... ")
            lines += [marks[0] + first, *(marks[1] + line for line in more)]
            told = step.told if same_shape(step.told, step.printed) else step.printed
            lines += [told] if told else []
        return "\n".join([*lines, "```"])

    return BLOCK.sub(anew, page)


def main(arguments: list[str]) -> int:
    """Take the tours; with --check say where a page shows something else, otherwise write the pages anew."""
    wrong = 0
    for page in (Path(each) for each in arguments if each != "--check"):
        text = page.read_text("utf-8")
        with tempfile.TemporaryDirectory() as folder:
            taken = walk(text, Path(folder).resolve())
        if "--check" not in arguments:
            page.write_text(written(text, taken), "utf-8")
            continue
        for step in taken:
            if not same_shape(step.told, step.printed):
                wrong += 1
                print(f"{page.name}: {step.source}\n--- the page shows\n{step.told}\n--- it prints\n{step.printed}")
        print(f"{page.name}: {len(taken)} steps, {wrong} unlike the page")
    return min(wrong, 1)


def _expanded(word: str) -> str:
    return str(Path(word).expanduser()) if word.startswith("~") else word


def _captured(work: Any) -> tuple[Any, str]:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(out):
        given = work()
    return given, out.getvalue()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
