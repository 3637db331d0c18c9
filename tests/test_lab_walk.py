"""The commands of docs/lab.md, run as they stand there at smoke size."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from likeness.bundle import Bundle

ROOT = Path(__file__).parent.parent
VERSIONS = 4


def documented_commands() -> str:
    """The first shell block of the section 'The whole way'."""
    text = (ROOT / "docs" / "lab.md").read_text("utf-8").partition("## The whole way")[2]
    block = re.search(r"```sh\n(.*?)```", text, re.DOTALL)
    assert block
    return block.group(1)


@pytest.fixture
def photos(samples, tmp_path) -> Path:
    """The sample people with four photos in four versions each: other light, colour and tilt."""
    random = np.random.default_rng(0)
    for source in sorted((samples / "people").glob("*/*.jpg")):
        with Image.open(source) as image:
            for at in range(VERSIONS):
                made = image.rotate(random.uniform(-6, 6), Image.Resampling.BILINEAR)
                for kind in (ImageEnhance.Brightness, ImageEnhance.Color, ImageEnhance.Contrast):
                    made = kind(made).enhance(random.uniform(0.8, 1.25))
                target = tmp_path / "photos" / source.parent.name / f"{source.stem}_{at}.jpg"
                target.parent.mkdir(parents=True, exist_ok=True)
                made.save(target, quality=92)
    return tmp_path / "photos"


@pytest.mark.slow
@pytest.mark.timeout(1500)
def test_the_documented_way_from_photos_to_answers_works_at_smoke_size(photos, tmp_path) -> None:
    commands = documented_commands()
    assert "likeness train" in commands
    assert "likeness identify" in commands
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PHOTOS": str(photos),
        "PHOTO": str(sorted(photos.glob("*/*.jpg"))[0]),
        "SIZE": "--smoke",
        "LIKENESS_MODELS": str(tmp_path / "models"),
    }
    done = subprocess.run(
        ["sh", "-ex"], input=commands, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-5000:]
    answer = done.stdout.splitlines()[-6:]
    assert any("a face" in line for line in answer), answer
    assert (tmp_path / "lab" / "report" / "report.html").stat().st_size > 50_000
    assert Bundle.read(tmp_path / "models" / "mine").has("calibration")
