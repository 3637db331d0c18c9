"""Enrol: somebody into the gallery, by photos, the camera, or a short video whose best frames are kept."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any, TypeVar

import gradio as gr

from likeness.errors import InputError, SeveralFaces
from likeness.gallery.identity import clean_name
from likeness.server.clips import found_clip
from likeness.server.ui.desk import Desk, all_bytes_at, bytes_at, told
from likeness.server.ui.inputs import answer_place, lead, photo_input, video_input
from likeness.server.ui.markup import card, count, gallery, line, more, row, sealed, sentence, tag
from likeness.server.ui.pictures import data_url
from likeness.server.work import Enrol
from likeness.service import EnrolOptions, FoundPhoto, Outcome
from likeness.service.choosing import Pick
from likeness.service.clips import KEPT
from likeness.service.enrolment import encode_crop
from likeness.types import Consent

T = TypeVar("T")

AT_ONCE = 4
PROGRESS = gr.Progress()
WHO: dict[str, Pick] = {
    "Refuse it": "only",
    "The one seen largest": "largest",
    "The one in the middle": "central",
}
"""Whose a video of several people is."""
AGREED = "agreed, as stated on the enrolment page"
SOURCE = "the web app's enrolment page"


def enrol_page(desk: Desk) -> None:
    """Lay the page out and wire it."""
    lead("Add somebody, or more pictures of them. Only faces are kept, cut out of the photos.")
    with gr.Row():
        with gr.Column(scale=3, min_width=280):
            name = gr.Textbox(label="Name", placeholder="First and last name", max_lines=1, elem_id="enrol-name")
            ways = _lay_out_ways()
            stated = _lay_out_statements()
            ask = gr.Button("Enrol", variant="primary", elem_id="enrol-ask")
        with gr.Column(scale=2, min_width=280):
            answer = answer_place("What became of each picture will be here.", elem_id="enrol-answer")

    @told()
    async def enrol(
        way: str,
        paths: list[str] | None,
        photo: str | None,
        video: str | None,
        name: str,
        agreed: bool,
        basis: str,
        until: str,
        meant: str,
        gate: bool,
        request: gr.Request,
        progress: gr.Progress = PROGRESS,
    ) -> str:
        actor = desk.actor(request, "enrol")
        who, options = _stated(name, agreed, basis, until, gate)
        if way == "video":
            own = replace(options, pick=_person_meant(meant))
            try:
                return await _enrolled_clip(desk, actor, who, await bytes_at(video, "video"), own, progress)
            except SeveralFaces as error:  # its own hint is for the command line
                raise SeveralFaces(error.message, hint="choose below, under More, whose the video is") from error
        given = [("the photo", await bytes_at(photo))] if way == "camera" else await all_bytes_at(paths)
        if not given:
            raise InputError("there are no photos yet", hint="choose one or more photos of this person")
        return await _enrolled(desk, actor, who, given, options, progress)

    ask.click(enrol, [*ways, name, *stated], [answer], api_visibility="private")


def _lay_out_ways() -> list[gr.components.Component]:
    """Which way was chosen, and what was given by each: photos, a photo, a video."""
    with gr.Tabs(elem_id="enrol-ways"):
        with gr.Tab("Photos", id="photos") as by_files:
            files = gr.File(
                label="Photos of this person",
                file_count="multiple",
                type="filepath",
                height=180,
                elem_id="enrol-files",
            )
        with gr.Tab("Camera", id="camera") as by_photo:
            photo = photo_input("One photo", elem_id="enrol-photo")
        with gr.Tab("Short video", id="video") as by_video:
            gr.HTML(
                '<p class="lk-fine">Record 5 to 6 seconds: look at the camera, turn your head slowly, '
                "smile once; or give a file by the arrow below. "
                f"Of a frame each 100 ms, up to {KEPT} good and varied ones are kept.</p>",
                js_on_load=None,
            )
            video = video_input("Video, without sound", elem_id="enrol-video")
    way = gr.State("photos")
    for tab, chosen in ((by_files, "photos"), (by_photo, "camera"), (by_video, "video")):
        tab.select(lambda chosen=chosen: chosen, None, [way], show_progress="hidden", api_visibility="private")
    return [way, files, photo, video]


def _lay_out_statements() -> list[gr.components.Component]:
    """Consent, how it was given, until when, whom a video is of, and whether poor faces are refused."""
    consent = gr.Checkbox(
        False,
        label="This person agrees that their face is kept here to be recognised",
        info="It is written down with the time. They can ask to be erased.",
        elem_id="enrol-consent",
    )
    with gr.Accordion("More", open=False):
        basis = gr.Textbox(
            label="How they agreed",
            value=AGREED,
            max_lines=2,
            elem_id="enrol-basis",
        )
        until = gr.Textbox(
            label="Keep until", placeholder="2030-12-31; empty: no end", max_lines=1, elem_id="enrol-until"
        )
        meant = gr.Dropdown(
            list(WHO),
            value=next(iter(WHO)),
            label="If a video shows several people",
            elem_id="enrol-meant",
        )
        gate = gr.Checkbox(True, label="Refuse faces that are too small, blurred, dark or turned", elem_id="enrol-gate")
    return [consent, basis, until, meant, gate]


def _person_meant(words: str) -> Pick:
    """Raises InputError where the page's answer is none of those it offers."""
    if words not in WHO:
        raise InputError("it is not clear whom the video is of", hint="choose one of the answers given")
    return WHO[words]


def _stated(name: str, agreed: bool, basis: str, until: str, gate: bool) -> tuple[str, EnrolOptions]:
    """Whose the pictures are and how they are enrolled, once that may be done.

    Raises:
        InputError: there is no name, no consent, or no day where one should be.
    """
    who = clean_name(name or "")
    if not agreed:
        raise InputError("nobody is enrolled without consent", hint="ask the person, then tick the box")
    consent = Consent((basis or "").strip() or AGREED, datetime.now(UTC), SOURCE)
    try:
        day = date.fromisoformat(until.strip()) if until and until.strip() else None
    except ValueError:
        raise InputError(f"{until.strip()!r} is no day", hint="write it like 2030-12-31") from None
    return who, EnrolOptions(pick="only", gate=bool(gate), consent=consent, retain_until=day, source=SOURCE)


async def _enrolled(
    desk: Desk, actor: str, who: str, given: Sequence[tuple[str, bytes]], options: EnrolOptions, progress: gr.Progress
) -> str:
    """Enrol some photos at a time, so that progress can be told; each is durable before the next ones begin."""
    outcomes: list[Outcome] = []
    for group in _groups(given):
        progress((len(outcomes), len(given)), desc="Enrolling", unit="photos")
        photos = tuple(FoundPhoto(label, who, data=data) for label, data in group)
        outcomes += await desk.enrol(Enrol(photos, options), actor)
    progress((len(given), len(given)), desc="Enrolling", unit="photos")
    return sealed(_summary(who, outcomes) + "".join(map(_card, outcomes)))


def _groups(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[start : start + AT_ONCE] for start in range(0, len(items), AT_ONCE))


async def _enrolled_clip(
    desk: Desk, actor: str, who: str, data: bytes, options: EnrolOptions, progress: gr.Progress
) -> str:
    """Enrol the best frames of a video."""
    progress(0.0, desc="Looking at the frames")
    photo = await found_clip(
        lambda work: desk.ask(work, actor),
        desk.engine.people,
        "the video",
        who,
        data,
        options,
        tell=lambda done: progress((done, None), desc="Looking at the frames", unit="frames"),
    )
    progress(0.95, desc="Enrolling the best frames")
    [outcome] = await desk.enrol(Enrol((photo,), options), actor)
    if outcome.clip is None:  # enrolled before, or somebody else's
        return sealed(_summary(who, [outcome]) + _card(outcome))
    clip = outcome.clip
    assert photo.clip is not None  # it was chosen from just now
    kept = [
        (data_url(encode_crop(crop)), f"{who}, at {each['time_s']:.1f} s")
        for each, crop in zip(clip["pictures"], photo.clip.crops, strict=True)
    ]
    good = clip["kept"] + clip["spare"]
    looked = line(
        f"Of {count(clip['frames'], 'frame')}, {good} show a good face. The {len(kept)} that differ most were taken.",
        fine=True,
    )
    poor = [each for each in clip["each_frame"] if each["outcome"] == "refused"]
    words = more("Frame by frame", *(line(_frame_words(each), fine=True) for each in poor)) if poor else ""
    noted = line(sentence(outcome.note), fine=True) if outcome.note else ""
    listed = gallery(kept, f"Frames kept of {who}") + looked + noted + words
    added = card(line(f"{count(len(kept), 'picture')} added."), title=f"{who} is enrolled")
    return sealed(f'<div role="status">{added}</div>' + card(listed, title="The frames that were kept"))


def _frame_words(frame: dict[str, Any]) -> str:
    return f"{frame['time_s']:.1f} s: {frame['message']}."


def _summary(who: str, outcomes: Sequence[Outcome]) -> str:
    number = {status: sum(each.status == status for each in outcomes) for status in ("added", "duplicate", "refused")}
    words = [f"{count(number['added'], 'picture')} added."]
    if number["duplicate"]:
        words.append(f"{number['duplicate']} had been enrolled before.")
    if number["refused"]:
        words.append(f"{number['refused']} could not be used, for the reasons below.")
    title = f"{who} is enrolled" if number["added"] or number["duplicate"] else f"{who} was not enrolled"
    return f'<div role="status">{card(*map(line, words), title=title)}</div>'


def _card(outcome: Outcome) -> str:
    word, tone = {
        "added": ("added", "good"),
        "duplicate": ("enrolled before", "none"),
        "refused": ("not used", "bad"),
    }[outcome.status]
    words = [tag(word, tone)]
    if outcome.error:
        words.append(line(sentence(outcome.error["message"])))
        words.append(line(sentence(outcome.error.get("hint", "")), fine=True))
    if outcome.note:
        words.append(line(outcome.note, fine=True))
    if outcome.quality is not None:
        words.append(line(f"quality {outcome.quality:.2f} of 1", fine=True))
    return card(row("", *words), title=outcome.path)
