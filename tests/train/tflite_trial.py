"""Run by the environment .venv-tflite: a real small network to TensorFlow Lite and to eight bits; prints JSON.

Use: python tflite_trial.py FOLDER CROPS.npy
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import numpy as np
import timm
import torch
from torch import nn

from likeness.bundle import PACKAGED, Bundle, InputSpec
from likeness.calibration import Calibration
from likeness.train.phone import phone_facts
from likeness.train.tflite_export import export_tflite, quantize_tflite, read_facts, run_tflite

SIDE = 64


def main() -> None:
    folder, crops = Path(sys.argv[1]), np.load(sys.argv[2])
    torch.manual_seed(0)
    network = timm.create_model("mobilenetv3_small_100", num_classes=128)
    spec = InputSpec(side_px=SIDE, mean=(127.5, 120.0, 110.0), scale=(1 / 128, 1 / 120, 1 / 110))
    settle(network, spec, crops)
    bundle = Bundle.read(PACKAGED / "dlib-resnet-int8")
    facts = phone_facts(bundle.manifest, Calibration.read(bundle.path("calibration")), spec)
    start = time.monotonic()
    parity = export_tflite(network, spec, folder / "floats.tflite", facts=facts, crops=crops[:4])
    seconds = time.monotonic() - start
    found = {"parity": parity.as_dict(), "seconds": round(seconds, 1), "facts": read_facts(folder / "floats.tflite")}
    for kind in ("dynamic", "weights"):
        target = folder / f"{kind}.tflite"
        found[kind] = quantize_tflite(folder / "floats.tflite", target, kind=kind, facts=facts, crops=crops).as_dict()
        found[f"{kind} facts"] = read_facts(target)
    seen = crops[: len(crops) // 2]
    static = quantize_tflite(folder / "floats.tflite", folder / "static.tflite", kind="static", seen=seen, crops=crops)
    found["static"] = static.as_dict()
    found["shape"] = list(run_tflite(folder / "dynamic.tflite", crops[:3]).shape)
    print(json.dumps(found))


def settle(network: nn.Module, spec: InputSpec, crops: np.ndarray) -> None:
    """Let the normalisations see real crops, so that values are spread as in a trained network."""
    planes = spec.model_copy(update={"layout": "NCHW", "dtype": "float32"}).prepare(crops)
    network.train()
    with torch.no_grad():
        for _ in range(40):
            network(torch.from_numpy(planes))
    network.eval()


if __name__ == "__main__":
    main()
