"""Write the bill of materials (CycloneDX 1.6) of an environment that holds Likeness and what it brings, nothing else.

python scripts/sbom.py dist/environment/bin/python dist/likeness.cdx.json
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

import likeness

ROOT = Path(__file__).resolve().parent.parent


def bill(python: Path) -> str:
    """The bill as JSON, the same each time for the same environment.

    Raises:
        ValueError: what came of it is no valid CycloneDX.
    """
    command = [sys.executable, "-m", "cyclonedx_py", "environment", "--pyproject", str(ROOT / "pyproject.toml")]
    done = subprocess.run(
        [*command, "--output-reproducible", "--no-validate", "--sv", "1.6", str(python)],
        capture_output=True,
        text=True,
        check=True,
    )
    found = json.loads(done.stdout)
    # Its version is not in pyproject.toml, where the tool looks for it.
    found["metadata"]["component"] |= {
        "version": likeness.__version__,
        "purl": f"pkg:pypi/likeness@{likeness.__version__}",
    }
    text = json.dumps(found, indent=2, sort_keys=True) + "\n"
    if error := JsonStrictValidator(SchemaVersion.V1_6).validate_str(text):
        raise ValueError(f"no valid CycloneDX: {error}")
    return text


if __name__ == "__main__":
    Path(sys.argv[2]).write_text(bill(Path(sys.argv[1])), "utf-8")
