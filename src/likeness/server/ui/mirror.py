"""Mirror: how old each face looks, with a range, and its apparent gender."""

from __future__ import annotations

import gradio as gr

from likeness.server.ui.desk import Desk, bytes_at, told
from likeness.server.ui.inputs import lead, photo_question
from likeness.server.ui.markup import card, count, line, marked_photo, percent, picture, quality_line, row, sealed
from likeness.server.ui.pictures import shown_crop, shown_photo
from likeness.server.ui.works import Mirrored
from likeness.service import Described
from likeness.types import Face, Photo

TELLS_NOTHING = (
    "The models in use find faces, and do not tell apparent age or gender. "
    "Whoever runs this server can choose one that does: the setting “attributes”."
)


def mirror_page(desk: Desk) -> None:
    """Lay the page out and wire it."""
    lead("How old does each face look, and which gender would people see? Looks, not facts; with honest ranges.")

    @told()
    async def look(path: str | None, request: gr.Request) -> str:
        actor = desk.actor(request, "read")
        shown, found = await desk.ask(Mirrored((await bytes_at(path),)), actor)
        return _answer(shown, found, tells=desk.engine.people.recognizer.teller is not None)

    photo_question(
        desk, look, page="mirror", button="Look into the mirror", waiting="What the mirror sees will be here."
    )


def _answer(photo: Photo, found: Described, *, tells: bool) -> str:
    notice = "" if tells else card(line(TELLS_NOTHING), title="This mirror is blind", kind="lk-blind")
    if not found.faces:
        return sealed(notice + card(line("No face was found on this photo."), title="Nobody"))
    faces = sorted(found.faces, key=lambda face: face.box_xyxy_px[0])  # as one reads
    marked = marked_photo(
        shown_photo(photo),
        f"The photo, with {count(len(faces), 'face')} marked",
        photo.size_px,
        faces,
        [(_short(face), "good") for face in faces],
    )
    cards = [_card(number, face) for number, face in enumerate(faces, start=1)]
    return sealed(notice + marked + "".join(cards))


def _short(face: Face) -> str:
    return "" if face.age is None else f"about {face.age.years:.0f}"


def _card(number: int, face: Face) -> str:
    words = []
    if face.age is not None:
        age = face.age
        words.append(line(f"Looks about {age.years:.0f} years old."))
        words.append(line(f"8 of 10 such faces are between {age.low:.0f} and {age.high:.0f}.", fine=True))
    if face.gender is not None:
        words.append(line(f"Apparent gender: {face.gender.label}, {percent(face.gender.probability)} probable."))
    if not words:
        words.append(line("A face, and nothing more is told of it."))
    words.append(quality_line(face))
    return card(row(picture(shown_crop(face), f"Face {number} of the photo"), *words), title=f"Face {number}")
