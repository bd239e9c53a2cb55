"""The engines' releases: what each writes, who packages it, and until when it is fixed.

As of February 2026. RDB_VERSION from src/rdb.h of each release; ends from the projects' support
policies (github.com/redis/redis/security, valkey.io/topics/releases) as endoflife.date lists them,
Debian's from wiki.debian.org/DebianReleases and /LTS. The table in docs/OPERATIONS.md is this one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

AS_OF = date(2026, 2, 28)


@dataclass(frozen=True)
class Release:
    """One release line. `ends` is when its project stops fixing it; None where it has not said.

    `debian` is the Debian release that packages it, `debian_ends` the end of that one's long-term
    support, until which the package gets security fixes.
    """

    engine: str
    line: str
    rdb_version: int
    ends: date | None
    debian: str = ""
    debian_ends: date | None = None

    @property
    def fixed_until(self) -> date | None:
        """The last of both ends; None while it is open."""
        if self.ends is None:
            return None
        return max(self.ends, self.debian_ends or self.ends)


RELEASES: tuple[Release, ...] = (
    Release("redis", "6.0", 9, date(2022, 5, 31), "Debian 11", date(2026, 8, 31)),
    Release("redis", "6.2", 9, None),
    Release("redis", "7.0", 10, date(2024, 7, 29), "Debian 12", date(2028, 6, 30)),
    Release("redis", "7.2", 11, None),
    Release("redis", "7.4", 12, None),
    Release("redis", "8.0", 12, date(2026, 2, 11), "Debian 13", date(2030, 6, 30)),
    Release("valkey", "7.2", 11, date(2029, 4, 16)),
    Release("valkey", "8.0", 11, date(2027, 9, 15)),
    Release("valkey", "8.1", 11, date(2030, 3, 31), "Debian 13", date(2030, 6, 30)),
)
# Whatever is older than these has had no fix for years.
_OLDEST = {"redis": (6, 0), "valkey": (7, 2)}


def engine_of(info: Mapping[str, Any]) -> tuple[str, str]:
    """Read a server's INFO: `redis` or `valkey`, and its version."""
    if "valkey_version" in info:
        return "valkey", str(info["valkey_version"])
    return "redis", str(info.get("redis_version", ""))


def unmaintained(engine: str, version: str, *, today: date) -> str:
    """Say why nobody fixes that server any more; empty where somebody does, or it isn't known."""
    numbers = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    if not numbers:
        return ""
    if numbers < _OLDEST[engine]:
        return f"{engine} {version} is fixed by nobody any more"
    line = ".".join(map(str, numbers))
    known = (one for one in RELEASES if (one.engine, one.line) == (engine, line))
    until = next((one.fixed_until for one in known), None)
    if until is None or today <= until:
        return ""
    return f"{engine} {version} has had no security fixes since {until:%Y-%m-%d}"
