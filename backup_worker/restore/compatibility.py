"""Which server reads which RDB; pure."""

import re

# Newest RDB version that each release reads; source: RDB_VERSION in its src/rdb.h.
_REDIS = (((7, 4), 12), ((7, 2), 11), ((7, 0), 10), ((5, 0), 9))
_VALKEY = (((9, 0), 80), ((7, 2), 11))
# Valkey 9 took a range of its own; in between lie the versions that only Redis writes.
_FOREIGN_TO_VALKEY = range(12, 80)


def newest_readable(engine: str, version: str) -> int:
    """Return the newest RDB version that `redis` or `valkey` of a version reads; 0 if unknown."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    known = _VALKEY if engine == "valkey" else _REDIS
    return next((rdb for since, rdb in known if numbers >= since), 0)


def can_read(engine: str, version: str, rdb_version: int) -> bool:
    """Say whether a server loads an RDB of that version."""
    if engine == "valkey" and rdb_version in _FOREIGN_TO_VALKEY:
        return False
    return rdb_version <= newest_readable(engine, version)
