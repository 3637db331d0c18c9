"""The approximate index and the networks in one process."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(find_spec("usearch") is None, reason="the extra ann is not installed")

SCRIPT = """
import sys
import numpy as np
from likeness.gallery.base import NewFace
from likeness.gallery.embedded import open_embedded
from likeness.recognizer import Recognizer

folder, photo = sys.argv[1:]
vectors = np.random.default_rng(0).normal(size=(50, 128)).astype(np.float32)
vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
faces = [NewFace(f"Person {i}", vector, b"crop", str(i)) for i, vector in enumerate(vectors)]
for built in (False, True):
    # The second time the index is loaded when the gallery opens, before any network.
    known = dict(space="dlib-resnet-v1", dimension=128, create=True, approximate_above=10)
    with open_embedded(f"{folder}/g", **known) as gallery:
        if not built:
            gallery.add(faces)
            gallery.build_index()
        print(gallery.info().index, len(gallery.search(vectors[:1], 3)[0]))
        if built:
            print(len(Recognizer().identify(photo, gallery)))
"""


def test_a_gallery_with_an_index_and_the_networks_live_in_one_process(samples: Path, tmp_path: Path) -> None:
    photo = samples / "probes" / "Nadia_Okafor_new.jpg"
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path), str(photo)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["usearch-hnsw-i8", "3", "usearch-hnsw-i8", "3", "1"]
