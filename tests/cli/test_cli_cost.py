"""What the command loads before it does anything; counted, for times depend on what else a machine does."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = {"numpy", "onnxruntime", "torch", "rich", "pydantic", "PIL"}


def loaded(code: str) -> int:
    """How many modules `code` loads beside those that a bare interpreter of this environment has."""
    counted = f"import sys; before = set(sys.modules); {code}; print(len(set(sys.modules) - before), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-c", counted], capture_output=True, text=True, check=True)
    return int(done.stderr)


@pytest.mark.parametrize("arguments", [["--help"], ["enroll", "--help"], ["--version"]], ids=" ".join)
def test_help_loads_little_beside_the_interpreter(arguments):
    assert 1 < loaded(f"from likeness.cli import run; run({arguments!r})") < 70


def test_importing_the_package_loads_nothing_beside_it():
    assert loaded("import likeness") == 1


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


def test_a_bot_without_a_token_is_told_so_before_its_libraries_are_loaded():
    code = (
        "import sys; from likeness.cli import run; code = run(['bot']); "
        "print(code, sorted({'aiogram', 'aiohttp'} & set(sys.modules)), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "the bot has no token" in done.stderr
    assert done.stderr.splitlines()[-1] == "2 []"
