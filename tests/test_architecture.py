"""What holds for the whole: layers, what is loaded when, and that the demo needs no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from likeness import errors

ROOT = Path(__file__).parent.parent


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout


def test_layers_and_bans_hold() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("module", ["likeness", "likeness.service", "likeness.cli", "likeness.recognizer"])
def test_no_part_of_the_running_side_loads_torch(module: str) -> None:
    loaded = run_python(f"import {module}, sys; print([n for n in ('torch', 'tensorflow') if n in sys.modules])")
    assert loaded.strip() == "[]"


def test_importing_the_package_loads_no_library() -> None:
    heavy = ("numpy", "onnxruntime", "PIL", "pydantic", "click")
    loaded = run_python(f"import likeness, sys; print([n for n in {heavy} if n in sys.modules])")
    assert loaded.strip() == "[]"


def every_error() -> list[type[errors.LikenessError]]:
    found, queue = [], [errors.LikenessError]
    while queue:
        kind = queue.pop()
        found.append(kind)
        queue.extend(kind.__subclasses__())
    return sorted(found, key=lambda kind: kind.__name__)


def test_every_error_has_a_code_of_its_own_and_stands_in_the_drawn_tree() -> None:
    kinds = every_error()
    assert len({kind.code for kind in kinds}) == len(kinds)
    assert errors.__doc__ is not None
    drawn = {word for line in errors.__doc__.splitlines() for word in line.replace("─", " ").split()}
    assert {kind.__name__ for kind in kinds if kind.__module__.startswith("likeness.")} <= drawn


@pytest.mark.parametrize("kind", every_error(), ids=lambda kind: kind.__name__)
def test_an_error_keeps_message_and_hint_across_processes(kind: type[errors.LikenessError]) -> None:
    import pickle

    error = pickle.loads(pickle.dumps(kind("what happened", hint="what to do")))
    assert (type(error), error.message, error.hint) == (kind, "what happened", "what to do")
    assert error.as_dict() == {"code": kind.code, "message": "what happened", "hint": "what to do"}


@pytest.mark.slow
def test_the_demo_runs_without_a_network(tmp_path: Path) -> None:
    if not shutil.which("unshare"):
        pytest.fail("unshare is missing (Debian: util-linux)")
    probe = subprocess.run(["unshare", "-rn", "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"this machine does not allow network namespaces: {probe.stderr}")
        pytest.skip(f"this machine does not allow network namespaces: {probe.stderr}")
    copy = tmp_path / "likeness"
    shutil.copytree(ROOT / "samples", copy / "samples")
    environment = {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "HOME": str(tmp_path / "home"),
        "LANG": "C.UTF-8",
    }
    done = subprocess.run(
        ["unshare", "-rn", "sh", str(copy / "samples" / "demo.sh")],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    people = json.loads((copy / "samples" / "samples.json").read_text())["people"]
    assert any(person["name"] in done.stdout for person in people)
    assert (copy / "demo-out" / "twins.png").stat().st_size > 10_000
