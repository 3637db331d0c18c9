"""Dead letters on SQS: a queue of their own, each with its reason as message attributes.

SQS cannot list a queue. What is in it is received, looked at, and given back: two who do that at one moment see a part
each. Dead letters are few; all of them are received each time, `MOST_LISTED` at most.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from likeness.intake.queues.base import DeadLetter, clean_reason, decode
from likeness.intake.queues.sqs_access import count_messages

ID, ATTEMPTS, REASON, DIED = "likeness-id", "likeness-attempts", "likeness-reason", "likeness-died"
MOST_LISTED = 10_000
_AT_ONCE = 10
_HIDDEN_S = 30

Attributes = Mapping[str, Mapping[str, str]]


def attributes_of(id_: str, *, attempts: int, reason: str) -> Attributes:
    """What is written beside a dead letter."""
    values = {ID: id_, REASON: clean_reason(reason), DIED: datetime.now(UTC).isoformat()}
    texts = {name: {"DataType": "String", "StringValue": value} for name, value in values.items()}
    return texts | {ATTEMPTS: {"DataType": "Number", "StringValue": str(attempts)}}


def id_of(received: Mapping[str, Any]) -> str:
    """A message's id: the one it came with, else SQS's own."""
    return _attribute(received, ID) or str(received["MessageId"])


@dataclass(frozen=True, slots=True)
class Received:
    """A dead letter that is held just now."""

    letter: DeadLetter
    text: str
    receipt: str


class DeadQueue:
    """The queue `<name>-dead`. Errors are boto3's."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def send(self, text: str, attributes: Attributes) -> None:
        """Put a dead letter in."""
        self._client.send_message(QueueUrl=self._url, MessageBody=text, MessageAttributes=attributes)

    def count(self) -> int:
        """How many there are, roughly."""
        return sum(count_messages(self._client, self._url))

    @contextmanager
    def received(self) -> Iterator[list[Received]]:
        """All dead letters, held for as long as the block; those still there at its end are given back."""
        held: list[Received] = []
        try:
            expected = self.count()
            while len(held) < MOST_LISTED:
                found = self._receive(wait_s=1)
                held += found
                if not found or len(held) >= expected:
                    break
            yield held
        finally:
            for first in range(0, len(held), _AT_ONCE):
                entries = [
                    {"Id": str(at), "ReceiptHandle": each.receipt, "VisibilityTimeout": 0}
                    for at, each in enumerate(held[first : first + _AT_ONCE])
                ]
                self._client.change_message_visibility_batch(QueueUrl=self._url, Entries=entries)

    def take(self, ids: Sequence[str] | None, use: Callable[[Received], None] = lambda letter: None) -> int:
        """Take dead letters out, those of `ids` or all, each after it was used; how many there were."""
        wanted = None if ids is None else set(ids)
        taken = 0
        with self.received() as held:
            for each in held:
                if wanted is None or each.letter.id in wanted:
                    use(each)
                    self._client.delete_message(QueueUrl=self._url, ReceiptHandle=each.receipt)
                    taken += 1
        return taken

    def _receive(self, *, wait_s: int) -> list[Received]:
        answer = self._client.receive_message(
            QueueUrl=self._url,
            MaxNumberOfMessages=_AT_ONCE,
            WaitTimeSeconds=wait_s,  # a poll that waits asks all of SQS's machines, one that does not only some
            VisibilityTimeout=_HIDDEN_S,
            AttributeNames=["SentTimestamp"],
            MessageAttributeNames=[ID, ATTEMPTS, REASON, DIED],
        )
        return [
            Received(_letter(each), str(each["Body"]), str(each["ReceiptHandle"]))
            for each in answer.get("Messages", [])
        ]


def _letter(received: Mapping[str, Any]) -> DeadLetter:
    sent_ms = int(received.get("Attributes", {}).get("SentTimestamp", 0))
    died = _attribute(received, DIED)
    return DeadLetter(
        id=id_of(received),
        body=decode(str(received["Body"])),
        attempts=int(_attribute(received, ATTEMPTS) or 0),
        reason=_attribute(received, REASON) or "moved here by the server or by hand: it says no reason",
        died_at=datetime.fromisoformat(died) if died else datetime.fromtimestamp(sent_ms / 1000, UTC),
    )


def _attribute(received: Mapping[str, Any], name: str) -> str:
    return str(received.get("MessageAttributes", {}).get(name, {}).get("StringValue", ""))
