"""Nothing leaves the machine, and nothing is written where nobody asked for it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = """
import sys, time
from likeness.recognizer import Recognizer
assert len(Recognizer().faces(sys.argv[1])) == 1
time.sleep(3)  # onnxruntime's reporter, where it runs, starts late
import onnxruntime, os
print(os.environ["ORT_DISABLE_TELEMETRY"])
"""


def run_in(home: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "LANG")}
    # The reporter keeps quiet by itself where it takes the machine for a build server.
    environment = kept | {"HOME": str(home), "ORT_DISABLE_TELEMETRY": "0"}
    command = [sys.executable, "-c", code, *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_looking_at_a_photo_writes_nothing_into_the_home(samples: Path, tmp_path: Path) -> None:
    done = run_in(tmp_path, SCRIPT, str(samples / "probes" / "Nadia_Okafor_new.jpg"))
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "1"
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_onnxruntime_left_alone_would_write_there(tmp_path: Path) -> None:
    """Shows that the test above can fail: without the switch, files appear."""
    home = tmp_path / "home"
    home.mkdir()
    code = "import onnxruntime, time; onnxruntime.InferenceSession(__import__('sys').argv[1]); time.sleep(3)"
    model = Path(__file__).parent.parent / "src/likeness/bundles/mtcnn/pnet.onnx"
    run_in(home, code, str(model))
    written = [path for path in home.rglob("*") if path.is_file()]
    if not written:
        pytest.skip("this onnxruntime reports nothing, so the test above proves little with it")
    assert any("onnxruntime" in str(path) for path in written)
