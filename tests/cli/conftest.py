"""The command, run in this process (`cli`) or as a process of its own (`shell`)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from likeness.cli import run


@dataclass
class Done:
    """What came of a command."""

    code: int
    out: str
    err: str

    @property
    def lines(self) -> list[Any]:
        """The JSON lines on stdout."""
        return [json.loads(line) for line in self.out.splitlines()]


@pytest.fixture
def cli(capsys, gallery_path, monkeypatch) -> Callable[..., Done]:
    """Runs the command here, on this test's own filled gallery."""
    monkeypatch.setenv("LIKENESS_GALLERY", str(gallery_path))

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Done(code, *capsys.readouterr())

    return call


@pytest.fixture
def start(tmp_path) -> Callable[..., subprocess.Popen[str]]:
    """Starts the command as a process of its own, on an empty gallery."""

    def begin(*arguments: object, **environment: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", "from likeness.cli import main; main()", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"LIKENESS_GALLERY": str(tmp_path / "own.gallery")} | environment,
        )

    return begin


@pytest.fixture
def shell(start) -> Callable[..., Done]:
    """Runs the command as a process of its own, to its end."""

    def call(*arguments: object, **environment: str) -> Done:
        process = start(*arguments, **environment)
        out, err = process.communicate(timeout=120)
        return Done(process.returncode, out, err)

    return call


@pytest.fixture
def probe(samples, names) -> str:
    """A photo of the first person that is not enrolled."""
    return str(samples / "probes" / f"{names[0].replace(' ', '_')}_new.jpg")
