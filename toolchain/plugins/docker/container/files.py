"""Uploads: files copied into a container before it starts, owned by root."""

from __future__ import annotations

import base64
import io
import tarfile
from pathlib import Path
from typing import Any

from toolchain.plugins.base.errors import OperationFailed


def archive(uploads: list[dict[str, Any]]) -> bytes:
    """Pack the files as a tar archive to be unpacked at the container's root."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for upload in uploads:
            content = _content(upload)
            entry = tarfile.TarInfo(upload["file"].lstrip("/"))
            entry.size = len(content)
            entry.mode = _mode(upload)
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _content(upload: dict[str, Any]) -> bytes:
    if upload.get("source"):
        return _source(Path(upload["source"]), upload["file"])
    if upload.get("contentBase64"):
        return base64.b64decode(upload["contentBase64"])
    return str(upload["content"]).encode()


def _source(path: Path, file: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise OperationFailed(operation="upload", subject=file, cause=str(error)) from error


def _mode(upload: dict[str, Any]) -> int:
    if upload.get("permissions"):
        return int(upload["permissions"], 8)
    return 0o744 if upload.get("executable") else 0o644
