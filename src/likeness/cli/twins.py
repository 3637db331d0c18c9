"""`likeness twins`: the people who look most like a face."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from likeness.cli.apparent import apparent_line
from likeness.cli.cards import card_line, card_lines
from likeness.cli.flags import Flags, attributes_option, common_options, pick_option
from likeness.cli.output import bounded, chance
from likeness.errors import InputError, PictureNotFound, RemoteError

if TYPE_CHECKING:
    from likeness.cli.output import Output
    from likeness.profiles import Profile
    from likeness.service import People
    from likeness.types import Twin, TwinAnswer


@click.command()
@click.argument("path", metavar="PHOTO", type=click.Path())
@click.option(
    "-k", "--count", type=click.IntRange(1, 1000), default=5, show_default=True, help="How many people to find."
)
@click.option("--exclude", multiple=True, metavar="NAME", help="Pass over this person; may be given several times.")
@click.option("--others", is_flag=True, help="Leave out whoever the face itself is: for a double of somebody enrolled.")
@pick_option()
@attributes_option
@click.option(
    "--save-pictures",
    metavar="DIR",
    type=click.Path(file_okay=False, path_type=Path),
    help="Save the pictures of the twins in this folder.",
)
@click.option(
    "--sheet",
    metavar="OUT",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Draw the face, its twins and their profiles: a .png, .jpg or .webp.",
)
@click.option(
    "--profile", "look_up", is_flag=True, help="Look the twins up with those whom the setting `profiles` names."
)
@common_options
@click.pass_obj
def twins(
    flags: Flags,
    path: str,
    count: int,
    exclude: tuple[str, ...],
    others: bool,
    pick: Any,
    save_pictures: Path | None,
    sheet: Path | None,
    look_up: bool,
) -> None:
    """Find the people who look most like a face, each person once.

    "Rarer than" says how unusual so near a resemblance is here: the share of people in the gallery whose own nearest
    double is less similar.
    """
    if sheet is not None:
        _expect_sheet(sheet, path)
    if look_up:
        from likeness.profiles import open_lookup

        open_lookup(flags.settings, lambda name: None)  # what is wrong with the settings is told before all work
    with flags.people() as people:
        answer = people.twins(path, k=count, pick=pick, exclude=exclude, others=others)
        cards = _looked_up(flags.output, people, answer) if look_up else {}
        saved = _save(people, answer, save_pictures) if save_pictures is not None else {}
        if sheet is not None:
            _sheet(people, answer, sheet)
    if flags.output.as_json:
        data = answer.as_dict()
        for twin in data["twins"]:
            twin |= {"picture": saved.get(twin["rank"])} if save_pictures is not None else {}
            if look_up:
                card = cards.get(twin["rank"])
                twin["card"] = None if card is None else card.as_dict()
        flags.output.json({"path": path} | data | ({"sheet": str(sheet)} if sheet else {}))
        return
    _show(flags.output, answer, people.recognizer.calibration.floor)
    for twin in answer.twins:
        if twin.rank in cards:
            flags.output.facts(cards[twin.rank].facts(), title=f"{twin.rank}. {twin.match.name}")
    if looks := apparent_line(answer.face):
        flags.output.text(f"the face: {looks}")
    if others:
        flags.output.text(_left_out(answer))
    for place in ([str(sheet)] if sheet else []) + ([str(save_pictures)] if save_pictures else []):
        flags.output.say(f"pictures: {place}")


def _looked_up(output: Output, people: People, answer: TwinAnswer) -> dict[int, Profile]:
    """Cards of the twins whom somebody knows, by rank; a look-up that fails is told and ends nothing."""
    cards = {}
    for twin in answer.twins:
        try:
            card = people.look_up(twin.match.person_id)
        except RemoteError as error:
            output.failed(twin.match.name, error.as_dict())
            continue
        if card is not None:
            cards[twin.rank] = card
    return cards


def _expect_sheet(sheet: Path, photo: str) -> None:
    from likeness.service.portraits import expect_picture_name

    expect_picture_name(sheet)
    if sheet.resolve() == Path(photo).resolve():
        raise InputError(f"the sheet {str(sheet)!r} would overwrite the photo", hint="name another file")


def _show(output: Output, answer: TwinAnswer, floor: float) -> None:
    if not answer.twins:
        output.text(f"the gallery has nobody {'else ' if answer.left_out else ''}to compare with")
        return
    rows = []
    for twin in answer.twins:
        match = twin.match
        rows.append(
            [
                twin.rank,
                match.name,
                f"{match.similarity:.3f}",
                chance(match.probability),
                bounded(match.fpir, match.fmr, floor),
                "—" if twin.rarer_than is None else f"{twin.rarer_than:.0%} here",
            ]
        )
    columns = ["", "person", "similarity", "same person", "false-positive rate", "rarer than"]
    cards = [card_line(twin.profile) for twin in answer.twins]
    if any(cards):
        columns.append("profile")
        rows = [[*row, card] for row, card in zip(rows, cards, strict=True)]
    output.table(columns, rows)


def _left_out(answer: TwinAnswer) -> str:
    if not answer.left_out:
        return "nobody was left out: the face is not surely anybody's in the gallery"
    whose = ", ".join(
        f"{match.name} (similarity {match.similarity:.3f}, same person {chance(match.probability)})"
        for match in answer.left_out
    )
    return f"left out, because the face is theirs: {whose}"


def _save(people: People, answer: TwinAnswer, folder: Path) -> dict[int, str]:
    from likeness.service.portraits import save_bytes

    saved = {}
    for twin in answer.twins:
        place = folder / f"{twin.rank:02d}-{twin.match.person_id}.jpg"
        with suppress(PictureNotFound):  # imported as numbers
            save_bytes(people.picture(twin.match.person_id, twin.match.face_id), place)
            saved[twin.rank] = str(place)
    return saved


def _sheet(people: People, answer: TwinAnswer, target: Path) -> None:
    from likeness.service.portraits import NO_PICTURE, Tile, contact_sheet, looks, save_picture
    from likeness.vision.decode import decode_photo

    assert answer.face.crop is not None  # the recognizer cuts one for each face
    tiles = []
    for twin in answer.twins:
        try:
            picture = decode_photo(people.picture(twin.match.person_id, twin.match.face_id)).pixels
            tiles.append(Tile(picture, _lines(twin)))
        except PictureNotFound:  # imported as numbers
            tiles.append(Tile(NO_PICTURE, ("(no picture)", *_lines(twin))))
    save_picture(contact_sheet(Tile(answer.face.crop, ("this face", *looks(answer.face))), tiles), target)


def _lines(twin: Twin) -> tuple[str, ...]:
    match = twin.match
    rare = () if twin.rarer_than is None else (f"rarer than {twin.rarer_than:.0%} here",)
    return (
        f"{twin.rank}. {match.name}",
        f"similarity {match.similarity:.3f}",
        f"same person {chance(match.probability)}",
        *rare,
        *card_lines(twin.profile),
    )
