"""What an S3 error means and what to do about it."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from botocore.exceptions import (
    ConnectionError as BotoConnectionError,
)
from urllib3.exceptions import HTTPError

from backup_worker.errors import (
    AlreadyExists,
    BackupError,
    DeletionRefused,
    ObjectNotFound,
    StoreFull,
    StoreUnreachable,
)
from backup_worker.store.contract import TransientStoreError

_NETWORK = (HTTPClientError, BotoConnectionError, IncompleteReadError, HTTPError, OSError)
_EXISTS = {"PreconditionFailed", "412", "ConditionalRequestConflict"}
_FULL = {"XMinioStorageFull", "QuotaExceeded", "InsufficientStorage", "507"}
# What a server answers that holds an object under a lock, or lets nobody delete.
_UNDELETABLE = {"AccessDenied", "403", "InvalidRequest", "ObjectLocked", "MethodNotAllowed"}
# What a server answers that lets nobody tag, or knows no tags.
_UNMARKABLE = {"AccessDenied", "403", "MethodNotAllowed", "NotImplemented", "501"}
_CREDENTIALS = {
    *{"AccessDenied", "403", "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken"},
    "XAdminUserNotFound",  # versitygw's name for InvalidAccessKeyId
}
_TRANSIENT = {"SlowDown", "RequestTimeout", "InternalError", "ServiceUnavailable", "Throttling"}
# (codes, what it is, the remedy)
_REFUSALS: tuple[tuple[set[str], type[BackupError], str], ...] = (
    (
        {"NoSuchKey", "NotFound", "404"},
        ObjectNotFound,
        "`backup-worker list` shows what is there",
    ),
    (_EXISTS, AlreadyExists, "choose another name, or read the one that is there"),
    (_FULL, StoreFull, "free some space, or shorten the retention"),
    (
        {"ObjectParentIsFile", "ExistingObjectIsDirectory", "XMinioParentIsObject"},
        BackupError,
        "a name cannot be an object and a folder: choose another name",
    ),
    (
        _CREDENTIALS,
        StoreUnreachable,
        "check the credentials and what they may do in the bucket",
    ),
    ({"NoSuchBucket"}, StoreUnreachable, "create the bucket, or correct REDIS_BACKUP_STORE"),
)


@dataclass(frozen=True)
class Place:
    """Where it happened, for the error's text."""

    operation: str
    subject: str
    server: str

    def error(self, kind: type[BackupError], cause: str, hint: str) -> BackupError:
        """Make an error of a kind with one-line texts."""
        return kind(
            operation=self.operation, subject=self.subject, cause=" ".join(cause.split()), hint=hint
        )


@contextmanager
def translated(place: Place) -> Iterator[None]:
    """Turn what botocore raises in the block into this package's errors."""
    try:
        yield
    except ClientError as error:
        raise _refusal(place, error.response) from error
    except _NETWORK as error:
        hint = f"check that {place.server} is up and reachable"
        raise place.error(TransientStoreError, str(error), hint) from error
    except BotoCoreError as error:
        hint = "check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and AWS_REGION"
        raise place.error(StoreUnreachable, str(error), hint) from error


def was_retried(error: BackupError) -> bool:
    """Say whether the server refused a repeated request: the first may have been carried out."""
    cause = error.__cause__
    return isinstance(cause, ClientError) and bool(
        cause.response.get("ResponseMetadata", {}).get("RetryAttempts", 0)
    )


def _refusal(place: Place, response: Mapping[str, Any]) -> BackupError:
    code = str(response.get("Error", {}).get("Code", ""))
    cause = f"{place.server} answers {code}: {response.get('Error', {}).get('Message', '')}"
    metadata = response.get("ResponseMetadata", {})
    status = metadata.get("HTTPStatusCode", 0)
    if code in _TRANSIENT or (status >= 500 and code not in _FULL | {"NotImplemented", "501"}):
        return place.error(TransientStoreError, cause, "try again when the server is less busy")
    if place.operation == "delete" and code in _UNDELETABLE:
        hint = "allow s3:DeleteObject, or let the bucket's lifecycle rules expire objects"
        return place.error(DeletionRefused, cause, hint)
    if place.operation == "expire" and code in _UNMARKABLE:
        hint = "allow s3:PutObjectTagging, or expire objects by hand"
        return place.error(DeletionRefused, cause, hint)
    for codes, kind, hint in _REFUSALS:
        if code in codes:
            return place.error(kind, cause, hint)
    hint = "check REDIS_BACKUP_STORE and REDIS_BACKUP_S3_ENDPOINT"
    return place.error(StoreUnreachable, cause, hint)
