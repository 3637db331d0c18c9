"""The step of photos that came with a person's name: they are enrolled."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

from likeness.errors import LikenessError
from likeness.intake.queues import Message
from likeness.intake.records import Arrival
from likeness.intake.steps.base import Bury, Done, Outcome, Retry, Step, fail, known, settled, to_tell
from likeness.intake.steps.detect import hopeless
from likeness.service import EnrolOptions, FoundPhoto


class Enrol(Step):
    """Enrols photos, many in one transaction; a photo that is enrolled already stays as it is."""

    name = "enrol"
    together = 32

    def handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """See `Step`."""
        arrivals = known(self.shop, messages)
        outcomes = [settled(self.shop, each, arrival) for each, arrival in zip(messages, arrivals, strict=True)]
        read: list[tuple[int, Arrival, bytes]] = []
        for place, arrival in enumerate(arrivals):
            if arrival is None or outcomes[place] is not None:
                continue
            try:
                read.append((place, arrival, self.shop.read(arrival)))
            except LikenessError as error:
                if hopeless(error):
                    outcomes[place] = Bury(error.message, fail(self.shop, [arrival], error.code, error.message))
                else:
                    outcomes[place] = Retry(error.message)
        photos = [FoundPhoto("", arrival.name, data=data) for _, arrival, data in read]
        enrolled = self.shop.people.acting_as("worker").enroll(photos, EnrolOptions(pick="largest"))
        given: list[tuple[Arrival, str, str, str]] = []
        for (place, arrival, data), outcome in zip(read, enrolled, strict=True):
            if outcome.error is None:
                given.append((arrival, hashlib.sha256(data).hexdigest(), outcome.status, outcome.note))
                outcomes[place] = Done()
            else:
                code, reason = outcome.error["code"], outcome.error["message"]
                outcomes[place] = Bury(reason, fail(self.shop, [arrival], code, reason))
        if given:
            told = to_tell(self.shop.records.enrolled(given))
            self.shop.clean([arrival for arrival, *_ in given])
            outcomes[outcomes.index(Done())] = Done(told)  # the messages that tell are of the batch
        return [outcome or Done() for outcome in outcomes]
