"""People: who is in the gallery; search, rename, merge, their pictures, and erasing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from typing import Any

import gradio as gr

from likeness.errors import InputError
from likeness.gallery.base import StoredFace
from likeness.gallery.identity import name_key
from likeness.server.keys import Scope
from likeness.server.ui.desk import Desk, Handler, told
from likeness.server.ui.inputs import answer_place, lead, quiet_place
from likeness.server.ui.markup import (
    card,
    count,
    empty,
    facts,
    gallery,
    line,
    profile_facts,
    sealed,
)
from likeness.server.ui.pictures import data_url
from likeness.service import Forgotten, People
from likeness.service.strips import apart
from likeness.types import Person

LISTED = 50
SHOWN = 40
NOBODY = "Choose somebody to see their pictures."
Choices = list[tuple[str, str]]


def people_page(desk: Desk, tab: gr.Tab) -> None:
    """Lay the page out and wire it."""
    lead("Everybody in this gallery. Erasing reaches the record, the index and the snapshots.")
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            query = gr.Textbox(
                label="Search by name", placeholder="Part of a name", max_lines=1, elem_id="people-query"
            )
            chosen = gr.Radio([], label="People", elem_id="people-list", elem_classes="lk-people")
            told_count = quiet_place(elem_id="people-count")
        with gr.Column(scale=3, min_width=280):
            shown = answer_place(NOBODY, elem_id="people-shown")
            outcome = quiet_place(elem_id="people-outcome")
            changes = _lay_out_changes()

    @told(lambda markup: (gr.skip(), markup))
    async def search(words: str, request: gr.Request) -> tuple[Any, str]:
        found, total = await desk.call(desk.actor(request, "read"), lambda people: _found(people, words or ""))
        return gr.Radio(choices=found, value=None), _count_words(len(found), total, words)

    @told()
    async def show(person_id: str | None, request: gr.Request) -> str:
        actor = desk.actor(request, "read")
        if not person_id:
            return empty(NOBODY)
        return await desk.call(actor, lambda people: _shown(people, person_id))

    quiet: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
    tab.select(search, [query], [chosen, told_count], **quiet)
    query.change(search, [query], [chosen, told_count], trigger_mode="always_last", **quiet)
    chosen.change(show, [chosen], [shown], **quiet)
    for change in changes:
        places = [outcome, change.given, chosen, told_count, shown]
        change.button.click(
            _doing(desk, change),
            [chosen, change.given, query],
            places,
            show_progress="minimal",
            api_visibility="private",
        )


@dataclass(frozen=True, slots=True)
class Change:
    """A way to change somebody: its button, what must be given for it, the scope it needs, and what it does."""

    button: gr.Button
    given: gr.components.Component
    scope: Scope
    work: Callable[[People, str, Any], str]


def _lay_out_changes() -> list[Change]:
    with gr.Accordion("Rename", open=False):
        new_name = gr.Textbox(label="New name", max_lines=1, elem_id="people-new-name")
        rename = gr.Button("Rename", elem_id="people-rename")
    with gr.Accordion("Merge into somebody else", open=False):
        into = gr.Textbox(
            label="Whose the pictures become",
            info="Their name stays, this one goes.",
            max_lines=1,
            elem_id="people-into",
        )
        merge = gr.Button("Merge", elem_id="people-merge")
    with gr.Accordion("Erase", open=False):
        which = gr.Number(label="One picture, by its number", precision=0, elem_id="people-picture", value=None)
        erase_one = gr.Button("Erase this picture", elem_classes="lk-danger", elem_id="people-erase-picture")
        typed = gr.Textbox(
            label="Or everything: type the person's name to confirm", max_lines=1, elem_id="people-confirm"
        )
        erase = gr.Button("Erase this person", elem_classes="lk-danger", elem_id="people-erase")
    return [
        Change(rename, new_name, "enrol", _renamed),
        Change(merge, into, "enrol", _merged),
        Change(erase_one, which, "admin", _without),
        Change(erase, typed, "admin", _erased),
    ]


def _doing(desk: Desk, change: Change) -> Handler:
    """What a button does: what was done, and the page after it; where it fails, the page stays as it is."""

    @told(lambda markup: (markup, *(gr.skip() for _ in range(4))))
    async def do(person_id: str | None, given: Any, words: str, request: gr.Request) -> tuple[Any, ...]:
        actor = desk.actor(request, change.scope)
        if not person_id:
            raise InputError("nobody is chosen", hint="choose somebody in the list first")
        done = await desk.call(actor, lambda people: change.work(people, person_id, given))
        found, total = await desk.call(actor, lambda people: _found(people, words or ""))
        left = person_id if any(each == person_id for _, each in found) else None
        shown = await desk.call(actor, lambda people: _shown(people, left)) if left else empty(NOBODY)
        return done, None, gr.Radio(choices=found, value=left), _count_words(len(found), total, words), shown

    return do


def _found(people: People, words: str) -> tuple[Choices, int]:
    """People by name with their ids, the first ones, and how many there are in all."""
    found = list(islice(people.find(words.strip()), LISTED + 1))
    total = people.gallery.extent().people
    return [(f"{each.name} · {count(each.faces, 'picture')}", each.id) for each in found], total


def _count_words(found: int, total: int, words: str) -> str:
    if found > LISTED:
        text = f"The first {LISTED} are listed; type more of the name."
    elif words and not found:
        text = "Nobody here is called that."
    else:
        text = f"{found} of {count(total, 'person', 'people')}."
    return sealed(line(text, fine=True))


def _shown(people: People, person_id: str) -> str:
    record = people.show(person_id)  # which notes in the audit trail that it was looked at
    person = people.gallery.person(person_id)
    faces = list(islice(people.gallery.faces(person_id), SHOWN))
    return sealed(
        card(facts(_about(person)), profile_facts(person.profile), _pictures(person, faces), title=record["name"])
    )


def _about(person: Person) -> list[tuple[str, object]]:
    consent = person.consent
    return [
        ("pictures", person.faces),
        ("enrolled since", f"{person.created_at:%Y-%m-%d}"),
        ("consent", f"{consent.basis} ({consent.at:%Y-%m-%d})" if consent else "not recorded"),
        ("kept until", person.retain_until or "no end is set"),
    ]


def _pictures(person: Person, faces: list[StoredFace]) -> str:
    shown = [
        (data_url(crop) if crop else "", f"{person.name}, picture {face.id}")
        for face in faces
        for crop in apart(face.crop_jpeg) or [b""]
    ]
    listed = ", ".join(str(face.id) for face in faces)
    left = f" The first {SHOWN} are shown." if person.faces > SHOWN else ""
    return gallery(shown, f"Pictures of {person.name}") + line(f"Numbers of the pictures: {listed}.{left}", fine=True)


def _renamed(people: People, person_id: str, name: str | None) -> str:
    before = people.gallery.person(person_id).name
    after = people.rename(person_id, name or "").name
    return _done(f"{before} is called {after} now.")


def _merged(people: People, person_id: str, other: str | None) -> str:
    if not (other or "").strip():
        raise InputError("it is not said into whom", hint="give the name of the person who stays")
    before = people.gallery.person(person_id).name
    after = people.merge(person_id, str(other).strip())
    return _done(f"The pictures of {before} are {after.name}'s now, who has {after.faces}.")


def _without(people: People, person_id: str, number: float | None) -> str:
    if number is None:
        raise InputError("it is not said which picture", hint="give its number, which stands below the pictures")
    forgotten = people.forget_picture(person_id, int(number))
    return _done(f"Picture {int(number)} is erased.{_reach(forgotten)}")


def _erased(people: People, person_id: str, typed: str | None) -> str:
    name = people.gallery.person(person_id).name
    if name_key(typed or "") != name_key(name):
        raise InputError(f"to erase {name}, type exactly that name", hint="nothing was erased")
    forgotten = people.forget(person_id)
    return _done(f"{name} is erased, with {count(forgotten.faces, 'picture')}.{_reach(forgotten)}")


def _reach(forgotten: Forgotten) -> str:
    words = ""
    if forgotten.snapshots_purged:
        words += f" Also from {count(len(forgotten.snapshots_purged), 'snapshot')}."
    if forgotten.snapshots_not_found:
        missing = count(len(forgotten.snapshots_not_found), "snapshot")
        words += f" {missing} could not be found where it was made; one that was moved still holds the pictures."
    return words


def _done(words: str) -> str:
    return sealed(f'<div role="status">{card(line(words), title="Done")}</div>')
