"""What the command costs before it does anything; CPU seconds, the least of five runs."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

HELP = "import sys; from likeness.cli import run; sys.exit(run({arguments!r}))"
HEAVY = {"numpy", "onnxruntime", "torch", "rich", "pydantic", "PIL"}


def cpu_seconds(code: str) -> float:
    """CPU time of a fresh interpreter that runs `code`."""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    return usage.ru_utime + usage.ru_stime


def least(code: str, limit: float) -> float:
    """The least of up to five runs; a machine busy with other work makes single ones slow."""
    best = cpu_seconds(code)
    for _ in range(4):
        if best < limit:
            break
        best = min(best, cpu_seconds(code))
    return best


@pytest.mark.parametrize("arguments", [["--help"], ["enroll", "--help"], ["--version"]], ids=" ".join)
def test_help_costs_less_than_half_a_second(arguments):
    assert least(HELP.format(arguments=arguments), 0.5) < 0.5


def test_importing_the_package_costs_less_than_the_interpreter_and_150_ms():
    assert least("import likeness", 0.15) < 0.15


@pytest.mark.parametrize(
    "arguments", [["--help"], ["describe", "--help"], ["gallery", "re-embed", "--help"]], ids=" ".join
)
def test_help_loads_no_heavy_library(arguments):
    code = (
        f"import sys; from likeness.cli import run; run({arguments!r}); heavy = {HEAVY!r}; "
        "print(sorted(heavy & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr.strip() == "[]"


def test_the_list_of_commands_says_each_ones_help_in_full(capsys):
    from likeness.cli import run

    for group in ("people", "gallery", "models", "evaluate", "keys"):
        run([group, "--help"])
        assert "..." not in capsys.readouterr().out.partition("Commands:")[2], group


def test_every_command_has_help_and_takes_json():
    from likeness.cli import app
    from likeness.cli.lazy import COMMANDS

    context = app.make_context("likeness", [], resilient_parsing=True)
    for name in app.list_commands(context):
        command = app.get_command(context, name)
        assert command is not None
        assert COMMANDS[name][1].endswith(".")
        assert command.help
        for each in getattr(command, "commands", {"": command}).values():
            assert "--json" in {option for parameter in each.params for option in parameter.opts}, (name, each.name)
