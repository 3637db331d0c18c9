"""What people install holds what the commands need."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel of this tree installs."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(build, cwd=ROOT, check=True, capture_output=True)
    [wheel] = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "installed")
    return folder / "installed"


def files_below(folder: Path) -> set[str]:
    found = (path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    return {path.relative_to(folder).as_posix() for path in found}


def test_the_samples_of_the_demo_come_with_it(installed: Path) -> None:
    for part in ("people", "probes"):
        wanted = files_below(ROOT / "samples" / part)
        assert len(wanted) > 10
        assert files_below(installed / "likeness" / "samples" / part) == wanted


def test_every_file_of_the_package_comes_with_it(installed: Path) -> None:
    held = {name for name in files_below(installed / "likeness") if not name.startswith("samples/")}
    tracked = subprocess.run(
        ["git", "ls-files", "src/likeness"], cwd=ROOT, check=True, capture_output=True, text=True
    ).stdout.split()
    assert {Path(name).relative_to("src/likeness").as_posix() for name in tracked} - held == set()


def test_the_demo_finds_its_samples_where_only_the_wheel_is(installed: Path) -> None:
    ask = "from likeness.service.samples import samples_folder; print(samples_folder())"
    done = subprocess.run(
        [sys.executable, "-c", ask],
        cwd=installed,
        env=os.environ | {"PYTHONPATH": str(installed)},
        check=True,
        capture_output=True,
        text=True,
    )
    assert Path(done.stdout.strip()) == installed / "likeness" / "samples"
