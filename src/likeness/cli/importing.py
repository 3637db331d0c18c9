"""`likeness import`: people whom another program knows, into the gallery."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from likeness.cli.enroll import enrol_options, enroll, future, look_options, record_options, stated_consent, take
from likeness.cli.flags import Flags, common_options


@click.group("import")
@common_options
def importing() -> None:
    """Take people over from CompreFace, from face_recognition's pickles, or from folders of photos.

    Run the same command again to go on where it was stopped: what is there already is not added twice.
    """


importing.add_command(enroll, "folder")  # a folder for each person is what `enroll` takes


@importing.command("face-recognition", short_help="Take over a pickle of face_recognition's encodings.")
@click.argument("path", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@record_options
@common_options
@click.pass_obj
def face_recognition(
    flags: Flags, path: Path, consent: str | None, retain_until: datetime | None, verbose: bool
) -> int:
    """Take over a pickle of names and encodings that were made with the face_recognition library; no photos needed.

    FILE holds {"encodings": […], "names": […]}, two such lists, (name, encoding) pairs, or {name: encoding(s)}. Its
    128 numbers a face are those of the model dlib-resnet, whose galleries they can go into. The faces have no picture:
    another model cannot embed them anew. Nothing in the pickle is run; one that holds more than arrays, lists, dicts,
    texts and numbers is refused.
    """
    from likeness.service import EnrolOptions
    from likeness.service.encodings import import_encodings, read_encodings

    options = EnrolOptions(consent=stated_consent(consent), retain_until=future(retain_until))
    encodings = read_encodings(path)
    return take(
        flags,
        lambda people, stop, on_frame: import_encodings(people, encodings, path.name, options, stop=stop),
        len(encodings),
        verbose=verbose,
        things=("encoding", "encodings"),
    )


@importing.command(short_help="Take over a CompreFace server's or database dump's people.")
@click.argument("source", metavar="URL|DUMP.sql")
@click.option(
    "--key",
    envvar="COMPREFACE_API_KEY",
    show_envvar=True,
    metavar="KEY",
    help="Key of the recognition service; better in the environment, where other users of the machine do not see it.",
)
@click.option("--service", metavar="NAME", help="Which recognition service of a dump that has several.")
@look_options
@record_options
@common_options
@click.pass_obj
def compreface(
    flags: Flags,
    source: str,
    key: str | None,
    service: str | None,
    pick: Any,
    largest: bool,
    gate: bool,
    again: bool,
    consent: str | None,
    retain_until: datetime | None,
    verbose: bool,
) -> int:
    """Take over the people of CompreFace: from a running server, or from a dump of its database.

    URL is the server's address (http://localhost:8000), DUMP.sql what `pg_dump` wrote in its plain format. The pictures
    are fetched and enrolled as photos are. CompreFace's embeddings are of other models and cannot be compared with
    ours: faces of which it kept no picture are refused, each with that reason.
    """
    options = enrol_options(pick, largest, gate, again, consent, retain_until)
    photos, total = _found(flags, source, key, service)
    return take(flags, lambda people, stop, on_frame: people.enroll(photos, options, stop=stop), total, verbose=verbose)


def _found(flags: Flags, source: str, key: str | None, service: str | None) -> tuple[Any, int]:
    """The pictures of a server or a dump, each got when its turn comes, and how many there are."""
    most_bytes = flags.settings.max_photo_bytes
    if source.startswith(("http://", "https://")):
        from likeness.service.compreface import CompreFaceServer

        if not key:
            raise click.UsageError("CompreFace answers nobody without a key: set COMPREFACE_API_KEY, or give --key")
        if service is not None:
            raise click.UsageError("--service is for dumps; on a server the key says which service is meant")
        server = CompreFaceServer(source, key, most_bytes=most_bytes)
        holds = server.holds()
        return server.photos(holds), len(holds)
    from likeness.service.compreface_dump import read_dump

    dump = read_dump(Path(source))
    faces = dump.of_service(service)
    return dump.photos(faces, most_bytes=most_bytes), len(faces)
