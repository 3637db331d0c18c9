"""`likeness gallery delete`: a gallery on a server, with all that is its."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import counted

if TYPE_CHECKING:
    from likeness.gallery.base import Extent, Gallery


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def delete(flags: Flags, yes: bool) -> None:
    """Delete a gallery on a server, with all that is in it.

    Its audit trail goes with it. Snapshots stay and hold whom they held: they are named, for you to delete. A gallery
    that is a file is deleted as a file.
    """
    from likeness.addresses import masked
    from likeness.errors import SettingsError
    from likeness.gallery import open_gallery
    from likeness.gallery.deleting import Deletable
    from likeness.gallery.keys import key_of

    settings, at = flags.settings, masked(str(flags.settings.gallery))
    # One into which another gallery's contents have not all come is deleted too: that is how a migration begins anew.
    with open_gallery(settings.gallery, create=False, unfinished=True, key=key_of(settings)) as gallery:
        if not isinstance(gallery, Deletable):
            raise SettingsError(
                f"the gallery {at} is not deleted by this command",
                hint="delete its file, or drop its database; snapshots lie where they were made",
            )
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("deleting a gallery cannot be undone: say --yes where nobody can be asked")
        held, snapshots = _held(flags, gallery)
        whom = "all that is left there" if held is None else _counted(held)
        if not yes:
            click.confirm(f"Delete {at} with {whom}, for good?", abort=True, err=True)
        indexes = gallery.delete()
    if flags.output.as_json:
        people, faces = (None, None) if held is None else (held.people, held.faces)
        told = {"deleted": at, "people": people, "faces": faces, "indexes": indexes, "snapshots": snapshots}
        flags.output.json(told)
        return
    flags.output.text(f"deleted: {at} with {whom}, {indexes} indexes")
    for place in snapshots:
        flags.output.text(f"  a snapshot may still be at {place}, and holds everybody who was in it: delete it too")


def _held(flags: Flags, gallery: Gallery) -> tuple[Extent | None, list[str]]:
    """What it holds, and where copies of it lie; neither where that cannot be told any more: it goes all the same."""
    from likeness.errors import LikenessError
    from likeness.gallery.transfer import FIRST, Transferable

    try:
        places: list[str] = []
        if isinstance(gallery, Transferable):
            kept = gallery.export("snapshots", after=FIRST["snapshots"], limit=10_000).snapshots
            places = [f"{each.host}:{each.path}" for each in kept]
        return gallery.extent(), places
    except LikenessError as error:
        flags.output.warn(f"what it holds cannot be told: {error}")
        return None, []


def _counted(held: Extent) -> str:
    return f"{counted(held.people, 'person', 'people')} and {counted(held.faces, 'face', 'faces')}"
