"""The refresh as a Metaflow flow: `likeness flow metaflow refresh run …`, or deployed to a cluster as it is.

Each step calls a plain function; what goes from one to the next lies in the folder, which all steps must see: on a
cluster a volume that each of them mounts. Artifacts are counts and figures.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

from metaflow import FlowSpec, Parameter, resources, retry, schedule, step

from likeness.flows.order import Order, Tell
from likeness.flows.refresh import begin, do_part, finish
from likeness.settings import Settings


@schedule(cron="0 3 1 * ? *")  # monthly; Amazon's form of cron, of which Argo takes the first five
class RefreshFlow(FlowSpec):
    """New people from storage to a better model: pull, screen, grow, learn, judge, publish, embed."""

    storage = Parameter(
        "storage", help="Folder or s3://bucket/prefix with a folder of photos for each person.", default=""
    )
    folder = Parameter("folder", help="Folder that is kept from refresh to refresh; all steps must see it.", default="")
    model_name = Parameter("name", help="What the published model is called.", default="people")
    base = Parameter("base", help="Bundle that the first refresh begins with.", default="")
    old = Parameter("old", help="Photos of people whom that knows.", default="")
    dataset = Parameter("dataset", help="Folder or hf://OWNER/NAME for versions of the data set.", default="")
    licence = Parameter("licence", help="Terms of the photos.", default="")
    recipe = Parameter("recipe", help="Recipe of the training.", default="continue")
    changes = Parameter("set", help="Changes of the recipe, separated by spaces.", default="")
    shares = Parameter("shares", help="People to train, validate and test.", default="60/20/20")
    figure = Parameter("figure", help="tar, accuracy or eer, on people who are never learnt.", default="tar")
    margin = Parameter("margin", help="Publish where the figure is better by more than this.", default=0.005)
    budget = Parameter("budget", help="How much may be forgotten.", default=0.02)
    exemplars = Parameter("exemplars", help="Photos kept to learn again; 0: as many as before.", default=0)
    least_people = Parameter("least-people", help="Train when so many wait to be learnt.", default=2)
    new_space = Parameter("new-space", help="Publish also what old galleries must be embedded anew for.", default=False)

    @property
    def _order(self) -> Order:
        from likeness.data.splits import parse_shares

        settings, told = Settings.load(), cast(Any, self)  # what is a Parameter here is its value in a run
        return Order(
            storage=told.storage or settings.storage,
            home=Path(told.folder or settings.flows_folder).expanduser(),
            name=told.model_name,
            base=told.base,
            old=Path(told.old) if told.old else None,
            dataset=told.dataset,
            licence=told.licence,
            recipe=told.recipe,
            changes=tuple(told.changes.split()),
            shares=parse_shares(told.shares),
            figure=told.figure,
            margin=told.margin,
            budget=told.budget,
            exemplars=told.exemplars or None,
            least_people=told.least_people,
            new_space=told.new_space,
        )

    def _do(self, part: str) -> dict[str, Any]:
        return do_part(part, self._order, Settings.load(), Tell(say=print))

    @retry(times=2)
    @step
    def start(self) -> None:
        """Look for new photos; where there are none all that follows has nothing to do."""
        self.anything = begin(self._order, Settings.load(), Tell(say=print))
        self.next(self.pull)

    @retry(times=2)
    @step
    def pull(self) -> None:
        """Fetch them."""
        self.told = self._do("pull")
        self.next(self.screen)

    @retry(times=2)
    @resources(cpu=2, memory=4096)
    @step
    def screen(self) -> None:
        """Verify, standardise, judge quality, compare labels with faces."""
        self.told = self._do("screen")
        self.next(self.grow)

    @retry(times=2)
    @step
    def grow(self) -> None:
        """Make, split and push the next version of the data set."""
        self.told = self._do("grow")
        self.next(self.learn)

    @retry(times=2)
    @resources(cpu=4, memory=8192)
    @step
    def learn(self) -> None:
        """Continue the training, and calibrate."""
        self.told = self._do("learn")
        self.next(self.judge)

    @retry(times=2)
    @resources(cpu=2, memory=4096)
    @step
    def judge(self) -> None:
        """Compare the new model with the one in force."""
        self.told = self._do("judge")
        self.next(self.publish)

    @retry(times=2)
    @step
    def publish(self) -> None:
        """Exchange the model, if the new one is better."""
        self.told = self._do("publish")
        self.next(self.embed)

    @retry(times=2)
    @resources(cpu=2, memory=4096)
    @step
    def embed(self) -> None:
        """Embed the gallery by the new model."""
        self.told = self._do("embed")
        self.next(self.end)

    @retry(times=2)
    @step
    def end(self) -> None:
        """Keep the report, delete the photos."""
        self.summary = finish(self._order, Settings.load())
        print(self.summary["outcome"])


if __name__ == "__main__":
    RefreshFlow()
