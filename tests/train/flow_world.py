"""What tests of refreshes share: a tiny calibrated bundle, people who arrive in a storage, and the order."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from likeness.flows.order import Order
from likeness.settings import Settings

CHANGES = ("loop.epochs=1", "data.workers=0", "data.batch_size=8", "data.augment=none", "optimiser.learning_rate=1e-4")


@dataclass(frozen=True)
class Place:
    """A folder with a storage, a gallery, models and the folder of refreshes."""

    folder: Path
    samples: Path

    @property
    def storage(self) -> Path:
        return self.folder / "storage"

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def settings(self) -> Settings:
        return Settings.load(
            {
                "models": str(self.folder / "models"),
                "gallery": str(self.folder / "people.gallery"),
                "embedder": "tiny",
                "threads": 1,
            }
        )

    def arrive(self, first: int, last: int) -> None:
        """Photos of sample people, by number in order of their names."""
        for person in sorted(path for path in (self.samples / "people").iterdir() if path.is_dir())[first:last]:
            (self.storage / person.name).mkdir(parents=True, exist_ok=True)
            for photo in person.glob("*.jpg"):
                shutil.copy(photo, self.storage / person.name)

    def order(self, **changed: object) -> Order:
        told = {"changes": CHANGES, "margin": -1.0, "figure": "eer", "budget": 1.0, "shares": (0.5, 0.25, 0.25)}
        return Order(storage=str(self.storage), home=self.home, **told | changed)

    def tree(self) -> dict[str, object]:
        """Every file and link of the folder of refreshes and of the models, with what tells that it was touched."""
        found = {}
        for part in ("home", "models"):
            for path in sorted((self.folder / part).rglob("*")):
                facts = path.lstat()
                told = path.readlink() if path.is_symlink() else facts.st_size
                found[path.relative_to(self.folder).as_posix()] = (told, facts.st_ino, facts.st_mtime_ns)
        return found
