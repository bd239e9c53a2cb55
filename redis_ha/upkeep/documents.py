"""The documents that production needs: there, with something in them, and a runbook per alert."""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from redis_ha.findings import Finding, State

RUNBOOKS = "OPERATIONS.md"
DOCUMENTS = ("ARCHITECTURE.md", RUNBOOKS, "SECURITY.md")
_HEADING = re.compile(r"#{1,6}\s+(.*)")


@dataclass(frozen=True)
class Document:
    """A document's hash and the words of its headings."""

    sha256: str
    headings: frozenset[str] = frozenset()


def read_documents(folder: Path) -> dict[str, Document]:
    """Read those that are there and can be read, and have more than headings, by their names."""
    found = {name: _read(folder / name) for name in DOCUMENTS}
    return {name: document for name, document in found.items() if document is not None}


def parse_document(content: bytes) -> Document | None:
    """Read a document; None when there is nothing below its headings."""
    lines = content.decode(errors="replace").splitlines()
    headings = [heading[1] for line in lines if (heading := _HEADING.match(line))]
    if not any(line.strip() and not _HEADING.match(line) for line in lines):
        return None
    words = re.findall(r"\w+", "\n".join(headings))
    return Document(hashlib.sha256(content).hexdigest(), frozenset(words))


def judge_documents(documents: Mapping[str, Document], alerts: Sequence[str]) -> Iterator[Finding]:
    """Judge them; `alerts` are the names of which each needs a runbook."""
    missing = [name for name in DOCUMENTS if name not in documents]
    if missing:
        reason = f"not there, or nothing is in it: {', '.join(missing)}"
        yield Finding("documents", State.BAD, reason, "name their folder with --documents FOLDER")
    if (runbooks := documents.get(RUNBOOKS)) is None:
        return
    lacking = [name for name in dict.fromkeys(alerts) if name not in runbooks.headings]
    if lacking:
        reason = f"{RUNBOOKS} has no heading for {', '.join(lacking)}"
        remedy = "write what to do when it fires below a heading with its name"
        yield Finding("documents", State.BAD, reason, remedy)


def _read(path: Path) -> Document | None:
    try:
        return parse_document(path.read_bytes())
    except OSError:
        return None
