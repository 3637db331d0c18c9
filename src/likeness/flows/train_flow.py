"""Any recipe as a Metaflow flow: crop, train, export, calibrate, evaluate, card. See `refresh_flow` on its folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from metaflow import FlowSpec, Parameter, resources, retry, step

from likeness.flows.order import Tell
from likeness.flows.training import TrainOrder, do_part
from likeness.settings import Settings


class TrainFlow(FlowSpec):
    """From people's photos, or a cropped data set, to a bundle with its card."""

    recipe = Parameter("recipe", help="A .toml file, or a recipe that comes with Likeness.", required=True)
    photos = Parameter("photos", help="Folder of photos, a folder for each person; or a data set.", required=True)
    folder = Parameter("folder", help="Where the work is done; all steps must see it.", required=True)
    bundle = Parameter("name", help="Name of the bundle; the recipe's unless said.", default="")
    changes = Parameter("set", help="Changes of the recipe, separated by spaces.", default="")
    smoke = Parameter("smoke", help="The recipe's tiny form.", default=False)
    shares = Parameter("shares", help="People to train, validate and test.", default="60/20/20")
    licence = Parameter("licence", help="Terms of the weights.", default="")
    replace = Parameter("replace", help="Exchange a bundle of that name.", default=False)

    def _do(self, part: str) -> None:
        from likeness.data.splits import parse_shares

        told = cast(Any, self)  # what is a Parameter here is its value in a run
        order = TrainOrder(
            recipe=told.recipe,
            photos=Path(told.photos),
            folder=Path(told.folder),
            name=told.bundle,
            changes=tuple(told.changes.split()),
            smoke=told.smoke,
            shares=parse_shares(told.shares),
            licence=told.licence,
            replace=told.replace,
        )
        self.told = do_part(part, order, Settings.load(), Tell(say=print))

    @retry(times=2)
    @step
    def start(self) -> None:
        """Crop the faces, and split by person."""
        self._do("crop")
        self.next(self.train)

    @retry(times=2)
    @resources(cpu=4, memory=8192)
    @step
    def train(self) -> None:
        """Train the network."""
        self._do("train")
        self.next(self.export)

    @retry(times=2)
    @resources(cpu=2, memory=4096)
    @step
    def export(self) -> None:
        """Write the bundle."""
        self._do("export")
        self.next(self.calibrate)

    @retry(times=2)
    @step
    def calibrate(self) -> None:
        """Fit probabilities."""
        self._do("calibrate")
        self.next(self.evaluate)

    @retry(times=2)
    @step
    def evaluate(self) -> None:
        """Write the report."""
        self._do("evaluate")
        self.next(self.end)

    @retry(times=2)
    @step
    def end(self) -> None:
        """Write the card, and place the bundle."""
        self._do("card")


if __name__ == "__main__":
    TrainFlow()
