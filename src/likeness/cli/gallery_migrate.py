"""`likeness gallery migrate`: to another engine, with everything, and over to it if asked."""

from __future__ import annotations

import json
import os
import re
import tempfile
from dataclasses import asdict
from pathlib import Path

import click

from likeness.cli.flags import Flags, actor, common_options, progress_option
from likeness.cli.output import counted


@click.command(short_help="Copy the gallery to another engine, compare, and switch.")
@click.argument("source", metavar="FROM")
@click.argument("target", metavar="TO")
@click.option("--switch", is_flag=True, help="Then write the setting `gallery` into the settings file in use.")
@click.option(
    "--sample",
    type=click.IntRange(1, 100_000),
    default=200,
    show_default=True,
    metavar="N",
    help="Faces that are read back, and searched for on both.",
)
@click.option(
    "--plain", is_flag=True, help="Also from an encrypted gallery to a server, which encrypts by other means."
)
@progress_option
@common_options
@click.pass_obj
def migrate(flags: Flags, source: str, target: str, switch: bool, sample: int, plain: bool) -> None:
    """Copy a gallery to another engine with all that it holds, and compare.

    FROM and TO are addresses as the setting `gallery` has them: a path, or scheme://… of a server. Ids, pictures,
    consent, notes and the audit trail stay as they are; what was remembered of snapshots comes too, so forgetting
    reaches them further on. TO must be new or empty. End whatever writes to FROM first; if it changes, the copy is
    refused. Run it again after an interruption: it goes on where it stopped. FROM is left as it is: delete it yourself
    when TO has proved itself, for it still holds everybody.
    """
    from likeness.addresses import masked
    from likeness.gallery.keys import key_of
    from likeness.gallery.migration import migrate as copy

    file, key = _file_to_switch(flags) if switch else None, key_of(flags.settings)
    with flags.output.progress("migrating") as progress:
        done = copy(source, target, actor=actor(), sample=sample, key=key, plain=plain, progress=progress)
    if file is not None:
        write_setting(file, "gallery", target if "://" in target else str(Path(target).absolute()))
    if flags.output.as_json:
        flags.output.json(asdict(done) | {"switched": None if file is None else str(file)})
        return
    flags.output.text(
        f"{counted(done.people, 'person', 'people')} and {counted(done.faces, 'face', 'faces')} are in "
        f"{masked(target)}; {done.compared_faces:,} faces and the answers to them were compared, and are the same"
    )
    for finding in done.findings:
        flags.output.warn(f"{finding.name}: {finding.message}")
    if file is not None:
        flags.output.text(f"{file} names it now")
    else:
        flags.output.text("to use it: --gallery, LIKENESS_GALLERY, or in likeness.toml")
        flags.output.text(f"  gallery = {_quoted(masked(target))}")
    flags.output.say("the old gallery still holds everybody: delete it when the new one has proved itself")


def _file_to_switch(flags: Flags) -> Path:
    """The settings file that decides which gallery is used.

    Raises:
        click.UsageError: there is none, or something else decides.
    """
    from platformdirs import user_config_path

    from likeness.settings import settings_file

    origin = flags.settings.origin("gallery")
    if origin.startswith("LIKENESS_") or origin == "flag":
        name = "--gallery" if origin == "flag" else origin
        raise click.UsageError(f"--switch writes a settings file, but the gallery is set by {name}: change that")
    file = settings_file(os.environ, flags.values.get("config"))
    if file is None:
        raise click.UsageError(
            "--switch writes the settings file in use, but there is none: make an empty likeness.toml here, "
            f"or {user_config_path('likeness') / 'config.toml'}"
        )
    return file


def write_setting(file: Path, name: str, value: str) -> None:
    """Set one value in a settings file, and leave everything else in it, comments included, as it is.

    A file that holds a password from then on is for its owner alone.

    Raises:
        SettingsError: the file cannot be written, or is laid out in a way that is not understood.
    """
    import tomllib

    from likeness.addresses import masked
    from likeness.errors import SettingsError

    try:
        before = file.read_text("utf-8")
        line = f"{name} = {_quoted(value)}"
        after, changed = re.subn(rf"(?m)^{name}[ \t]*=.*$", lambda _: line, before, count=1)
        if not changed:
            after = f"{line}\n{before}"
        if tomllib.loads(after) != tomllib.loads(before) | {name: value}:
            raise SettingsError(f"{file} is laid out in a way that is not understood", hint=f"write into it: {line}")
        handle, aside = tempfile.mkstemp(dir=file.parent, prefix=f".{file.name}.")
        with os.fdopen(handle, "w", encoding="utf-8") as opened:
            opened.write(after)
        Path(aside).chmod(file.stat().st_mode & (0o777 if masked(value) == value else 0o700))
        Path(aside).replace(file)
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise SettingsError(f"{file} cannot be changed: {error}", hint=f"set {name} in it by hand") from error


def _quoted(value: str) -> str:
    """A TOML string; JSON's escapes are TOML's too."""
    return json.dumps(value, ensure_ascii=False)
