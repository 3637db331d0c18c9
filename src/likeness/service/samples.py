"""The sample photos of invented people: in the package, or in the repository beside it."""

from __future__ import annotations

from pathlib import Path

import likeness
from likeness.errors import InputError


def samples_folder() -> Path:
    """The folder with `people` and `probes`.

    Raises:
        InputError: the samples are in neither place.
    """
    package = Path(likeness.__file__).parent
    for folder in (package / "samples", package.parent.parent / "samples"):
        if (folder / "people").is_dir():
            return folder
    raise InputError("the samples did not come with this installation", hint="enrol photos of your own")
