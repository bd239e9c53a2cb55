"""Objects in an S3 bucket, or on a server that speaks S3.

Memory: one part at a time in one buffer, no threads. A request is tried up to four times
(botocore's standard mode, about 7 s of pauses); what fails still is a TransientStoreError.
Each part and each small object carries its CRC32, which the server checks.
"""

import base64
import itertools
import secrets
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from contextvars import ContextVar
from functools import cache
from typing import Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.exceptions import ClientError

from backup_worker.errors import BackupError, ObjectNotFound
from backup_worker.store.contract import (
    StoredObject,
    TransientStoreError,
    require_key,
    require_prefix,
)
from backup_worker.store.s3_errors import Place, translated, was_retried

MIB = 1024 * 1024
# What a bucket's lifecycle looks for; the rule that does is infra.targets.aws.bucket's.
EXPIRED_TAG = ("redis-ha-backup", "expired")
_CHUNK = 256 * 1024
# (up to this part, bytes a part): 10,000 parts hold 101 GiB, and each fits into memory.
_PART_SIZES = ((7_000, 8 * MIB), (10_000, 16 * MIB))

_if_absent: ContextVar[bool] = ContextVar("if_absent", default=False)


class S3Store:
    """A Store in `bucket`, its keys below `prefix` (empty, or ending with a slash).

    `endpoint` is another server's URL; credentials and region come as boto3 reads them. With
    `quick` a request is tried once and given up after 3 s without connection, 5 s without data.
    `if_absent` needs a server with conditional writes (AWS, versitygw, MinIO). A killed writer
    leaves parts that no reader sees: let the bucket abort incomplete uploads after a day.
    """

    def __init__(
        self, bucket: str, *, prefix: str = "", endpoint: str | None = None, quick: bool = False
    ) -> None:
        self._bucket = bucket
        self._prefix = prefix
        self._server = endpoint or "AWS S3"
        with self._translated("open", f"s3://{bucket}/{prefix}"):
            self._client = _connect(endpoint, quick=quick)

    def put(self, key: str, chunks: Iterable[bytes], *, if_absent: bool = False) -> StoredObject:
        """Write an object: in one request if it fits into a part, else as a multipart upload."""
        require_key(key)
        parts = cut_into_parts(chunks, key=key)
        body, last = next(parts)
        if not last:
            return self._put_parts(key, itertools.chain([(body, last)], parts), if_absent=if_absent)
        mark = _new_mark()
        with self._committing(key, mark), _conditional(if_absent=if_absent):
            self._client.put_object(
                **self._at(key), Body=body, ChecksumCRC32=_crc32(body), Metadata=mark
            )
        return StoredObject(key, len(body))

    def get(self, key: str, *, offset: int = 0) -> Generator[bytes, None, None]:
        """Yield an object's bytes; a body that ends early is a TransientStoreError."""
        require_key(key)
        with self._translated("get", key):
            response = self._open(key, offset)
            if response is None:
                return
        with closing(response["Body"]) as body:
            missing = self._length(response, "get", key)
            while missing:
                with self._translated("get", key):
                    chunk = body.read(_CHUNK)
                if not chunk:
                    raise self._cut_short("get", key, f"{missing} bytes before the end")
                missing -= len(chunk)
                yield chunk

    def head(self, key: str) -> StoredObject:
        """Describe an object."""
        require_key(key)
        with self._translated("head", key):
            response = self._client.head_object(**self._at(key))
        return StoredObject(key, self._length(response, "head", key))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects under a prefix, a page of 1,000 at a time."""
        require_prefix(prefix)
        pages = self._client.get_paginator("list_objects_v2").paginate(
            Bucket=self._bucket, Prefix=self._prefix + prefix
        )
        iterator = iter(pages)
        while True:
            with self._translated("list", prefix or f"s3://{self._bucket}/{self._prefix}"):
                page = next(iterator, None)
            if page is None:
                return
            for entry in page.get("Contents", ()):
                if not entry["Key"].endswith("/"):
                    yield StoredObject(entry["Key"].removeprefix(self._prefix), entry["Size"])

    def delete(self, key: str) -> None:
        """Remove an object (with versioning: hide it behind a delete marker)."""
        require_key(key)
        with self._translated("delete", key):
            self._client.delete_object(**self._at(key))

    def expire(self, key: str) -> None:
        """Tag an object for the bucket's lifecycle, as docs/FORMAT.md says."""
        require_key(key)
        tags = {"TagSet": [{"Key": EXPIRED_TAG[0], "Value": EXPIRED_TAG[1]}]}
        with suppress(ObjectNotFound), self._translated("expire", key):
            self._client.put_object_tagging(**self._at(key), Tagging=tags)

    def _put_parts(
        self, key: str, parts: Iterable[tuple[bytearray, bool]], *, if_absent: bool
    ) -> StoredObject:
        at, mark = self._at(key), _new_mark()
        with self._translated("put", key):
            upload = self._client.create_multipart_upload(
                **at, ChecksumAlgorithm="CRC32", Metadata=mark
            )
        at["UploadId"] = upload["UploadId"]
        sent, size = [], 0
        try:
            for number, (body, _) in enumerate(parts, start=1):
                sent.append(self._put_part(key, at, body, number))
                size += len(body)
            with self._committing(key, mark), _conditional(if_absent=if_absent):
                self._client.complete_multipart_upload(**at, MultipartUpload={"Parts": sent})
        except BaseException:
            with suppress(BackupError), self._translated("abort", key):
                self._client.abort_multipart_upload(**at)
            raise
        return StoredObject(key, size)

    def _put_part(
        self, key: str, at: dict[str, str], body: bytearray, number: int
    ) -> dict[str, Any]:
        checksum = _crc32(body)
        with self._translated("put", key):
            part = self._client.upload_part(
                **at, PartNumber=number, Body=body, ChecksumCRC32=checksum
            )
        return {"PartNumber": number, "ETag": part["ETag"], "ChecksumCRC32": checksum}

    def _open(self, key: str, offset: int) -> dict[str, Any] | None:
        """Ask for the bytes from `offset` on; None when it is not inside the object."""
        where = {"Range": f"bytes={offset}-"} if offset else {}
        try:
            response: dict[str, Any] = self._client.get_object(**self._at(key), **where)
        except ClientError as error:
            if error.response.get("Error", {}).get("Code") in {"InvalidRange", "416"}:
                return None
            raise
        return response

    @contextmanager
    def _committing(self, key: str, mark: dict[str, str]) -> Iterator[None]:
        """Translate errors of the block; one whose first, unanswered try did it is none."""
        try:
            with self._translated("put", key):
                yield
        except BackupError as error:
            if not (was_retried(error) and self._bears(key, mark)):
                raise

    def _bears(self, key: str, mark: dict[str, str]) -> bool:
        with suppress(BackupError), self._translated("head", key):
            metadata: dict[str, str] = self._client.head_object(**self._at(key))["Metadata"]
            return mark.items() <= metadata.items()
        return False

    def _at(self, key: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + key}

    def _translated(self, operation: str, subject: str) -> AbstractContextManager[None]:
        return translated(Place(operation, subject, self._server))

    def _length(self, response: Mapping[str, Any], operation: str, key: str) -> int:
        """Read an object's length; an answer cut off in its header has none."""
        if "ContentLength" not in response:
            raise self._cut_short(operation, key, "in the middle of its answer")
        return int(response["ContentLength"])

    def _cut_short(self, operation: str, key: str, where: str) -> BackupError:
        place = Place(operation, key, self._server)
        cause = f"{self._server} closed the connection {where}"
        return place.error(TransientStoreError, cause, "try again")


def cut_into_parts(chunks: Iterable[bytes], *, key: str) -> Iterator[tuple[bytearray, bool]]:
    """Yield (part, whether it is the last); the last may be empty only if it is the only one.

    The same buffer is yielded and reused: use it before the next one is taken.
    """
    buffer, number, room = bytearray(), 1, part_size(1, key=key)
    for chunk in chunks:
        rest = memoryview(chunk)
        while rest:
            if len(buffer) == room:
                yield buffer, False
                buffer.clear()
                number += 1
                room = part_size(number, key=key)
            taken = room - len(buffer)
            buffer += rest[:taken]
            rest = rest[taken:]
    yield buffer, True


def part_size(number: int, *, key: str) -> int:
    """Return how many bytes part `number` (from 1) has. Raises BackupError past the last."""
    for last, size in _PART_SIZES:
        if number <= last:
            return size
    raise BackupError(
        operation="put",
        subject=key,
        cause="it is larger than 101 GiB, which 10,000 parts hold",
        hint="keep backups of this size in a file store",
    )


def _connect(endpoint: str | None, *, quick: bool) -> Any:
    options: dict[str, Any] = {
        "signature_version": "s3v4",
        "connect_timeout": 3 if quick else 5,
        "read_timeout": 5 if quick else 60,
        "retries": {"mode": "standard", "total_max_attempts": 1 if quick else 4},
        "s3": {"addressing_style": "path" if endpoint else "auto"},
    }
    try:
        config = Config(
            **options,
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        )
    except TypeError:  # before boto3 1.36 that is how it is
        config = Config(**options)
    core = botocore.session.get_session()
    core.register_component("data_loader", _service_models())
    session = boto3.session.Session(botocore_session=core)
    region = session.region_name or "us-east-1"
    client = session.client("s3", endpoint_url=endpoint, region_name=region, config=config)
    # boto3 before 1.35 has no parameter for it.
    for operation in ("PutObject", "CompleteMultipartUpload"):
        client.meta.events.register(f"before-call.s3.{operation}", _add_condition)
    return client


@cache
def _service_models() -> Any:
    """What botocore reads about S3: 15 MiB that all clients of a process share."""
    return botocore.session.get_session().get_component("data_loader")


@contextmanager
def _conditional(*, if_absent: bool) -> Iterator[None]:
    """Send `If-None-Match: *` with the writes in the block."""
    token = _if_absent.set(if_absent)
    try:
        yield
    finally:
        _if_absent.reset(token)


def _add_condition(params: dict[str, Any], **_: object) -> None:
    if _if_absent.get():
        params["headers"]["If-None-Match"] = "*"


def _new_mark() -> dict[str, str]:
    """Metadata that tells one write from every other."""
    return {"write-id": secrets.token_hex(8)}


def _crc32(body: bytearray) -> str:
    return base64.b64encode(zlib.crc32(body).to_bytes(4, "big")).decode()
