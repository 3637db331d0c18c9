"""A short film of a sample face that moves, turns a little and changes its light: as frames, a file, or a camera's."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance

SIZE_PX = (480, 360)
FPS = 25


def frames(photo: Path, seconds: float, *, fps: int = FPS) -> Iterator[np.ndarray]:
    """Frames `(h, w, 3)`: the photo moves across, nearer and farther, and from dark to bright."""
    face = Image.open(photo).convert("RGB")
    width, height = SIZE_PX
    for number in range(round(seconds * fps)):
        phase = 2 * np.pi * number / (2.5 * fps)
        scale = (1.05 + 0.2 * np.sin(phase)) * height / face.height
        shown = face.resize((round(face.width * scale), round(face.height * scale))).rotate(6 * np.sin(2 * phase))
        shown = ImageEnhance.Brightness(shown).enhance(0.85 + 0.3 * np.cos(phase))
        scene = Image.new("RGB", SIZE_PX, (96, 110, 120))
        scene.paste(shown, (round((width - shown.width) / 2 + 30 * np.cos(phase)), round((height - shown.height) / 2)))
        yield np.asarray(scene)


def write_video(target: Path, photo: Path, seconds: float, *, codec: str = "libvpx") -> Path:
    """The film as a file of the kind that the name's ending says."""
    import av

    with av.open(str(target), "w") as container:
        stream = container.add_stream(codec, rate=FPS)
        stream.width, stream.height = SIZE_PX
        stream.pix_fmt = "yuv420p"
        for pixels in frames(photo, seconds):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return target


def write_camera(target: Path, photo: Path, seconds: float = 2.5, *, fps: int = 20) -> Path:
    """The film as JPEGs one after the other (`.mjpeg`), as Chromium's fake camera shows it, over and over."""
    with target.open("wb") as file:
        for pixels in frames(photo, seconds, fps=fps):
            data = io.BytesIO()
            Image.fromarray(pixels).save(data, "JPEG", quality=88)
            file.write(data.getvalue())
    return target
