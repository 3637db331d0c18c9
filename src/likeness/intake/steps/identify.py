"""The second step: cut-out faces → age, gender and who they are; the answer is written down."""

from __future__ import annotations

from collections.abc import Sequence, Set
from datetime import UTC, datetime
from itertools import islice

from likeness.errors import PersonNotFound, SpoolDamaged, StorageMissing
from likeness.intake.cuttings import Cutting, fit_of
from likeness.intake.queues import Message
from likeness.intake.records import Arrival, Result
from likeness.intake.steps.base import Done, Outcome, Retry, Step, known, settled, to_tell
from likeness.service import Described
from likeness.service.people import Identified

ACTOR = "worker"
"""Who asks, for the audit trail, where a photo came by itself."""


class Identify(Step):
    """Looks at the faces of all messages together, and searches for them together."""

    name = "identify"

    def handle(self, messages: Sequence[Message]) -> list[Outcome]:
        """See `Step`."""
        outcomes: list[Outcome | None] = []
        cut: list[tuple[Arrival, Cutting]] = []
        seen: set[str] = set()
        for message, arrival in zip(messages, known(self.shop, messages), strict=True):
            outcome = settled(self.shop, message, arrival)
            if outcome is None and arrival is not None and arrival.id not in seen:
                seen.add(arrival.id)
                cutting = self._cutting(arrival)
                if isinstance(cutting, Cutting):
                    cut.append((arrival, cutting))
                else:
                    outcome = cutting
            outcomes.append(outcome)
        then = self._answer(cut) if cut else ()
        open_ = [place for place, outcome in enumerate(outcomes) if outcome is None]
        # The messages that tell are of the batch: they are sent before any of it is acknowledged.
        return [outcome or Done(then if place == open_[0] else ()) for place, outcome in enumerate(outcomes)]

    def _cutting(self, arrival: Arrival) -> Cutting | Outcome:
        try:
            cutting = self.shop.faces(arrival.id)
        except (StorageMissing, SpoolDamaged):  # cut out anew
            return Done((("detect", {"arrival": arrival.id}),))
        if cutting.fit != fit_of(self.shop.people.recognizer):
            return Retry("its faces were cut out for other models than this worker has")
        return cutting

    def _answer(self, cut: Sequence[tuple[Arrival, Cutting]]) -> tuple[tuple[str, dict[str, str]], ...]:
        people = self.shop.people
        faces = iter(people.recognizer.look_at([face for _, cutting in cut for face in cutting.faces]))
        owners = self.shop.records.owners(list({arrival.job for arrival, _ in cut if arrival.job}))
        asked = []
        for arrival, cutting in cut:
            described = Described("", tuple(islice(faces, len(cutting.faces))), cutting.size_px)
            asked.append((owners.get(arrival.job or "", ACTOR), described))
        identified = people.identify_together(asked)
        given = [(arrival, self._result(arrival, each)) for (arrival, _), each in zip(cut, identified, strict=True)]
        tellings = self.shop.records.answer(given)
        self._forget_erased({person for _, result in given for person in result.people})
        self.shop.clean([arrival for arrival, _ in cut])
        return tuple((step, dict(body)) for step, body in to_tell(tellings))

    def _forget_erased(self, person_ids: Set[str]) -> None:
        """Erase answers about people who were erased since they were found: whoever did saw no answer yet."""
        for person_id in sorted(person_ids):
            try:
                self.shop.people.gallery.person(person_id)
            except PersonNotFound:
                self.shop.records.forget_person(person_id, "")

    def _result(self, arrival: Arrival, identified: Identified) -> Result:
        if arrival.content is None:
            raise ValueError("expected an arrival whose faces were found")
        size = identified.photo.size_px
        answer = {
            "size": list(size) if size else None,
            "answers": [each.as_dict() for each in identified.answers],
            "models": self.shop.people.recognizer.model_names,
        }
        # Runners-up are in the answer too: whoever is erased must not stay there.
        people = {
            match.person_id
            for each in identified.answers
            for match in (*((each.match,) if each.match else ()), *each.runners_up)
        }
        faces = len(identified.answers)
        return Result(arrival.content, faces, answer, datetime.now(UTC), tuple(sorted(people)))
