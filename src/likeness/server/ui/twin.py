"""Twin: a photo in, its lookalikes out: how alike, how unusual, their pictures, and what is known of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

import gradio as gr

from likeness.errors import LikenessError
from likeness.gallery.base import StoredFace
from likeness.server.ui.desk import Desk, bytes_at, told
from likeness.server.ui.inputs import answer_place, example_buttons, lead, photo_input, quiet_place
from likeness.server.ui.markup import (
    card,
    count,
    error_card,
    facts,
    gallery,
    line,
    meter,
    more,
    percent,
    picture,
    profile_facts,
    row,
    sealed,
)
from likeness.server.ui.pictures import data_url, shown_crop
from likeness.server.ui.works import Doubles
from likeness.service import People
from likeness.service.strips import apart
from likeness.types import Twin, TwinAnswer

PICTURES = 12
"""So many pictures of each twin are shown."""
MOST = 12
WAITING = "Your lookalikes will be here."


def twin_page(desk: Desk) -> None:
    """Lay the page out and wire it."""
    lead("Who looks most like you? Give a photo, or take one, and see the nearest people in this gallery.")
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            photo = photo_input("Your photo", elem_id="twin-photo")
            number = gr.Slider(1, MOST, value=5, step=1, label="How many lookalikes", elem_id="twin-count")
            others = gr.Checkbox(
                False,
                label="Leave me out",
                info="If you are in the gallery, find your double, not you.",
                elem_id="twin-others",
            )
            ask = gr.Button("Find my lookalikes", variant="primary", elem_id="twin-ask")
            examples = example_buttons(desk, elem_id="twin-examples")
        with gr.Column(scale=3, min_width=280):
            answer = answer_place(WAITING, elem_id="twin-answer")
            card_place = quiet_place(elem_id="twin-card")
            rest = quiet_place(elem_id="twin-rest")
            best = gr.State("")

    @told(lambda markup: (markup, "", "", ""))
    async def find(path: str | None, k: int, without_me: bool, request: gr.Request) -> tuple[str, str, str, str]:
        actor = desk.actor(request, "read")
        data = await bytes_at(path)
        work = Doubles((data,), k=min(max(int(k), 1), MOST), others=bool(without_me))
        _, faces, found = await desk.ask(work, actor)
        pictures = await desk.call(actor, lambda people: _pictures(people, found))
        first = found.twins[0].match.person_id if found.twins else ""
        return _first_answer(found, faces, pictures), "", _other_answers(found, pictures), first

    @told()
    async def look_up(person_id: str, request: gr.Request) -> str:
        if not person_id:
            return ""
        actor = desk.actor(request, "read")
        return await desk.ask_elsewhere(actor, lambda people: _card(people, person_id))

    def wire(event: gr.events.Dependency) -> None:
        event.then(look_up, [best], [card_place], show_progress="hidden", api_visibility="private")

    asked = [photo, number, others]
    wire(ask.click(find, asked, [answer, card_place, rest, best], api_visibility="private"))
    for button, path in examples:
        chosen = button.click(lambda path=path: path, None, [photo], show_progress="hidden", api_visibility="private")
        wire(chosen.then(find, asked, [answer, card_place, rest, best], api_visibility="private"))


def _pictures(people: People, found: TwinAnswer) -> list[list[StoredFace]]:
    """Pictures of each twin, the one that is nearest to the face first."""
    shown = []
    for twin in found.twins:
        faces = list(people.gallery.faces(twin.match.person_id))
        faces.sort(key=lambda face: (face.id != twin.match.face_id, -face.quality))
        shown.append(list(islice(faces, PICTURES)))
    return shown


def _card(people: People, person_id: str) -> str:
    """What is known of the first twin: by the gallery's own profile, unless other sources are switched on."""
    sources = people.recognizer.settings.profiles or ("gallery",)
    try:
        profile = people.look_up(person_id, sources=sources)
    except LikenessError as error:
        return error_card(error)
    if profile is None:
        return ""
    return sealed(card(profile.as_html(), title=f"About {profile.name or 'your first lookalike'}"))


def _first_answer(found: TwinAnswer, faces: int, pictures: Sequence[Sequence[StoredFace]]) -> str:
    notes = []
    if faces > 1:
        notes.append(line(f"The photo shows {count(faces, 'face')}; the largest was taken.", fine=True))
    if found.left_out:
        notes.append(line(f"You are {found.left_out[0].name} here, and were left out.", fine=True))
    if not found.twins:
        return sealed(card(*notes, line("There is nobody else in this gallery yet."), title="No lookalikes"))
    you = row(picture(shown_crop(found.face), "Your face", "lk-small"), line("The face that was looked at."), *notes)
    return sealed(card(you) + _first(found.twins[0], pictures[0]))


def _other_answers(found: TwinAnswer, pictures: Sequence[Sequence[StoredFace]]) -> str:
    others = list(zip(found.twins, pictures, strict=True))[1:]
    return sealed("".join(_other(*each) for each in others))


def _first(twin: Twin, faces: Sequence[StoredFace]) -> str:
    name = twin.match.name
    shown = row(picture(_url(faces), f"{name}, your nearest lookalike", "lk-large"), *_likeness(twin), _unusual(twin))
    return card(shown, _gallery(name, faces), title=f"1. {name}", kind="lk-twin")


def _other(twin: Twin, faces: Sequence[StoredFace]) -> str:
    name = twin.match.name
    known = profile_facts(twin.profile)
    detail = more(f"Pictures and profile of {name}", _unusual(twin), _gallery(name, faces), known)
    return card(row(picture(_url(faces), name), *_likeness(twin), detail), title=f"{twin.rank}. {name}", kind="lk-twin")


def _likeness(twin: Twin) -> list[str]:
    match = twin.match
    nearer = f"{percent(1 - match.fmr, 2).removeprefix('over ')} of pairs of strangers"
    return [
        line(f"More alike than {nearer}."),
        meter(1 - match.fmr, f"more alike than {nearer}"),
        facts(
            [
                ("likeness", f"{match.similarity:.3f} (cosine)"),
                ("the same person", f"{percent(match.probability)} probable"),
            ]
        ),
    ]


def _unusual(twin: Twin) -> str:
    if twin.rarer_than is None:
        return ""
    share = twin.rarer_than
    if share >= 1:
        words = "Unusual: nobody here has a double as near as this one."
    elif share <= 0:
        words = "Common: everybody here has a double at least as near."
    else:
        words = f"For {percent(share, 0)} of the people here, their own nearest double is less alike than this."
    return line(words)


def _gallery(name: str, faces: Sequence[StoredFace]) -> str:
    crops = [crop for face in faces for crop in apart(face.crop_jpeg)][:PICTURES]
    shown = [(data_url(crop), f"{name}, picture {at}") for at, crop in enumerate(crops, 1)]
    return gallery(shown, f"Pictures of {name}")


def _url(faces: Sequence[StoredFace]) -> str:
    return data_url(apart(faces[0].crop_jpeg)[0]) if faces and faces[0].crop_jpeg else ""
