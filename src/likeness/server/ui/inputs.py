"""What visitors give: photos and videos, taken as they are; Gradio would decode and encode them anew."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import gradio as gr

from likeness.server.ui.desk import Desk

CAMERA = gr.WebcamOptions(mirror=False)
"""Faces are not the same in a mirror: what is kept is what others see."""


def photo_input(label: str, *, elem_id: str, height: int = 300) -> gr.Image:
    """A place for a photo: a file, the camera, or what was copied; its value is the upload's path."""
    image = gr.Image(
        label=label,
        type="filepath",
        sources=["upload", "webcam", "clipboard"],
        webcam_options=CAMERA,
        height=height,
        buttons=[],
        elem_id=elem_id,
        alt_text=label,
        placeholder="Drop a photo here\nor choose one",
    )
    image.preprocess = _path_of
    return image


def video_input(label: str, *, elem_id: str, height: int = 350) -> gr.Video:
    """A place for a short video without sound: from the camera, or a file."""
    video = gr.Video(
        label=label,
        sources=["webcam", "upload"],
        webcam_options=CAMERA,
        include_audio=False,
        height=height,
        buttons=[],
        elem_id=elem_id,
    )
    video.preprocess = _path_of
    return video


def _path_of(payload: Any) -> str | None:
    return None if payload is None else str(payload.path)


def answer_place(words: str, *, elem_id: str) -> gr.HTML:
    """Where an answer will be, and what to do until then; read out when it changes."""
    from likeness.server.ui.markup import empty

    return gr.HTML(empty(words), elem_id=elem_id, elem_classes="lk-answer", js_on_load=None)


def quiet_place(*, elem_id: str) -> gr.HTML:
    """Where something may be said, and nothing is until then; read out when it changes."""
    return gr.HTML("", elem_id=elem_id, elem_classes="lk-answer lk-quiet", js_on_load=None)


def lead(words: str) -> None:
    """What a page is for, in a sentence or two."""
    gr.HTML(f'<p class="lk-lead">{words}</p>', js_on_load=None)


def example_buttons(desk: Desk, *, elem_id: str) -> list[tuple[gr.Button, str]]:
    """A button with a face for each example, and the path of its photo."""
    if not desk.examples:
        return []
    gr.HTML('<p class="lk-fine">Or try one of these invented people:</p>', js_on_load=None)
    with gr.Row(elem_id=elem_id, elem_classes="lk-examples"):
        return [(gr.Button(name, icon=str(path), size="sm", min_width=120), str(path)) for name, path in desk.examples]


def photo_question(desk: Desk, work: Callable[..., Awaitable[str]], *, page: str, button: str, waiting: str) -> None:
    """A photo or an example on one side, and on the other what `work` answers to it; ids begin with the page's."""
    with gr.Row():
        with gr.Column(scale=2, min_width=280):
            photo = photo_input("Photo", elem_id=f"{page}-photo")
            ask = gr.Button(button, variant="primary", elem_id=f"{page}-ask")
            examples = example_buttons(desk, elem_id=f"{page}-examples")
        with gr.Column(scale=3, min_width=280):
            answer = answer_place(waiting, elem_id=f"{page}-answer")
    ask.click(work, [photo], [answer], api_visibility="private")
    for example, path in examples:
        example.click(lambda path=path: path, None, [photo], show_progress="hidden", api_visibility="private").then(
            work, [photo], [answer], api_visibility="private"
        )
