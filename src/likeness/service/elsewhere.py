"""What is kept of people outside their gallery, such as answers that name them: it follows what becomes of them."""

from __future__ import annotations

from likeness.types import Person


class Elsewhere:
    """Nothing, where nobody says otherwise."""

    def erase(self, person: Person) -> None:
        """Erase what is kept of a person: called before they are erased, and once more when nobody finds them."""

    def left(self, person: Person) -> int:
        """How much still names a person who was erased; 0 where all is gone, or nothing is kept."""
        return 0

    def rename(self, before: Person, after: Person) -> None:
        """Let what is kept under a person's former name be erased with them."""

    def merge(self, source: Person, into: Person) -> None:
        """Let what is kept of `source`, who is one with `into` now, be erased with them."""
