"""`likeness gallery delete`: a gallery on a server, with all that is its."""

from __future__ import annotations

import sys

import click

from likeness.cli.flags import Flags, common_options
from likeness.cli.output import counted


@click.command()
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def delete(flags: Flags, yes: bool) -> None:
    """Delete a gallery on a server, with all that is in it.

    Its audit trail goes with it. Snapshots stay and hold whom they held: they are named, for you to delete. A gallery
    that is a file is deleted as a file.
    """
    from likeness.errors import SettingsError
    from likeness.gallery.deleting import Deletable
    from likeness.gallery.transfer import FIRST, Transferable

    with flags.people(with_model=False) as opened:
        gallery, facts = opened.gallery, opened.gallery.info()
        if not isinstance(gallery, Deletable):
            raise SettingsError(
                f"the gallery {facts.uri} is not deleted by this command",
                hint="delete its file, or drop its database; snapshots lie where they were made",
            )
        if not yes and not sys.stdin.isatty():
            raise click.UsageError("deleting a gallery cannot be undone: say --yes where nobody can be asked")
        whom = f"{counted(facts.people, 'person', 'people')} and {counted(facts.faces, 'face', 'faces')}"
        if not yes:
            click.confirm(f"Delete {facts.uri} with {whom}, for good?", abort=True, err=True)
        snapshots: list[str] = []
        if isinstance(gallery, Transferable):
            kept = gallery.export("snapshots", after=FIRST["snapshots"], limit=10_000).snapshots
            snapshots = [f"{each.host}:{each.path}" for each in kept]
        indexes = gallery.delete()
    if flags.output.as_json:
        told = {"deleted": facts.uri, "people": facts.people, "faces": facts.faces}
        flags.output.json(told | {"indexes": indexes, "snapshots": snapshots})
        return
    flags.output.text(f"deleted: {facts.uri} with {whom}, {indexes} indexes")
    for place in snapshots:
        flags.output.text(f"  a snapshot may still be at {place}, and holds everybody who was in it: delete it too")
