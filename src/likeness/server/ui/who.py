"""Who is this?: every face of a photo with its name and probability, or why nobody is named."""

from __future__ import annotations

import gradio as gr

from likeness.server.ui.desk import Desk, bytes_at, told
from likeness.server.ui.inputs import lead, photo_question
from likeness.server.ui.markup import (
    TONES,
    card,
    count,
    facts,
    line,
    marked_photo,
    more,
    percent,
    picture,
    quality_line,
    row,
    sealed,
    tag,
)
from likeness.server.ui.pictures import shown_crop, shown_photo
from likeness.server.ui.works import Named
from likeness.service.people import Identified
from likeness.types import Answer, Photo


def who_page(desk: Desk) -> None:
    """Lay the page out and wire it."""
    lead("Each face of a photo, with its name and how sure that is; and where nobody is named, why.")

    @told()
    async def identify(path: str | None, request: gr.Request) -> str:
        actor = desk.actor(request, "read")
        shown, found = await desk.ask(Named((await bytes_at(path),)), actor)
        return _answer(shown, found)

    photo_question(desk, identify, page="who", button="Who is this?", waiting="Names will be here.")


def _answer(photo: Photo, found: Identified) -> str:
    answers = sorted(found.answers, key=lambda answer: answer.face.box_xyxy_px[0])  # as one reads
    if not answers:
        hint = "A face should not be far in profile, in the dark, or very small."
        return sealed(card(line("No face was found on this photo."), line(hint, fine=True), title="Nobody"))
    marked = marked_photo(
        shown_photo(photo),
        f"The photo, with {count(len(answers), 'face')} marked",
        photo.size_px,
        [answer.face for answer in answers],
        [(_short(answer), TONES[answer.decision]) for answer in answers],
    )
    return sealed(marked + "".join(_card(number, answer) for number, answer in enumerate(answers, start=1)))


def _short(answer: Answer) -> str:
    if answer.decision == "match" and answer.match:
        return f"{answer.match.name}, {percent(answer.match.probability)}"
    if answer.decision == "unsure" and answer.match:
        return f"perhaps {answer.match.name}"
    return "unknown"


def _title(answer: Answer) -> str:
    if answer.match and answer.decision != "unknown":
        return answer.match.name if answer.decision == "match" else f"Perhaps {answer.match.name}"
    return "Nobody known here"


def _card(number: int, answer: Answer) -> str:
    word = {"match": "recognised", "unsure": "not sure", "unknown": "unknown"}[answer.decision]
    words = [tag(word, TONES[answer.decision]), line(f"Because {answer.reason}.", fine=True), quality_line(answer.face)]
    if answer.match and answer.decision != "unknown":
        words.insert(1, line(f"Probability that this is {answer.match.name}: {percent(answer.match.probability)}."))
    if answer.match:
        near = [answer.match, *answer.runners_up][:4]
        listed = [(each.name, f"{percent(each.probability)}, likeness {each.similarity:.3f}") for each in near]
        words.append(more("Who came nearest", facts(listed)))
    shown = picture(shown_crop(answer.face), f"Face {number} of the photo")
    return card(row(shown, *words), title=f"{number}. {_title(answer)}")
