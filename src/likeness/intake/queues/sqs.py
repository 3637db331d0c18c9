"""The queue on Amazon SQS, or on what speaks as it does.

`sqs://region/prefix[?endpoint=http://host:port][&queue=NAME]`: the queue is called `<prefix>-<name>`, and `queue` names
another in place of `<prefix>-detect`, such as one that a bucket sends its events to. Both it and `<its name>-dead`, for
dead letters, are made where they are not there and the account may. Credentials are found the usual boto3 way, never in
the address.

Whatever lies in the queue is delivered, nothing is deleted as unknown: another sender's JSON object (an event of S3) is
the body as it is, any other text is `{"text": text}`, and its id is the one that SQS gave it.

SQS counts in whole seconds, rounded up here; a delay is 15 minutes at most, a lease or the wait for the next attempt
12 hours. It keeps messages, dead ones too, for 14 days. It says nothing of what became of an old receipt: a lease is
called lost when its time is over.
"""

from __future__ import annotations

import json
import math
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

from likeness.addresses import masked
from likeness.errors import InputError, QueueUnavailable
from likeness.intake.queues.base import (
    LEASE_S,
    MOST_ATTEMPTS,
    Body,
    DeadLetter,
    Depth,
    Message,
    Queue,
    decode,
    encode,
    silence,
)
from likeness.intake.queues.sqs_access import code_of, count_messages, open_client, queue_name, sqs_errors
from likeness.intake.queues.sqs_dead import ID, DeadQueue, Received, attributes_of, id_of

LONGEST_DELAY_S = 900
LONGEST_LEASE_S = 12 * 3600
MOST_DONE = 10_000
KEPT_S = 14 * 24 * 3600
_AT_ONCE = 10
_BATCH_BYTES = 240 * 1024
_LONG_POLL_S = 20
_SHORT_POLL_S = 0.2
_GONE = {"ReceiptHandleIsInvalid", "MessageNotInflight"}
_MISSING = {"NonExistentQueue", "QueueDoesNotExist"}


def open_sqs(uri: str, name: str) -> SqsQueue:
    """Open the queue `name`, and make it and the one for its dead letters where they are not there.

    Raises:
        ExtraMissing: the extra `sqs` is not installed.
        SettingsError: the address cannot be used.
        QueueUnavailable: the server does not answer, or refuses.
    """
    return SqsQueue(open_client(uri, read_s=_LONG_POLL_S + 15), name, queue_name(uri, name), shown=masked(uri))


class SqsQueue(Queue):
    """See `likeness.intake.queues.base.Queue`. Made by `open_sqs`."""

    def __init__(self, client: Any, name: str, full_name: str, *, shown: str) -> None:
        self.name = name
        self._client = client
        self._shown = shown
        with sqs_errors(shown):
            self._url = self._made(full_name)
            self._dead = DeadQueue(client, self._made(f"{full_name}-dead"))
        self._ends: dict[str, float] = {}
        """By receipt of what is in hand, when its lease ends, by this process's monotonic clock."""
        self._done_with: OrderedDict[str, None] = OrderedDict()
        """The latest receipts that are worth nothing any more: SQS would still take some of them."""

    def _made(self, full_name: str) -> str:
        from botocore.exceptions import ClientError

        try:
            return str(self._client.get_queue_url(QueueName=full_name)["QueueUrl"])
        except ClientError as error:
            if code_of(error) not in _MISSING:
                raise
        attributes = {"MessageRetentionPeriod": str(KEPT_S), "VisibilityTimeout": str(round(LEASE_S))}
        return str(self._client.create_queue(QueueName=full_name, Attributes=attributes)["QueueUrl"])

    def send(self, bodies: Sequence[Body], *, delay_s: float = 0.0) -> list[str]:  # noqa: D102
        if delay_s > LONGEST_DELAY_S:
            raise InputError(f"SQS delays by {LONGEST_DELAY_S} s at most, not by {delay_s:.0f}")
        ids: list[str] = []
        with sqs_errors(self._shown):
            for batch in _batches([encode(body) for body in bodies]):
                entries = [
                    {"Id": str(at), "MessageBody": text, "DelaySeconds": math.ceil(delay_s)}
                    for at, text in enumerate(batch)
                ]
                done = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
                if done.get("Failed"):
                    raise QueueUnavailable(
                        f"the queue {self._shown} took {len(done.get('Successful', ()))} of {len(batch)} messages: "
                        f"{done['Failed'][0].get('Code', 'no reason given')}",
                        hint="send them again; what is done twice has one result",
                    )
                given = {int(each["Id"]): str(each["MessageId"]) for each in done["Successful"]}
                ids += [given[at] for at in range(len(batch))]
        return ids

    def receive(self, most: int = 1, *, wait_s: float = 0.0, lease_s: float = LEASE_S) -> list[Message]:  # noqa: D102
        deadline = time.monotonic() + wait_s
        messages: list[Message] = []
        while len(messages) < most:
            left_s = 0.0 if messages else max(0.0, deadline - time.monotonic())
            wanted = min(most - len(messages), _AT_ONCE)
            got, delivered = self._poll(wanted, min(int(left_s), _LONG_POLL_S), lease_s)
            messages += delivered
            if messages and got < wanted:
                break
            if got:
                continue
            left_s = deadline - time.monotonic()
            if messages or left_s <= 0:
                break
            if left_s < 1:  # SQS itself waits whole seconds only
                time.sleep(min(_SHORT_POLL_S, left_s))
        return messages

    def _poll(self, most: int, wait_s: int, lease_s: float) -> tuple[int, list[Message]]:
        """Ask once: how many came, and those of them that are delivered; the others died of their last silence."""
        lease = _whole(lease_s, LONGEST_LEASE_S)
        with sqs_errors(self._shown):
            answer = self._client.receive_message(
                QueueUrl=self._url,
                MaxNumberOfMessages=most,
                WaitTimeSeconds=wait_s,
                VisibilityTimeout=lease,
                AttributeNames=["ApproximateReceiveCount"],
                MessageAttributeNames=[ID],
            )
        received, now = answer.get("Messages", []), time.monotonic()
        for receipt in [receipt for receipt, at in list(self._ends.items()) if at < now - LONGEST_LEASE_S]:
            self._ends.pop(receipt, None)
        messages = []
        for each in received:
            message = Message(id_of(each), decode(each["Body"]), _attempt(each), str(each["ReceiptHandle"]))
            self._ends[message.receipt] = now + lease
            if message.attempt > MOST_ATTEMPTS:
                self._move(message, each["Body"], silence(MOST_ATTEMPTS), MOST_ATTEMPTS)
            else:
                messages.append(message)
        return len(received), messages

    def extend(self, message: Message, lease_s: float = LEASE_S) -> bool:  # noqa: D102
        began = time.monotonic()
        lease = _whole(lease_s, LONGEST_LEASE_S)
        held = self._hide(message, lease)
        if held:
            self._ends[message.receipt] = began + lease
        return held

    def acknowledge(self, *messages: Message) -> bool:  # noqa: D102
        new = [message for message in messages if message.receipt not in self._done_with]
        held = len(new) == len(messages) and all(map(self._holds, new))
        # Asked also where its time is over: unless somebody else has it since, SQS takes an old receipt.
        for start in range(0, len(new), _AT_ONCE):
            held = self._deleted([message.receipt for message in new[start : start + _AT_ONCE]]) and held
        return held

    def _deleted(self, receipts: Sequence[str]) -> bool:
        """Delete messages; whether all receipts were worth something still."""
        entries = [{"Id": str(at), "ReceiptHandle": receipt} for at, receipt in enumerate(receipts)]
        with sqs_errors(self._shown):
            failed = self._client.delete_message_batch(QueueUrl=self._url, Entries=entries).get("Failed", ())
        for each in failed:
            if each.get("Code") not in _GONE and "eceipt" not in f"{each.get('Code')} {each.get('Message')}":
                raise QueueUnavailable(
                    f"the queue {self._shown} did not delete a message that is done: {each.get('Code', 'no reason')}",
                    hint="it comes again; what is done twice has one result",
                )
        self._forget(receipts)
        return not failed

    def retry(self, message: Message, *, after_s: float, reason: str) -> bool:  # noqa: D102
        if message.attempt >= MOST_ATTEMPTS:
            return self.bury(message, reason)
        held = self._hide(message, _whole(after_s, LONGEST_LEASE_S))
        self._forget([message.receipt])
        return held

    def bury(self, message: Message, reason: str) -> bool:  # noqa: D102
        if not self._holds(message):
            return False
        return self._move(message, json.dumps(dict(message.body)), reason, message.attempt)

    def _move(self, message: Message, text: str, reason: str, attempts: int) -> bool:
        """Into the queue of dead letters, and then out of this one: killed in between it is in both, not in none."""
        with sqs_errors(self._shown):
            self._dead.send(text, attributes_of(message.id, attempts=attempts, reason=reason))
        self._forget([message.receipt])
        return self._asked("delete_message", ReceiptHandle=message.receipt)

    def _forget(self, receipts: Sequence[str]) -> None:
        """Note that receipts are worth nothing any more; a worker has millions of them in its life."""
        for receipt in receipts:
            self._ends.pop(receipt, None)
            self._done_with[receipt] = None
        while len(self._done_with) > MOST_DONE:
            self._done_with.popitem(last=False)

    def _holds(self, message: Message) -> bool:
        """Whether the lease's time runs; of another process's receipt SQS is asked."""
        now = time.monotonic()
        return message.receipt not in self._done_with and now < self._ends.get(message.receipt, math.inf)

    def _hide(self, message: Message, seconds: int) -> bool:
        return self._holds(message) and self._asked(
            "change_message_visibility", ReceiptHandle=message.receipt, VisibilityTimeout=seconds
        )

    def _asked(self, operation: str, **arguments: Any) -> bool:
        """Ask for something with a receipt; false where the receipt is worth nothing any more."""
        from botocore.exceptions import ClientError

        with sqs_errors(self._shown):
            try:
                getattr(self._client, operation)(QueueUrl=self._url, **arguments)
            except ClientError as error:
                # An expired receipt comes as an invalid parameter, with words that say so.
                if code_of(error) in _GONE or (code_of(error) == "InvalidParameterValue" and "eceipt" in str(error)):
                    return False
                raise
        return True

    def depth(self) -> Depth:
        """How many there are by SQS's rough count; those that wait for their next attempt count as leased."""
        with sqs_errors(self._shown):
            ready, waiting, leased = count_messages(self._client, self._url)
            return Depth(ready, waiting, leased, self._dead.count())

    def dead(self, most: int = 100) -> list[DeadLetter]:  # noqa: D102
        with sqs_errors(self._shown), self._dead.received() as received:
            letters = [each.letter for each in received]
        return sorted(letters, key=lambda letter: letter.died_at, reverse=True)[:most]

    def revive(self, ids: Sequence[str] | None = None) -> int:  # noqa: D102
        def again(each: Received) -> None:
            attributes = {ID: {"DataType": "String", "StringValue": each.letter.id}}
            self._client.send_message(QueueUrl=self._url, MessageBody=each.text, MessageAttributes=attributes)

        with sqs_errors(self._shown):
            return self._dead.take(ids, again)

    def drop(self, ids: Sequence[str] | None = None) -> int:  # noqa: D102
        with sqs_errors(self._shown):
            return self._dead.take(ids)

    def close(self) -> None:  # noqa: D102
        self._client.close()


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """As many as one request may carry, by number and by bytes."""
    batch: list[str] = []
    for text in texts:
        if batch and (len(batch) == _AT_ONCE or sum(map(len, batch)) + len(text) > _BATCH_BYTES):
            yield batch
            batch = []
        batch.append(text)
    if batch:
        yield batch


def _attempt(received: dict[str, Any]) -> int:
    return int(received.get("Attributes", {}).get("ApproximateReceiveCount", 1))


def _whole(seconds: float, most: int) -> int:
    return min(math.ceil(max(seconds, 0.0)), most)
