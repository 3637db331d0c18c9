"""Workflows, hooks and schedules: by their schemas, without holes, and with commands that are ours."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from deployed import DEPLOY, ROOT, expect_schema, expect_settings, health_paths

from told_commands import commands_in, expect_command

GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
TOOLS = Path(sys.executable).parent
EVERY = pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)


def run(*command: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def read(path: Path) -> dict[str, Any]:
    return yaml.safe_load(path.read_text("utf-8"))


def steps(path: Path) -> list[dict[str, Any]]:
    return [step for job in read(path)["jobs"].values() for step in job.get("steps", ())]


def test_the_workflows_are_those_that_are_told_of():
    assert {path.stem for path in WORKFLOWS} == {"tests", "release", "refresh"}


@pytest.mark.parametrize(
    ("schema", "paths"),
    [("vendor.github-workflows", WORKFLOWS), ("vendor.dependabot", [GITHUB / "dependabot.yml"])],
    ids=["workflows", "dependabot"],
)
def test_they_follow_their_schemas(schema, paths):
    expect_schema(schema, *paths)


def test_zizmor_finds_no_hole_in_them():
    done = run(str(TOOLS / "zizmor"), "--offline", "--quiet", "--no-progress", str(GITHUB))
    assert done.returncode == 0, done.stdout + done.stderr


def test_actionlint_agrees_where_it_is_installed():
    actionlint = shutil.which("actionlint")
    if actionlint is None:
        pytest.skip("actionlint is not installed; its wheels are forks or fetch a program")
    done = run(actionlint, *map(str, WORKFLOWS))
    assert done.returncode == 0, done.stdout


@EVERY
def test_actions_are_pinned_by_their_whole_commit_with_the_version_beside_it(path):
    for line in path.read_text("utf-8").splitlines():
        if "uses:" in line and "uses: ./" not in line:
            assert re.search(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$", line), line


@EVERY
def test_a_workflow_may_do_nothing_and_each_job_only_what_it_says(path):
    whole = read(path)
    assert whole["permissions"] == {}
    writes = {name: job["permissions"] for name, job in whole["jobs"].items() if "write" in str(job.get("permissions"))}
    allowed = {"publish": {"id-token": "write"}, "announce": {"contents": "write"}}
    assert all(allowed[name] == rights for name, rights in writes.items())
    assert all("timeout-minutes" in job or "uses" in job for job in whole["jobs"].values())


@EVERY
def test_their_scripts_have_nothing_that_shellcheck_minds(path, tmp_path):
    for number, step in enumerate(steps(path)):
        if "run" in step:
            assert "${{" not in step["run"], "what comes from outside goes by the environment"
            script = tmp_path / f"{number}.sh"
            script.write_text("#!/bin/bash\nset -e\n" + step["run"], "utf-8")
            done = run(str(TOOLS / "shellcheck"), str(script))
            assert done.returncode == 0, done.stdout


@EVERY
def test_what_they_call_of_ours_is_there(path):
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for step in steps(path):
        script = step.get("run", "")
        for words in commands_in(script.replace("clean/bin/", "")):
            expect_command(words)
        for targets in re.findall(r"^make (.*)$", script, re.MULTILINE):
            assert all(re.search(rf"^{target}:", makefile, re.MULTILINE) for target in targets.split())
        for name in re.findall(r"(?:python|sh|bash) ((?:scripts/|\.ci/)\S+)", script):
            assert (ROOT / name).is_file()
    for job in read(path)["jobs"].values():
        plain = {name: value for name, value in job.get("env", {}).items() if "${{" not in value}
        expect_settings(plain)


def test_a_release_trusts_no_password_and_waits_for_somebodys_word():
    publish = read(GITHUB / "workflows" / "release.yml")["jobs"]["publish"]
    assert publish["environment"] == "release"
    assert publish["permissions"] == {"id-token": "write"}
    assert not any("with" in step and "password" in step["with"] for step in publish["steps"])


def test_nothing_is_published_before_the_tests_passed_and_the_image_started_on_both_processors():
    jobs = read(GITHUB / "workflows" / "release.yml")["jobs"]
    assert jobs["tests"]["uses"] == "./.github/workflows/tests.yml"
    called: dict[Any, Any] = read(GITHUB / "workflows" / "tests.yml")
    assert "workflow_call" in called[True]  # `on`, as YAML reads it
    assert set(jobs["publish"]["needs"]) == {"tests", "build", "arm64"}
    started = [step["run"] for step in jobs["arm64"]["steps"] if "run" in step]
    assert all("--platform linux/arm64" in command for command in started)
    assert any(command.endswith(" doctor") for command in started)
    for name in ("image", "announce"):
        assert jobs[name]["needs"] == "publish"


def test_the_tests_may_mount_small_disks_there():
    options = read(GITHUB / "workflows" / "tests.yml")["jobs"]["tests"]["container"]["options"]
    assert "--cap-add SYS_ADMIN" in options
    assert "apparmor=unconfined" in options


def test_the_crontab_calls_commands_that_are_ours():
    lines = (DEPLOY / "schedules" / "crontab").read_text("utf-8").splitlines()
    expect_settings(dict(line.split("=", 1) for line in lines if re.match(r"[A-Z_]+=", line)))
    jobs = [line.split(None, 6) for line in lines if re.match(r"[\d*]", line)]
    assert jobs
    for *when, account, command in jobs:
        assert len(when) == 5
        assert account == "likeness"
        for words in commands_in(command):
            expect_command(words)


def test_hooks_call_programs_and_files_that_are_there():
    hooks = [hook for repository in read(ROOT / ".pre-commit-config.yaml")["repos"] for hook in repository["hooks"]]
    assert {"ruff-check", "ruff-format", "mypy"} <= {hook["id"] for hook in hooks}
    for hook in hooks:
        program, *rest = hook["entry"].split()
        assert (TOOLS / program).exists() or shutil.which(program), hook["id"]
        assert hook["language"] == "system"
        for word in rest:
            assert not word.startswith("scripts/") or (ROOT / word).is_file()


def test_yaml_files_are_as_the_hook_wants_them():
    tracked = run("git", "ls-files", "*.yml", "*.yaml")
    names = [name for name in tracked.stdout.split() if "/templates/" not in name and (ROOT / name).is_file()]
    done = run(sys.executable, "-m", "yamllint", "--strict", *names)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("script", sorted((ROOT / "scripts" / "dev").glob("*.sh")), ids=lambda path: path.name)
def test_a_script_for_developers_has_nothing_that_shellcheck_minds(script):
    done = run(str(TOOLS / "shellcheck"), str(script))
    assert done.returncode == 0, done.stdout
    assert os.access(script, os.R_OK)


def test_the_image_is_asked_what_the_server_answers():
    from likeness.server.app import NATIVE

    text = (ROOT / "scripts" / "dev" / "smoke_image.sh").read_text("utf-8")
    routes = {(method, route.path) for router in NATIVE for route in router.routes for method in route.methods}
    assert health_paths([text]) == {"/v1/faces"}
    assert ("POST", "/v1/faces") in routes
    for words in commands_in(text.replace('"$image" ', "likeness ")):
        expect_command(words)
    assert "serve --ui --host 0.0.0.0" in text
