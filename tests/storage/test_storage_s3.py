"""What is a bucket's own: its URI, its server, its credentials, long listings."""

from __future__ import annotations

import pytest

from likeness.errors import SettingsError, StorageMissing, StorageRefused, StorageUnreachable
from likeness.storage import locate, open_storage
from s3_server import CREDENTIALS, free_port


def test_a_long_listing_comes_in_pages_and_in_order(bucket, monkeypatch):
    import boto3

    monkeypatch.setattr("likeness.storage.s3.PAGE", 4)

    name, _, address = bucket.removeprefix("s3://").partition("?endpoint_url=")
    client = boto3.client("s3", endpoint_url=address)
    for number in range(10):
        client.put_object(Bucket=name, Key=f"in/{number:04}.jpg", Body=b"x")
    client.put_object(Bucket=name, Key="in/", Body=b"")
    with open_storage(bucket.replace("?", "/in?")) as storage:
        assert [each.key for each in storage.list()] == [f"{number:04}.jpg" for number in range(10)]
        assert sum(1 for _ in storage.list(after="0002.jpg")) == 7


def test_the_servers_address_is_taken_from_the_environment_too(bucket, s3_address, monkeypatch):
    plain = bucket.partition("?")[0]
    monkeypatch.setenv("AWS_ENDPOINT_URL", s3_address)
    with open_storage(plain) as storage:
        storage.write("x.jpg", b"x")
        assert storage.uri == plain
        assert storage.uri_of("a b.jpg") == f"{plain}/a%20b.jpg"
    with open_storage(bucket) as storage:
        assert storage.read("x.jpg") == b"x"


def test_the_uri_of_an_object_carries_the_servers_address(bucket):
    with open_storage(bucket.replace("?", "/pre?")) as storage:
        base, key = locate(storage.uri_of("a?b.jpg"))
    assert key == "pre/a?b.jpg"
    assert base.partition("?")[0] == bucket.partition("?")[0]
    with open_storage(base) as whole:
        assert whole.uri == base


def test_a_bucket_that_is_not_there_is_missing(bucket):
    with open_storage(bucket.replace("s3://", "s3://no-")) as storage:
        for use in (lambda: list(storage.list()), lambda: storage.read("x"), lambda: storage.write("x", b"")):
            with pytest.raises(StorageMissing, match="bucket"):
                use()


def test_a_server_that_does_not_answer_is_unreachable(monkeypatch):
    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    storage = open_storage(f"s3://photos?endpoint_url=http://127.0.0.1:{free_port()}")
    with storage, pytest.raises(StorageUnreachable) as told:
        storage.read("x.jpg")
    assert "tests-own" not in str(told.value)


def test_without_credentials_it_says_which_are_wanted(s3_address, monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    storage = open_storage(f"s3://photos?endpoint_url={s3_address}")
    with storage, pytest.raises(StorageRefused, match="AWS_ACCESS_KEY_ID"):
        storage.read("x.jpg")


@pytest.mark.parametrize(
    ("uri", "said"),
    [
        ("s3://key:secret@bucket/x", "credentials"),
        ("s3://bucket?key=AKIA&secret=hush", "no option 'key'"),
        ("s3://bucket?endpoint_url=ftp://x", "no address"),
        ("s3://bucket?endpoint_url=http://me:hush@x", "no address"),
        ("s3://b?x", "no name of a bucket"),
        ("s3://bucket?x", "name=value"),
        ("s3:///x", "no name of a bucket"),
        ("s3://bucket/%FF", "UTF-8"),
    ],
)
def test_a_uri_that_cannot_be_one_is_refused_without_telling_secrets(uri, said):
    with pytest.raises(SettingsError, match=said) as told:
        open_storage(uri)
    assert "hush" not in str(told.value)
    assert "secret" not in str(told.value).replace("AWS_SECRET", "").replace("SECRET_ACCESS", "")


def test_a_prefix_may_not_lead_out_of_itself():
    from likeness.errors import InputError

    with pytest.raises(InputError):
        open_storage("s3://bucket/a/../b")


def test_a_bucket_is_no_object():
    with pytest.raises(SettingsError, match="not an object"):
        locate("s3://bucket")
