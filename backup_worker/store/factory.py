"""From a URL to the store it names."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

from backup_worker.errors import UsageError
from backup_worker.store.contract import Store, require_key
from backup_worker.store.file import FileStore
from backup_worker.store.memory import MemoryStore
from backup_worker.store.retrying import RetryingStore
from backup_worker.store.spooled import Spool, SpooledStore


def open_store(
    url: str,
    *,
    endpoint: str | None = None,
    spool: Spool | None = None,
    quick: bool = False,
) -> Store:
    """Open `file:///path`, `s3://bucket[/prefix]` or `memory:`.

    For S3, which the other stores ignore: `endpoint` is the URL of a server other than AWS;
    requests are retried for a minute, or with `quick` (for the lease) end within seconds;
    streams go through `spool`. Raises UsageError for another URL, StoreUnreachable when a
    directory cannot be used.
    """
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise _usage_error(url, "it has a query or a fragment")
    if parts.scheme == "file":
        return _open_file(url, parts.netloc, unquote(parts.path))
    if parts.scheme == "s3":
        store = _open_s3(url, parts.netloc, parts.path.strip("/"), endpoint, quick=quick)
        return SpooledStore(store, spool) if spool else store
    if url == "memory:":
        return MemoryStore()
    raise _usage_error(url, "it is of no known kind")


def _open_file(url: str, host: str, path: str) -> Store:
    if host or path in {"", "/"}:
        raise _usage_error(url, "it names no absolute directory")
    return FileStore(Path(path))


def _open_s3(url: str, bucket: str, prefix: str, endpoint: str | None, *, quick: bool) -> Store:
    # boto3 takes 40 MiB and half a second that the other stores need not pay.
    from backup_worker.store.s3 import S3Store  # noqa: PLC0415

    if not bucket:
        raise _usage_error(url, "it names no bucket")
    if prefix:
        require_key(prefix)
        prefix += "/"
    store = S3Store(bucket, prefix=prefix, endpoint=endpoint, quick=quick)
    return store if quick else RetryingStore(store)


def _usage_error(url: str, cause: str) -> UsageError:
    return UsageError(
        operation="open",
        subject=f"store {url!r}",
        cause=cause,
        hint="write file:///absolute/path or s3://bucket/prefix",
    )
