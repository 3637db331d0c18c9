"""What S3 says of its objects, straight and wrapped, is understood as it is."""

from __future__ import annotations

import json
import secrets

import pytest

from likeness.errors import InputError
from likeness.intake.events import arrivals
from likeness.storage import locate, open_storage
from s3_server import CREDENTIALS


def record(key, *, event="ObjectCreated:Put", bucket="photos"):
    return {"eventSource": "aws:s3", "eventName": event, "s3": {"bucket": {"name": bucket}, "object": {"key": key}}}


def in_sns(body):
    return {"Type": "Notification", "MessageId": "1", "TopicArn": "arn:aws:sns:x", "Message": json.dumps(body)}


def in_event_bridge(key, kind="Object Created"):
    detail = {"version": "0", "bucket": {"name": "photos"}, "object": {"key": key, "size": 3}, "reason": "PutObject"}
    return {"version": "0", "detail-type": kind, "source": "aws.s3", "region": "eu-west-1", "detail": detail}


@pytest.mark.parametrize(
    ("told", "uri"),
    [
        ("a.jpg", "s3://photos/a.jpg"),
        ("with+space%2Bplus.jpg", "s3://photos/with%20space%2Bplus.jpg"),
        ("in/Zo%C3%AB+%E6%9D%8E.jpg", "s3://photos/in/Zo%C3%AB%20%E6%9D%8E.jpg"),
        ("per%2520cent.jpg", "s3://photos/per%2520cent.jpg"),
        ("in%2Fdeep.jpg", "s3://photos/in/deep.jpg"),
        ("two//slashes.jpg", "s3://photos/two//slashes.jpg"),
    ],
)
def test_keys_are_decoded_as_s3_encodes_them(told, uri):
    assert arrivals({"Records": [record(told)]}) == [{"uri": uri}]


def test_each_new_object_of_a_message_arrives_and_no_other_change():
    records = [
        record("a.jpg"),
        record("b.jpg", event="ObjectRemoved:Delete"),
        record("c.jpg", event="s3:ObjectCreated:CompleteMultipartUpload"),
        record("folder/"),
        record("d.jpg", event="ObjectTagging:Put"),
    ]
    assert [each["uri"] for each in arrivals({"Records": records})] == ["s3://photos/a.jpg", "s3://photos/c.jpg"]
    assert arrivals({"Records": []}) == []


def test_what_sns_and_event_bridge_wrap_is_taken_out():
    assert arrivals(in_sns({"Records": [record("a+b.jpg")]})) == [{"uri": "s3://photos/a%20b.jpg"}]
    assert arrivals(in_event_bridge("a+b c.jpg")) == [{"uri": "s3://photos/a%2Bb%20c.jpg"}]
    assert arrivals(in_sns(in_event_bridge("100%.jpg"))) == [{"uri": "s3://photos/100%25.jpg"}]
    assert arrivals(in_event_bridge("a.jpg", kind="Object Deleted")) == []


def test_the_test_that_s3_sends_first_tells_of_nothing():
    told = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "photos"}
    assert arrivals(told) == []
    assert arrivals(in_sns(told)) == []


def test_our_own_message_is_taken_with_name_and_job_and_nothing_else():
    told = {"uri": "file:///in/a.jpg", "name": "Anna Lee", "job": "j1", "other": [1]}
    assert arrivals(told) == [{"uri": "file:///in/a.jpg", "name": "Anna Lee", "job": "j1"}]
    assert arrivals({"uri": "file:///in/a.jpg", "name": None}) == [{"uri": "file:///in/a.jpg"}]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"text": "hello"},
        {"uri": 7},
        {"uri": ""},
        {"uri": None},
        {"uri": "s3://a/b", "name": ["x"]},
        {"Records": ["x"]},
        {"Records": [{"eventName": "ObjectCreated:Put"}]},
        {"Records": [{"s3": {}}]},
        {"Records": [{"eventSource": "aws:dynamodb", "eventName": "INSERT", "dynamodb": {}}]},
        {"Records": [record("a%FF.jpg")]},
        {"Records": [record("../a.jpg")]},
        {"Records": [record("")]},
        {"Records": [record("a.jpg", bucket="no such!")]},
        {"Records": [record("a.jpg", bucket=None)]},
        {"Type": "Notification", "Message": "plain words"},
        {"Type": "Notification", "Message": "[1]"},
        in_sns(in_sns(in_sns(in_sns({"uri": "x"})))),
        {"source": "aws.s3", "detail-type": "Object Created", "detail": {}},
    ],
)
def test_a_message_of_another_kind_is_refused_with_a_reason(body):
    with pytest.raises(InputError):
        arrivals(body)


UNUSUAL = ["a b+c.jpg", "100%.jpg", "Zoë/李 & co?.jpg", "per%20cent#1.jpg"]


@pytest.mark.parametrize("through", ["sqs", "sns"])
def test_the_events_of_a_bucket_lead_to_its_objects(s3_address, monkeypatch, through):
    import boto3

    from likeness.intake.queues import open_queue

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    bucket = f"in-{secrets.token_hex(4)}"
    s3, sqs, sns = (boto3.client(name, endpoint_url=s3_address) for name in ("s3", "sqs", "sns"))
    s3.create_bucket(Bucket=bucket)
    with open_queue(f"sqs://us-east-1/{bucket}?endpoint={s3_address}", "detect") as queue:
        place = sqs.get_queue_url(QueueName=f"{bucket}-detect")["QueueUrl"]
        arn = sqs.get_queue_attributes(QueueUrl=place, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        told = {"Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
        if through == "sqs":
            whom = {"QueueConfigurations": [told | {"QueueArn": arn}]}
        else:
            topic = sns.create_topic(Name=bucket)["TopicArn"]
            sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)
            whom = {"TopicConfigurations": [told | {"TopicArn": topic}]}
        s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=whom)
        for key in UNUSUAL:
            s3.put_object(Bucket=bucket, Key=key, Body=key.encode())
        s3.delete_object(Bucket=bucket, Key="nobody.jpg")
        found = []
        while messages := queue.receive(10, wait_s=1):
            for message in messages:
                found += [arrival["uri"] for arrival in arrivals(message.body)]
                assert queue.acknowledge(message)
    assert len(found) == len(UNUSUAL)
    for uri in found:
        base, key = locate(uri)
        with open_storage(base) as storage:
            assert storage.read(key) == key.encode()
    assert {locate(uri)[1] for uri in found} == set(UNUSUAL)
