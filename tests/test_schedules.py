"""The schedules to copy do what they are for, also when the refresh fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

WORKFLOW = Path(__file__).parents[1] / ".github" / "workflows" / "refresh.yml"
SHELLS = {"": ["-e"], "bash": ["--noprofile", "--norc", "-eo", "pipefail"]}
"""How a runner of GitHub calls bash, by what the step says of its shell."""


@pytest.mark.parametrize("code", [0, 3])
def test_the_job_on_github_fails_where_the_refresh_does_and_keeps_what_it_said(tmp_path, code):
    command = tmp_path / "likeness"
    command.write_text(f'#!/bin/sh\necho "$@"\nexit {code}\n')
    command.chmod(0o755)
    [job] = yaml.safe_load(WORKFLOW.read_text("utf-8"))["jobs"].values()
    [step] = [step for step in job["steps"] if "likeness" in step.get("run", "")]
    environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", "GITHUB_STEP_SUMMARY": str(tmp_path / "summary")}
    done = subprocess.run(["bash", *SHELLS[step.get("shell", "")], "-c", step["run"]], env=environment, check=False)
    assert done.returncode == code
    assert (tmp_path / "summary").read_text() == "flow refresh --json\n"
