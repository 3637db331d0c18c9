"""The compose files as they are read, and the secrets that they want."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import yaml
from deployed import DEPLOY, interpolated


def read(name: str) -> dict[str, Any]:
    """One of them, with the defaults of its variables."""
    return interpolated(yaml.safe_load((DEPLOY / name).read_text("utf-8")))


def make_secrets(folder: Path, *options: str) -> str:
    """What make-secrets.sh said when it made these."""
    command = ["sh", str(DEPLOY / "make-secrets.sh"), *options]
    return subprocess.run(
        command, env=os.environ | {"SECRETS": str(folder)}, check=True, capture_output=True, text=True
    ).stdout
