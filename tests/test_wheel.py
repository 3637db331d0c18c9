"""What people install holds what the commands need; built from the sdist, it works where nothing else is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest

import likeness

ROOT = Path(__file__).parent.parent


def build(kind: str, tree: Path, folder: Path) -> Path:
    """The sdist or the wheel of a tree, in a new folder."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", kind, "-d", str(folder)]
    subprocess.run(command, cwd=tree, check=True, capture_output=True)
    [made] = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sdist of this tree."""
    return build("sdist", ROOT, tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def wheel(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel that the sdist builds, as it is released (`make dist`)."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    return build("wheel", tree, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder)
    return folder


@pytest.fixture(scope="module")
def clean(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of an environment that holds the wheel and what it brings, nothing else."""
    folder = tmp_path_factory.mktemp("clean")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    python = folder / "bin" / "python"
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet", "--no-compile", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return python


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


def test_the_sdist_holds_what_a_wheel_is_built_from_and_no_more(sdist: Path) -> None:
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "README.md", "LICENSE", "NOTICE", "CHANGELOG.md", "PKG-INFO"} <= names
    assert not any(name.startswith(("tests/", "docs/", ".ci/")) for name in names)
    assert sdist.name == f"likeness-{likeness.__version__}.tar.gz"


def test_the_wheel_says_its_version_its_licence_and_where_its_pages_are(wheel: Path, installed: Path) -> None:
    assert wheel.name == f"likeness-{likeness.__version__}-py3-none-any.whl"
    [about] = installed.glob("likeness-*.dist-info")
    text = (about / "METADATA").read_text("utf-8")
    for line in (f"Version: {likeness.__version__}", "License-Expression: Apache-2.0", "Requires-Python: >=3.11"):
        assert f"\n{line}\n" in text
    assert {path.name for path in (about / "licenses").iterdir()} == {"LICENSE", "NOTICE"}
    assert (installed / "likeness" / "py.typed").is_file()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_it_works_where_nothing_else_is_installed(clean: Path, tmp_path: Path, samples: Path) -> None:
    environment = {"PATH": f"{clean.parent}:/usr/bin:/bin", "HOME": str(tmp_path), "LANG": "C.UTF-8"}

    def ask(*arguments: str) -> str:
        done = subprocess.run(
            [str(clean.parent / "likeness"), *arguments],
            env=environment, cwd=tmp_path, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert ask("--version").split() == ["likeness", likeness.__version__]
    ask("doctor")
    ask("enroll", str(samples / "people"), "--quiet")
    probe = samples / "probes" / "Nadia_Okafor_new.jpg"
    answer = json.loads(ask("identify", str(probe), "--json").splitlines()[0])
    assert "Nadia Okafor" in json.dumps(answer)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_its_bill_of_materials_is_valid_and_lists_what_it_brings(clean: Path) -> None:
    import sbom

    found = json.loads(sbom.bill(clean))  # validated there
    root = found["metadata"]["component"]
    assert (root["name"], root["version"]) == ("likeness", likeness.__version__)
    listed = {re.sub(r"[-_.]+", "-", each["name"]).lower() for each in found["components"]}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = {re.split(r"[><=~ ]", line)[0] for line in project["dependencies"]}
    assert wanted <= listed
    assert all(each.get("version") for each in found["components"])
    # Only what an installation brings: nothing of ours for tests, and no torch.
    assert not {"pytest", "torch", "fastapi"} & listed
