"""Storages of each kind, empty, for the contract that all of them keep."""

from __future__ import annotations

import secrets

import pytest

from likeness.storage import open_storage
from s3_server import CREDENTIALS


@pytest.fixture
def bucket(s3_address, monkeypatch):
    """The URI of a new bucket, with what is needed to use it in the environment."""
    import boto3

    for name, value in CREDENTIALS.items():
        monkeypatch.setenv(name, value)
    name = f"photos-{secrets.token_hex(4)}"
    boto3.client("s3", endpoint_url=s3_address).create_bucket(Bucket=name)
    return f"s3://{name}?endpoint_url={s3_address}"


@pytest.fixture(params=["folder", "s3"])
def storage(request, tmp_path):
    """An empty storage below a folder or prefix."""
    if request.param == "folder":
        uri = str(tmp_path / "kept")
        (tmp_path / "kept").mkdir()
    else:
        uri = request.getfixturevalue("bucket").replace("?", "/a prefix/of%20ours?")
    with open_storage(uri) as opened:
        yield opened
