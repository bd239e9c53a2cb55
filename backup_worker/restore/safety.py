"""Which snapshots are safety snapshots: `latest` must not mean what a restore got rid of."""

from pathlib import Path

from backup_worker.restore.files import published

_NAME = "safety-snapshots"


def remember(state: Path, snapshot: str) -> None:
    """Add a snapshot's id to the list, a text file with one id a line."""
    with published(state / _NAME) as file:
        file.writelines(f"{one}\n".encode() for one in sorted({*known(state), snapshot}))


def known(state: Path) -> frozenset[str]:
    """Return the ids that were remembered; a lost list costs only the distinction."""
    try:
        return frozenset((state / _NAME).read_text().split())
    except OSError:
        return frozenset()
