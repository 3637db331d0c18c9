"""`likeness gallery encrypt` and its kin: encryption at rest, and the keys of it."""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options, progress_option
from likeness.cli.output import counted

if TYPE_CHECKING:
    from likeness.gallery.keys import OwnerKey
    from likeness.gallery.sealing import Changed
    from likeness.service import People

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command("new-key")
@click.argument("file", type=FILE)
@common_options
@click.pass_obj
def new_key(flags: Flags, file: Path) -> None:
    """Write a new key for encrypting galleries into FILE.

    The file is its owner's alone and never written over. Whoever loses the key loses the gallery: keep a copy of it,
    in another place than the gallery's copies. The setting gallery_key_file names it.
    """
    from likeness.gallery.keys import make_key

    key = make_key(file)
    if flags.output.as_json:
        flags.output.json({"key": key.fingerprint, "file": str(file)})
        return
    flags.output.text(f"key {key.fingerprint} written to {file}")
    flags.output.say("keep a copy of it in a safe place: without it an encrypted gallery is lost")


@click.command()
@progress_option
@common_options
@click.pass_obj
def encrypt(flags: Flags) -> None:
    """Encrypt the gallery and its snapshots, where they are.

    The key is the one that the setting gallery_key_file (or LIKENESS_GALLERY_KEY) names. Others that have the key may
    go on searching and enrolling; those without it get an error from now on. At the end the file is written anew, so
    that nothing readable is left in it: it takes about twice its room meanwhile. A run that was stopped goes on where
    it was.
    """
    from likeness.service import encrypting

    # Without the remark that the gallery is not encrypted yet, and what would do it.
    with flags.people(with_model=False, remarks=False) as opened, flags.output.progress("encrypting") as progress:
        done = encrypting.encrypt(opened, progress=progress)
    _tell(flags, done, "encrypted")


@click.command(short_help="Store the gallery readable again, for good.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@progress_option
@common_options
@click.pass_obj
def decrypt(flags: Flags, yes: bool) -> None:
    """Store the gallery readable again, for good; its snapshots too."""
    from likeness.service import encrypting

    if not yes:
        if not sys.stdin.isatty():
            raise click.UsageError("what was encrypted becomes readable: say --yes where nobody can be asked")
        click.confirm(
            "Store pictures, embeddings and names readable for whoever can read the file?", abort=True, err=True
        )
    with flags.people(with_model=False) as opened, flags.output.progress("decrypting") as progress:
        done = encrypting.decrypt(opened, progress=progress)
    _tell(flags, done, "readable again")


@click.command("rotate-key", short_help="Let another key open the gallery.")
@click.option("--new-key-file", "file", type=FILE, required=True, help="The key that shall open the gallery.")
@click.option("--data-key", is_flag=True, help="Also encrypt everything anew: the old key opens no copy made later.")
@progress_option
@common_options
@click.pass_obj
def rotate_key(flags: Flags, file: Path, data_key: bool) -> None:
    """Let another key open the gallery and its snapshots; the present one no longer does.

    The settings name the present key. Without --data-key this takes a moment: what is stored is encrypted with a data
    key of the gallery's own, and only that is encrypted anew. Where the old key has become known, say --data-key. A
    run that was stopped goes on where it was. Then set the new key; programs that run must be started again with it.
    """
    from likeness.gallery.keys import read_key
    from likeness.service import encrypting

    new = read_key(file)
    with _with_either_key(flags, new, file) as opened, flags.output.progress("encrypting anew") as progress:
        done = encrypting.rotate_key(opened, new, data_key=data_key, progress=progress)
    _tell(flags, done, f"under the key {new.fingerprint} now")
    flags.output.say(f"set gallery_key_file to {file}")


def _with_either_key(flags: Flags, new: OwnerKey, file: Path) -> People:
    """The gallery, opened with the key of the settings, or with the new one where a stopped run has got so far."""
    from pydantic import SecretStr

    from likeness.errors import GalleryKeyWrong

    try:
        return flags.people(with_model=False)
    except GalleryKeyWrong as error:
        if new.fingerprint not in error.message:
            raise
    changed = {"gallery_key_file": str(file), "gallery_key": SecretStr("")}
    flags.settings = flags.settings.model_copy(update=changed)
    return flags.people(with_model=False)


def _tell(flags: Flags, done: Changed, what: str) -> None:
    if flags.output.as_json:
        flags.output.json(asdict(done))
        return
    rows = counted(done.rows, "row", "rows")
    also = f", with {counted(len(done.snapshots), 'snapshot', 'snapshots')}" if done.snapshots else ""
    flags.output.text(f"the gallery is {what}{also}; {rows} changed")
    for path in done.not_found:
        flags.output.text(f"  not found: {path}; if it was moved and not deleted, it is as it was")


COMMANDS = (new_key, encrypt, rotate_key, decrypt)
