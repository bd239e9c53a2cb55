"""A node's files, which may change while it runs: seen when all of them are there and whole.

They are brought one by one, not at once. The manifest lists each with its SHA-256.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

_MANIFEST = "manifest.json"
_DIGEST_DIGITS = 16


@dataclass(frozen=True)
class Files:
    """One whole state of the files, by name; `digest` names it as the stack's output does."""

    digest: str
    texts: Mapping[str, str]


def is_watched(folder: Path) -> bool:
    """Say whether these files may change under the node; without a manifest they never do."""
    return (folder / _MANIFEST).is_file()


def read_whole(folder: Path) -> Files | None:
    """Read the files that the manifest lists; None while one is missing or isn't what it says."""
    try:
        manifest = (folder / _MANIFEST).read_text()
        listed = json.loads(manifest)
        texts = {name: (folder / name).read_text() for name in listed}
    except (OSError, ValueError, TypeError):
        return None
    if any(sha256(text.encode()).hexdigest() != listed[name] for name, text in texts.items()):
        return None
    return Files(sha256(manifest.encode()).hexdigest()[:_DIGEST_DIGITS], texts)


def digest_now(folder: Path) -> str:
    """Name the state that is being brought; "" without a manifest."""
    try:
        return sha256((folder / _MANIFEST).read_bytes()).hexdigest()[:_DIGEST_DIGITS]
    except OSError:
        return ""
