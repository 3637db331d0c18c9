"""Compare: are two photos of one person? And what the score means, drawn between strangers and the same people."""

from __future__ import annotations

import gradio as gr

from likeness.calibration import Calibration
from likeness.decision import VERIFICATION_FMR
from likeness.errors import InputError
from likeness.server.ui.charts import score_chart
from likeness.server.ui.desk import Desk, bytes_at, told
from likeness.server.ui.inputs import answer_place, lead, photo_input
from likeness.server.ui.markup import TONES, card, line, percent, picture, quality_line, sealed, tag
from likeness.server.ui.pictures import shown_crop
from likeness.server.work import Compare, Verify
from likeness.settings import Settings
from likeness.types import Comparison

TITLES = {"match": "One person", "unsure": "Perhaps one person", "unknown": "Two people, as far as this can tell"}


def compare_page(desk: Desk) -> None:
    """Lay the page out and wire it."""
    lead("Do two photos show one person? Give two, or one and the name of somebody who is enrolled.")
    with gr.Row():
        first = photo_input("First photo", elem_id="compare-first", height=260)
        second = photo_input("Second photo", elem_id="compare-second", height=260)
    person = gr.Textbox(
        label="Or somebody enrolled, in place of the second photo",
        placeholder="Name",
        max_lines=1,
        elem_id="compare-person",
    )
    ask = gr.Button("Compare", variant="primary", elem_id="compare-ask")
    answer = answer_place("The comparison will be here.", elem_id="compare-answer")

    @told()
    async def compare(one: str | None, two: str | None, name: str, request: gr.Request) -> str:
        actor = desk.actor(request, "read")
        name = (name or "").strip()
        if name and two:
            raise InputError("there are a second photo and a name", hint="take one of them away")
        data = await bytes_at(one, "first photo")
        if name:
            found = await desk.ask(Compare((data,), name), actor)
        else:
            found = await desk.ask(Verify((data, await bytes_at(two, "second photo"))), actor)
        return _answer(found, name, desk.engine.people.recognizer.calibration, desk.settings)

    ask.click(compare, [first, second, person], [answer], api_visibility="private")
    person.submit(compare, [first, second, person], [answer], api_visibility="private")


def _answer(found: Comparison, name: str, calibration: Calibration, settings: Settings) -> str:
    other = f"{name}'s best picture" if name else "The second face"
    pair = (
        f'<div class="lk-pair">{picture(shown_crop(found.first), "The first face", "lk-large")}'
        f"{picture(shown_crop(found.second), other, 'lk-large')}{tag(_word(found), TONES[found.decision])}</div>"
    )
    odds = "even odds" if settings.prior == 0.5 else percent(settings.prior)
    likely = line(f"Probability that it is one person: {percent(found.probability)}, given {odds} before looking.")
    strangers = line(
        f"Of pairs of strangers, {percent(found.fmr, 3)} are at least this alike. Because: {found.reason}."
    )
    weak = quality_line(found.first) + quality_line(found.second)
    threshold = calibration.threshold(settings.fmr or VERIFICATION_FMR)
    drawn = score_chart(calibration, found.similarity, threshold)
    explained = line(
        "The score is the cosine between the two faces' numbers. The red line shows how alike strangers are, the green "
        "one how alike photos of one person are, both measured on known pairs; the upright line is this pair, the "
        "dashed one the threshold.",
        fine=True,
    )
    return sealed(
        card(pair, likely, strangers, weak, title=TITLES[found.decision])
        + card(drawn, explained, title=f"What a score of {found.similarity:.3f} means")
    )


def _word(found: Comparison) -> str:
    return {"match": "the same", "unsure": "not sure", "unknown": "not the same"}[found.decision]
