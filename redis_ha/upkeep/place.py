"""Where this machine keeps what it knows of a cluster."""

from collections.abc import Mapping
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from redis_ha.discovery import Access


def state_folder(environ: Mapping[str, str], *, home: Path) -> Path:
    """Say where this user's state is, by the XDG convention."""
    state = environ.get("XDG_STATE_HOME") or home / ".local" / "state"
    return Path(state) / "redis-ha"


def cluster_file(kind: str, access: Access, environ: Mapping[str, str], *, home: Path) -> Path:
    """Say where a file of a cluster is, which is known by its lowest sentinel and master's name.

    Neither the sentinels' order nor more or fewer of them make it another cluster. A file that was
    named by all of them in their order is moved here.
    """
    folder = state_folder(environ, home=home)
    path = folder / _name(kind, str(min(access.sentinels)) + access.master_name)
    old = folder / _name(kind, ",".join(map(str, access.sentinels)) + access.master_name)
    # What can't be looked at or moved is told by whoever opens the file.
    with suppress(OSError):
        if old.exists() and not path.exists():
            old.rename(path)
    return path


def _name(kind: str, cluster: str) -> str:
    return f"{kind}-{sha256(cluster.encode()).hexdigest()[:12]}.json"
