"""How long a photo takes to become pixels, by decoder: ms per photo, the best of several rounds.

    python benchmarks/decode.py [--photos DIR] [--json OUT]

Two generated JPEGs are always measured: 250x250 (the size of an LFW photo) and 12 megapixels (a phone's),
both soft colours with fine noise, quality 90. `--photos` adds every JPEG of a folder, measured one by one and
reported together.
"""

from __future__ import annotations

import argparse
import io
import json
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageCms

import machine
from likeness.errors import PhotoError
from likeness.vision.decode import decode_photo

TARGET_SIDE_PX = 640
ROUNDS = 7
DEFAULT_OUT = Path(__file__).parent / "results" / "decode.json"

Decoder = Callable[[bytes], object]


def pillow_full(data: bytes) -> object:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def pillow_draft(data: bytes) -> object:
    image = Image.open(io.BytesIO(data))
    image.draft("RGB", (TARGET_SIDE_PX, TARGET_SIDE_PX))
    return np.asarray(image.convert("RGB"))


def simplejpeg_reduced(data: bytes) -> object:
    height, width, _, _ = simplejpeg.decode_jpeg_header(data)
    side = "min_width" if width >= height else "min_height"
    return simplejpeg.decode_jpeg(data, "RGB", **{side: min(TARGET_SIDE_PX, max(width, height))})


DECODERS: dict[str, Decoder] = {
    "simplejpeg full": lambda data: simplejpeg.decode_jpeg(data, "RGB"),
    "simplejpeg reduced": simplejpeg_reduced,
    "Pillow full": pillow_full,
    "Pillow draft": pillow_draft,
    "decode_photo": decode_photo,
    "decode_photo reduced": lambda data: decode_photo(data, target_side_px=TARGET_SIDE_PX),
}


def generate(width: int, height: int, *, orientation: int = 1, profile: bytes = b"") -> bytes:
    """A JPEG of soft colours with noise of 8 levels, which compresses about as a photo does."""
    random = np.random.default_rng(0)
    seed = Image.fromarray(random.integers(0, 255, (15, 20, 3)).astype(np.uint8))
    soft = np.asarray(seed.resize((width, height), Image.Resampling.BICUBIC)).astype(np.int16)
    noisy = soft + random.integers(-8, 9, soft.shape, dtype=np.int16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    picture = Image.fromarray(noisy.clip(0, 255).astype(np.uint8))
    picture.save(file, "JPEG", quality=90, exif=exif, icc_profile=profile or None)
    return file.getvalue()


def wide_profile() -> bytes:
    """A profile that has to be followed: sRGB's curves and primaries under another name."""
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    return profile.replace("sRGB".encode("utf-16-be"), "Wide".encode("utf-16-be"))


def time_ms(decode: Decoder, data: bytes, rounds: int) -> float:
    """Best time of one decode, in ms."""
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        decode(data)
        times.append(time.perf_counter() - start)
    return 1000 * min(times)


def measure(photos: Sequence[bytes], rounds: int) -> dict[str, float]:
    """Mean over `photos` of each decoder's time in ms."""
    return {
        name: round(statistics.fmean(time_ms(decode, data, rounds) for data in photos), 3)
        for name, decode in DECODERS.items()
    }


def read_folder(folder: Path) -> list[bytes]:
    """The JPEGs under `folder` that can be decoded."""
    photos = []
    for path in sorted(folder.rglob("*")):
        if path.suffix.lower() not in (".jpg", ".jpeg"):
            continue
        try:
            decode_photo(path)
        except PhotoError as error:
            print(f"left out {path.name}: {error}")
        else:
            photos.append(path.read_bytes())
    return photos


def main() -> None:
    """Measure, print a table and write the JSON."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--photos", type=Path, help="a folder of JPEGs to measure as well")
    parser.add_argument("--json", type=Path, default=DEFAULT_OUT, help="where to write the numbers")
    options = parser.parse_args()
    sets = {
        "250x250": ([generate(250, 250)], 20 * ROUNDS),
        "4000x3000": ([generate(4000, 3000)], ROUNDS),
        "4000x3000, rotated": ([generate(4000, 3000, orientation=6)], ROUNDS),
        "4000x3000, wide colours": ([generate(4000, 3000, profile=wide_profile())], ROUNDS),
    }
    if options.photos:
        photos = read_folder(options.photos)
        sets[f"{len(photos)} photos of {options.photos.name}"] = (photos, 3)
    results = {name: measure(photos, rounds) for name, (photos, rounds) in sets.items() if photos}
    print(f"{'ms per photo':24}" + "".join(f"{name:>22}" for name in DECODERS))
    for name, row in results.items():
        print(f"{name:24}" + "".join(f"{row[decoder]:22.2f}" for decoder in DECODERS))
    facts = machine.describe("likeness", "numpy", "pillow", "simplejpeg")
    report = {"machine": facts, "target_side_px": TARGET_SIDE_PX, "ms_per_photo": results}
    options.json.parent.mkdir(parents=True, exist_ok=True)
    options.json.write_text(json.dumps(report, indent=2) + "\n")


if __name__ == "__main__":
    main()
