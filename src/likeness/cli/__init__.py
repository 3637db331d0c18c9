"""The `likeness` command. Exit codes: 0 all well, 1 unexpected, 2 usage, arguments or settings, 3 photos unusable (the
rest is done), 4 not found, 5 conflict, 6 model or calibration, 7 storage, 8 a server elsewhere, 130 interrupted, 141
nobody reads any more.
"""

from __future__ import annotations

import os
import sys

try:  # Ctrl-C may come before there is a command that could end in order
    from collections.abc import Sequence

    import click

    from likeness import __version__
    from likeness.cli.flags import Flags, common_options
    from likeness.cli.lazy import LazyGroup, NobodyReads
    from likeness.errors import LikenessError
except KeyboardInterrupt:
    sys.exit(130)

INTERRUPTED = 130
NOBODY_READS = 141


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@common_options
@click.version_option(__version__, prog_name="likeness", message="%(prog)s %(version)s")
def app() -> None:
    """Face recognition you own: people, lookalikes and honest probabilities, offline.

    Options of this page may stand before or after a command. Exit codes: 0 all well, 1 unexpected error, 2 wrong
    arguments or settings, 3 some photos unusable (the rest is done), 4 not found, 5 conflict with what is there,
    6 model, 7 storage, 8 a server elsewhere, 130 interrupted.
    """


def main() -> None:
    """Console entry: run the command and leave with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command; every error ends in one line (or a JSON object) and an exit code."""
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
    # Known before the options are read, for errors in those very options.
    flags = Flags({"as_json": True} if "--json" in arguments else {})
    try:
        result = app.main(list(arguments), prog_name="likeness", standalone_mode=False, obj=flags)
        sys.stdout.flush()
    except LikenessError as error:
        return _report(flags, error.as_dict(), error.exit_code)
    except click.UsageError as error:
        if isinstance(error, getattr(click.exceptions, "NoArgsIsHelpError", ())) and not flags.values.get("as_json"):
            sys.stderr.write(f"{error.format_message()}\n")
            return error.exit_code
        path = error.ctx.command_path if error.ctx is not None else "likeness"
        facts = {"code": "usage", "message": error.format_message(), "hint": f"see `{path} --help`"}
        return _report(flags, facts, error.exit_code)
    except click.ClickException as error:
        return _report(flags, {"code": "usage", "message": error.format_message()}, 2)
    except (click.Abort, KeyboardInterrupt):
        flags.output.warn("interrupted")
        return INTERRUPTED
    except (NobodyReads, BrokenPipeError):
        return _nobody_reads()
    except Exception as error:
        if flags.values.get("debug"):
            raise
        return _unexpected(flags, error)
    return int(result or 0)


def _report(flags: Flags, error: dict[str, str], code: int) -> int:
    try:
        if flags.values.get("as_json"):
            flags.output.json({"error": error})
        else:
            flags.output.warn(f"error: {error['message']}")
            if error.get("hint"):
                flags.output.warn(f"hint: {error['hint']}")
    except BrokenPipeError:
        return _nobody_reads()
    return code


def _unexpected(flags: Flags, error: Exception) -> int:
    # The message of a foreign error may quote a name or a path: only its type is shown.
    facts = {
        "code": "unexpected",
        "message": f"something unexpected happened: {type(error).__name__}",
        "hint": "run the same command with --debug for the traceback",
    }
    return _report(flags, facts, 1)


def _nobody_reads() -> int:
    # The interpreter flushes stdout once more at its end: let that go nowhere.
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return NOBODY_READS
