"""What an engine that keeps its galleries in files of this machine offers so that erasing can be proved."""

from __future__ import annotations

from pathlib import Path
from typing import Protocol, runtime_checkable


@runtime_checkable
class Provable(Protocol):
    """Beside `Gallery`: what is stored of somebody, and where all that is stored lies."""

    def traces(self, person_id: str) -> list[bytes]:
        """The stored bytes of what identifies a person, as they lie in the gallery's files and snapshots: sealed ones
        as they are sealed. To be asked before the person is erased.

        Raises:
            PersonNotFound: nobody has that id.
        """
        ...

    def places(self) -> list[Path]:
        """Every file of the gallery: record, logs, index, and the snapshots that are known with theirs."""
        ...
