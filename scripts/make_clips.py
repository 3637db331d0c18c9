"""Short videos made from photos of faces, for tests and benchmarks: people move, come nearer, turn, blur, hide, cross.

python scripts/make_clips.py OUT                 # a clip of each kind, of the sample people
python scripts/make_clips.py OUT --photo me.jpg --seed 3 --seconds 6   # one random clip of one photo
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

Pixels = NDArray[np.uint8]
Curve = Callable[[float], float]
"""A value over time, in seconds."""

SAMPLES = Path(__file__).resolve().parent.parent / "samples"
SIZE_PX = (480, 360)
FPS = 25
WALL = (96, 110, 120)
SLEEVE = (60, 50, 70)


def still(value: float) -> Curve:
    """Always the same."""
    return lambda time_s: value


def wave(middle: float, swing: float, period_s: float, phase: float = 0.0) -> Curve:
    """To and fro about the middle."""
    return lambda time_s: middle + swing * float(np.sin(2 * np.pi * time_s / period_s + phase))


def ramp(start: float, end: float, seconds: float) -> Curve:
    """From one value to another."""
    return lambda time_s: start + (end - start) * min(max(time_s / seconds, 0.0), 1.0)


def pulse(value: float, start_s: float, end_s: float) -> Curve:
    """A value for a while, else 0."""
    return lambda time_s: value if start_s <= time_s < end_s else 0.0


HALF, TALL, FULL, NONE = still(0.5), still(0.9), still(1.0), still(0.0)


@dataclass(frozen=True)
class Actor:
    """Somebody in a clip, as a photo that is moved about; later ones stand in front of earlier ones.

    Attributes:
        photo: the file.
        x, y: where the photo's middle is, in widths and heights of the picture.
        height: the photo's height, in heights of the picture.
        yaw: how far the head turns to the side, in radians; roll in degrees.
        light: brightness, 1 as in the photo.
        blur_px: radius of the blur.
        covered: share of the face, from below, that an arm hides.
        here: whether they are in the picture (above 0.5).
    """

    photo: Path
    x: Curve = HALF
    y: Curve = HALF
    height: Curve = TALL
    yaw: Curve = NONE
    roll: Curve = NONE
    light: Curve = FULL
    blur_px: Curve = NONE
    covered: Curve = NONE
    here: Curve = FULL


def frames(
    actors: Sequence[Actor], seconds: float, *, fps: int = FPS, size_px: tuple[int, int] = SIZE_PX
) -> Iterator[Pixels]:
    """The pictures `(h, w, 3)` of a clip."""
    photos = [Image.open(actor.photo).convert("RGB") for actor in actors]
    for number in range(round(seconds * fps)):
        scene = Image.new("RGB", size_px, WALL)
        for actor, photo in zip(actors, photos, strict=True):
            if actor.here(number / fps) > 0.5:
                _stand(scene, actor, photo, number / fps)
        yield np.asarray(scene)


def _stand(scene: Image.Image, actor: Actor, photo: Image.Image, time_s: float) -> None:
    height = max(round(actor.height(time_s) * scene.height), 8)
    shown = photo.resize((max(round(height * photo.width / photo.height), 8), height), Image.Resampling.BICUBIC)
    if yaw := actor.yaw(time_s):
        shown = Image.fromarray(turned(np.asarray(shown), yaw))
    if covered := actor.covered(time_s):
        top = round(shown.height * (0.75 - 0.5 * covered))
        ImageDraw.Draw(shown).rectangle((0, top, shown.width, round(shown.height * 0.8)), fill=SLEEVE)
    if radius := actor.blur_px(time_s):
        shown = shown.filter(ImageFilter.GaussianBlur(radius))
    shown = ImageEnhance.Brightness(shown).enhance(actor.light(time_s))
    mask = Image.new("L", shown.size, 255)
    if roll := actor.roll(time_s):
        shown, mask = (each.rotate(roll, Image.Resampling.BICUBIC) for each in (shown, mask))
    left = round(actor.x(time_s) * scene.width - shown.width / 2)
    scene.paste(shown, (left, round(actor.y(time_s) * scene.height - shown.height / 2)), mask)


def turned(pixels: Pixels, yaw: float) -> Pixels:
    """A head in the middle of `(h, w, 3)` pixels, turned to the side as if it were a cylinder."""
    width = pixels.shape[1]
    across = (np.arange(width) - (width - 1) / 2) / (0.36 * width)
    angle = np.arcsin(np.clip(across, -1, 1))
    source = np.where(np.abs(across) < 1, np.sin(np.clip(angle - yaw, -np.pi / 2, np.pi / 2)), across)
    # Beyond the head the picture gives way, and is as it was at its edge.
    beyond = np.clip(1 - (np.abs(across) - 1) / 0.4, 0, 1) * (1 - np.cos(yaw)) * np.sign(across)
    source = np.where(np.abs(across) < 1, source, across - beyond)
    columns = np.clip(source * 0.36 * width + (width - 1) / 2, 0, width - 1.001)
    low = columns.astype(int)
    part = (columns - low)[None, :, None]
    mixed = pixels[:, low] * (1 - part) + pixels[:, low + 1] * part
    whole: Pixels = mixed.round().astype(np.uint8)
    return whole


def random_actor(photo: Path, seed: int, seconds: float) -> Actor:
    """Somebody who moves, comes nearer, turns, and is now and then blurred, half hidden, or in poor light."""
    rng = np.random.default_rng(seed)

    def swing(middle: float, most: float) -> Curve:
        return wave(middle, float(rng.uniform(0.3, 1) * most), float(rng.uniform(1.5, 4)), float(rng.uniform(0, 6.3)))

    def sometimes(most: float) -> Curve:
        start = float(rng.uniform(0, seconds * 0.8))
        return pulse(float(rng.uniform(0.4, 1) * most), start, start + float(rng.uniform(0.15, 0.3) * seconds))

    near = float(rng.uniform(0.6, 1.1))
    dim = sometimes(0.75)
    light = swing(float(rng.uniform(0.75, 1.25)), 0.25)
    return Actor(
        photo,
        x=swing(0.5, 0.16),
        y=swing(0.5, 0.08),
        height=swing(near, near * 0.25),
        yaw=swing(0.0, 0.75),
        roll=swing(0.0, 12.0),
        light=lambda time_s: light(time_s) * (1 - dim(time_s)),
        blur_px=sometimes(5.0),
        covered=sometimes(0.9),
    )


def crossing(one: Path, other: Path, seconds: float = 3.0) -> list[Actor]:
    """Two people who walk past each other; the second one in front."""
    return [
        Actor(one, x=ramp(0.16, 0.84, seconds), height=still(0.55)),
        Actor(other, x=ramp(0.84, 0.16, seconds), height=still(0.6), y=still(0.52)),
    ]


def write_clip(
    target: Path,
    actors: Sequence[Actor],
    seconds: float,
    *,
    codec: str = "mpeg4",
    fps: int = FPS,
    size_px: tuple[int, int] = SIZE_PX,
) -> Path:
    """A clip as a file of the kind that the name's ending says."""
    import av

    with av.open(str(target), "w") as container:
        stream: Any = container.add_stream(codec, rate=fps)
        stream.width, stream.height = size_px
        stream.pix_fmt = "yuv420p"
        stream.bit_rate = 2_500_000
        for pixels in frames(actors, seconds, fps=fps, size_px=size_px):
            for packet in stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode():
            container.mux(packet)
    return target


def sample_clips(folder: Path) -> dict[str, tuple[list[Actor], float]]:
    """A clip of each kind, by name: actors of the samples, and seconds."""
    one, other, third = (folder / "probes" / f"stranger_{number}.jpg" for number in (1, 2, 3))
    return {
        "moving": ([Actor(one, x=wave(0.5, 0.18, 2.0), y=wave(0.5, 0.06, 1.1))], 3.0),
        "nearer": ([Actor(one, height=ramp(0.45, 1.15, 3.0))], 3.0),
        "turning": ([Actor(one, yaw=wave(0.0, 0.8, 3.0), roll=wave(0, 8, 2.0))], 3.0),
        "blurred": ([Actor(one, x=wave(0.5, 0.05, 2.0), blur_px=pulse(7.0, 0.8, 2.2))], 3.0),
        "dark": ([Actor(one, light=ramp(1.1, 0.04, 3.0))], 3.0),
        "hidden": ([Actor(one, covered=pulse(0.9, 1.0, 2.0))], 3.0),
        "away": ([Actor(one, here=lambda time_s: float(not 1.0 <= time_s < 1.6))], 3.0),
        "crossing": (crossing(one, other), 3.0),
        "passer-by": ([Actor(one), Actor(third, x=ramp(-0.3, 1.3, 1.2), y=still(0.8), height=still(0.35))], 3.0),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the clips")
    parser.add_argument("--photo", type=Path, help="make one random clip of this photo")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=6.0, help="of the random clip (default 6)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    if options.photo:
        actor = random_actor(options.photo, options.seed, options.seconds)
        print(write_clip(options.out / f"{options.photo.stem}.mp4", [actor], options.seconds))
        return
    for name, (actors, seconds) in sample_clips(SAMPLES).items():
        print(write_clip(options.out / f"{name}.mp4", actors, seconds))


if __name__ == "__main__":
    main()
