"""The image: what is built into it, and that what it runs needs no place to write but those that it says."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pathspec
import pytest
from deployed import HEALTH, ROOT, health_paths

from needed import missing
from told_commands import expect_command

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def instructions(word: str) -> list[str]:
    """What follows each instruction of that name, its continued lines joined."""
    joined = re.sub(r"\\\n\s*", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE))
    return re.findall(rf"^\s*{word} (.*)$", joined, re.MULTILINE)


ENVIRONMENT = dict(re.findall(r"(\w+)=(\S+)", instructions("ENV")[-1]))


def test_hadolint_minds_nothing():
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([str(hadolint), str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


def test_it_is_made_in_stages_of_one_pinned_image_and_runs_as_nobody():
    assert re.fullmatch(r"PYTHON=3\.\d+-slim-\w+", instructions("ARG")[0])
    assert [line.split()[0] for line in instructions("FROM")] == ["python:${PYTHON}"] * 2
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", instructions("USER")[-1])
    assert "amd64" not in "\n".join(instructions("RUN"))
    [label] = instructions("LABEL")
    for name in ("title", "licenses", "version", "revision"):
        assert f"org.opencontainers.image.{name}=" in label


def test_it_runs_our_server_and_asks_it_for_its_health():
    entry, command = json.loads(instructions("ENTRYPOINT")[0]), json.loads(instructions("CMD")[-1])
    assert entry == ["tini", "--", "likeness"]
    expect_command(command)
    [health] = re.findall(r"CMD (\[.*\])$", instructions("HEALTHCHECK")[0])
    assert health_paths(json.loads(health)) <= HEALTH
    assert "127.0.0.1:8000" in health


def test_every_extra_that_it_brings_is_one():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    [extras] = re.findall(r"EXTRAS=(\S+)", DOCKERFILE)
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    # Torch and what trains is not for a server.
    assert not {"train", "flows", "tflite", "evaluate"} & set(extras.split(","))


def test_what_is_copied_into_it_builds_the_whole_package(tmp_path):
    """Built from exactly the files that .dockerignore lets through and COPY names."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    # As git's, but that a pattern without a folder means the root's alone.
    rooted = [re.sub(r"^(!?)(?=[^!/#*]|\*(?!\*))", r"\1/", line) for line in lines]
    ignored = pathspec.GitIgnoreSpec.from_lines(rooted)
    wanted = [source for line in instructions("COPY") if not line.startswith("--from") for source in line.split()[:-1]]
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True).stdout
    names = [name for name in tracked.splitlines() if not ignored.match_file(name) and (ROOT / name).is_file()]
    context = tmp_path / "context"
    for name in names:
        if any(name == source or name.startswith(f"{source.removeprefix('./')}/") for source in wanted):
            (context / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, context / name)
    assert not (context / "tests").exists()
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=context, check=True, capture_output=True)
    [wheel] = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        held = set(archive.namelist())
    modules = {name.removeprefix("src/") for name in tracked.splitlines() if name.startswith("src/likeness/")}
    assert {name for name in modules if (ROOT / "src" / name).is_file()} <= held
    assert any(name.startswith("likeness/samples/people/") for name in held)


READ_ONLY = """
set -eu
awk '{print $5}' /proc/self/mountinfo | sort -u | while read -r place; do
    case $place in /proc*|/sys*|/dev*) ;; *) mount -o remount,bind,ro "$place" 2> /dev/null || true ;; esac
done
for place in "$DATA" "$TMPDIR"; do mount -t tmpfs -o mode=0700 tmpfs "$place"; done
! touch "$HELD" 2> /dev/null
key=$(likeness keys create me --scope admin --quiet)
echo "$key"
exec setpriv --bounding-set=-all --inh-caps=-all --no-new-privs likeness "$@"
"""
"""Nothing may be written but the two places that the image says; then our command, without capabilities."""


@contextmanager
def confined(folder: Path, *arguments: str) -> Iterator[tuple[subprocess.Popen, str]]:
    """Our command in the image's environment on a read-only root; the process, and an API key of its own."""
    for name in ("data", "tmp"):
        (folder / name).mkdir()
    own = {
        name: value.replace("/data", str(folder / "data")).replace("/tmp", str(folder / "tmp"))
        for name, value in ENVIRONMENT.items()
        if name != "PATH"
    }
    environment = own | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TMPDIR": str(folder / "tmp"),
        "DATA": str(folder / "data"),
        "HELD": str(folder / "held"),
        "LIKENESS_THREADS": "1",
    }
    unshare = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]
    probe = subprocess.run([*unshare, "true"], capture_output=True, text=True, check=False)
    if probe.returncode:
        missing(f"this machine does not allow mounts of one's own: {probe.stderr}")
    process = subprocess.Popen(
        [*unshare, "sh", "-c", READ_ONLY, "sh", *arguments],
        env=environment, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        assert process.stdout is not None
        yield process, process.stdout.readline().strip()
    finally:
        process.kill()
        process.communicate()


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def asked(address: str, process: subprocess.Popen, **headers: str) -> str:
    """What it answers, as soon as it does."""
    deadline = time.monotonic() + 120
    while True:
        try:
            request = urllib.request.Request(address, headers=headers)
            with urllib.request.urlopen(request, timeout=20) as answer:
                return answer.read().decode()
        except OSError:
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError(process.communicate()[1]) from None
            time.sleep(0.1)


def ended(process: subprocess.Popen) -> str:
    """What it said, once it was told to end; it ends in order."""
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 0, said
    return said


@pytest.mark.slow
def test_the_server_and_the_web_app_run_on_a_read_only_root_without_rights(tmp_path):
    port = free_port()
    with confined(tmp_path, "serve", "--ui", "--host", "127.0.0.1", "--port", str(port)) as (process, key):
        ready = json.loads(asked(f"http://127.0.0.1:{port}/v1/ready", process))
        assert ready["status"] == "ready"
        assert "likeness_photos_waiting" in asked(f"http://127.0.0.1:{port}/metrics", process, **{"x-api-key": key})
        assert json.loads(asked(f"http://127.0.0.1:{port}/v1/people", process, **{"x-api-key": key}))["people"] == []
        assert asked(f"http://127.0.0.1:{port}/ui/", process)
        assert "Read-only" not in ended(process)


@pytest.mark.slow
def test_a_worker_runs_there_too_and_answers_prometheus_on_the_address_that_is_given(tmp_path):
    port = free_port()
    command = ("worker", "--metrics-host", "127.0.0.2", "--metrics-port", str(port))
    with confined(tmp_path, *command) as (process, _):
        assert process.stderr is not None
        for line in process.stderr:  # from then on it ends in order
            if line.startswith("Working"):
                break
        said = asked(f"http://127.0.0.2:{port}/metrics", process)
        assert 'likeness_queue_up{queue="detect"} 1.0' in said
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        assert "Read-only" not in ended(process)
