"""Files that exist under their name only when they are whole."""

import errno
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from backup_worker.durable import sync_directory
from backup_worker.errors import BackupError, StoreFull


@contextmanager
def published(path: Path) -> Iterator[BinaryIO]:
    """Open a temporary file (0600) that takes the name `path` when the block ended well.

    Raises StoreFull or BackupError; what was there under that name before stays until then.
    """
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.partial")
    try:
        with os.fdopen(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb"
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
        sync_directory(path.parent)
    except OSError as error:
        raise unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def unwritable(path: Path, error: OSError) -> BackupError:
    """Translate a file's OSError; a full disk is StoreFull."""
    full = error.errno in {errno.ENOSPC, errno.EDQUOT}
    kind, hint = (
        (StoreFull, "free space there or choose another place; nothing was left behind")
        if full
        else (BackupError, "choose a place that you may write to")
    )
    return kind(
        operation="write",
        subject=str(path),
        cause=error.strerror or str(error),
        hint=hint,
    )
