"""`likeness people`: who is in the gallery, and who must go."""

from __future__ import annotations

import sys
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.cards import card_facts
from likeness.cli.flags import Flags, common_options
from likeness.cli.output import counted, printable
from likeness.cli.retention import COMMANDS as RETENTION_COMMANDS
from likeness.errors import NotFound
from likeness.intake.erasure import Written

if TYPE_CHECKING:
    from likeness.service import People
    from likeness.service.proving import Proof

UNWELL = 7


@click.group()
@common_options
def people() -> None:
    """List, show, describe, rename, merge, forget, purge and export people. PERSON is a name or an id."""


@people.command("list")
@click.argument("query", default="")
@common_options
@click.pass_obj
def list_people(flags: Flags, query: str) -> None:
    """List people, all or those whose name contains QUERY."""
    with flags.people(with_model=False) as opened:
        found = opened.find(query)
        if flags.output.as_json:
            for person in found:
                flags.output.json(person.as_dict())
            return
        rows = [(person.name, person.faces, person.id, person.retain_until) for person in found]
    flags.output.table(("name", "faces", "id", "keep until"), rows)
    flags.output.say(counted(len(rows), "person", "people"))


@people.command()
@click.argument("person")
@common_options
@click.pass_obj
def show(flags: Flags, person: str) -> None:
    """Show what is held about a person."""
    with flags.people(with_model=False) as opened:
        data = opened.show(person)
    if flags.output.as_json:
        flags.output.json(data)
        return
    facts = [
        ("id", data["id"]),
        ("in the gallery since", data["created_at"]),
        ("consent", _worded(data["consent"])),
        ("keep until", data["retain_until"] or "without end"),
    ]
    flags.output.facts(facts, title=data["name"])
    if data["profile"]:
        flags.output.facts(card_facts(data["profile"]), title="profile")
    rows = [
        (face["id"], f"{face['quality']:.2f}", face["created_at"][:10], face["source"]) for face in data["pictures"]
    ]
    flags.output.table(("picture", "quality", "added", "from"), rows)


def _worded(consent: dict[str, str] | None) -> str:
    """A consent with its day, and where it was given."""
    if consent is None:
        return "not recorded"
    through = f", through {consent['source']}" if consent["source"] else ""
    return f"{consent['basis']} ({consent['at'][:10]}{through})"


@people.command()
@click.argument("person")
@click.option("--set", "put", multiple=True, metavar="KEY=VALUE", help="Put a value: JSON if it is JSON, else text.")
@click.option("--unset", "remove", multiple=True, metavar="KEY", help="Take a value out.")
@click.option(
    "--from",
    "source",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE.json",
    help="Take the whole profile from a JSON object in a file; --unset and --set come after it.",
)
@click.option("--look-up", is_flag=True, help="Ask those whom the setting `profiles` names what is publicly known.")
@click.option(
    "--source",
    "sources",
    multiple=True,
    type=click.Choice(["gallery", "wikidata", "ninjas"]),
    help="Look up here, whatever the setting says; may be given several times. The person's name is sent there.",
)
@click.option("--keep", is_flag=True, help="Take what was looked up into the profile.")
@common_options
@click.pass_obj
def profile(
    flags: Flags,
    person: str,
    put: tuple[str, ...],
    remove: tuple[str, ...],
    source: Path | None,
    look_up: bool,
    sources: tuple[str, ...],
    keep: bool,
) -> None:
    """Show, change or look up a person's profile.

    A profile holds what else is known of somebody, under keys of your choice. --set and --unset may be given several
    times. Nothing is looked up, and no name leaves this machine, without --look-up or --source.
    """
    from likeness.service.cards import read_card

    look_up = look_up or bool(sources)
    if look_up and (put or remove or source is not None):
        raise click.UsageError("--look-up and --source go with --keep alone; change the profile in a second step")
    if keep and not look_up:
        raise click.UsageError("--keep takes what was looked up: say --look-up or --source too")
    if look_up:
        with flags.people(with_model=False) as opened:
            _look_up(flags, opened, person, sources, keep=keep)
        return
    values = _assignments(put)
    whole = None if source is None else read_card(source)
    with flags.people(with_model=False) as opened:
        if put or remove or source is not None:
            found = opened.change_profile(person, put=values, remove=remove, whole=whole)
        else:
            found = opened.profile(person)
    if flags.output.as_json:
        flags.output.json({"id": found.id, "name": found.name, "profile": found.profile})
    elif found.profile:
        flags.output.facts(card_facts(found.profile), title=found.name)
    else:
        flags.output.text(f"{found.name} has no profile yet; --set KEY=VALUE starts one")


def _look_up(flags: Flags, people: People, person: str, sources: tuple[str, ...], *, keep: bool) -> None:
    found = people.gallery.person(person)
    card = people.look_up(found.id, sources=sources or None)
    if card is None:
        raise NotFound(f"nobody called {found.name!r} is known to those who were asked")
    if keep:
        found = people.change_profile(found.id, put=card.as_dict())
    if flags.output.as_json:
        flags.output.json({"id": found.id, "name": found.name, "profile": found.profile, "card": card.as_dict()})
        return
    flags.output.facts(card.facts(), title=found.name)
    if card.namesakes:
        flags.output.say("there are others of that name: make sure that it is the right person")


def _assignments(given: tuple[str, ...]) -> dict[str, Any]:
    from likeness.service.cards import parse_value

    values = {}
    for text in given:
        key, equals, value = text.partition("=")
        if not key.strip() or not equals:
            raise click.BadParameter(f"expected KEY=VALUE, got {text!r}", param_hint="--set")
        values[key.strip()] = parse_value(value)
    return values


@people.command()
@click.argument("person")
@click.argument("new_name")
@common_options
@click.pass_obj
def rename(flags: Flags, person: str, new_name: str) -> None:
    """Give a person another name."""
    with flags.people(with_model=False) as opened:
        opened.elsewhere = Written(flags.settings)
        renamed = opened.rename(person, new_name)
    if flags.output.as_json:
        flags.output.json(renamed.as_dict())
    else:
        flags.output.text(f"{renamed.id} is called {renamed.name} now")


@people.command()
@click.argument("person")
@click.argument("into")
@common_options
@click.pass_obj
def merge(flags: Flags, person: str, into: str) -> None:
    """Give all faces of PERSON to INTO, whose name stays."""
    with flags.people(with_model=False) as opened:
        opened.elsewhere = Written(flags.settings)
        merged = opened.merge(person, into)
    if flags.output.as_json:
        flags.output.json(merged.as_dict())
    else:
        flags.output.text(f"{merged.name} ({merged.id}) has {merged.faces} faces now")


@people.command()
@click.argument("persons", metavar="PERSON...", nargs=-1)
@click.option("--expired", is_flag=True, help="Everybody whose retention date has passed.")
@click.option("--prove", is_flag=True, help="Then look for their bytes in every file of the gallery.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@common_options
@click.pass_obj
def forget(flags: Flags, persons: tuple[str, ...], expired: bool, prove: bool, yes: bool) -> int:
    """Erase people for good.

    They are gone from the record, the index and the snapshots, and it is checked that no search finds them. Copies
    that were moved, or made by hand, are out of reach: snapshots that are not where they were made are named.

    With --prove what identified them (name, pictures, embeddings, digests of photos) is looked for afterwards, byte by
    byte, in every file of the gallery; exit code 7 if anything is found. Of a gallery on a server its answers are
    looked at, and not its files.
    """
    from likeness.service.proving import forget_with_proof

    if bool(persons) == expired:
        raise click.UsageError("name the people to forget, or say --expired")
    with flags.people(with_model=False) as opened:
        opened.elsewhere = Written(flags.settings)
        today = datetime.now().astimezone().date()
        found = opened.expired(today) if expired else map(opened.gallery.person, persons)
        chosen = list({person.id: person for person in found}.values())  # all found before any is erased
        if not yes:
            _confirm([person.name for person in chosen], sum(person.faces for person in chosen))
        proofs: list[Proof] = []
        for person in chosen:
            if prove:
                proofs.append(forget_with_proof(opened, person.id))
            done = proofs[-1].forgotten if prove else opened.forget(person.id)
            if flags.output.as_json:
                flags.output.json(proofs[-1].as_dict() if prove else done.as_dict())
            else:
                faces = counted(done.faces, "face", "faces")
                purged = counted(len(done.snapshots_purged), "snapshot", "snapshots")
                flags.output.text(
                    f"forgotten: {person.name} ({done.person_id}); {faces} erased, {purged} purged, "
                    f"{len(done.snapshots_not_found)} not found; searches find nothing of them any more"
                )
                for path in done.snapshots_not_found:
                    flags.output.text(f"  not found: {path}; if it was moved and not deleted, it still holds them")
                if prove:
                    _show_proof(flags, proofs[-1])
        if chosen and not flags.output.as_json:
            flags.output.text(
                "copies of the gallery that were moved, or made by hand, are out of reach: delete those too"
            )
    if not chosen:
        flags.output.say("nobody's retention date has passed")
    return 0 if all(proof.proved for proof in proofs) else UNWELL


def _show_proof(flags: Flags, proof: Proof) -> None:
    facts: list[tuple[str, object]] = [
        ("looked at", f"{proof.files_scanned} files, {proof.bytes_scanned:,} bytes"),
        ("looked for", f"{proof.patterns:,} pieces of what identified them"),
        ("found", f"{proof.found}{' in ' + ', '.join(proof.files_found_in) if proof.files_found_in else ''}"),
        *([("also somebody else's", f"{proof.shared} (not counted)")] if proof.shared else []),
        ("covers", proof.covers),
        ("audit seal", proof.audit_seal),
    ]
    flags.output.facts(facts, title="proof" if proof.proved else "NOT PROVED")


def _confirm(names: list[str], faces: int) -> None:
    if not names:
        return
    if not sys.stdin.isatty():
        raise click.UsageError("erasing people cannot be undone: say --yes where nobody can be asked")
    whom = ", ".join(map(printable, names[:5])) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
    click.confirm(f"Erase {whom} with {faces} faces, for good?", abort=True, err=True)


@people.command()
@click.argument("person")
@click.argument("target", type=click.Path(path_type=Path))
@common_options
@click.pass_obj
def export(flags: Flags, person: str, target: Path) -> None:
    """Write out all that is held about a person.

    TARGET is a new folder, or an archive if it ends in .zip.
    """
    with flags.people(with_model=False) as opened:
        written = opened.export(person, target)
    if flags.output.as_json:
        flags.output.json({"exported": str(written)})
    else:
        flags.output.text(f"written to {written}")


for command in RETENTION_COMMANDS:
    people.add_command(command)
