"""A bucket of S3, or of any server that speaks as S3 does, as a storage; through fsspec's s3fs.

Credentials come the usual way (environment, shared files, the machine's role) and never stand in a URI. The address of
another server than Amazon's comes from `AWS_ENDPOINT_URL`, or from the URI: `s3://bucket/prefix?endpoint_url=http://…`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

from likeness.errors import (
    ExtraMissing,
    InputError,
    LikenessError,
    ObjectTooLarge,
    SettingsError,
    StorageError,
    StorageGone,
    StorageMissing,
    StorageRefused,
    StorageUnreachable,
)
from likeness.storage.base import Storage, StoredObject, expect_key

_OPTIONS = ("endpoint_url", "region", "addressing_style", "anon")
_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
PAGE = 1000
"""Objects asked for at a time, as many as S3 gives."""
_TRIES = 3
_CONNECT_S, _READ_S = 10, 60
_MISSING = ("NoSuchBucket", "NoSuchKey", "404")
_BUSY = ("SlowDown", "ServiceUnavailable", "InternalError", "RequestTimeout", "500", "502", "503", "504")


class BucketStorage(Storage):
    """Objects of one bucket, below a prefix or all of them."""

    def __init__(self, uri: str) -> None:
        self._bucket, path, self._options = _parts(uri)
        self._prefix = path.rstrip("/")
        if self._prefix:
            self._prefix = expect_key(self._prefix, what="prefix") + "/"
        self.uri = _joined(self._bucket, self._prefix.rstrip("/"), self._options)
        self._fs = _file_system(self._options)

    @classmethod
    def split(cls, uri: str) -> tuple[str, str]:
        """See `likeness.storage.locate`."""
        bucket, key, options = _parts(uri)
        if not key:
            raise SettingsError(f"s3://{bucket} is a bucket, not an object in one")
        return _joined(bucket, "", options), key

    def uri_of(self, key: str) -> str:
        """See `Storage.uri_of`; the options of the storage's own go along."""
        return _joined(self._bucket, self._prefix + expect_key(key), self._options)

    def list(self, prefix: str = "", *, after: str = "") -> Iterator[StoredObject]:
        """See `Storage.list`; the empty objects that stand for folders (`a/`) are passed over."""
        asked: dict[str, Any] = {"Bucket": self._bucket, "Prefix": self._prefix + prefix, "MaxKeys": PAGE}
        if after:
            asked["StartAfter"] = self._prefix + after
        while True:
            with _told(f"s3://{self._bucket}", asked["Prefix"]):
                page = self._fs.call_s3("list_objects_v2", **asked)
            for row in page.get("Contents", ()):
                key = row["Key"][len(self._prefix) :]
                if key and not key.endswith("/"):
                    yield StoredObject(key, row["Size"], row["LastModified"], row.get("ETag", "").strip('"'))
            if not page.get("IsTruncated"):
                return
            asked = {**asked, "ContinuationToken": page["NextContinuationToken"]}

    def info(self, key: str) -> StoredObject:
        """See `Storage.info`."""
        with self._about(key) as place:
            found = self._fs.call_s3("head_object", **place)
        return StoredObject(key, found["ContentLength"], found["LastModified"], found.get("ETag", "").strip('"'))

    def read(self, key: str, *, most_bytes: int | None = None) -> bytes:
        """See `Storage.read`."""
        from fsspec.asyn import sync

        async def fetch(answer: Any) -> bytes:
            try:
                if most_bytes is not None and answer["ContentLength"] > most_bytes:
                    size = answer["ContentLength"]
                    raise ObjectTooLarge(f"{key!r} has more than {most_bytes:,} bytes ({size:,})")
                data: bytes = await answer["Body"].read()
                return data
            finally:
                answer["Body"].close()

        with self._about(key) as place:
            answer = self._fs.call_s3("get_object", **place)
            data: bytes = sync(self._fs.loop, fetch, answer)
            return data

    def write(self, key: str, data: bytes) -> None:
        """See `Storage.write`."""
        with self._about(key) as place:
            self._fs.call_s3("put_object", **place, Body=data)

    def delete(self, key: str) -> None:
        """See `Storage.delete`."""
        with self._about(key) as place:
            self._fs.call_s3("delete_object", **place)

    def close(self) -> None:
        """Close the connections; the next use opens new ones."""
        creator, self._fs._s3 = getattr(self._fs, "_s3creator", None), None
        if creator is not None:
            self._fs._s3creator = None
            self._fs.close_session(self._fs.loop, creator)

    @contextmanager
    def _about(self, key: str) -> Iterator[dict[str, str]]:
        full = self._prefix + expect_key(key)
        with _told(f"s3://{self._bucket}", full):
            yield {"Bucket": self._bucket, "Key": full}


def _parts(uri: str) -> tuple[str, str, dict[str, str]]:
    """Bucket, key or prefix, and options of a URI."""
    place, _, query = uri.partition("://")[2].partition("?")
    bucket, _, path = place.partition("/")
    if "@" in bucket or ":" in bucket:
        raise SettingsError(
            "a bucket's URI names the bucket, neither an account nor a server",
            hint="credentials: AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; a server: ?endpoint_url=http://…",
        )
    if not _BUCKET.fullmatch(bucket):
        raise SettingsError(f"{bucket[:80]!r} is no name of a bucket", hint="expected s3://bucket/prefix")
    try:
        options = dict(parse_qsl(query, strict_parsing=True)) if query else {}
    except ValueError:
        raise SettingsError(f"what stands behind the ? of s3://{bucket} is not name=value") from None
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise SettingsError(
            f"s3://{bucket} has no option {unknown[0][:40]!r}",
            hint=f"known: {', '.join(_OPTIONS)}; keys are no options",
        )
    endpoint = urlsplit(options.get("endpoint_url", "http://unset"))
    if endpoint.scheme not in ("http", "https") or not endpoint.hostname or "@" in endpoint.netloc:
        raise SettingsError(f"the endpoint_url of s3://{bucket} is no address: http:// or https:// and a host")
    try:
        return bucket, unquote(path, errors="strict"), dict(sorted(options.items()))
    except UnicodeDecodeError:
        raise SettingsError(f"the path of s3://{bucket} is not UTF-8 where it is percent-encoded") from None


def object_uri(bucket: str, key: str) -> str:
    """The URI of an object, wherever the environment says that its server is.

    Raises:
        SettingsError: it is no name of a bucket.
        InputError: it is no key of an object.
    """
    if not _BUCKET.fullmatch(bucket):
        raise SettingsError(f"{bucket[:80]!r} is no name of a bucket")
    return _joined(bucket, expect_key(key), {})


def _joined(bucket: str, path: str, options: dict[str, str]) -> str:
    query = f"?{urlencode(options)}" if options else ""
    return f"s3://{bucket}" + (f"/{quote(path)}" if path else "") + query


def _file_system(options: dict[str, str]) -> Any:
    try:
        import s3fs
    except ImportError as error:
        raise ExtraMissing(f"this needs {error.name}", hint="pip install 'likeness[s3]'") from error
    style = options.get("addressing_style")
    files = s3fs.S3FileSystem(
        anon=options.get("anon", "").lower() in ("1", "true", "yes"),
        endpoint_url=options.get("endpoint_url"),
        client_kwargs={"region_name": options["region"]} if "region" in options else {},
        config_kwargs={
            "connect_timeout": _CONNECT_S,
            "read_timeout": _READ_S,
            "retries": {"max_attempts": 2, "mode": "standard"},
        }
        | ({"s3": {"addressing_style": style}} if style else {}),
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    files.retries = _TRIES
    return files


@contextmanager
def _told(bucket: str, key: str) -> Iterator[None]:
    """Turn errors of the libraries below into ours; of foreign messages only codes are told."""
    try:
        yield
    except LikenessError:
        raise
    except Exception as error:
        raise _translated(error, bucket, key) from error


def _translated(error: Exception, bucket: str, key: str) -> Exception:
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        NoCredentialsError,
        ParamValidationError,
        PartialCredentialsError,
    )

    cause = error if isinstance(error, ClientError) else error.__cause__
    code = str(cause.response.get("Error", {}).get("Code", "")) if isinstance(cause, ClientError) else ""
    if code == "NoSuchBucket":
        return StorageGone(f"there is no bucket {bucket}", hint="make it, or check its name and the endpoint")
    if code in _MISSING or isinstance(error, FileNotFoundError):
        return StorageMissing(f"there is no object {key!r} in {bucket}")
    if isinstance(error, NoCredentialsError | PartialCredentialsError):
        return StorageRefused(
            f"{bucket} wants credentials, and there are none",
            hint="set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE",
        )
    if isinstance(error, PermissionError):
        return StorageRefused(f"{bucket} does not let us in ({code or 'refused'})", hint="check the credentials")
    if code in _BUSY or _answers_later(cause):
        return StorageUnreachable(f"{bucket} is busy ({code})", hint="try again later")
    if code:
        return StorageError(f"{bucket} refused what was asked ({code})", hint="check the bucket and the endpoint")
    if isinstance(error, ParamValidationError):
        return InputError(f"{key[:200]!r} cannot be asked of {bucket}")
    if _is_network(error):
        return StorageUnreachable(
            f"{bucket} cannot be reached: {type(error).__name__}", hint="check the endpoint and the network"
        )
    if isinstance(error, BotoCoreError):
        return StorageError(f"{bucket} cannot be asked: {type(error).__name__}", hint="check region and endpoint")
    return error


def _answers_later(cause: BaseException | None) -> bool:
    """Whether a server said, in whatever words, that it is too busy now or has failed."""
    answer = getattr(cause, "response", None) or {}
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return bool(status == 429 or status >= 500)


def _is_network(error: Exception) -> bool:
    import aiohttp
    from botocore.exceptions import ConnectionError as NoConnection
    from botocore.exceptions import HTTPClientError

    return isinstance(error, OSError | NoConnection | HTTPClientError | aiohttp.ClientError | TimeoutError)
