"""Calibration: how far the numbers of this server's model can be trusted, and its threshold in words."""

from __future__ import annotations

from typing import Any

import gradio as gr

from likeness.calibration import Calibration
from likeness.decision import VERIFICATION_FMR
from likeness.server.ui.charts import reliability_chart, reliability_of, roc_chart
from likeness.server.ui.desk import Desk, told
from likeness.server.ui.inputs import answer_place, lead
from likeness.server.ui.markup import card, count, facts, line, percent, sealed
from likeness.service import People
from likeness.settings import Settings


def calibration_page(desk: Desk, tab: gr.Tab) -> None:
    """Lay the page out and wire it; it is filled when it is looked at."""
    lead("What a probability here rests on, and where the line between yes and no is drawn.")
    answer = answer_place("Reading the calibration of the model in use…", elem_id="calibration-answer")

    @told()
    async def show(request: gr.Request) -> str:
        actor = desk.actor(request, "read")
        faces = await desk.call(actor, _faces)
        return _answer(desk.engine.people.recognizer.calibration, faces, desk.settings)

    tab.select(show, None, [answer], show_progress="hidden", api_visibility="private")


def _faces(people: People) -> int:
    return people.gallery.extent().faces


def _answer(calibration: Calibration, faces: int, settings: Settings) -> str:
    rate = settings.fmr or VERIFICATION_FMR
    threshold = calibration.threshold(rate)
    return sealed(
        card(*_threshold_words(calibration, faces, settings, threshold, rate), title="The threshold in words")
        + f'<div class="lk-charts">{_reliability(calibration)}'
        + card(
            roc_chart(calibration, threshold, rate),
            line("The dot is the threshold for comparing two photos.", fine=True),
            title="Right and wrong, traded off",
        )
        + "</div>"
        + card(facts(_rests_on(calibration)), title="What this rests on")
    )


def _threshold_words(
    calibration: Calibration, faces: int, settings: Settings, threshold: float, rate: float
) -> list[str]:
    found = 1 - float(calibration.fnmr(threshold))
    words = [
        line(
            f"To compare two photos, a score of {threshold:.3f} or more counts as one person. Of pairs of strangers, "
            f"{percent(rate, 2)} reach it by chance; of pairs of one person, {percent(found)} do."
        )
    ]
    if settings.fmr is not None:
        words.append(line(f"To recognise somebody, the same score is used, as the setting fmr is {settings.fmr:g}."))
        return words
    search, promised = calibration.search_threshold(settings.fpir, max(faces, 1))
    words.append(
        line(
            f"To recognise somebody among {count(faces, 'picture')}, the score must be {search:.3f} or more: then at "
            f"most {percent(promised, 2)} of strangers are given a name here. The line moves up as the gallery grows."
        )
    )
    if promised > settings.fpir * 1.01:
        words.append(
            line(
                f"The settings ask for {percent(settings.fpir, 2)}. So small a rate is not supported by the pairs "
                "behind this calibration in a gallery of this size, and the answer says what is.",
                fine=True,
            )
        )
    words.append(line("Between the two lines, and where several people fit, the answer is “not sure”.", fine=True))
    return words


def _reliability(calibration: Calibration) -> str:
    checked: dict[str, Any] | None = calibration.notes.get("cross_validation")
    if checked:
        found = checked["reliability"]
        stated, observed, weight = found["stated"], found["observed"], found["weight"]
        words = (
            "Measured on people who had no part in the fit. On average what is stated and what is found differ by "
            f"{percent(checked['expected_calibration_error'], 2)}."
        )
    else:
        stated, observed, weight = reliability_of(calibration)
        words = (
            "Measured on the very pairs that the calibration was fitted to, which flatters it: too few people have "
            "several photos there for a test on others. “likeness calibrate” on your own people makes one."
        )
    chart = reliability_chart(stated, observed, weight)
    explained = line("Each dot is a group of pairs; on the dashed line, what was stated came true.", fine=True)
    return card(chart, explained, line(words, fine=True), title="Does 80% mean 80%?")


def _rests_on(calibration: Calibration) -> list[tuple[str, object]]:
    return [
        ("photos of", calibration.data),
        ("people", f"{calibration.people:,}"),
        ("pairs of one person", f"{calibration.genuine_pairs:,}"),
        ("pairs of strangers", f"{calibration.impostor_pairs:,}"),
        ("finest rate supported", f"{calibration.finest_rate:.2g}"),
        ("kind of numbers", calibration.space),
    ]
