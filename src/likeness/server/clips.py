"""Short videos to enrol somebody by, for the API and the web app: frames are looked at among everybody's photos.

Decoding runs beside the event loop and frames wait in the engine's lane for looking, a few at a time; the lane that
enrols is given only what was chosen, so that nobody's enrolment waits for somebody's video.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Awaitable, Callable, Iterator
from itertools import islice
from typing import Any

from fastapi.concurrency import run_in_threadpool

from likeness.errors import Overloaded
from likeness.server.work import Describe, Work
from likeness.service import Described, EnrolOptions, FoundPhoto, People
from likeness.service.clips import ChosenClip, choose_clip, cut_after
from likeness.service.frames import FRAME_SIDE_PX, SeenFrame, photo_of
from likeness.service.looking import digest
from likeness.vision.video import Frame, read_frames

LONGEST_S = 15.0
"""Of a video that is sent, so much is looked at."""
TOGETHER = 4
"""Frames of one video that wait to be looked at."""
AT_ONCE = 4
"""Videos that are looked at: each is held in memory meanwhile, and more would only take longer."""
_PLACES = threading.BoundedSemaphore(AT_ONCE)

Ask = Callable[[Work], Awaitable[Any]]
Tell = Callable[[int], None]


class Looks(Describe):
    """The faces of a photo, with embeddings and without apparent age and gender: a `Described`."""

    __slots__ = ()
    attributes = False


async def chosen_clip(
    ask: Ask, people: People, data: bytes, options: EnrolOptions, *, tell: Tell = lambda done: None
) -> ChosenClip:
    """What is to be enrolled of a video's bytes; `tell` hears how many frames were looked at.

    Raises:
        VideoUnusable, NoFace, SeveralFaces: it cannot be used; see `likeness.service.clips`.
        ExtraMissing: the extra `video` is not installed. Overloaded: too much waits already.
    """
    if not _PLACES.acquire(blocking=False):
        busy = Overloaded(f"{AT_ONCE} videos are being looked at already")
        busy.retry_after_s = LONGEST_S
        raise busy
    try:
        return await _chosen(ask, people, data, options, tell)
    finally:
        _PLACES.release()


async def _chosen(ask: Ask, people: People, data: bytes, options: EnrolOptions, tell: Tell) -> ChosenClip:
    frames = read_frames(data, every_s=options.every_s, most_s=LONGEST_S, side_px=FRAME_SIDE_PX)
    seen: list[SeenFrame] = []
    while group := await run_in_threadpool(_some, frames):
        patient = bool(seen)  # a video that was begun is gone on with
        looked = await asyncio.gather(*(_looked(ask, frame, patient=patient) for frame in group))
        for frame, found in zip(group, looked, strict=True):
            seen.append(SeenFrame(frame.time_s, found.faces, frame.size_px))
        tell(len(seen))

    def choose() -> ChosenClip:
        cut_s = cut_after(data, LONGEST_S)
        calibration = people.recognizer.calibration
        return choose_clip(
            seen, calibration, digest(data), pick=options.pick, gate=options.gate, keep=options.keep, cut_s=cut_s
        )

    return await run_in_threadpool(choose)


async def found_clip(
    ask: Ask,
    people: People,
    label: str,
    name: str,
    data: bytes,
    options: EnrolOptions,
    *,
    tell: Tell = lambda done: None,
) -> FoundPhoto:
    """A video as what is to be enrolled. Raises as `chosen_clip`."""
    return FoundPhoto(label, name, clip=await chosen_clip(ask, people, data, options, tell=tell))


async def _looked(ask: Ask, frame: Frame, *, patient: bool) -> Described:
    """A frame's faces; where the engine is busy, a patient one comes again until it is not."""
    while True:
        try:
            found: Described = await ask(Looks((photo_of(frame),)))
            return found
        except Overloaded as error:
            if not patient:
                raise
            await asyncio.sleep(error.retry_after_s)


def _some(frames: Iterator[Frame]) -> list[Frame]:
    return list(islice(frames, TOGETHER))
