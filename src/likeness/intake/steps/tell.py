"""The last step: callers who asked for it are told of a photo's answer, and of their job's end."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from likeness.errors import CallbackRefused, RemoteError, SettingsError
from likeness.intake.answers import photo_dict
from likeness.intake.queues import Body, Message
from likeness.intake.records import Telling
from likeness.intake.steps.base import Bury, Done, Outcome, Retry, Step
from likeness.intake.webhooks import tell
from likeness.spread import spread


class Tell(Step):
    """Posts what happened to the job's callback, signed; whoever does not answer is asked again, ever more rarely."""

    name = "tell"
    first_wait_s = 15.0

    def handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """See `Step`."""
        # All at once, so that a caller who does not answer holds up those beside it for one time limit, not for many.
        return list(spread(self._tell, messages, len(messages)))

    def give_up(self, message: Message, reason: str) -> tuple[tuple[str, Body], ...]:
        """See `Step`."""
        self.shop.records.told(str(message.body.get("telling")), reason)
        return ()

    def _tell(self, message: Message) -> Outcome:
        telling = self.shop.records.telling(str(message.body.get("telling")))
        if telling is None or telling.told_at is not None:
            return Done()
        try:
            tell(telling.callback, json.dumps(self._words(telling)).encode(), self.shop.settings)
        except (CallbackRefused, SettingsError) as error:
            self.shop.records.told(telling.id, error.message)
            return Bury(error.message)
        except RemoteError as error:
            return Retry(error.message)
        self.shop.records.told(telling.id)
        return Done()

    def _words(self, telling: Telling) -> dict[str, Any]:
        """What is told, as things stand now; `id` is the same each time that it is."""
        records = self.shop.records
        job = records.job(telling.job)
        words: dict[str, Any] = {"id": telling.id, "event": "photo" if telling.photo else "job", "job": job.id}
        if telling.photo is None:
            return words | {"state": job.state, "total": job.total, "done": job.done, "failed": job.failed}
        arrival = records.arrivals([telling.photo]).get(telling.photo)
        return words | {"photo": None if arrival is None else photo_dict(records, [arrival])[0]}
