"""Frames that come by themselves: cameras of this machine, and streams by an address that the local user gives.

A thread reads what comes and keeps the newest frame only, so that slow work makes frames fewer and never late. A stream
that breaks off is opened again, after half a second first, then after ever longer pauses.
"""

from __future__ import annotations

import re
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from likeness.errors import AccessRefused, ExtraMissing, InputError, LikenessError, RemoteNotFound, Unreachable
from likeness.errors import VideoUnusable as Unusable
from likeness.vision.video import EVERY_S, Frame, decoded, picture

OPEN_S, READ_S = 10.0, 10.0
"""How long a source may take to answer, and to send the next frame."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
_POLL_S = 0.2

_THROUGH = {
    "rtsp": "rtsp,rtp,udp,tcp",
    "rtsps": "rtsps,rtsp,rtp,srtp,udp,tcp,tls,crypto",
    "http": "http,tcp",
    "https": "https,tls,tcp,crypto",
    "tcp": "tcp",
    "udp": "udp",
}
"""Scheme of an address → the protocols that it may be read through: none of them opens files."""
_KINDS = "rtsp,mpegts,matroska,webm,mov,mp4,flv,mjpeg,mpjpeg,h264,hevc"
"""What may come: no playlists, which name other addresses."""
_CAMERA = re.compile(r"camera(?::(\d{1,3}))?")


@dataclass(frozen=True, slots=True)
class LiveSource:
    """A camera's number, or a stream's address; `shown` names it without a password."""

    shown: str
    address: str = field(repr=False)
    camera: int | None = None


def live_source(text: str) -> LiveSource | None:
    """What `camera`, `camera:1`, `rtsp://…` and other addresses of streams mean; None for paths.

    Raises:
        InputError: it is an address, of a kind that is not read.
    """
    if (match := _CAMERA.fullmatch(text)) and not Path(text).exists():
        return LiveSource(text, "", int(match[1] or 0))
    if not re.match(r"[A-Za-z][A-Za-z0-9+.-]+://", text):
        return None
    parts = urlsplit(text)
    if parts.scheme not in _THROUGH:
        raise InputError(f"streams are not read by {parts.scheme}://", hint=f"known: {', '.join(_THROUGH)}, camera")
    host = parts.netloc.rpartition("@")[2]
    return LiveSource(f"{parts.scheme}://{host}{parts.path}", text)


def live_frames(
    source: LiveSource,
    *,
    every_s: float = EVERY_S,
    for_s: float | None = None,
    side_px: int | None = None,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda text: None,
) -> Iterator[Frame]:
    """Frames as they come, none sooner than `every_s` after the one before; times count from the first one.

    Ends `for_s` seconds after it was begun, or once `stop` says so. `tell` hears of breaks.

    Raises:
        Unreachable, AccessRefused, RemoteNotFound: the source cannot be opened at first.
        VideoUnusable: there is no such camera, or what comes is no video; a camera broke off.
        ExtraMissing: the extra `video` is not installed.
    """
    reader = _Reader(source, tell)
    reader.start()
    began, first, due = time.monotonic(), None, 0.0
    try:
        while not stop() and (for_s is None or time.monotonic() - began < for_s):
            found = reader.newest(due)
            if found is None:
                continue
            frame, at = found
            first = at if first is None else first
            due = at + every_s * 0.95  # cameras are not that even
            yield picture(frame, at - first, side_px)
    finally:
        reader.leave()


class _Reader(threading.Thread):
    """Reads a source and keeps its newest frame."""

    def __init__(self, source: LiveSource, tell: Callable[[str], None]) -> None:
        super().__init__(name="likeness-live", daemon=True)
        self._source, self._tell = source, tell
        self._changed = threading.Condition()
        self._frame: tuple[Any, float] | None = None
        self._failed: LikenessError | None = None
        self._leaving = threading.Event()

    def newest(self, due: float) -> tuple[Any, float] | None:
        """A frame that came at `due` or later, with its time; None where none came for a moment.

        Raises:
            LikenessError: the source failed for good.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._failed or (self._frame and self._frame[1] >= due), _POLL_S)
            if self._failed is not None:
                raise self._failed
            if self._frame is None or self._frame[1] < due:
                return None
            found, self._frame = self._frame, None
            return found

    def leave(self) -> None:
        """Read no more. What still waits for the network ends by its own time limit, or with the process."""
        self._leaving.set()
        self.join(1.0)

    def run(self) -> None:
        """Read until it is left, opening the source again where it breaks off."""
        seen, pause = False, FIRST_PAUSE_S
        while not self._leaving.is_set():
            try:
                for frame in _decoded_live(self._source):
                    seen, pause = True, FIRST_PAUSE_S
                    with self._changed:
                        self._frame = (frame, time.monotonic())
                        self._changed.notify()
                    if self._leaving.is_set():
                        return
                problem: LikenessError = Unreachable(f"{self._source.shown} ended")
            except LikenessError as error:
                problem = error
            except BaseException as error:  # whoever waits for frames must hear of it
                self._fail(Unusable(f"{self._source.shown} cannot be read: {type(error).__name__}"))
                raise
            if not seen or self._source.camera is not None:
                self._fail(problem)
                return
            self._tell(f"{problem.message}; it is opened again in {pause:g} s")
            self._leaving.wait(pause)
            pause = min(pause * 2, LONGEST_PAUSE_S)

    def _fail(self, error: LikenessError) -> None:
        with self._changed:
            self._failed = error
            self._changed.notify()


def _decoded_live(source: LiveSource) -> Iterator[Any]:
    """A source's frames, as FFmpeg has them, until it ends.

    Raises:
        LikenessError: it cannot be opened, or breaks off.
    """
    try:
        import av
    except ImportError as error:
        raise ExtraMissing("reading videos needs PyAV", hint="pip install 'likeness[video]'") from error
    file, kind, options = _way_to(source)
    try:
        timeouts = (OPEN_S, READ_S)
        with av.open(file, format=kind, options=options, timeout=timeouts, metadata_errors="replace") as container:
            yield from decoded(container)
    except EOFError:
        return
    except av.HTTPUnauthorizedError as error:
        raise AccessRefused(
            f"{source.shown} wants a name and password", hint="give them as rtsp://name:password@host/…"
        ) from error
    except av.HTTPNotFoundError as error:
        raise RemoteNotFound(f"there is no {source.shown}") from error
    except av.InvalidDataError as error:
        raise Unusable(f"{source.shown} sends no video that is read here") from error
    except av.FFmpegError as error:
        if source.camera is not None:
            raise Unusable(
                f"{source.shown} cannot be read: {error.strerror}", hint="is another program using it?"
            ) from error
        raise Unreachable(f"{source.shown} cannot be read: {error.strerror}") from error


def _way_to(source: LiveSource) -> tuple[str, str | None, dict[str, str]]:
    """What FFmpeg opens, as which kind, with which options.

    Raises:
        VideoUnusable: there is no such camera.
    """
    if source.camera is None:
        scheme = urlsplit(source.address).scheme
        options = {"protocol_whitelist": _THROUGH[scheme], "format_whitelist": _KINDS, "analyzeduration": "1000000"}
        if scheme in ("rtsp", "rtsps"):
            options["rtsp_flags"] = "prefer_tcp"
        return source.address, None, options
    if sys.platform == "darwin":
        return f"{source.camera}:none", "avfoundation", {"framerate": "30"}
    device = Path(f"/dev/video{source.camera}")
    if not device.exists():
        there = sorted(path.name.removeprefix("video") for path in Path("/dev").glob("video[0-9]*"))
        hint = f"there are: {', '.join(f'camera:{each}' for each in there)}" if there else "this machine has none"
        raise Unusable(f"there is no camera {source.camera} ({device})", hint=hint)
    return str(device), "v4l2", {}
