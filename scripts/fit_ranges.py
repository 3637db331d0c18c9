"""Smallest and largest activations of the dlib embedder over real faces: the numbers that its int8 form is made with.

Run once; the ranges stand beside the catalogue entry, so that making the int8 bundle needs no photos.

    python scripts/fit_ranges.py FOLDER --photos 320 --json src/likeness/catalogue/dlib-resnet-int8/ranges.json
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from rich.progress import track

from likeness.settings import Settings
from likeness.types import Pixels
from likeness.vision.decode import decode_photo
from likeness.vision.embed import Embedder

MODEL = "dlib-resnet-float32"
OBSERVED = {"Relu", "Conv", "AveragePool"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--photos", type=int, default=320)
    parser.add_argument("--json", type=Path, required=True)
    options = parser.parse_args()
    crops = collect_crops(options.folder, options.photos)
    ranges = observe(Settings().library().find(MODEL).path("model"), crops)
    report = {"data": options.folder.name, "faces": len(crops), "ranges": ranges}
    options.json.write_text(json.dumps(report, indent=1) + "\n")
    print(f"{len(ranges)} ranges over {len(crops)} faces -> {options.json}")


def collect_crops(folder: Path, count: int) -> Pixels:
    """Aligned crops `(n, side, side, 3)` of the first face in `count` photos, chosen by a fixed seed."""
    library = Settings().library()
    detector = library.find("mtcnn").load()
    embedder: Embedder = library.find(MODEL).load()
    photos = sorted(folder.rglob("*.jpg"))
    random.Random(1).shuffle(photos)
    crops = []
    for path in track(photos[:count], "photos"):
        pixels = decode_photo(path).pixels
        if len(found := detector.detect(pixels)):
            crops.append(embedder.crop(pixels, found.landmarks_px[0]))
    return np.stack(crops)


def observe(path: Path, crops: Pixels) -> dict[str, tuple[float, float]]:
    """Smallest and largest value of every convolution, ReLU and average over the crops."""
    model = onnx.load(path)
    names = [node.output[0] for node in model.graph.node if node.op_type in OBSERVED]
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    with tempfile.TemporaryDirectory() as folder:
        probe = Path(folder) / "probe.onnx"
        onnx.save(model, probe)
        session = ort.InferenceSession(str(probe), providers=["CPUExecutionProvider"])
        parts = [
            [(float(value.min()), float(value.max())) for value in session.run(names, {"faces": crops[i : i + 8]})]
            for i in range(0, len(crops), 8)
        ]
    return {
        name: (round(min(part[i][0] for part in parts), 5), round(max(part[i][1] for part in parts), 5))
        for i, name in enumerate(names)
    }


if __name__ == "__main__":
    main()
