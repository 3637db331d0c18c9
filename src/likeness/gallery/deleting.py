"""Deleting a whole gallery, where that takes more than deleting its file."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Deletable(Protocol):
    """What an engine offers beside `Gallery` whose galleries a command may delete."""

    def delete(self) -> int:
        """Delete the gallery with all that is its; returns how many indexes or tables it was. Nothing brings it back.

        Snapshots stay where they are, and hold whom they held.
        """
        ...
